"""Which Autotask company an organization's work belongs to: the explicit map wins, ambiguity is never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.facts import Company
from streams.core.policy import Policy

# Legal forms say nothing about which company is meant, and the two systems rarely agree on them.
_LEGAL_FORMS = frozenset(
    [
        "gmbh",
        "mbh",
        "ag",
        "kg",
        "ohg",
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
    ]
)
#: The organization of an alert whose device NinjaOne does not know; no real one has this id.
UNKNOWN_ORGANIZATION = 0
_WORD = re.compile(r"\w+", re.UNICODE)


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


def normalized(name: str) -> str:
    """A name without case, punctuation and legal form: ``Nordwind GmbH`` and ``nordwind gmbh.`` are the same."""
    words = _WORD.findall(name.casefold())
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return " ".join(kept or words)


def company_for(
    policy: Policy, organization_id: int, organization_name: str, companies: Mapping[int, Company]
) -> Mapped | Unmapped:
    """The company of an organization under a policy, given the companies that Autotask has.

    An explicit map entry is believed even for a company that was not observed (yet). Matching by name considers
    active companies only; two that fit are ambiguous and stay unmapped.
    """
    rule = policy.companies
    explicit = rule.by_organization.get(organization_id)
    if explicit is not None:
        return Mapped(explicit, "map")
    label = f"organization {organization_id}" + (f" '{organization_name}'" if organization_name else "")
    how_to = f"add {{organization: {organization_id}, company: ID}} under companies.map and publish the policy"
    detail = f"{label} has no company in Autotask; {how_to}"
    if organization_id == UNKNOWN_ORGANIZATION:
        detail = (
            "NinjaOne does not say which organization this belongs to (the device is unknown there, or gone); "
            f"'lockstep parked dismiss' gives it up, or {how_to}, to give such work to that company"
        )
    if rule.auto_match != "never" and organization_name:
        active = [company for company in companies.values() if company.active]
        found = [company.id for company in active if company.name == organization_name]
        how = "exact"
        if not found and rule.auto_match == "normalized":
            wanted = normalized(organization_name)
            found = [company.id for company in active if normalized(company.name) == wanted]
            how = "normalized"
        if len(found) == 1:
            return Mapped(found[0], how)
        if found:
            ids = ", ".join(str(company_id) for company_id in sorted(found))
            return Unmapped("AmbiguousOrganization", f"{label} fits the companies {ids}; {how_to}")
    if rule.catch_all is not None:
        return Mapped(rule.catch_all, "catch-all")
    return Unmapped("UnmappedOrganization", detail)
