"""Tickets of NinjaOne's own integration are taken over: they get our external id, so that the poll sees them as ours.

Sources: the vendor's field metadata (``externalID`` is writable, 50 characters; ``ticketNumber`` looks like
``T20261124.0046``). One public report says that a written external id was silently not kept, so it is read back.
"""

from __future__ import annotations

import re

from connectors.autotask.client import AutotaskClient, eq
from connectors.autotask.outcome import refused
from connectors.autotask.tickets import Tickets
from connectors.ports import Effect, Verdict
from schemas.autotask import Ticket
from schemas.commands import AdoptTicket
from schemas.identity import key_of_external_id

_NUMBER = re.compile(r"T\d{8}\.\d{4,}\S*", re.IGNORECASE)


def is_ticket_number(name: str) -> bool:
    """Whether NinjaOne names a ticket by its number and not by its id."""
    return _NUMBER.fullmatch(name) is not None


class TakeOver:
    """Adopts tickets; raises like ``Tickets``."""

    def __init__(self, client: AutotaskClient, tickets: Tickets) -> None:
        self._client = client
        self._tickets = tickets

    async def adopt(self, command: AdoptTicket) -> Effect:
        """Read the ticket, write our external id where it has none, read it again: three calls, two where it is no use."""
        by_id, by_number = command.ticket.isdecimal(), is_ticket_number(command.ticket)
        if not by_id and not by_number:
            return refused(
                "TicketIdNotUnderstood", f"'{command.ticket}' is neither an id nor a number of an Autotask ticket"
            )
        ticket = await self._tickets.read(int(command.ticket)) if by_id else await self._numbered(command.ticket)
        if ticket is None:
            return refused("TicketMissing", f"Autotask has no ticket {command.ticket}")
        if ticket.external_id == command.external_id:
            return _adopted(ticket, how="NothingToDo", written=False)
        refusal = _refusal(ticket, command)
        if refusal is not None:
            return refusal
        await self._tickets.write({"id": ticket.id, "externalID": command.external_id})
        after = await self._tickets.read(ticket.id)
        if after is None or after.external_id != command.external_id:
            return refused(
                "ExternalIdNotKept", f"Autotask answered 200, but {_named(ticket)} does not have our external id"
            )
        return _adopted(after, how="Called", written=True)

    async def _numbered(self, number: str) -> Ticket | None:
        fields = ("ticketNumber", "externalID", "companyID", "status", "completedDate", "lastActivityDate")
        rows = await self._client.query("Tickets", [eq("ticketNumber", number)], fields)
        found = self._client.rows(Ticket, rows, endpoint="Tickets")
        return next((ticket for ticket in found if ticket.ticket_number.upper() == number.upper()), None)


def _refusal(ticket: Ticket, command: AdoptTicket) -> Effect | None:
    if ticket.company_id != command.company_id:
        detail = f"{_named(ticket)} belongs to company {ticket.company_id}, the organization to {command.company_id}"
        return refused("TicketOfAnotherCompany", detail)
    if ticket.is_complete:
        return refused("TicketAlreadyComplete", f"{_named(ticket)} is complete, and the alert is still active")
    if ticket.external_id:
        whose = "another alert has it" if key_of_external_id(ticket.external_id) else "another system has it"
        return refused("TicketTaken", f"{_named(ticket)} has the external id '{ticket.external_id}': {whose}")
    return None


def _named(ticket: Ticket) -> str:
    return f"ticket {ticket.ticket_number or ticket.id}"


def _adopted(ticket: Ticket, *, how: str, written: bool) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED,
        how=how,
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number or None,
        company_id=ticket.company_id,
        written=written,
    )
