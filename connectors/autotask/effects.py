"""Autotask commands become calls here: the ``Effects`` of the ticket and device executors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from connectors.autotask.client import AutotaskClient, counted
from connectors.autotask.earlier import EarlierLog
from connectors.autotask.items import Items
from connectors.autotask.metadata import Metadata
from connectors.autotask.names import NameRefused
from connectors.autotask.outcome import attempted, failed
from connectors.autotask.priorities import Priorities
from connectors.autotask.restoring import Restoring
from connectors.autotask.takeover import TakeOver
from connectors.autotask.tickets import Tickets
from connectors.errors import CallFailed
from connectors.ports import CallsSuspended, Effect, Verdict
from schemas.commands import (
    AdoptTicket,
    AppendTicketNote,
    Command,
    CompleteTicket,
    CreateTicket,
    Name,
    RaiseTicketPriority,
    ReopenTicket,
    RestoreTicket,
    RetireConfigurationItem,
    UpsertConfigurationItem,
)


class AutotaskEffects:
    """``connectors.ports.Effects`` for Autotask. Never raises for what a vendor does; see ``Verdict``.

    ``complete_status`` is used for doubled tickets only, which no command names a status for. ``began``: when the log began, in whose place
    another may have opened tickets before (``EarlierLog``).
    """

    def __init__(
        self,
        client: AutotaskClient,
        *,
        metadata: Metadata | None = None,
        complete_status: Name = "Complete",
        began: int | None = 0,
    ) -> None:
        self.client = client
        self.metadata = metadata or Metadata(client)
        self.tickets = Tickets(client, self.metadata, complete_status=complete_status)
        self.priorities = Priorities(self.tickets, self.metadata)
        self.restoring = Restoring(self.tickets)
        self.takeover = TakeOver(client, self.tickets)
        self.items = Items(client, self.metadata)
        self.earlier = EarlierLog(client, began)

    async def perform(self, command: Command) -> Effect:
        """Bring the effect about, as if never attempted."""
        return await attempted(self._performing(command))

    async def look_up(self, command: Command) -> Effect | None:
        """Whether the effect is in place after an attempt of unknown outcome; ``None``: surely not.

        A look-up that itself fails is a result too (transient, throttled, suspended): nobody knows more than before.
        """
        with counted() as tally:
            try:
                found = await self._looking(command)()
            except CallFailed as failure:
                found = failed(failure)
            except CallsSuspended as suspended:
                found = Effect(verdict=Verdict.SUSPENDED, reason="Suspended", detail=str(suspended))
            except NameRefused:
                # The call that follows says so in full.
                found = None
        return None if found is None else replace(found, calls=tally.calls)

    async def complete_as_double(self, ticket_id: int, kept_number: str) -> Effect:
        """Complete the younger of two tickets with one external id (``DoubledTicket``); may be repeated."""
        return await attempted(partial(self.tickets.complete_as_double, ticket_id, kept_number))

    def _performing(self, command: Command) -> Callable[[], Awaitable[Effect]]:
        match command:
            case CreateTicket():
                return partial(self._create, command)
            case AdoptTicket():
                return partial(self.takeover.adopt, command)
            case AppendTicketNote():
                return partial(self.tickets.note, command)
            case CompleteTicket():
                return partial(self.tickets.complete, command)
            case ReopenTicket():
                return partial(self.tickets.reopen, command)
            case RaiseTicketPriority():
                return partial(self.priorities.raise_, command)
            case RestoreTicket():
                return partial(self.restoring.restore, command)
            case UpsertConfigurationItem():
                return partial(self.items.upsert, command)
            case RetireConfigurationItem():
                return partial(self.items.retire, command)
        raise TypeError(f"{type(command).__name__} is no command for Autotask")

    async def _create(self, command: CreateTicket) -> Effect:
        if await self.earlier.has_tickets():
            found = await self.tickets.find(command)
            if found is not None:
                return found
        return await self.tickets.create(command)

    def _looking(self, command: Command) -> Callable[[], Awaitable[Effect | None]]:
        match command:
            case CreateTicket() | AdoptTicket():
                return partial(self.tickets.find, command)
            case AppendTicketNote():
                return partial(self.tickets.find_note, command)
            case CompleteTicket():
                return partial(self.tickets.find_complete, command.ticket_id)
            case ReopenTicket():
                return partial(self.tickets.find_reopened, command.ticket_id)
            case RaiseTicketPriority():
                return partial(self.priorities.find, command)
            case RestoreTicket():
                return partial(self.restoring.find, command)
            case UpsertConfigurationItem():
                return partial(self.items.find_upserted, command)
            case RetireConfigurationItem():
                return partial(self.items.find_retired, command)
        raise TypeError(f"{type(command).__name__} is no command for Autotask")
