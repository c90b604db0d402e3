"""Whether somebody else has worked on a ticket of ours: what ``close_if: untouched`` asks right before a completion.

Ours is what the ticket's creator did, for that was our API user. What the ticket's row shows costs nothing beyond the
read; notes and time entries are one query each. Sources: vendor REST help (Tickets, TicketNotes, TimeEntries).
"""

from __future__ import annotations

from connectors.autotask.client import AutotaskClient, eq
from connectors.autotask.metadata import Metadata
from connectors.errors import CallFailed, Situation
from schemas.autotask import Ticket, TicketNote, TimeEntry
from schemas.commands import CompleteTicket

#: Without the right to read time entries the entity is refused or not there; the other signs then have to do.
_UNREADABLE = (Situation.FORBIDDEN, Situation.NOT_FOUND)


class Touches:
    """Looks for the hands of others on a ticket. Raises ``CallFailed``, ``CallsSuspended``, ``NameRefused``."""

    def __init__(self, client: AutotaskClient, metadata: Metadata) -> None:
        self._client = client
        self._metadata = metadata

    async def of(self, ticket: Ticket, command: CompleteTicket) -> str:
        """The first sign found, in one line; empty where nobody else has touched the ticket."""
        return (
            await self._on_its_row(ticket, command)
            or await self._in_its_notes(ticket)
            or await self._in_its_time_entries(ticket)
        )

    async def _on_its_row(self, ticket: Ticket, command: CompleteTicket) -> str:
        if ticket.assigned_resource_id is not None:
            return f"it is assigned to resource {ticket.assigned_resource_id}"
        ours = ticket.creator_resource_id
        if ours is not None and ticket.last_activity_resource_id not in (None, ours):
            return f"resource {ticket.last_activity_resource_id} was active on it"
        own = [
            await self._metadata.picked(name, entity="Tickets", field="status", what="status")
            for name in command.own_statuses
        ]
        return f"its status was set to {ticket.status}" if own and ticket.status not in own else ""

    async def _in_its_notes(self, ticket: Ticket) -> str:
        fields = ("ticketID", "title", "creatorResourceID", "createdByContactID")
        rows = await self._client.query("TicketNotes", [eq("ticketID", ticket.id)], fields)
        for note in self._client.rows(TicketNote, rows, endpoint="TicketNotes"):
            if note.created_by_contact_id is not None:
                return f"contact {note.created_by_contact_id} wrote note {note.id}"
            if note.creator_resource_id not in (None, ticket.creator_resource_id):
                return f"resource {note.creator_resource_id} wrote note {note.id}"
        return ""

    async def _in_its_time_entries(self, ticket: Ticket) -> str:
        try:
            rows = await self._client.query("TimeEntries", [eq("ticketID", ticket.id)], ("ticketID", "resourceID"))
        except CallFailed as failure:
            if failure.situation in _UNREADABLE:
                return ""
            raise
        entries = self._client.rows(TimeEntry, rows, endpoint="TimeEntries")
        return f"resource {entries[0].resource_id} booked time on it" if entries else ""
