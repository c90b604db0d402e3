"""What Autotask is asked for again and again: changed tickets, the companies, the hour's budget.

Webhooks are faster, the poll is complete: it closes every gap that a lost webhook, a closed gate or a stopped process
leaves, since its cursor moves only after Kafka has acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from connectors.autotask import texts
from connectors.autotask.budget import Budget, BudgetReader
from connectors.autotask.client import AutotaskClient, Filter, any_of, condition
from connectors.autotask.companies import publish_companies
from connectors.autotask.notes import NoteReader
from connectors.autotask.observation import POLLED_FIELDS, TicketPublisher
from connectors.autotask.unreadable import RowReader
from connectors.pacing import keep_polling
from connectors.ports import Log
from connectors.transport import Jitter, Sleep
from schemas.autotask import Ticket
from schemas.identity import EXTERNAL_ID_PREFIX
from schemas.topics import CURSORS

CURSOR = "autotask.tickets"
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerSettings:
    """Seconds between polls and sweeps. ``overlap_ms`` is asked again each time: rows become visible out of order."""

    poll_seconds: float = 30.0
    companies_seconds: float = 900.0
    #: How often the age of the reading is looked at; it is read anew when the budget's own rules say so.
    budget_seconds: float = 15.0
    overlap_ms: int = 5 * 60 * 1000
    #: Without a cursor: open tickets of ours, and those that changed in so many days (completed meanwhile).
    first_days: int = 30


class AutotaskPoller:
    """The loops of one process. ``run`` until cancelled; each ``poll_*`` makes one round, for tools and tests."""

    def __init__(
        self,
        client: AutotaskClient,
        log: Log,
        *,
        sleep: Sleep,
        jitter: Jitter,
        settings: PollerSettings | None = None,
        publisher: TicketPublisher | None = None,
        notes: NoteReader | None = None,
    ) -> None:
        self._client = client
        self._log = log
        self._sleep = sleep
        self._jitter = jitter
        self._settings = settings or PollerSettings()
        self._publisher = publisher or TicketPublisher(log, client.now)
        self._notes = notes
        self._rows = RowReader(log, "autotask-tickets")
        self._budget = BudgetReader(client)
        #: The lists that lastingly fail, each with its line (``connectors.pacing``).
        self.failing: dict[str, str] = {}
        self._cursor: int | None = None
        self._cursor_read = False

    async def run(self) -> None:
        """Poll until cancelled; what a round raises is waited out (``connectors.pacing``)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self._settings.companies_seconds, "companies", self.poll_companies))
            group.create_task(self._every(self._settings.poll_seconds, "tickets", self.poll_tickets))
            group.create_task(self._every(self._settings.budget_seconds, "budget", self.refresh_budget, slows=False))

    async def beside(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """One more list, read as often as tickets are, until cancelled."""
        await self._every(self._settings.poll_seconds, name, work)

    @property
    def notes_failing(self) -> str | None:
        """Why notes of technicians cannot be read, if so."""
        return self._notes.failing if self._notes is not None else None

    def budget(self) -> Budget | None:
        """The last reading of the hour's budget, ``None`` before the first."""
        return self._budget.budget()

    async def poll_tickets(self) -> int:
        """Read what changed since the cursor and publish it; returns the number of new facts."""
        if not self._cursor_read:
            self._cursor = _decoded((await self._log.remembered(CURSORS)).get(CURSOR))
            self._cursor_read = True
        published, newest = 0, self._cursor
        # Before the first cursor nothing was missed: notes of older days are no news.
        noted_since = (self._client.now() if self._cursor is None else self._cursor) - self._settings.overlap_ms
        filters = [condition("beginsWith", "externalID", EXTERNAL_ID_PREFIX), self._since()]
        async for page in self._client.pages("Tickets", filters, POLLED_FIELDS):
            tickets = await self._rows.read(Ticket, page)
            published += await self._publisher.publish(tickets)
            if self._notes is not None:
                await self._notes.look(tickets, since=noted_since)
            newest = max([*([newest] if newest is not None else []), *(t.last_activity_date or 0 for t in tickets)])
        # Pages come in the order of ids, not of time: the cursor may move only when the last one is through.
        if newest is not None and newest != self._cursor:
            await self._log.remember(CURSORS, CURSOR, orjson.dumps({"lastActivityDate": newest}))
            self._cursor = newest
        return published

    async def poll_companies(self) -> bool:
        """Read all companies; publish them when the list changed."""
        return await publish_companies(self._client, self._log)

    async def poll_budget(self) -> Budget:
        """Read the hour's budget."""
        return await self._budget.read()

    async def refresh_budget(self) -> Budget:
        """Read the hour's budget if the last reading is too old for what it says."""
        return await self._budget.refreshed()

    def slower(self) -> float:
        """By what factor the hour's budget stretches the pauses at the moment (1: not at all)."""
        return self._budget.slower()

    def _since(self) -> Filter:
        """By the vendor's clock alone once there is a cursor: ours may be off, or follow another."""
        if self._cursor is not None:
            return _active_since(self._cursor - self._settings.overlap_ms)
        recent = _active_since(self._client.now() - self._settings.first_days * _DAY_MS)
        return any_of({"op": "notExist", "field": "completedDate"}, recent)

    async def _every(
        self, seconds: float, name: str, work: Callable[[], Awaitable[object]], *, slows: bool = True
    ) -> None:
        async def round_of_work() -> None:
            await work()

        async def pause() -> None:
            await self._sleep(seconds * (self.slower() if slows else 1.0))

        await keep_polling(
            f"autotask {name}",
            round_of_work,
            pause,
            gate=self._client.gate,
            sleep=self._sleep,
            jitter=self._jitter,
            failing=self.failing,
        )


def _active_since(ms: int) -> Filter:
    return condition("gte", "lastActivityDate", texts.instant(max(0, ms)))


def _decoded(value: bytes | None) -> int | None:
    if not value:
        return None
    try:
        found = orjson.loads(value).get("lastActivityDate")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
