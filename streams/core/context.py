"""What many decisions of a partition share: policy, companies, organizations, health. A document of its own (`~context`).

It changes by facts of the ``control`` topic only, and has its own audit chain: so a decision under revision 7 is decided
again under revision 7. Its body::

    {"policy": {"revision", "document"}, "canary": {"revision", "document", "organizations"},
     "companies": {"digest", "list": [[id, name, active], ...]},
     "organizations": {"digest", "names": {id: name}}, "connections": {name: {...}}, "operator": [ids of requests],
     "remembered": {organization: {"company", "how", "names": [organization, company]}}}

``canary`` is there while a policy is tried for some organizations (``core.revisions``). Whoever needs the policy says for
which organization; so what is tried for one customer cannot change what is decided for another.

``remembered`` holds the matches by name that were made. It follows from the order of this partition's control facts, so
it is part of the state and the audit, and a rename moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

from schemas.facts import (
    AlertFact,
    CompaniesObserved,
    Company,
    ConnectionChanged,
    ControlFact,
    FieldsCreated,
    OrganizationsObserved,
    ParkedDismissed,
    ParkedRetried,
    PolicyPublished,
)
from schemas.personal import PersonalDataErased
from streams.core.decision import Draft
from streams.core.documents import Body, read
from streams.core.mapping import (
    Companies,
    Mapped,
    MappingView,
    Organizations,
    Remembered,
    Unmapped,
    company_for,
    mapping_view,
    remember,
)
from streams.core.policy.policy import Policy, Rule, parse_policy
from streams.core.revisions import refusal

#: Requests of operators that are remembered, so that a redelivered one is known. Far more than can be on their way.
_REMEMBERED_REQUESTS = 100


@dataclass(frozen=True, slots=True)
class Canary:
    """A policy that some organizations try."""

    revision: int
    policy: Policy
    organizations: frozenset[int]


class Context:
    """A partition's context, parsed once per document. Holds a memo of the mapping, which is a pure function of it.

    ``policy`` and ``revision`` are those for all; ask ``policy_of`` for what counts for an organization.
    """

    __slots__ = ("_mapped", "_organizations", "_table", "canary", "policy", "remembered", "revision")

    def __init__(
        self,
        *,
        revision: int,
        policy: Policy | None,
        companies: Companies,
        organizations: Mapping[int, str],
        remembered: Mapping[int, Remembered],
        canary: Canary | None = None,
    ) -> None:
        self.revision = revision
        self.policy = policy
        self.canary = canary
        self.remembered = remembered
        self._table = companies
        self._organizations = Organizations(organizations)
        self._mapped: dict[tuple[int, str], Mapped | Unmapped] = {}

    @property
    def companies(self) -> Mapping[int, Company]:
        """What Autotask has, by id."""
        return self._table.by_id

    @property
    def organizations(self) -> Mapping[int, str]:
        """The names of NinjaOne's organizations, by id."""
        return self._organizations.names

    @property
    def trying(self) -> frozenset[int]:
        """The organizations that try a canary."""
        return self.canary.organizations if self.canary is not None else frozenset()

    def policy_of(self, organization_id: int) -> Policy | None:
        """The policy that counts for an organization, ``None`` before the first."""
        if self.canary is not None and organization_id in self.canary.organizations:
            return self.canary.policy
        return self.policy

    def revision_of(self, organization_id: int | None) -> int:
        """The revision that counts for an organization (``None``: for all), 0 before the first."""
        if self.canary is not None and organization_id in self.canary.organizations:
            return self.canary.revision
        return self.revision

    def in_force(self, organization_id: int) -> Policy:
        """The policy, where one was published: an organization has a company, and so an incident, only under one."""
        policy = self.policy_of(organization_id)
        if policy is None:
            raise AssertionError("no policy was published")
        return policy

    def rule_for(self, fact: AlertFact) -> Rule:
        """The rule that an alert falls under, by the policy of its organization."""
        return self.in_force(fact.subject.organization_id).rule_for(fact.subject, fact)

    def company_of(self, organization_id: int, organization_name: str) -> Mapped | Unmapped:
        """The company of an organization: by its current name where ``control`` told it, else by the name observed."""
        policy = self.policy_of(organization_id)
        if policy is None:
            return Unmapped("NoPolicy", "no policy has been published yet; publish one with `lockstep policy publish`")
        name = self.organizations.get(organization_id) or organization_name
        found = self._mapped.get((organization_id, name))
        if found is None:
            known = self.remembered.get(organization_id)
            found = company_for(policy, organization_id, name, self._table, known, self._organizations)
            self._mapped[organization_id, name] = found
        return found

    def mapping(self) -> list[MappingView]:
        """How every organization stands, by id; empty before the first policy."""
        if self.policy is None:
            return []
        numbers = {*self.organizations, *self.policy.companies.by_organization}
        if self.canary is not None:
            numbers |= self.canary.policy.companies.by_organization.keys() & self.canary.organizations
        return [
            mapping_view(self.in_force(number), number, self._table, self.remembered.get(number), self._organizations)
            for number in sorted(numbers)
        ]

    def matches_to_remember(self) -> dict[int, Remembered | None]:
        """What changes in ``remembered`` under the policy of each organization and these names."""
        if self.policy is None or not self.companies:
            return {}
        changes = remember(self.policy, self._organizations, self._table, self.remembered)
        if self.canary is None:
            return changes
        tried = remember(self.canary.policy, self._organizations, self._table, self.remembered)
        return {number: change for number, change in changes.items() if number not in self.trying} | {
            number: change for number, change in tried.items() if number in self.trying
        }


#: Before anything was published.
EMPTY = Context(revision=0, policy=None, companies=Companies((), known=False), organizations={}, remembered={})


@lru_cache(maxsize=8)
def _policy(document: str) -> Policy:
    return parse_policy(orjson.loads(document))


# One context per partition is current at a time; a bytes object keeps its hash, so a hit costs nothing.
@lru_cache(maxsize=256)
def parse_context(document: bytes | None) -> Context:
    """The context in a `~context` document."""
    if document is None:
        return EMPTY
    return _context_in(read(document)[0])


def _context_in(body: Body) -> Context:
    policy, canary = body.get("policy"), body.get("canary")
    rows = body.get("companies", {}).get("list", [])
    names = body.get("organizations", {}).get("names", {})
    return Context(
        revision=policy["revision"] if policy else 0,
        policy=_policy(policy["document"]) if policy else None,
        companies=Companies(
            (Company(id=row[0], name=row[1], active=row[2]) for row in rows), known="companies" in body
        ),
        organizations={int(organization): name for organization, name in names.items()},
        remembered={int(number): Remembered.of(entry) for number, entry in body.get("remembered", {}).items()},
        canary=_canary(canary) if canary else None,
    )


def _canary(entry: Body) -> Canary:
    return Canary(entry["revision"], _policy(entry["document"]), frozenset(entry["organizations"]))


def decide_context(draft: Draft, fact: ControlFact) -> None:
    """Take a control fact into the context, or say why it changes nothing."""
    match fact:
        case PolicyPublished():
            _policy_published(draft, fact)
        case CompaniesObserved():
            if draft.body.get("companies", {}).get("digest") == fact.digest:
                draft.reason("Duplicate")
            else:
                rows = [[c.id, c.name, c.active] for c in sorted(fact.companies, key=lambda company: company.id)]
                draft.change("CompaniesChanged", {"companies": {"digest": fact.digest, "list": rows}})
        case OrganizationsObserved():
            if draft.body.get("organizations", {}).get("digest") == fact.digest:
                draft.reason("Duplicate")
            else:
                names = {str(o.id): o.name for o in fact.organizations}
                draft.change("OrganizationsChanged", {"organizations": {"digest": fact.digest, "names": names}})
        case ConnectionChanged():
            _connection_changed(draft, fact)
        case ParkedRetried() | ParkedDismissed() | FieldsCreated() | PersonalDataErased():
            seen: list[str] = draft.body.get("operator", [])
            if draft.envelope.id in seen:
                draft.reason("Duplicate")
            else:
                draft.change("OperatorAsked", {"operator": [*seen, draft.envelope.id][-_REMEMBERED_REQUESTS:]})
        case _:
            draft.reason("NotForContext", detail=fact.ce_type)
    if draft.changes and isinstance(fact, PolicyPublished | CompaniesObserved | OrganizationsObserved):
        _remember_matches(draft)


def _remember_matches(draft: Draft) -> None:
    for number, match in sorted(_context_in(draft.body).matches_to_remember().items()):
        if match is None:
            draft.change("MappingForgotten", None, "remembered", str(number))
        else:
            draft.change("MappingRemembered", match.entry(), "remembered", str(number))


def _policy_published(draft: Draft, fact: PolicyPublished) -> None:
    current = draft.body.get("policy", {"revision": 0})["revision"]
    tried = draft.body.get("canary", {"revision": 0})["revision"]
    why = refusal(current, tried, fact)
    if why is not None:
        return draft.reason(why, detail=f"revision {max(current, tried)} is in force" if why == "Superseded" else "")
    try:
        _policy(fact.document)
    except ValueError as error:
        # Publishing checks the policy, so this one was written past it; what is in force stays in force.
        return draft.reason("PolicyRefused", detail=str(error)[:500])
    entry: Body = {"revision": fact.revision, "document": fact.document}
    if fact.organizations:
        entry["organizations"] = sorted(set(fact.organizations))
        return draft.change("CanaryInForce", {"canary": entry})
    over: Body = {"canary": None} if tried else {}
    return draft.change("PolicyInForce", {"policy": entry, **over})


def _connection_changed(draft: Draft, fact: ConnectionChanged) -> None:
    known: Body = draft.body.get("connections", {})
    entry = {
        "state": fact.state,
        "reason": fact.reason,
        "epoch": fact.epoch,
        "changed_at": fact.changed_at,
    }
    before = known.get(fact.connection)
    if before == entry:
        return draft.reason("Duplicate")
    if before is not None and (before["epoch"], before["changed_at"]) > (fact.epoch, fact.changed_at):
        return draft.reason("Superseded", fact.connection)
    draft.change("ConnectionStateTaken", {"connections": {**known, fact.connection: entry}})
    return None
