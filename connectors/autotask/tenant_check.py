"""What a policy names, looked up in the tenant: what is missing, inactive, ambiguous, or of another kind than it must be.

Costs one call per entity for metadata (kept for a moment) and, for a status other than the vendor's own New and Complete, one
or two that look at tickets. What metadata does not tell cannot be checked: which fields a ticket category makes required.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from connectors.autotask.client import AutotaskClient, Filter, condition, eq
from connectors.autotask.metadata import FRESH_MS, Metadata
from connectors.autotask.names import Choice, NameRefused, resolve
from connectors.calls import Request
from schemas.autotask import ITEM_COLUMNS, UserDefinedFieldInfo, member
from schemas.commands import Name

ITEMS = "ConfigurationItems"
CATEGORIES = "ConfigurationItemCategories"

NameKind = Literal[
    "queue",
    "status",
    "opening status",
    "complete status",
    "priority",
    "ticket type",
    "source",
    "ticket category",
    "note type",
    "product",
    "item type",
    "item category",
]
#: Where names of each kind live: entity and picklist field, or entity alone for rows.
_WHERE: dict[NameKind, tuple[str, str | None]] = {
    "queue": ("Tickets", "queueID"),
    "status": ("Tickets", "status"),
    "opening status": ("Tickets", "status"),
    "complete status": ("Tickets", "status"),
    "priority": ("Tickets", "priority"),
    "ticket type": ("Tickets", "ticketType"),
    "source": ("Tickets", "source"),
    "ticket category": ("Tickets", "ticketCategory"),
    "note type": ("TicketNotes", "noteType"),
    "product": ("Products", None),
    "item type": (ITEMS, "configurationItemType"),
    "item category": (CATEGORIES, None),
}
#: The ids of New and Complete on every public source; all others vary from tenant to tenant.
_NEW, _COMPLETE = 1, 5
#: Types of user-defined fields that are no text, as people call them.
_TYPES = {"double": "a number", "integer": "a number", "long": "a number", "datetime": "a date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a policy needs and the tenant does not have. ``reason`` is a noun, ``what`` a sentence.

    A ``warning`` hurts less than it seems, or cannot be known from outside.
    """

    kind: str
    name: str
    reason: str
    what: str
    suggestion: str
    level: Literal["error", "warning"] = "error"

    @property
    def line(self) -> str:
        """What is wrong and what to do about it."""
        return f"{self.what}; {self.suggestion}"


class TenantCheck:
    """Looks names up in one tenant. Methods raise ``CallFailed``, ``CallsSuspended``."""

    def __init__(self, client: AutotaskClient, metadata: Metadata | None = None) -> None:
        self._client = client
        self._metadata = metadata or Metadata(client)

    async def fields(self, names: Sequence[str], *, dates: Collection[str] = ()) -> list[Finding]:
        """The user-defined fields of configuration items that are missing, or that our text does not go into.

        ``dates`` are those that hold nothing but days, which a date field takes.
        """
        wanted = [name for name in dict.fromkeys(names) if name not in ITEM_COLUMNS]
        known = await self._metadata.user_defined(ITEMS, max_age_ms=0) if wanted else {}
        found = (_field(name, known.get(name.lower()), is_date=name in dates) for name in wanted)
        return [finding for finding in found if finding is not None]

    async def names(self, names: Sequence[tuple[NameKind, Name]]) -> list[Finding]:
        """The names that stand for nothing, for something inactive or ambiguous, or for a status that does not fit."""
        findings: list[Finding] = []
        for kind, name in dict.fromkeys(names):
            try:
                number = resolve(name, await self._choices(kind), what=kind)
            except NameRefused as refused:
                what = str(refused).partition("; ")[0]
                found = Finding(
                    kind=kind, name=str(name), reason=refused.reason, what=what, suggestion=refused.suggestion
                )
                findings.append(found)
                continue
            if kind == "complete status":
                findings += _as_complete(name, await self._completes(number))
            elif kind == "opening status" and await self._completes(number):
                findings.append(_opens_complete(name))
        return findings

    async def pairs(self, tickets: Sequence[Mapping[NameKind, Name]]) -> list[tuple[int, Finding]]:
        """Names of one ticket that do not go together, as far as picklists have parents; with the ticket's position."""
        fields = await self._metadata.fields("Tickets", max_age_ms=FRESH_MS)
        kinds = {str(field).lower(): kind for kind, (entity, field) in _WHERE.items() if entity == "Tickets" and field}
        parents: dict[NameKind, NameKind] = {}
        for column, kind in kinds.items():
            parent = fields[column].picklist_parent_value_field.lower() if column in fields else ""
            if parent in kinds:
                parents[kind] = kinds[parent]
        findings: list[tuple[int, Finding]] = []
        for position, ticket in enumerate(tickets):
            for kind, parent_kind in parents.items():
                if kind in ticket and parent_kind in ticket:
                    found = await self._pair(kind, ticket[kind], parent_kind, ticket[parent_kind])
                    findings += [(position, found)] if found is not None else []
        return findings

    async def _pair(self, kind: NameKind, name: Name, parent_kind: NameKind, parent: Name) -> Finding | None:
        choices, parents = await self._choices(kind), await self._choices(parent_kind)
        try:
            number, above = resolve(name, choices, what=kind), resolve(parent, parents, what=parent_kind)
        except NameRefused:
            return None
        belongs = next(choice.parent for choice in choices if choice.id == number)
        if belongs is None or belongs == above:
            return None
        label = next((choice.label for choice in parents if choice.id == belongs), str(belongs))
        alike = [choice.label for choice in choices if choice.active and choice.parent == above]
        return Finding(
            kind=kind,
            name=str(name),
            reason="WrongPair",
            what=f"{kind} '{name}' goes with {parent_kind} '{label}' in Autotask, not with '{parent}'",
            suggestion=f"with '{parent}' go: {', '.join(alike) or 'none'}",
        )

    async def _choices(self, kind: NameKind) -> tuple[Choice, ...]:
        entity, field = _WHERE[kind]
        if field is None:
            return await self._metadata.listed(entity, max_age_ms=FRESH_MS)
        return await self._metadata.picklist(entity, field, max_age_ms=FRESH_MS)

    async def _completes(self, status: int) -> bool | None:
        """Whether a ticket in this status is complete, ``None`` where no ticket shows it.

        No picklist says which statuses are of the complete type (tenants add their own); a completed ticket has a date.
        """
        if status in (_NEW, _COMPLETE):
            return status == _COMPLETE
        here = eq("status", status)
        if await self._any_ticket(here, {"op": "exist", "field": "completedDate"}):
            return True
        return False if await self._any_ticket(here) else None

    async def _any_ticket(self, *filters: Filter) -> bool:
        body = {"maxRecords": 1, "includeFields": ["id"], "filter": [*filters, condition("gte", "id", 0)]}
        request = Request(method="POST", path="Tickets/query", endpoint="Tickets", json=body)
        return bool(member((await self._client.call(request)).data, "items"))


def _field(name: str, info: UserDefinedFieldInfo | None, *, is_date: bool) -> Finding | None:
    shown = f"user-defined field '{name}' of configuration items"
    if info is None:
        return Finding(
            kind="user-defined field",
            name=name,
            reason="MissingField",
            what=f"{shown} does not exist in Autotask",
            suggestion="'lockstep setup' creates it",
            # The rest of the item is synced without it.
            level="warning",
        )
    kind = "a list" if info.is_pick_list else _TYPES.get(info.type.lower(), "")
    if info.is_read_only:
        reason, what = "ReadOnlyField", f"{shown} is read-only"
    elif kind and not (is_date and kind == "a date"):
        reason, what = "NotText", f"{shown} is {kind}, and text is written to it"
    else:
        return None
    hint = "name a field of one line of text, or another name, which 'lockstep setup' creates as one"
    return Finding(kind="user-defined field", name=name, reason=reason, what=what, suggestion=hint)


def _as_complete(name: Name, completes: bool | None) -> list[Finding]:
    if completes:
        return []
    if completes is None:
        what = f"no ticket has the status '{name}' yet, so whether Autotask takes it as complete cannot be known"
        hint = "complete a ticket with it by hand and look whether it has a date of completion"
        level: Literal["error", "warning"] = "warning"
    else:
        what = f"tickets in status '{name}' are not complete in Autotask, so nothing would be completed"
        hint, level = "use 'Complete', or a status of the complete type", "error"
    reason = "UnknownCompletion" if completes is None else "NotComplete"
    return [
        Finding(kind="complete status", name=str(name), reason=reason, what=what, suggestion=hint, level=level),
    ]


def _opens_complete(name: Name) -> Finding:
    return Finding(
        kind="opening status",
        name=str(name),
        reason="OpensComplete",
        what=f"a ticket in status '{name}' is complete in Autotask, so it would be opened and closed at once",
        suggestion="use a status of open tickets, such as 'New'",
    )
