"""A policy beside what was seen of both vendors: organizations without a company, and names that nothing has.

A warning each: what does not exist today may exist tomorrow, and until then the rule that names it is dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from schemas.facts import Company
from streams.core.mapping import Companies, Organizations, Remembered, Unmapped, company_for
from streams.core.policy.findings import Finding, Path
from streams.core.policy.format import BehindEntry
from streams.core.policy.parts import Part
from streams.core.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of the two vendors: organizations by id, companies by id, matches by name that were made before.

    ``locations``, ``roles`` and ``devices`` are names by id, ``tags`` as written, of the devices that were seen; where there are none, names of
    that kind are not looked at.
    """

    organizations: Mapping[int, str]
    companies: Mapping[int, Company]
    remembered: Mapping[int, Remembered] | None = None
    locations: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, str] = field(default_factory=dict)
    devices: Mapping[int, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


def unmapped(policy: Policy) -> Iterator[Finding]:
    """Organizations that a rule names and that can have no company, by what the file alone says."""
    if policy.companies.auto_match != "never" or policy.companies.catch_all is not None:
        return
    for path, entry in _named_organizations(policy):
        if path[0] == "rules" and isinstance(entry, int) and entry not in policy.companies.by_organization:
            yield Finding(
                path,
                f"organization {entry} has no company: it is not mapped, and auto_match is never",
                f"add {{organization: {entry}, company: ID}} under companies.map",
                "warning",
            )


def observed_findings(policy: Policy, observed: Observed) -> Iterator[Finding]:
    """Names that nothing which was seen has, and organizations without a company."""
    yield from _organizations(policy, observed)
    for path, what, entry, known in _named(policy, observed):
        names = {name.casefold(): name for name in known.values() if name}
        if known and not (entry in known if isinstance(entry, int) else entry.casefold() in names):
            near = get_close_matches(str(entry).casefold(), names, 1) if isinstance(entry, str) else []
            yield Finding(
                path,
                f"no device that was seen {what} {entry!r}",
                f"did you mean '{names[near[0]]}'?" if near else "write it as NinjaOne shows it",
                "warning",
            )


def _organizations(policy: Policy, observed: Observed) -> Iterator[Finding]:
    names = {name.casefold(): name for name in observed.organizations.values()}
    for path, entry in _named_organizations(policy):
        known = entry in observed.organizations if isinstance(entry, int) else entry.casefold() in names
        if not known:
            near = get_close_matches(str(entry).casefold(), names, 1) if isinstance(entry, str) else []
            yield Finding(
                path,
                f"NinjaOne has no organization {entry!r}",
                f"did you mean '{names[near[0]]}'?" if near else "write its name as NinjaOne shows it, or its id",
                "warning",
            )
    for number, mapped in enumerate(policy.companies.map):
        company = observed.companies.get(mapped.company)
        path = ("companies", "map", number)
        if mapped.organization not in observed.organizations:
            reason = f"NinjaOne has no organization {mapped.organization}"
            yield Finding((*path, "organization"), reason, "remove the entry, or correct the id", "warning")
        if company is None or not company.active:
            state = "inactive in" if company else "not a company of"
            reason = f"{mapped.company} is {state} Autotask"
            yield Finding((*path, "company"), reason, "correct the id; the company's page shows it", "warning")
    companies, organizations = Companies(observed.companies.values()), Organizations(observed.organizations)
    remembered = observed.remembered or {}
    for identity, name in sorted(observed.organizations.items()):
        found = company_for(policy, identity, name, companies, remembered.get(identity), organizations)
        if isinstance(found, Unmapped):
            what, _, todo = found.detail.partition("; ")
            yield Finding(("companies",), what, todo, "warning")


def _named_organizations(policy: Policy) -> Iterator[tuple[Path, int | str]]:
    for number, rule in enumerate(policy.rules):
        for position, entry in enumerate(rule.when.organization or ()):
            yield ("rules", number, "when", "organization", position), entry
    for number, window in enumerate(policy.maintenance):
        for position, entry in enumerate(window.organization or ()):
            yield ("maintenance", number, "organization", position), entry


def _named(policy: Policy, observed: Observed) -> Iterator[tuple[Path, str, int | str, Mapping[int, str]]]:
    """Everything beside organizations that the policy names: where, in which words, what, and what there is of it."""
    tags = dict(enumerate(sorted(observed.tags)))
    at, has_role, tagged, is_device = "is at a location", "has the role", "has the tag", "is"
    places: list[tuple[Path, Part]] = [
        (("rules", number, "when"), rule.when) for number, rule in enumerate(policy.rules)
    ]
    places += [(("maintenance", number), window) for number, window in enumerate(policy.maintenance)]
    places += [(("devices", "types", number), entry) for number, entry in enumerate(policy.devices.types)]
    places += [(("devices", "behind", number), entry) for number, entry in enumerate(policy.devices.behind)]
    for path, part in places:
        for name, words, known in (
            ("location", at, observed.locations),
            ("role", has_role, observed.roles),
            ("tags", tagged, tags),
            ("device", is_device, observed.devices),
        ):
            for position, entry in enumerate(getattr(part, name, None) or ()):
                yield (*path, name, position), words, entry, known
        if isinstance(part, BehindEntry):
            yield (*path, "parent"), is_device, part.parent, observed.devices
