"""The part of a drill's load that the life of a ticket is about: flapping, coming back, maintenance, technicians' hands."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.sandbox.remote import Remote, SandboxRefused
from streams.clock import Clock
from streams.demo.tally import is_complete, our_tickets
from streams.drill.policy import HELD, SETTLES

Row = dict[str, Any]
#: Raises an alert of a source type on a device; its uid.
Raise = Callable[[int, str], Awaitable[str]]

#: How long (s) a flap lasts: below the hold and the settling time of ``streams.drill.policy``, and somewhat above.
_FLAP_S = (0.1, 4.0)
#: How long (s) a device is in NinjaOne's maintenance mode.
_MAINTENANCE_S = (6, 20)


class LifecycleLoad:
    """Happenings by ``source``; each tells whether it happened. ``finish`` before the load counts as over."""

    def __init__(self, ninja: Remote, psa: Remote, *, clock: Clock, source: random.Random, raise_alert: Raise) -> None:
        self._ninja, self._psa, self._clock = ninja, psa, clock
        self._source = source
        self._raise = raise_alert
        self._flapping: set[asyncio.Task[None]] = set()
        #: (device, source type) of conditions that cleared lately.
        self._cleared: deque[tuple[int, str]] = deque(maxlen=20)
        self._maintained: set[int] = set()

    def cleared(self, device: int, kind: str) -> None:
        """A condition is over; it may come back."""
        self._cleared.append((device, kind))

    async def flap(self, device: int) -> bool:
        """A condition is there for a moment."""
        kind = self._source.choice((HELD, HELD, SETTLES))
        lasts = self._source.uniform(*_FLAP_S)
        uid = await self._raise(device, kind)
        ending = asyncio.create_task(self._end(uid, device, kind, lasts))
        self._flapping.add(ending)
        ending.add_done_callback(self._flapping.discard)
        return True

    async def _end(self, uid: str, device: int, kind: str, lasts: float) -> None:
        await asyncio.sleep(lasts)
        with contextlib.suppress(SandboxRefused):  # its device was deleted, or its ticket completed, meanwhile
            await self._ninja.post(f"alerts/{uid}/clear")
            self.cleared(device, kind)

    async def come_back(self) -> bool:
        """A condition that cleared is there again: while its ticket settles, or after it was completed."""
        if not self._cleared:
            return False
        device, kind = self._source.choice(self._cleared)
        await self._raise(device, kind)
        return True

    async def touch(self) -> bool:
        """A technician works on a ticket of ours."""
        tickets = [
            ticket for ticket in our_tickets(await self._psa.get("state", since=10**9)) if not is_complete(ticket)
        ]
        if not tickets:
            return False
        number, how = self._source.choice(tickets)["id"], self._source.choice(("note", "time"))
        await self._psa.post(f"tickets/{number}/{how}")
        return True

    async def maintain(self, device: int) -> bool:
        """A device gets into NinjaOne's maintenance mode; or one that is in it gets out before the end."""
        if self._maintained and self._source.random() < 0.3:
            early = self._source.choice(sorted(self._maintained))
            self._maintained.discard(early)
            await self._ninja.patch(f"devices/{early}", maintenance=None)
            return True
        now = self._clock.now() / 1000
        window = {"start": now, "end": now + self._source.uniform(*_MAINTENANCE_S)}
        await self._ninja.patch(f"devices/{device}", maintenance=window)
        self._maintained.add(device)
        return True

    async def finish(self) -> None:
        """Wait until every flap is over."""
        await asyncio.gather(*self._flapping)
