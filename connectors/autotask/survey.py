"""Autotask read once for a comparison: tickets of ours and configuration items of ours, within what bulk work may use.

Reads only. A ticket or item that lost our mark is found by its id, which the log knows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from connectors.autotask import texts
from connectors.autotask.budget import BudgetReader
from connectors.autotask.client import AutotaskClient, Filter, any_of, condition, eq
from connectors.autotask.items import ENTITY, Items
from connectors.autotask.metadata import Metadata
from connectors.autotask.names import NameRefused
from connectors.autotask.observation import POLLED_FIELDS, publication
from connectors.errors import CallFailed, Situation
from connectors.ports import Publication
from schemas.autotask import ConfigurationItem, Ticket, TicketHistoryRow, Wire
from schemas.commands import Lane, UpsertConfigurationItem
from schemas.identity import EXTERNAL_ID_PREFIX, reference_number
from schemas.personal import kind_of_token

Step = Callable[[str], None]
W = TypeVar("W", bound=Wire)
T = TypeVar("T")

_FIELDS = (*POLLED_FIELDS, "configurationItemID", "createDate", "creatorResourceID", "lastActivityResourceID")
#: Ids in one query; the vendor takes 500 conditions.
_IDS = 400
#: Tickets whose history is read in one look: it can be asked for one ticket at a time only.
_PASTS = 50
#: The entity is refused, or not there.
_UNREADABLE = (Situation.FORBIDDEN, Situation.NOT_FOUND, Situation.REFUSED_INPUT)


class AutotaskSurvey:
    """One reading through a client of its own. Every method raises ``CallFailed``, ``CallsSuspended``."""

    def __init__(self, client: AutotaskClient) -> None:
        self._client = client
        self._budget = BudgetReader(client)
        self._metadata = Metadata(client)
        self._items = Items(client, self._metadata)

    async def begin(self) -> None:
        """Read the hour's budget; from then on no call goes out when bulk work may not call."""
        await self._budget.read()
        self._client.forbids = self._forbidden

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def tickets(self, *, key: str | None, since: int, step: Step) -> dict[int, Ticket]:
        """Open tickets that carry our mark, and those of them that changed since then (epoch ms); of one ``key`` or of all."""
        prefix = EXTERNAL_ID_PREFIX if key is None else f"{EXTERNAL_ID_PREFIX}{key}."
        recent = condition("gte", "lastActivityDate", texts.instant(max(0, since)))
        filters = [
            condition("beginsWith", "externalID", prefix),
            any_of({"op": "notExist", "field": "completedDate"}, recent),
        ]
        return {row.id: row for row in await self._read("Tickets", Ticket, filters, _FIELDS, "tickets", step)}

    async def tickets_of(self, ids: Collection[int], step: Step) -> dict[int, Ticket]:
        """These tickets, whatever their mark; who is not among them does not exist."""
        found: dict[int, Ticket] = {}
        for some in _parts(sorted(ids), _IDS):
            rows = await self._read("Tickets", Ticket, [condition("in", "id", some)], _FIELDS, "tickets", step)
            found |= {row.id: row for row in rows}
        return found

    async def items(self, *, key: str | None, step: Step) -> dict[int, ConfigurationItem]:
        """Items that carry the key of a device, active or not; of one ``key`` or of all."""
        marked = condition("beginsWith", "referenceNumber", EXTERNAL_ID_PREFIX)
        chosen = marked if key is None else eq("referenceNumber", reference_number(key))
        rows = await self._read(ENTITY, ConfigurationItem, [chosen], (), "configuration items", step)
        return {row.id: row for row in rows}

    async def items_of(self, ids: Collection[int], step: Step) -> dict[int, ConfigurationItem]:
        """These items, whatever key they carry; who is not among them does not exist."""
        found: dict[int, ConfigurationItem] = {}
        for some in _parts(sorted(ids), _IDS):
            filters = [condition("in", "id", some)]
            rows = await self._read(ENTITY, ConfigurationItem, filters, (), "configuration items", step)
            found |= {row.id: row for row in rows}
        return found

    async def items_like(self, serials: Collection[str], step: Step) -> dict[int, ConfigurationItem]:
        """Active items with these serial numbers, whatever key they carry."""
        found: dict[int, ConfigurationItem] = {}
        for some in _parts(sorted(serials), _IDS):
            filters = [condition("in", "serialNumber", some), eq("isActive", True)]
            rows = await self._read(ENTITY, ConfigurationItem, filters, (), "configuration items", step)
            found |= {row.id: row for row in rows}
        return found

    async def pasts(self, ids: Sequence[int], step: Step) -> dict[int, tuple[TicketHistoryRow, ...] | None]:
        """The history of these tickets, one call each; ``None`` where it may not be read, and for all but the first fifty."""
        found: dict[int, tuple[TicketHistoryRow, ...] | None] = dict.fromkeys(ids)
        for place, number in enumerate(ids[:_PASTS], 1):
            step(f"the history of {place} tickets of Autotask")
            try:
                pages = self._client.pages("TicketHistory", [eq("ticketID", number)], walks=False)
                rows = [row async for page in pages for row in page]
            except CallFailed as failure:
                if failure.situation in _UNREADABLE:
                    break
                raise
            found[number] = tuple(self._client.rows(TicketHistoryRow, rows, endpoint="TicketHistory"))
            await self._budget.refreshed()
        return found

    async def status_names(self) -> dict[int, str]:
        """What the tenant calls the statuses of tickets, by id."""
        return {choice.id: choice.label for choice in await self._metadata.picklist("Tickets", "status")}

    async def foreign(
        self, wanted: Mapping[str, UpsertConfigurationItem], items: Mapping[str, ConfigurationItem], step: Step
    ) -> dict[str, tuple[str, ...]]:
        """What of each device's item differs from what was commanded, by key; those without a difference are left out.

        So are those whose product or type the tenant does not have any more: the next write is parked for that, and says so.
        """
        step("configuration items compared")
        found: dict[str, tuple[str, ...]] = {}
        for key, command in wanted.items():
            if key in items:
                with contextlib.suppress(NameRefused):
                    names = await self._items.foreign(_comparable(command), items[key])
                    found |= {key: tuple(names)} if names else {}
        return found

    async def _read(
        self, entity: str, model: type[W], filters: Sequence[Filter], fields: Sequence[str], what: str, step: Step
    ) -> list[W]:
        found: list[W] = []
        step(f"{what} of Autotask")
        async for page in self._client.pages(entity, filters, fields):
            found += self._client.rows(model, page, endpoint=entity)
            step(f"{len(found)} {what} of Autotask")
            await self._budget.refreshed()
        return found

    def _forbidden(self) -> str | None:
        allowed = self._budget.allowance()
        if Lane.ITEM in allowed.lanes:
            return None
        return f"{allowed.why}; bulk work waits: run it again when the hour has rolled on"


def ticket_told(ticket: Ticket, key: str) -> Publication:
    """A ticket that was read, as its fact: the same that a poll publishes."""
    return publication(ticket, key)


def _parts(values: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _comparable(command: UpsertConfigurationItem) -> UpsertConfigurationItem:
    """What was commanded, without personal values, of which a command holds tokens only, and without the contract: Autotask may have
    refused it, and then the item is as it should be without.
    """
    fields = {name: text for name, text in command.fields.items() if kind_of_token(text) is None}
    return command.model_copy(update={"fields": fields, "contract": None})
