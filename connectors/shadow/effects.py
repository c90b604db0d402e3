"""Commands of a shadow: everything is read and resolved as live, and the write is taken as done without being sent.

A name that the tenant does not have refuses a ticket here too, and a device's configuration item is found by the policy's match
order, so that what a shadow predicts is what would happen. Ids of what would be created are made up
(``schemas.identity.predicted_id``), so that lifecycles go on and nobody takes them for real.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from connectors.autotask.client import AutotaskClient, Row
from connectors.autotask.effects import AutotaskEffects
from connectors.autotask.metadata import Metadata
from connectors.autotask.outcome import attempted
from connectors.autotask.tickets import Tickets
from connectors.ports import Effect, Verdict
from schemas.commands import (
    AdoptTicket,
    Command,
    CompleteTicket,
    CreateTicket,
    ReopenTicket,
    RetireConfigurationItem,
    UpsertConfigurationItem,
)
from schemas.identity import is_predicted, predicted_id

PREDICTED = "Predicted"


class PredictingClient(AutotaskClient):
    """A client that answers a write with a made-up id instead of sending it."""

    async def _write(self, method: str, path: str, body: Row, endpoint: str) -> int:
        known = body.get("id")
        return known if isinstance(known, int) else predicted_id(path, orjson.dumps(body, default=str).decode())

    async def delete(self, path: str, *, endpoint: str) -> None:
        return None


class PredictedAutotask:
    """``connectors.ports.Effects`` of a shadow for Autotask."""

    def __init__(self, client: PredictingClient) -> None:
        self._client = client
        self._metadata = Metadata(client)
        self._effects = AutotaskEffects(client, metadata=self._metadata)

    async def perform(self, command: Command) -> Effect:
        """What the command would come to."""
        match command:
            case CreateTicket():
                return _predicted(await attempted(lambda: self._created(command)))
            case UpsertConfigurationItem() | RetireConfigurationItem():
                return _predicted(await self._effects.perform(_without_made_up(command)))
            case CompleteTicket() | ReopenTicket():
                return _predicted(await attempted(lambda: self._with_status(command)))
            case AdoptTicket():
                # A shadow's alerts come without the tickets of others, so nobody gives this command.
                return Effect(verdict=Verdict.REJECTED, reason="NotInShadow", detail="a shadow takes no ticket over")
            case _:
                return _predicted(Effect(verdict=Verdict.SUCCEEDED, ticket_id=getattr(command, "ticket_id", None)))

    async def look_up(self, command: Command) -> Effect | None:
        """Nothing was ever sent, so nothing is in place: it is predicted again."""
        return None

    async def _created(self, command: CreateTicket) -> Effect:
        # A new one each time: what it remembers of real ids says nothing about made-up ones.
        effect = await Tickets(self._client, self._metadata).create(command)
        number = f"predicted {command.external_id}"
        return replace(effect, ticket_id=predicted_id(command.external_id), ticket_number=number)

    async def _with_status(self, command: CompleteTicket | ReopenTicket) -> Effect:
        await self._metadata.picked(command.status, entity="Tickets", field="status", what="status")
        return Effect(verdict=Verdict.SUCCEEDED, ticket_id=command.ticket_id)


class PredictedNinjaOne:
    """``connectors.ports.Effects`` of a shadow for NinjaOne: a reset is taken as done."""

    async def perform(self, command: Command) -> Effect:
        """What the command would come to."""
        return _predicted(Effect(verdict=Verdict.SUCCEEDED))

    async def look_up(self, command: Command) -> Effect | None:
        """Nothing was ever sent."""
        return None


def _predicted(effect: Effect) -> Effect:
    """Refusals, and what cannot be known at the moment, stay as they are."""
    if effect.verdict is not Verdict.SUCCEEDED:
        return effect
    return replace(effect, how=PREDICTED, written=False)


def _without_made_up(
    command: UpsertConfigurationItem | RetireConfigurationItem,
) -> UpsertConfigurationItem | RetireConfigurationItem:
    """Without the hint at an item that was only predicted: Autotask is not asked for an id that nobody has."""
    return command.model_copy(update={"item_id": None}) if is_predicted(command.item_id) else command
