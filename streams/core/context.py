"""What many decisions of a partition share: policy, companies, organizations, health. A document of its own (`~context`).

It changes by facts of the ``control`` topic only, and has its own audit chain: so a decision under revision 7 is decided
again under revision 7. Its body::

    {"policy": {"revision", "document"}, "companies": {"digest", "list": [[id, name, active], ...]},
     "organizations": {"digest", "names": {id: name}}, "connections": {name: {...}}, "operator": [ids of requests]}
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import orjson

from schemas.facts import (
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
from streams.core.decision import Draft
from streams.core.documents import Body, read
from streams.core.mapping import Mapped, Unmapped, company_for
from streams.core.policy import Policy, parse_policy

#: Requests of operators that are remembered, so that a redelivered one is known. Far more than can be on their way.
_REMEMBERED_REQUESTS = 100


class Context:
    """A partition's context, parsed once per document. Holds a memo of the mapping, which is a pure function of it."""

    __slots__ = ("_mapped", "companies", "organizations", "policy", "revision")

    def __init__(
        self,
        *,
        revision: int,
        policy: Policy | None,
        companies: Mapping[int, Company],
        organizations: Mapping[int, str],
    ) -> None:
        self.revision = revision
        self.policy = policy
        self.companies = companies
        self.organizations = organizations
        self._mapped: dict[tuple[int, str], Mapped | Unmapped] = {}

    @property
    def in_force(self) -> Policy:
        """The policy, where one was published: an organization has a company, and so an incident, only under one."""
        if self.policy is None:
            raise AssertionError("no policy was published")
        return self.policy

    def company_of(self, organization_id: int, organization_name: str) -> Mapped | Unmapped:
        """The company of an organization: by its current name where ``control`` told it, else by the name observed."""
        if self.policy is None:
            return Unmapped("NoPolicy", "no policy has been published yet; publish one with `lockstep policy publish`")
        name = self.organizations.get(organization_id) or organization_name
        found = self._mapped.get((organization_id, name))
        if found is None:
            found = company_for(self.policy, organization_id, name, self.companies)
            self._mapped[organization_id, name] = found
        return found


#: Before anything was published.
EMPTY = Context(revision=0, policy=None, companies={}, organizations={})


@lru_cache(maxsize=8)
def _policy(document: str) -> Policy:
    return parse_policy(orjson.loads(document))


# One context per partition is current at a time; a bytes object keeps its hash, so a hit costs nothing.
@lru_cache(maxsize=256)
def parse_context(document: bytes | None) -> Context:
    """The context in a `~context` document."""
    if document is None:
        return EMPTY
    body, _ = read(document)
    policy = body.get("policy")
    rows = body.get("companies", {}).get("list", [])
    names = body.get("organizations", {}).get("names", {})
    return Context(
        revision=policy["revision"] if policy else 0,
        policy=_policy(policy["document"]) if policy else None,
        companies={row[0]: Company(id=row[0], name=row[1], active=row[2]) for row in rows},
        organizations={int(organization): name for organization, name in names.items()},
    )


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
        case ParkedRetried() | ParkedDismissed() | FieldsCreated():
            seen: list[str] = draft.body.get("operator", [])
            if draft.envelope.id in seen:
                draft.reason("Duplicate")
            else:
                draft.change("OperatorAsked", {"operator": [*seen, draft.envelope.id][-_REMEMBERED_REQUESTS:]})
        case _:
            draft.reason("NotForContext", detail=fact.ce_type)


def _policy_published(draft: Draft, fact: PolicyPublished) -> None:
    current = draft.body.get("policy", {"revision": 0})["revision"]
    if fact.revision == current:
        return draft.reason("Duplicate")
    if fact.revision < current:
        return draft.reason("Superseded", detail=f"revision {current} is in force")
    try:
        _policy(fact.document)
    except ValueError as error:
        # Publishing checks the policy, so this one was written past it; what is in force stays in force.
        return draft.reason("PolicyRefused", detail=str(error)[:500])
    draft.change("PolicyInForce", {"policy": {"revision": fact.revision, "document": fact.document}})
    return None


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
