"""The hourly budget of the tenant: 10,000 requests for all integrations together, read and never guessed.

From half of it the vendor slows every integration down, beyond it the whole tenant's API stops. So bulk work ends early.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from connectors.autotask.client import AutotaskClient
from schemas.autotask import Threshold

#: The vendor's advice is 1.5 to 5 minutes; the reading itself counts as a request.
READ_SECONDS = 180.0
#: Latency begins at 50 %; bulk work stops a step before, since others call too between two readings.
BULK_LIMIT = 0.45
#: Above this only what people wait for goes out.
URGENT_LIMIT = 0.75


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
    def bulk_allowed(self) -> bool:
        """Whether configuration items may be written."""
        return self.ratio < BULK_LIMIT

    @property
    def notes_allowed(self) -> bool:
        """Whether notes may be written."""
        return self.ratio < URGENT_LIMIT


class BudgetReader:
    """Keeps the last reading of one process, and adds what this process has called since.

    Counted on top, own calls can only be taken for too many (the hour rolls on), never for too few; so bulk work at full
    speed stops in time although a reading is up to three minutes old.
    """

    def __init__(self, client: AutotaskClient) -> None:
        self._client = client
        self._last: Budget | None = None
        self._calls_then = 0

    def budget(self) -> Budget | None:
        """The last reading with our own calls since, ``None`` before the first."""
        if self._last is None:
            return None
        return replace(self._last, used=self._last.used + self._own_calls())

    async def read(self) -> Budget:
        """Ask now: one call. Raises ``CallFailed``, ``CallsSuspended``."""
        entity = "ThresholdInformation"
        document = await self._client.read(entity, endpoint=entity)
        reading = self._client.rows(Threshold, [document], endpoint=entity)[0]
        self._calls_then = self._client.calls
        self._last = Budget(
            used=reading.current_timeframe_request_count,
            limit=reading.external_request_threshold,
            minutes=reading.request_threshold_timeframe,
            read_at=self._client.now(),
        )
        return self._last

    async def refreshed(self) -> Budget:
        """The budget, asked anew after three minutes, or after 1 % of it went to our own calls."""
        budget = self.budget()
        if budget is None or not 0 <= self._client.now() - budget.read_at < READ_SECONDS * 1000:
            return await self.read()
        if self._own_calls() * 100 >= budget.limit:
            return await self.read()
        return budget

    def _own_calls(self) -> int:
        return self._client.calls - self._calls_then
