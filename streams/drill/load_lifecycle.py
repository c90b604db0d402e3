"""The part of a drill's load that the life of a ticket is about: flapping, coming back, maintenance, technicians' hands."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from connectors.sandbox.remote import Remote, SandboxRefused
from streams.clock import Clock
from streams.demo.tally import is_complete, our_tickets
from streams.drill.policy import HELD, SETTLES, UNTOUCHED

Row = dict[str, Any]
#: Raises an alert of a source type on a device; its uid.
Raise = Callable[[int, str], Awaitable[str]]

#: How long (s) a flap lasts: below the hold and the settling time of ``streams.drill.policy``, and somewhat above.
_FLAP_S = (0.1, 4.0)
#: How long (s) a condition lasts that gets a ticket, stays away after that until the ticket is complete, and how long a
#: ticket stays open that a technician has just worked on.
_LASTS_S, _AWAY_S, _WORKED_ON_S = (5.0, 9.0), (5.0, 12.0), (0.5, 6.0)
#: How long (s) a device is in NinjaOne's maintenance mode.
_MAINTENANCE_S = (6, 20)


class LifecycleLoad:
    """Happenings by ``source``; each tells whether it happened. ``finish`` ends what goes on for a while."""

    def __init__(self, ninja: Remote, psa: Remote, *, clock: Clock, source: random.Random, raise_alert: Raise) -> None:
        self._ninja, self._psa, self._clock = ninja, psa, clock
        self._source = source
        self._raise = raise_alert
        self._going_on: set[asyncio.Task[None]] = set()
        #: By uid as external ids have it.
        self._alerts: dict[str, tuple[str, int, str]] = {}
        #: (device, source type) of conditions that cleared lately.
        self._cleared: deque[tuple[int, str]] = deque(maxlen=20)
        self._maintained: set[int] = set()

    def raised(self, uid: str, device: int, kind: str) -> None:
        """An alert of a source type was raised on a device."""
        self._alerts[uid.replace("-", "")] = (uid, device, kind)

    def cleared(self, device: int, kind: str) -> None:
        """A condition is over; it may come back."""
        self._cleared.append((device, kind))

    async def flap(self, device: int) -> bool:
        """A condition is there for a moment."""
        kind = self._source.choice((HELD, HELD, SETTLES))
        lasts = self._source.uniform(*_FLAP_S)
        uid = await self._raise(device, kind)
        self._goes_on(self._end(uid, device, kind, lasts))
        return True

    async def relapse(self, device: int) -> bool:
        """A condition lasts until it has a ticket, is over until that is complete, and is there again."""
        kind = self._source.choice((HELD, SETTLES))
        lasts, away = self._source.uniform(*_LASTS_S), self._source.uniform(*_AWAY_S)
        uid = await self._raise(device, kind)
        self._goes_on(self._end(uid, device, kind, lasts, then_away=away))
        return True

    def _goes_on(self, what: Coroutine[Any, Any, None]) -> None:
        going = asyncio.create_task(what)
        self._going_on.add(going)
        going.add_done_callback(self._going_on.discard)

    async def _end(self, uid: str, device: int, kind: str, lasts: float, *, then_away: float | None = None) -> None:
        await asyncio.sleep(lasts)
        with contextlib.suppress(SandboxRefused):  # its device was deleted, or its ticket completed, meanwhile
            await self._ninja.post(f"alerts/{uid}/clear")
            self.cleared(device, kind)
            if then_away is not None:
                await asyncio.sleep(then_away)
                await self._raise(device, kind)

    async def come_back(self) -> bool:
        """A condition that cleared is there again: while its ticket settles, or after it was completed."""
        if not self._cleared:
            return False
        device, kind = self._source.choice(self._cleared)
        await self._raise(device, kind)
        return True

    async def touch(self) -> bool:
        """A technician works on a ticket of ours, mostly one whose rule leaves it to them; its condition is over soon after."""
        tickets = [
            ticket for ticket in our_tickets(await self._psa.get("state", since=10**9)) if not is_complete(ticket)
        ]
        if not tickets:
            return False
        theirs = [ticket for ticket in tickets if self._about(ticket)[2] == UNTOUCHED]
        ticket = self._source.choice(theirs if theirs and self._source.random() < 0.75 else tickets)
        await self._psa.post(f"tickets/{ticket['id']}/{self._source.choice(('note', 'time'))}")
        lasts = self._source.uniform(*_WORKED_ON_S)
        uid, device, kind = self._about(ticket)
        if kind == UNTOUCHED:
            self._goes_on(self._end(uid, device, kind, lasts))
        return True

    def _about(self, ticket: Row) -> tuple[str, int, str]:
        """The alert that opened a ticket, its device and its source type; nothing where it was not raised here."""
        return self._alerts.get(str(ticket["externalID"]).split(".")[2], ("", 0, ""))

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
        """What goes on for a while ends where it is."""
        going = list(self._going_on)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
