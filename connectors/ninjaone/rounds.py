"""When the alert poller works: round after round, and in between when the webhook's deliveries come late.

In a storm the vendor's deliveries queue up, and an alert of a quiet customer waits behind thousands of others (measured:
9.6 of its 10.5 s). One read of activities brings what that whole queue holds, so it is made as soon as a delivery is late.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from connectors.ninjaone.lag import DeliveryLag
from connectors.ninjaone.poller import AlertPoller
from connectors.transport import Sleep

#: Between two reads for late deliveries, in seconds: 20 calls a minute, while they bring something.
SOONEST = 3.0
#: A read that brings fewer was hardly worth its call: the next one waits twice as long, up to a round of the poll.
WORTH = 10


class AlertRounds:
    """``work`` and ``pause`` for ``connectors.pacing.keep_polling``; ``stop`` when it has ended."""

    def __init__(self, poller: AlertPoller, lag: DeliveryLag, *, seconds: float, sleep: Sleep) -> None:
        self._poller = poller
        self._lag = lag
        self._seconds = seconds
        self._sleep = sleep
        self._gap = SOONEST
        self._until_round: asyncio.Future[None] | None = None

    async def work(self) -> None:
        """A whole round where one is due, else the activities alone. Raises ``CallFailed``, ``CallsSuspended``."""
        self._lag.late.clear()
        if self._until_round is None or self._until_round.done():
            await self._poller.poll()
            self._until_round = asyncio.ensure_future(self._sleep(self._seconds))
            return
        brought = await self._poller.catch_up()
        self._gap = SOONEST if brought >= WORTH else min(2 * self._gap, max(SOONEST, self._seconds))

    async def pause(self) -> None:
        """Until the next round is due, or deliveries are late and the last read is long enough ago."""
        late = asyncio.ensure_future(self._late())
        try:
            await asyncio.wait(
                [late] if self._until_round is None else [late, self._until_round], return_when="FIRST_COMPLETED"
            )
        finally:
            late.cancel()
            with suppress(asyncio.CancelledError):
                await late

    async def stop(self) -> None:
        """Wait for nothing any more."""
        if self._until_round is not None:
            self._until_round.cancel()
            await asyncio.gather(self._until_round, return_exceptions=True)

    async def _late(self) -> None:
        await self._sleep(self._gap)
        await self._lag.late.wait()
