"""The instants of weekly windows in a zone's table of offsets (``streams.core.week``). Pure.

Local times follow the clock on the wall: a time that a change of the clock skips lies as much later as the clock moved;
of a time that occurs twice a window begins with the first and ends with the second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from streams.core.week import DAY_MINUTES, Offsets, offset_at, weekday_of

_DAY_S = DAY_MINUTES * 60


class Weekly(Protocol):
    """A window that comes every week: on ``days`` (0 = Monday), from ``start`` to ``end`` in minutes of the local day.

    An ``end`` that is not after ``start`` is on the next day; ``days`` are those on which the window begins.
    """

    @property
    def days(self) -> Collection[int]: ...

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


def end_of(window: Weekly, at_ms: int, offsets: Offsets) -> int | None:
    """When (epoch ms) the window ends that an instant lies in: its begin belongs to it, its end does not.

    ``None`` outside of it. Of two that overlap (a whole day and its next, on a day of 25 hours) the later end counts.
    """
    found = [end for begin, end in _around(window, at_ms, offsets) if begin <= at_ms < end]
    return max(found, default=None)


def _around(window: Weekly, at_ms: int, offsets: Offsets) -> Iterator[tuple[int, int]]:
    """The windows that begin today or yesterday, by the local date; none is longer than a day."""
    today = (at_ms // 1000 + offset_at(at_ms // 1000, offsets)) // _DAY_S
    length = (window.end - window.start) % DAY_MINUTES or DAY_MINUTES
    for day in (today - 1, today):
        if weekday_of(day) in window.days:
            begin = day * _DAY_S + window.start * 60
            yield _instants(begin, offsets)[0] * 1000, _instants(begin + length * 60, offsets)[1] * 1000


def _instants(wall: int, offsets: Offsets) -> tuple[int, int]:
    """The first and the last instant (epoch seconds) at which a zone's clock shows ``wall``, its seconds as if in UTC.

    A zone changes its clock at most once in two days, so what holds a day before and a day after is all there is.
    """
    before, after = (offset_at(wall + near, offsets) for near in (-_DAY_S, _DAY_S))
    shown = [wall - offset for offset in (before, after) if offset_at(wall - offset, offsets) == offset]
    return (min(shown), max(shown)) if shown else (wall - before, wall - before)
