"""A ticket row as a fact: whose it is, which change it shows, and the id that webhook and poll share. Pure but for the index."""

from __future__ import annotations

import asyncio

from connectors.autotask.seen import Seen
from connectors.ports import Log, Now, Publication
from schemas.autotask import Ticket
from schemas.facts import TicketObserved
from schemas.identity import derived_id, key_of_external_id
from schemas.topics import AUTOTASK_TICKETS, TICKETS

SOURCE = "autotask/tickets"
#: What a poll asks of a ticket, and what a webhook must carry to be taken at its word.
OBSERVED_FIELDS = (
    "ticketNumber",
    "externalID",
    "companyID",
    "status",
    "completedDate",
    "lastActivityDate",
    "queueID",
    "priority",
)
#: What a poll asks for besides. A webhook is not set up for it: what it tells is a convenience, not the last word.
POLLED_FIELDS = (*OBSERVED_FIELDS, "assignedResourceID")
#: The index is read whole from Kafka, so a webhook for every foreign ticket must not read it each time.
_INDEX_MS = 30_000


def observed_id(ticket: Ticket) -> str:
    """The id of a ticket's state: once per change of its last activity, the same from webhook and poll."""
    return derived_id(
        "ticket", ticket.id, ticket.last_activity_date or 0, ticket.status, ticket.completed_date or "open"
    )


def publication(ticket: Ticket, key: str) -> Publication:
    """The fact, ready for Kafka."""
    at = ticket.last_activity_date or ticket.create_date or 0
    return Publication(
        topic=AUTOTASK_TICKETS,
        key=key,
        id=observed_id(ticket),
        source=SOURCE,
        time=at,
        fact=TicketObserved(
            key=key,
            ticket_id=ticket.id,
            ticket_number=ticket.ticket_number,
            external_id=ticket.external_id,
            company_id=ticket.company_id,
            status=ticket.status,
            completed=ticket.is_complete,
            completed_at=ticket.completed_date,
            last_activity_at=at,
            queue_id=ticket.queue_id,
            priority=ticket.priority,
            assigned_resource_id=ticket.assigned_resource_id,
        ),
        correlation_id=ticket.external_id if key_of_external_id(ticket.external_id) else None,
    )


class TicketKeys:
    """Which device a ticket belongs to: by its external id, else by the index of tickets that outcomes and adoption fill."""

    def __init__(self, log: Log, now: Now) -> None:
        self._log = log
        self._now = now
        self._index: dict[int, str] = {}
        self._read_at: int | None = None
        self._lock = asyncio.Lock()

    async def key_of(self, ticket: Ticket) -> str | None:
        """The key, ``None`` when the ticket is not ours."""
        key = key_of_external_id(ticket.external_id)
        if key is not None:
            return key
        return (await self._indexed()).get(ticket.id)

    async def _indexed(self) -> dict[int, str]:
        async with self._lock:
            if self._read_at is None or not 0 <= self._now() - self._read_at < _INDEX_MS:
                remembered = await self._log.remembered(TICKETS)
                self._index = {
                    int(ticket): value.decode()
                    for ticket, value in remembered.items()
                    if ticket.isdigit() and value is not None
                }
                self._read_at = self._now()
            return self._index


class TicketPublisher:
    """From ticket rows to facts in Kafka, each state once. Shared by poller and webhook of one process."""

    def __init__(self, log: Log, now: Now) -> None:
        self._log = log
        self._keys = TicketKeys(log, now)
        self._seen = Seen()

    async def publish(self, tickets: list[Ticket]) -> int:
        """Publish what is ours and new; returns how many. Raises what the log raises, and then remembers nothing."""
        fresh: dict[str, Publication] = {}
        for ticket in tickets:
            if observed_id(ticket) in self._seen:
                continue
            key = await self._keys.key_of(ticket)
            if key is not None:
                entry = publication(ticket, key)
                fresh[entry.id] = entry
        if fresh:
            await self._log.publish(list(fresh.values()))
        for identity in fresh:
            self._seen.add(identity)
        return len(fresh)
