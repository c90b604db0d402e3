"""Due times of state documents: which are pending in a partition, and which have come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.ports import Due

#: A fired timer is said again when it is still pending after this long: its fact may stand in a long queue, but it may
#: also be lost with a record that an operator dismissed. The id is derived, so saying it twice changes nothing.
REPEAT_AFTER_MS = 60_000


class PendingTimer(NamedTuple):
    """One due time of one state document (``at`` in epoch ms)."""

    at: int
    key: bytes
    timer: str


class PendingTimers:
    """The pending timers of one partition, by state key.

    The heap may hold entries that were replaced since; they are recognised when they come up.
    """

    def __init__(self) -> None:
        self._by_key: dict[bytes, frozenset[Due]] = {}
        self._heap: list[PendingTimer] = []
        self._fired: dict[PendingTimer, int] = {}

    def replace(self, key: bytes, dues: Iterable[Due]) -> None:
        """``dues`` is the complete set of pending timers of ``key`` from now on."""
        wanted = frozenset(dues)
        known = self._by_key.get(key, frozenset())
        for due in wanted - known:
            heapq.heappush(self._heap, PendingTimer(due.at, key, due.timer))
        for due in known - wanted:
            self._fired.pop(PendingTimer(due.at, key, due.timer), None)
        if wanted:
            self._by_key[key] = wanted
        else:
            self._by_key.pop(key, None)

    def due(self, now: int, *, elapsed_ms: int) -> Iterator[PendingTimer]:
        """What has come at ``now`` and was not said within the last minute.

        ``elapsed_ms`` is a steady clock, because ``now`` may follow a sandbox that jumps. Call ``said`` for each that
        is on the broker.
        """
        again = [entry for entry, at in self._fired.items() if elapsed_ms - at >= REPEAT_AFTER_MS]
        yield from again
        while self._heap and self._heap[0].at <= now:
            entry = heapq.heappop(self._heap)
            if self._is_pending(entry) and entry not in self._fired:
                self._fired[entry] = elapsed_ms
                yield entry

    def said(self, entry: PendingTimer, *, elapsed_ms: int) -> None:
        """``entry`` is on the broker since ``elapsed_ms``."""
        if entry in self._fired:
            self._fired[entry] = elapsed_ms

    def unsaid(self, entry: PendingTimer) -> None:
        """``entry`` could not be published: it is due again at once."""
        if self._fired.pop(entry, None) is not None and self._is_pending(entry):
            heapq.heappush(self._heap, entry)

    def __len__(self) -> int:
        return sum(len(dues) for dues in self._by_key.values())

    def _is_pending(self, entry: PendingTimer) -> bool:
        return Due(entry.at, entry.timer) in self._by_key.get(entry.key, frozenset())
