"""What is ours of a ticket is written back: read, compared, written, so that only what differs is touched."""

from __future__ import annotations

from connectors.autotask.outcome import refused
from connectors.autotask.tickets import Tickets
from connectors.ports import Effect, Verdict
from schemas.autotask import Ticket
from schemas.commands import RestoreTicket


class Restoring:
    """Restores tickets; methods raise like ``Tickets``."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets

    async def restore(self, command: RestoreTicket) -> Effect:
        """Two calls; one where there is nothing to do."""
        ticket = await self._tickets.read(command.ticket_id)
        if ticket is None:
            return refused("TicketGone", f"there is no ticket {command.ticket_id}")
        changed = differing(ticket, command)
        if ticket.is_complete or not changed:
            return _in_place(ticket, "NothingToDo")
        await self._tickets.write({"id": ticket.id, **changed})
        return Effect(
            verdict=Verdict.SUCCEEDED, ticket_id=ticket.id, written=True, detail=f"restored {', '.join(changed)}"
        )

    async def find(self, command: RestoreTicket) -> Effect | None:
        """Whether the ticket has all of it, or needs none of it any more."""
        ticket = await self._tickets.read(command.ticket_id)
        if ticket is None or not (ticket.is_complete or not differing(ticket, command)):
            return None
        return _in_place(ticket, "FoundByLookUp")


def differing(ticket: Ticket, command: RestoreTicket) -> dict[str, str | int]:
    """What has to be written, by Autotask's names."""
    pairs: tuple[tuple[str, str | int | None, str | int | None], ...] = (
        ("externalID", command.external_id, ticket.external_id),
        ("companyID", command.company_id, ticket.company_id),
        ("configurationItemID", command.configuration_item_id, ticket.configuration_item_id),
    )
    return {name: wanted for name, wanted, present in pairs if wanted is not None and wanted != present}


def _in_place(ticket: Ticket, how: str) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED,
        how=how,
        reason="AlreadyComplete" if ticket.is_complete else "",
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number or None,
    )
