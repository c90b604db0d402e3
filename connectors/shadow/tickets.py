"""The tickets of the connector that works beside a shadow, read from Autotask and kept as facts once per change.

They are known by NinjaOne's word (``psaTicketId`` of an alert), and, for those that no alert names (a double, an alert that was over
before its list was read), by their creator: the API user of the other connector. Two queries a poll at most, in the normal case one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import orjson
from pydantic import ValidationError

from connectors.autotask import texts
from connectors.autotask.client import AutotaskClient, Filter, any_of, condition
from connectors.autotask.metadata import Metadata
from connectors.autotask.takeover import is_ticket_number
from connectors.autotask.unreadable import RowReader
from connectors.ports import Log, Publication
from schemas.autotask import Ticket
from schemas.identity import derived_id
from schemas.shadow import AlertTicketNamed, OtherTicketObserved
from schemas.topics import CURSORS, SHADOW

SOURCE = "autotask/other-tickets"
CURSOR = "autotask.other-tickets"
_FIELDS = (
    *("ticketNumber", "title", "companyID", "configurationItemID", "queueID", "priority", "status"),
    *("creatorResourceID", "createDate", "completedDate", "lastActivityDate"),
)
#: Rows become visible out of order.
_OVERLAP_MS = 5 * 60 * 1000
#: So many ids in one condition; the vendor takes 500.
_IDS = 300
#: A name that Autotask has no ticket for is asked for again in every so many polls.
_MISSING_POLLS = 10
_DAY_MS = 24 * 3600 * 1000


class OtherTickets:
    """Watches them; ``poll`` makes one round. ``names`` grows with what alerts name (``connectors.shadow.named``).

    ``creators`` are Autotask resource ids; empty: whoever opened most of the tickets that are named.
    """

    def __init__(
        self,
        client: AutotaskClient,
        log: Log,
        metadata: Metadata,
        *,
        names: set[str],
        creators: Collection[int] = (),
    ) -> None:
        self._client = client
        self._log = log
        self._metadata = metadata
        self._rows = RowReader(log, "autotask-other-tickets")
        self._names = names
        self._creators = frozenset(creators)
        self._seen: dict[int, OtherTicketObserved] = {}
        self._found: dict[str, int] = {}
        self._missing: Counter[str] = Counter()
        self._loaded = self._kept = False
        #: Where the watch begins for a creator, and how far the changes were read (Autotask's clock); for whom.
        self._began = self._cursor = 0
        self._read_for: frozenset[int] = frozenset()

    async def poll(self) -> int:
        """Read what is new or changed and publish it; returns the number of facts. Raises ``CallFailed``, ``CallsSuspended``."""
        if not self._loaded:
            self._load(await self._log.remembered(SHADOW), (await self._log.remembered(CURSORS)).get(CURSOR))
        self._find_named()
        creators = self.creators()
        if not creators <= self._read_for:
            # Only now it is known whose tickets they are: those from before were not looked at.
            self._cursor = min(self._began, self._cursor)
        published, newest = 0, self._cursor
        for filters in (*self._by_name(), *self._changed(creators)):
            async for page in self._client.pages("Tickets", filters, _FIELDS):
                tickets = await self._rows.read(Ticket, page)
                published += await self._publish(tickets)
                newest = max([newest, *(ticket.last_activity_date or 0 for ticket in tickets)])
        # Pages come in the order of ids, not of time: only a whole round says how far it has come.
        await self._reached(newest, creators)
        self._find_named()
        for name in self._names - self._found.keys():
            self._missing[name] += 1
        return published

    def creators(self) -> frozenset[int]:
        """Whose tickets are taken for the other connector's."""
        if self._creators:
            return self._creators
        known = Counter(
            ticket.creator_resource_id
            for name in self._names
            if (ticket := self._seen.get(self._found.get(name, -1))) is not None
            and ticket.creator_resource_id is not None
        )
        # One person who opened a ticket from an alert by hand must not have all of theirs recorded.
        return frozenset(sorted(known, key=lambda number: (-known[number], number))[:1])

    async def _reached(self, newest: int, creators: frozenset[int]) -> None:
        if (newest, creators) != (self._cursor, self._read_for) or not self._kept:
            row = {"began": self._began, "lastActivityDate": newest, "creators": sorted(creators)}
            await self._log.remember(CURSORS, CURSOR, orjson.dumps(row))
        self._cursor, self._read_for, self._kept = newest, creators, True

    def _load(self, remembered: Mapping[str, bytes], cursor: bytes | None) -> None:
        for key, value in remembered.items():
            try:
                if key.isdecimal():
                    self._take(OtherTicketObserved.from_json(value))
                else:
                    self._names.add(AlertTicketNamed.from_json(value).ticket)
            except ValidationError:
                # Of a newer Lockstep: it is read from Autotask again.
                continue
        self._began = self._cursor = self._client.now()
        if cursor is not None:
            row = orjson.loads(cursor)
            self._began, self._cursor, self._read_for = (
                row["began"],
                row["lastActivityDate"],
                frozenset(row["creators"]),
            )
        self._loaded, self._kept = True, cursor is not None

    def _find_named(self) -> None:
        """Which of the names stand for tickets that were seen."""
        numbers = {ticket.ticket_number.upper(): number for number, ticket in self._seen.items()}
        for name in self._names - self._found.keys():
            number = int(name) if name.isdecimal() else numbers.get(name.upper())
            if number in self._seen:
                self._found[name] = number

    def _by_name(self) -> list[Sequence[Filter]]:
        wanted = [
            name
            for name in sorted(self._names - self._found.keys())
            if self._missing[name] % _MISSING_POLLS == 0 and (name.isdecimal() or is_ticket_number(name))
        ]
        return [
            [any_of(*_of_names(some))]
            for some in (wanted[at : at + _IDS] for at in range(0, len(wanted), _IDS))
            if some
        ]

    def _changed(self, creators: frozenset[int]) -> list[Sequence[Filter]]:
        since = condition("gte", "lastActivityDate", texts.instant(max(0, self._cursor - _OVERLAP_MS)))
        watched = sorted(
            ticket.ticket_id
            for ticket in self._seen.values()
            if ticket.creator_resource_id not in creators
            # One that is complete may be reopened, for a day.
            and (not ticket.completed or (ticket.completed_at or 0) > self._cursor - _DAY_MS)
        )
        conditions = [condition("in", "id", watched[at : at + _IDS]) for at in range(0, len(watched), _IDS)]
        if creators:
            conditions.insert(0, condition("in", "creatorResourceID", sorted(creators)))
        return [[one, since] for one in conditions]

    async def _publish(self, tickets: Iterable[Ticket]) -> int:
        fresh: list[OtherTicketObserved] = []
        for ticket in tickets:
            fact = await self._fact(ticket)
            if self._seen.get(fact.ticket_id) != fact:
                fresh.append(fact)
        if fresh:
            await self._log.publish([_publication(fact) for fact in fresh])
        for fact in fresh:
            self._take(fact)
        return len(fresh)

    def _take(self, fact: OtherTicketObserved) -> None:
        self._seen[fact.ticket_id] = fact

    async def _fact(self, ticket: Ticket) -> OtherTicketObserved:
        return OtherTicketObserved(
            ticket_id=ticket.id,
            ticket_number=ticket.ticket_number,
            title=ticket.title,
            company_id=ticket.company_id,
            configuration_item_id=ticket.configuration_item_id,
            queue_id=ticket.queue_id,
            queue=await self._label("queueID", ticket.queue_id),
            priority_id=ticket.priority,
            priority=await self._label("priority", ticket.priority),
            status_id=ticket.status,
            status=await self._label("status", ticket.status),
            creator_resource_id=ticket.creator_resource_id,
            created_at=ticket.create_date,
            completed=ticket.is_complete,
            completed_at=ticket.completed_date,
            last_activity_at=ticket.last_activity_date or ticket.create_date or 0,
        )

    async def _label(self, field: str, number: int | None) -> str:
        for choice in await self._metadata.picklist("Tickets", field):
            if choice.id == number:
                return choice.label
        return ""


def _of_names(names: Sequence[str]) -> list[Filter]:
    ids = [int(name) for name in names if name.isdecimal()]
    numbers = [name for name in names if not name.isdecimal()]
    return [
        *([condition("in", "id", ids)] if ids else []),
        *([condition("in", "ticketNumber", numbers)] if numbers else []),
    ]


def _publication(fact: OtherTicketObserved) -> Publication:
    return Publication(
        topic=SHADOW,
        key=str(fact.ticket_id),
        id=derived_id("shadow", orjson.dumps(fact.model_dump(mode="json")).decode()),
        source=SOURCE,
        time=fact.last_activity_at,
        fact=fact,
    )
