"""The priority of a ticket is raised: read, compared, written, so that nobody's own choice is overwritten."""

from __future__ import annotations

from connectors.autotask.metadata import Metadata
from connectors.autotask.outcome import refused
from connectors.autotask.tickets import Tickets
from connectors.ports import Effect, Verdict
from schemas.autotask import Ticket
from schemas.commands import Name, RaiseTicketPriority


class Priorities:
    """Raises priorities; methods raise like ``Tickets``."""

    def __init__(self, tickets: Tickets, metadata: Metadata) -> None:
        self._tickets = tickets
        self._metadata = metadata

    async def raise_(self, command: RaiseTicketPriority) -> Effect:
        """Two calls; one where there is nothing to do or nothing may be done."""
        wanted, expected = await self._id_of(command.priority), await self._id_of(command.expected)
        ticket = await self._tickets.read(command.ticket_id)
        if ticket is None:
            return refused("TicketGone", f"there is no ticket {command.ticket_id}")
        if ticket.is_complete or ticket.priority == wanted:
            return _in_place(ticket, "NothingToDo")
        if ticket.priority != expected:
            detail = f"ticket {ticket.ticket_number} has priority {ticket.priority}, and was given {expected}"
            return refused("PriorityChanged", detail)
        await self._tickets.write({"id": ticket.id, "priority": wanted})
        return Effect(verdict=Verdict.SUCCEEDED, ticket_id=ticket.id, written=True)

    async def find(self, command: RaiseTicketPriority) -> Effect | None:
        """Whether the ticket has the priority, or needs none any more."""
        ticket = await self._tickets.read(command.ticket_id)
        if ticket is None or not (ticket.is_complete or ticket.priority == await self._id_of(command.priority)):
            return None
        return _in_place(ticket, "FoundByLookUp")

    async def _id_of(self, name: Name) -> int:
        return await self._metadata.picked(name, entity="Tickets", field="priority", what="priority")


def _in_place(ticket: Ticket, how: str) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED,
        how=how,
        # Its priority is as it was: whoever opens it again must know.
        reason="AlreadyComplete" if ticket.is_complete else "",
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number or None,
    )
