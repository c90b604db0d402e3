"""NinjaOne's own maintenance mode: which devices are in it, by the rows that come anyway and by one look for many.

The sweep and every look at a device tell it, and so does the device inside an alert or a webhook where it shows a
maintenance (that it shows none says nothing: whether every instance fills it there is unconfirmed). A mode may have begun
since, and no public source says which activity tells of it. So an alert that is raised on a device whose row is older
than ``FRESH_MS`` asks once more: one call for all devices that are asked about at a time, at most ``_AT_ONCE``. Devices that had an
alert lately are asked along with them before their look is too old: a device that fails seldom has only one alert, and what
waits for a look of its own is the delivery of a webhook, with all that queue behind it.

Budget: no call for a device that was just seen; else one GET per round of the poller, and for webhooks one at a time
whatever comes in. A look that fails is not repeated for ``FRESH_MS``: the alert goes out by what was known last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, takewhile

from connectors.errors import CallFailed
from connectors.ninjaone.client import NinjaOneClient
from connectors.ports import CallsSuspended, Now
from connectors.transport import Timeouts
from schemas.facts import AlertFact
from schemas.ninjaone import DeviceRow, MaintenancePart, milliseconds

log = logging.getLogger(__name__)

#: How long (ms) a look at a device's maintenance holds good for an alert that is raised.
FRESH_MS = 10_000
#: For so long (ms) after an alert a device is asked along with others, once its look is half as old as it may be.
_ALONG_MS = 60_000
#: Devices per look: some 3 kB of address, below what servers and proxies take (8 kB).
_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What was last seen of a device (times in epoch ms): whether it is in maintenance, and until when if that is said.

    ``seen_at`` is our clock's time of the look.
    """

    seen_at: int
    active: bool = False
    ends_at: int | None = None

    def same_as(self, other: Maintenance) -> bool:
        """Whether both say the same of the device, whenever they were seen."""
        return (self.active, self.ends_at) == (other.active, other.ends_at)


def told_in(fact: AlertFact) -> Maintenance | None:
    """The maintenance mode that an alert was told in; ``None`` where it was told in none."""
    if not fact.in_maintenance:
        return None
    return Maintenance(fact.maintenance_seen_at or fact.raised_at, active=True, ends_at=fact.maintenance_ends_at)


@dataclass(frozen=True, slots=True)
class _Seen:
    seen_at: int
    window: tuple[int, int | None] | None

    def at(self, now: int) -> Maintenance:
        if self.window is None:
            return Maintenance(self.seen_at)
        begins, ends = self.window
        active = begins <= now and (ends is None or now < ends)
        return Maintenance(self.seen_at, active, ends if active else None)


class Maintenances:
    """What is known of the devices' maintenance; one per process."""

    def __init__(self, client: NinjaOneClient, *, now: Now, timeouts: Timeouts) -> None:
        self._client = client
        self._now = now
        self._timeouts = timeouts
        self._seen: dict[int, _Seen] = {}
        #: When a device was last asked about, also in vain.
        self._asked: dict[int, int] = {}
        #: When a device last had an alert, in that order.
        self._alerted: dict[int, int] = {}
        self._wanted: set[int] = set()
        self._lock = asyncio.Lock()

    def take(self, row: DeviceRow, *, seen_at: int, whole: bool) -> None:
        """A device as a call that was made at ``seen_at`` showed it; ``whole`` where a missing part means that it is none."""
        if row.maintenance is None and not whole:
            return
        before = self._seen.get(row.id)
        if before is None or before.seen_at <= seen_at:
            self._seen[row.id] = _Seen(seen_at, _window(row.maintenance, seen_at))
            self._asked[row.id] = max(seen_at, self._asked.get(row.id, 0))

    def changed(self, device_id: int) -> None:
        """An activity tells that a device's maintenance changed: what was seen before is old."""
        self._asked.pop(device_id, None)

    def of(self, device_id: int | None) -> Maintenance | None:
        """What is known now of a device; ``None`` for what was never seen, and for what is no device."""
        seen = self._seen.get(device_id) if device_id is not None else None
        return seen.at(self._now()) if seen is not None else None

    async def look(self, device_ids: Iterable[int | None], *, quick: bool = False) -> None:
        """Look at the devices that were not seen lately. Never fails: what cannot be had stays as it was known.

        ``quick`` bounds all of it, waiting included, by one call's time.
        """
        devices = {id_ for id_ in device_ids if id_ is not None}
        for id_ in devices:
            self._alerted.pop(id_, None)
            self._alerted[id_] = self._now()
        stale = {id_ for id_ in devices if self._is_stale(id_)}
        if not stale:
            return
        self._wanted |= stale
        try:
            async with asyncio.timeout(self._timeouts.total if quick else None), self._lock:
                # Whoever waited here meanwhile was mostly answered by the look before.
                if any(self._is_stale(id_) for id_ in stale):
                    await self._ask(self._wanted | stale)
        except (CallFailed, CallsSuspended, TimeoutError) as error:
            words = error or "no answer in time"
            log.info("the maintenance of %d devices is taken as last known: %s", len(stale), words)

    async def _ask(self, device_ids: set[int]) -> None:
        self._wanted.clear()
        stale = sorted(filter(self._is_stale, device_ids))
        room = -len(stale) % _AT_ONCE
        stale += list(islice((id_ for id_ in self._alerted_lately() if id_ not in device_ids), room))
        for start in range(0, len(stale), _AT_ONCE):
            some = stale[start : start + _AT_ONCE]
            asked_at = self._now()
            self._asked.update(dict.fromkeys(some, asked_at))
            for row in (await self._client.devices(some, timeouts=self._timeouts)).rows:
                self.take(row, seen_at=asked_at, whole=True)

    def _alerted_lately(self) -> list[int]:
        """The devices that had an alert lately and whose look is soon too old."""
        first = self._now() - _ALONG_MS
        for id_ in list(takewhile(lambda id_: self._alerted[id_] < first, self._alerted)):
            del self._alerted[id_]
        return [id_ for id_ in self._alerted if self._is_stale(id_, FRESH_MS // 2)]

    def _is_stale(self, device_id: int, age: int = FRESH_MS) -> bool:
        return self._now() - self._asked.get(device_id, -FRESH_MS) >= age


def _window(part: MaintenancePart | None, seen_at: int) -> tuple[int, int | None] | None:
    """Begin and end of what a row shows. A mode that runs has begun whatever its start says; one that failed is none."""
    if part is None or part.status == "FAILED":
        return None
    begins = milliseconds(part.start) or 0
    return (begins if part.status == "PENDING" else min(begins, seen_at), milliseconds(part.end))
