"""Which Autotask company an organization's work belongs to: the explicit map wins, ambiguity is never guessed.

A match by name is made once and remembered by id (``streams.core.context``), so that renaming either side later moves
no work. It is given up only where that company is gone or inactive, and made anew only where one other active company
fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.facts import Company
from streams.core.policy.policy import Policy

# Legal forms say nothing about which company is meant, and the two systems rarely agree on them.
_LEGAL_FORMS = frozenset(
    [
        "gmbh",
        "mbh",
        "ag",
        "kg",
        "ug",
        "inc",
        "llc",
        "llp",
        "ltd",
        "limited",
        "corp",
        "corporation",
        "co",
        "company",
        "plc",
        "sa",
        "sarl",
        "srl",
        "bv",
        "nv",
        "ab",
        "as",
        "oy",
        "pty",
        "ohg",
        "ev",
        "eg",
        "kgaa",
        "se",
        "sas",
        "spa",
        "aps",
        "pvt",
        "lp",
    ]
)
#: The reason before any list of companies was told.
NOT_KNOWN = "CompaniesNotKnown"
_UNREAD = "Autotask was never read ('lockstep status' says why); its work waits and goes on by itself once the companies are read"
#: The organization of an alert whose device NinjaOne does not know; no real one has this id.
UNKNOWN_ORGANIZATION = 0
_WORD = re.compile(r"\w+", re.UNICODE)
#: What may stand between two legal forms: ``GmbH und Co. KG``.
_BETWEEN = frozenset(["und", "and"])
#: ``g.m.b.h.``, ``s.a.``: a legal form, or initials, spelled with dots.
_DOTTED = re.compile(r"(?<!\w)(?:\w\.){2,}")


@dataclass(frozen=True, slots=True)
class Mapped:
    """The company, and how it was found: ``map``, ``exact``, ``normalized`` or ``catch-all``."""

    company_id: int
    how: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """No company: ``reason`` is a noun, ``detail`` one line that says what to do."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """A match by name that was made: the company's id, how, and what both sides were called then."""

    company_id: int
    how: str
    organization: str
    company: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Remembered:
        """From the context document."""
        return cls(entry["company"], entry["how"], *entry["names"])

    def entry(self) -> dict[str, Any]:
        """For the context document."""
        return {"company": self.company_id, "how": self.how, "names": [self.organization, self.company]}


class Companies:
    """What Autotask has, to be looked up by id and by name; the tables by name are made when first asked for.

    ``known``: whether a list of Autotask was ever told. Before that nothing says that an organization has no company.
    """

    __slots__ = ("_exact", "_normalized", "by_id", "known")

    def __init__(self, companies: Iterable[Company], *, known: bool = True) -> None:
        self.by_id = {company.id: company for company in companies}
        self.known = known
        self._exact: dict[str, list[Company]] | None = None
        self._normalized: dict[str, list[Company]] | None = None

    def named(self, name: str) -> list[Company]:
        """The active companies of exactly this name, by id."""
        if self._exact is None:
            self._exact = self._table(str)
        return self._exact.get(name, [])

    def alike(self, name: str) -> list[Company]:
        """The active companies whose name says the same, by id."""
        if self._normalized is None:
            self._normalized = self._table(normalized)
        return self._normalized.get(normalized(name), [])

    def _table(self, form: Any) -> dict[str, list[Company]]:
        table: dict[str, list[Company]] = {}
        for company in sorted(self.by_id.values(), key=lambda company: company.id):
            if company.active:
                table.setdefault(form(company.name), []).append(company)
        return table


class Organizations:
    """What NinjaOne has, to be looked up by what the name says; the table is made when first asked for."""

    __slots__ = ("_alike", "names")

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self._alike: dict[str, list[int]] | None = None

    def alike(self, name: str) -> list[int]:
        """The organizations whose name says the same, by id."""
        if self._alike is None:
            self._alike = {}
            for organization_id in sorted(self.names):
                self._alike.setdefault(normalized(self.names[organization_id]), []).append(organization_id)
        return self._alike.get(normalized(name), [])


NO_ORGANIZATIONS = Organizations({})


def normalized(name: str) -> str:
    """A name without case, spaces, punctuation and the legal form at its end.

    ``Nordwind GmbH & Co. KG`` and ``nord-wind g.m.b.h.`` are the same; ``AB Electric`` is not ``Electric``.
    """
    words = _WORD.findall(_DOTTED.sub(lambda found: found[0].replace(".", ""), name.casefold()))
    kept = list(words)
    while kept and kept[-1] in _LEGAL_FORMS:
        kept.pop()
        if kept and kept[-1] in _BETWEEN and len(kept) > 1 and kept[-2] in _LEGAL_FORMS:
            kept.pop()
    return "".join(kept or words)


def company_for(
    policy: Policy,
    organization_id: int,
    organization_name: str,
    companies: Companies,
    remembered: Remembered | None = None,
    organizations: Organizations = NO_ORGANIZATIONS,
) -> Mapped | Unmapped:
    """The company of an organization under a policy, given the companies that Autotask has.

    An explicit map entry is believed even for a company that was not observed (yet). Then what is remembered counts,
    then the name: among active companies, and two that fit are ambiguous and stay unmapped. So does a company that two
    organizations fit which only look alike: they may be two customers, ``Nordwind GmbH`` and ``Nordwind AG``. Where a name
    counts, nothing is said before a list of companies is known, not even the catch-all: a ticket cannot be moved afterwards.
    """
    rule = policy.companies
    explicit = rule.by_organization.get(organization_id)
    if explicit is not None:
        return Mapped(explicit, "map")
    if remembered is not None and _active(companies, remembered.company_id):
        return Mapped(remembered.company_id, remembered.how)
    label = f"organization {organization_id}" + (f" '{organization_name}'" if organization_name else "")
    how_to = f"add {{organization: {organization_id}, company: ID}} under companies.map and publish the policy"
    if not companies.known and rule.auto_match != "never" and organization_id != UNKNOWN_ORGANIZATION:
        return Unmapped(NOT_KNOWN, f"the company of {label} is not known yet: {_UNREAD}")
    fits, how = by_name(policy, organization_name, companies)
    rivals = _rivals(policy, organization_id, organization_name, organizations) if how == "normalized" else []
    if len(fits) == 1 and not rivals:
        return Mapped(fits[0].id, how)
    if len(fits) == 1:
        others = ", ".join(f"{other} '{organizations.names[other]}'" for other in rivals)
        detail = f"{label} and organization {others} both fit the company {fits[0].id} '{fits[0].name}'; {how_to}"
        return Unmapped("AmbiguousCompany", detail)
    if fits:
        named = ", ".join(f"{company.id} '{company.name}'" for company in fits)
        return Unmapped("AmbiguousCompany", f"{label} fits the companies {named}; {how_to}")
    if remembered is not None:
        # Not to the catch-all: a customer that had a company has not become nobody's.
        return _lost(label, remembered, companies, how_to)
    if rule.catch_all is not None:
        return Mapped(rule.catch_all, "catch-all")
    detail = f"{label} has no company in Autotask; {how_to}"
    if organization_id == UNKNOWN_ORGANIZATION:
        detail = (
            "NinjaOne does not say which organization this belongs to (the device is unknown there, or gone); "
            f"'lockstep parked dismiss' gives it up, or {how_to}, to give such work to that company"
        )
    return Unmapped("UnmappedOrganization", detail)


def by_name(policy: Policy, organization_name: str, companies: Companies) -> tuple[list[Company], str]:
    """The active companies that an organization's name fits, and how: ``exact`` before ``normalized``."""
    rule = policy.companies
    if rule.auto_match == "never" or not organization_name:
        return [], ""
    exact = companies.named(organization_name)
    if exact or rule.auto_match == "exact":
        return exact, "exact"
    return companies.alike(organization_name), "normalized"


def _rivals(policy: Policy, organization_id: int, name: str, organizations: Organizations) -> list[int]:
    """Other organizations, not mapped by the policy, whose name says the same."""
    explicit = policy.companies.by_organization
    return [other for other in organizations.alike(name) if other != organization_id and other not in explicit]


def remember(
    policy: Policy, organizations: Organizations, companies: Companies, before: Mapping[int, Remembered]
) -> dict[int, Remembered | None]:
    """What changes in what is remembered: new matches by name, and ``None`` for one that no longer counts.

    A match is forgotten where the policy maps the organization itself or no longer matches that way; it stays while
    its company is away, unless another one fits by now.
    """
    changes: dict[int, Remembered | None] = {}
    for organization_id, known in before.items():
        if not _allowed(policy, organization_id, known):
            changes[organization_id] = None
    for organization_id, name in organizations.names.items():
        kept = None if organization_id in changes else before.get(organization_id)
        if organization_id in policy.companies.by_organization or (kept and _active(companies, kept.company_id)):
            continue
        fits, how = by_name(policy, name, companies)
        if len(fits) == 1 and (how == "exact" or not _rivals(policy, organization_id, name, organizations)):
            changes[organization_id] = Remembered(fits[0].id, how, name, fits[0].name)
    return changes


MappingState = Literal["ok", "renamed", "missing", "inactive", "ambiguous", "unmapped", "unknown", "catch-all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingView:
    """How an organization stands, for people. ``detail`` says what to do where something is to be done."""

    organization_id: int
    organization: str
    state: MappingState
    how: str
    company_id: int | None
    company: str
    detail: str


def mapping_view(
    policy: Policy,
    organization_id: int,
    companies: Companies,
    remembered: Remembered | None,
    organizations: Organizations,
) -> MappingView:
    """How an organization stands: ``ok``, ``renamed`` since it was matched, or why it has no company (``unknown``: Autotask was never read)."""
    name = organizations.names.get(organization_id, "")
    found = company_for(policy, organization_id, name, companies, remembered, organizations)
    state: MappingState = "ok"
    detail, how, company_id = "", "", None
    if isinstance(found, Unmapped):
        detail = found.detail
        state = _STATES.get(found.reason, "unmapped")
        company_id = remembered.company_id if remembered is not None else None
    else:
        how, company_id = found.how, found.company_id
        known = companies.by_id.get(company_id)
        if how == "catch-all":
            state = "catch-all"
        elif known is None:
            # Without any list Autotask was not read yet; that says nothing about one company.
            state = "missing" if companies.by_id else "ok"
            detail = f"Autotask shows no company {company_id}; correct companies.map" if companies.by_id else ""
        elif not known.active:
            state, detail = "inactive", f"company {company_id} is inactive in Autotask, which may refuse its tickets"
        elif remembered is not None and remembered.company_id == company_id and how != "map":
            names = (remembered.organization, remembered.company)
            if names != (name, known.name):
                state = "renamed"
                detail = f"matched as '{names[0]}' and '{names[1]}'; the mapping by id stays"
    known = companies.by_id.get(company_id) if company_id is not None else None
    return MappingView(
        organization_id=organization_id,
        organization=name,
        state=state,
        how=how,
        company_id=company_id,
        company=known.name if known is not None else "",
        detail=detail,
    )


_STATES: dict[str, MappingState] = {
    "AmbiguousCompany": "ambiguous",
    "MissingCompany": "missing",
    "InactiveCompany": "inactive",
    NOT_KNOWN: "unknown",
}


def _allowed(policy: Policy, organization_id: int, known: Remembered) -> bool:
    rule = policy.companies
    if organization_id in rule.by_organization or rule.auto_match == "never":
        return False
    return rule.auto_match == "normalized" or known.how == "exact"


def _active(companies: Companies, company_id: int) -> bool:
    company = companies.by_id.get(company_id)
    return company is not None and company.active


def _lost(label: str, remembered: Remembered, companies: Companies, how_to: str) -> Unmapped:
    company = f"company {remembered.company_id} '{remembered.company}'"
    if remembered.company_id in companies.by_id:
        return Unmapped("InactiveCompany", f"{label} belongs to {company}, which is inactive; activate it, or {how_to}")
    return Unmapped("MissingCompany", f"{label} belongs to {company}, which Autotask no longer shows; {how_to}")
