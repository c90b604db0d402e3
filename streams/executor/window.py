"""Which command is next: strictly in order per key, then by lane, then fairly by organization, then by age. Pure.

A note, reopening or item in front of a more urgent command of its key goes with that one's lane, or holding it back (the
hour's budget does) would hold back the urgent one. A create waits in its own: its organization's turn is the fair one.

The window holds the commands from the lowest unfinished one on. Commands that finish out of order stay counted until
everything before them is finished too, so the window also bounds what has to be remembered for a restart.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from schemas.commands import Command, Lane, RetireConfigurationItem, UpsertConfigurationItem
from schemas.hardware import real_serial

OrderKey = tuple[str, ...]
ALL_LANES = frozenset(Lane)


def order_keys(command: Command) -> tuple[OrderKey, ...]:
    """What a command is in order with: its device key, and for an item also the serial within the company.

    Two devices may claim one serial (a re-enrolled machine): writes for it must never overlap.
    """
    keys: list[OrderKey] = [("key", command.key)]
    if isinstance(command, UpsertConfigurationItem | RetireConfigurationItem):
        # Autotask compares text without regard to case, so one serial may come in two spellings. A placeholder is
        # nobody's: it would put a whole fleet in one line.
        serial = real_serial(command.serial).casefold()
        if serial:
            keys.append(("serial", str(command.company_id), serial))
    return tuple(keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command as it stands in the topic. ``issued_at`` is its recorded time (epoch ms)."""

    offset: int
    command_id: str
    command: Command
    correlation_id: str | None
    issued_at: int


@dataclass(slots=True)
class _Place:
    """Where an unfinished command stands. ``begun``: a call for it may have had its effect."""

    entry: Entry
    keys: tuple[OrderKey, ...]
    in_flight: bool = False
    queued: bool = False
    begun: bool = False
    not_before: int = 0
    lane: Lane = Lane.ITEM


class Window:
    """The commands that an executor may choose from. Times are epoch milliseconds."""

    def __init__(self, *, position: int, capacity: int) -> None:
        self._capacity = capacity
        self._next = position
        self._span: deque[int] = deque()
        self._places: dict[int, _Place] = {}
        self._by_id: dict[str, int] = {}
        self._queues: dict[OrderKey, deque[int]] = {}
        self._behind: dict[OrderKey, list[int]] = {}
        self._ready: dict[Lane, dict[int | None, list[int]]] = {lane: {} for lane in Lane}
        self._delayed: list[tuple[int, int]] = []
        self._served: dict[int | None, int] = {}
        self._turn = 0

    @property
    def position(self) -> int:
        """The offset to commit: that of the lowest unfinished command, else the one after the last that was read."""
        return self._span[0] if self._span else self._next

    @property
    def room(self) -> int:
        """How many more commands may be read."""
        return max(0, self._capacity - len(self._span))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._by_id

    def pass_over(self, offset: int) -> None:
        """A record at ``offset`` asks for nothing (already settled, or kept as a dead letter)."""
        self._next = max(self._next, offset + 1)

    def admit(self, entry: Entry, *, begun: bool = False, now: int = 0, not_before: int = 0) -> None:
        """Take in the next command of the topic. ``begun`` where an earlier life may have brought its effect about."""
        place = _Place(entry, order_keys(entry.command), begun=begun, not_before=not_before)
        self._add(place)
        for key in place.keys:
            self._queues.setdefault(key, deque()).append(entry.offset)
            self._behind.setdefault(key, [0] * len(Lane))[entry.command.lane] += 1
        self._offer(place, now)
        for key in place.keys:
            self._hurry(key)

    def admit_in_flight(self, entry: Entry) -> None:
        """Take in a command that is acted upon at once and waits for nobody (``WithdrawCommand``)."""
        self._add(_Place(entry, (), in_flight=True, begun=True))

    def _add(self, place: _Place) -> None:
        offset = place.entry.offset
        if offset < self._next:
            raise ValueError(f"offset {offset} was read before (next is {self._next})")
        self._next = offset + 1
        self._span.append(offset)
        self._places[offset] = place
        self._by_id[place.entry.command_id] = offset

    def pick(self, now: int, lanes: Collection[Lane] = ALL_LANES) -> Entry | None:
        """The command of these lanes to work on next, which then is in flight; ``None`` where none may go."""
        self._wake_delayed(now)
        for lane in Lane:
            if lane not in lanes:
                continue
            organizations = self._ready[lane]
            while organizations:
                # Least recently served first; among those never served, the one whose command is oldest.
                name = min(organizations, key=lambda org: (self._served.get(org, 0), organizations[org][0]))
                place = self._pop(organizations, name)
                if place is not None:
                    self._turn += 1
                    self._served[name] = self._turn
                    place.queued, place.in_flight = False, True
                    return place.entry
        return None

    def _pop(self, organizations: dict[int | None, list[int]], name: int | None) -> _Place | None:
        waiting = organizations[name]
        place = self._places.get(heapq.heappop(waiting))
        if not waiting:
            del organizations[name]
        return place if place is not None and place.queued else None

    def put_back(self, offset: int, *, now: int, not_before: int, begun: bool) -> None:
        """A command in flight waits again, at least until ``not_before``."""
        place = self._places[offset]
        place.in_flight, place.begun, place.not_before = False, begun, not_before
        self._offer(place, now)

    def finish(self, offset: int, *, now: int) -> None:
        """A command is settled, whether it was in flight or waiting: what is next in its order keys may go."""
        place = self._places.pop(offset)
        del self._by_id[place.entry.command_id]
        while self._span and self._span[0] not in self._places:
            self._span.popleft()
        for key in place.keys:
            self._behind[key][place.entry.command.lane] -= 1
            head = self._head(key)
            if head is not None:
                self._offer(self._places[head], now)
            else:
                self._behind.pop(key, None)

    def take_back(self, command_id: str) -> Entry | None:
        """Hold a waiting command for its withdrawal: it is in flight afterwards and nobody picks it.

        ``None`` where that is too late: it is in flight, its call may have happened, or it is not here (any more).
        """
        offset = self._by_id.get(command_id)
        if offset is None:
            return None
        place = self._places[offset]
        if place.in_flight or place.begun:
            return None
        place.in_flight, place.queued = True, False
        return place.entry

    def entry(self, command_id: str) -> Entry | None:
        """An unfinished command by its id."""
        offset = self._by_id.get(command_id)
        return None if offset is None else self._places[offset].entry

    def next_due(self) -> int | None:
        """When the first command that waits for a time may go; ``None`` where none waits for a time."""
        return self._delayed[0][0] if self._delayed else None

    def waiting(self) -> Iterator[Entry]:
        """The commands that are not in flight, oldest first."""
        return (place.entry for place in self._places.values() if not place.in_flight)

    def oldest(self) -> Entry | None:
        """The lowest unfinished command."""
        return self._places[self._span[0]].entry if self._span else None

    def figures(self) -> dict[str, dict[str, int]]:
        """How many commands wait, by lane and by organization."""
        entries = list(self.waiting())
        lanes = Counter(entry.command.lane for entry in entries)
        organizations = Counter(str(entry.command.organization_id or "none") for entry in entries)
        return {
            "by_lane": {lane.name.lower(): lanes[lane] for lane in Lane if lanes[lane]},
            "by_organization": dict(organizations.most_common()),
        }

    def _offer(self, place: _Place, now: int) -> None:
        """Make a command that is first in all of its order keys available: now, or when its time comes."""
        offset = place.entry.offset
        if place.in_flight or place.queued or any(self._head(key) != offset for key in place.keys):
            return
        if place.not_before > now:
            heapq.heappush(self._delayed, (place.not_before, offset))
            return
        place.queued = True
        self._enqueue(place, self._lane(place))

    def _enqueue(self, place: _Place, lane: Lane) -> None:
        place.lane = lane
        heapq.heappush(self._ready[lane].setdefault(place.entry.command.organization_id, []), place.entry.offset)

    def _hurry(self, key: OrderKey) -> None:
        """Something joined a key: what is first there may belong to a more urgent lane now."""
        head = self._head(key)
        place = self._places[head] if head is not None else None
        if place is not None and place.queued and self._lane(place) < place.lane:
            # Its entry in the other lane stays behind and is skipped once the command is no longer queued.
            self._enqueue(place, self._lane(place))

    def _lane(self, place: _Place) -> Lane:
        own = place.entry.command.lane
        if own <= Lane.CREATE:
            return own
        behind = (lane for key in place.keys for lane in Lane if self._behind[key][lane])
        return min(own, *behind)

    def _wake_delayed(self, now: int) -> None:
        due: list[int] = []
        while self._delayed and self._delayed[0][0] <= now:
            due.append(heapq.heappop(self._delayed)[1])
        for place in self._existing(due):
            self._offer(place, now)

    def _existing(self, offsets: Iterable[int]) -> list[_Place]:
        return [self._places[offset] for offset in offsets if offset in self._places]

    def _head(self, key: OrderKey) -> int | None:
        """The first unfinished command of an order key; finished ones are dropped on the way."""
        queue = self._queues.get(key)
        while queue:
            if queue[0] in self._places:
                return queue[0]
            queue.popleft()
        self._queues.pop(key, None)
        return None
