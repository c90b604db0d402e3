"""The hourly budget of the tenant: 10,000 requests for all integrations together, read and never guessed.

From half of it the vendor slows every integration down, beyond it the whole tenant's API stops. So work ends in the order
of its importance, the lowest lane first, and the last of it before the line. Decisions are functions of one reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from connectors.autotask.client import AutotaskClient
from connectors.ports import Allowance
from schemas.autotask import Threshold
from schemas.commands import Lane

#: The vendor's advice is 1.5 to 5 minutes; the reading itself counts as a request.
READ_SECONDS = 180.0
#: Near the line the neighbours' calls between two readings matter: one that uses 60 % of the hour makes 100 a minute.
READ_SECONDS_NEAR = 60.0
#: A reading that could not be renewed for so long says nothing about the neighbours any more: bulk work waits.
STALE_SECONDS = 600.0
#: Where each lane stops, as shares of the hour. Latency begins at 50 %, and bulk work stops a step before, since others
#: call too between two readings; what people wait for goes on, slowed down as the vendor wants it.
STOPS_AT: Mapping[Lane, float] = {
    Lane.ITEM: 0.45,
    Lane.NOTE: 0.75,
    Lane.REOPEN: 0.85,
    Lane.CREATE: 0.92,
    Lane.CLOSE: 0.96,
}
#: From here on no call of ours goes out but the reading itself, whoever asks (pollers, webhooks, tools, look-ups). The
#: 200 requests left are what neighbours and our other processes may make until this process reads again.
LINE = 0.98
#: How much slower pollers go from each share of the hour on.
SLOWER: tuple[tuple[float, float], ...] = ((0.9, 10.0), (0.75, 4.0), (0.5, 2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One reading. ``minutes`` is the rolling time frame; ``read_at`` in epoch milliseconds."""

    used: int
    limit: int
    minutes: int
    read_at: int

    @property
    def ratio(self) -> float:
        """The share of the hour's requests that is used up."""
        return self.used / self.limit if self.limit > 0 else 1.0

    @property
    def words(self) -> str:
        """The reading in one line."""
        return f"{self.used} of the tenant's {self.limit} requests in {self.minutes} minutes are used"


def allowance(budget: Budget | None, now: int) -> Allowance:
    """Which lanes may call. Without a reading, or with one that is too old, bulk work waits for the next."""
    if budget is None:
        return _without(Lane.ITEM, "the hour's budget has not been read yet")
    if now - budget.read_at > STALE_SECONDS * 1000:
        minutes = (now - budget.read_at) // 60_000
        return _without(Lane.ITEM, f"the hour's budget could not be read for {minutes} minutes")
    lanes = frozenset(lane for lane, stop in STOPS_AT.items() if budget.ratio < stop)
    return Allowance(lanes=lanes, why="" if len(lanes) == len(Lane) else f"hourly budget: {budget.words}")


def slower(budget: Budget | None) -> float:
    """By what factor pollers stretch their pauses."""
    ratio = budget.ratio if budget is not None else 0.0
    return next((factor for share, factor in SLOWER if ratio >= share), 1.0)


def over_the_line(budget: Budget | None) -> str | None:
    """Why no call may go out at all, ``None`` while calls may."""
    return f"hourly budget: {budget.words}" if budget is not None and budget.ratio >= LINE else None


def _without(lane: Lane, why: str) -> Allowance:
    return Allowance(lanes=frozenset(Lane) - {lane}, why=why)


class BudgetReader:
    """Keeps the last reading of one process, and adds what this process has called since.

    Counted on top, own calls can only be taken for too many (the hour rolls on), never for too few; so bulk work at full
    speed stops in time although a reading is up to three minutes old. From the line on the client makes no call any more.
    """

    def __init__(self, client: AutotaskClient) -> None:
        self._client = client
        self._last: Budget | None = None
        self._calls_then = 0
        client.forbids = lambda: over_the_line(self.budget())

    def budget(self) -> Budget | None:
        """The last reading with our own calls since, ``None`` before the first."""
        if self._last is None:
            return None
        return replace(self._last, used=self._last.used + self._own_calls())

    def allowance(self) -> Allowance:
        """Which lanes may call now."""
        return allowance(self.budget(), self._client.now())

    def slower(self) -> float:
        """By what factor pollers stretch their pauses now."""
        return slower(self.budget())

    async def read(self) -> Budget:
        """Ask now: one call. Raises ``CallFailed``, ``CallsSuspended``."""
        document = await self._client.threshold()
        reading = self._client.rows(Threshold, [document], endpoint="ThresholdInformation")[0]
        self._calls_then = self._client.calls
        self._last = Budget(
            used=reading.current_timeframe_request_count,
            limit=reading.external_request_threshold,
            minutes=reading.request_threshold_timeframe,
            read_at=self._client.now(),
        )
        return self._last

    async def refreshed(self) -> Budget:
        """The budget, asked anew after three minutes (one near the line), or after 1 % of it went to our own calls.

        Beyond the line only after a minute: each reading is a request too. Raises as ``read``.
        """
        budget = self.budget()
        if budget is None:
            return await self.read()
        near = budget.ratio >= STOPS_AT[Lane.NOTE]
        fresh = 0 <= self._client.now() - budget.read_at < (READ_SECONDS_NEAR if near else READ_SECONDS) * 1000
        much = self._own_calls() * 100 >= budget.limit
        return budget if fresh and not much else await self.read()

    def _own_calls(self) -> int:
        return self._client.calls - self._calls_then
