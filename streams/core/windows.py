"""Windows of time: weekly ones in a time zone. Pure, but for the time zone database that Python reads.

The instants of a window depend on the release of that database (``docs/decisions/0008``): the same release, the same
answers. Local times follow the clock on the wall: a time that a change of the clock skips lies as much later as the
clock moved; of a time that occurs twice a window begins with the first and ends with the second.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAY = timedelta(days=1)
_MINUTES = 24 * 60
#: A week ahead and the day before, whose window may reach over midnight.
_NEAR = range(-1, 9)


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

    @property
    def timezone(self) -> str: ...


def known_zone(name: str) -> bool:
    """Whether the time zone database has this name (``Europe/Berlin``)."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def in_weekly(window: Weekly, at_ms: int) -> bool:
    """Whether an instant (epoch ms) lies in the window: its begin belongs to it, its end does not."""
    return any(begin <= at_ms < end for begin, end in _around(window, at_ms))


def next_end(window: Weekly, at_ms: int) -> int:
    """When (epoch ms) the window ends that an instant lies in; outside of one, the next one's end. Always later."""
    # A window between two instants of one week exists as soon as it has a day, which its format asks for.
    return min(end for _, end in _around(window, at_ms) if end > at_ms)


def _around(window: Weekly, at_ms: int) -> list[tuple[int, int]]:
    zone = ZoneInfo(window.timezone)
    today = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()
    length = window.end - window.start
    return [
        _instants(window.timezone, day, window.start, length if length > 0 else length + _MINUTES)
        for day in (today + _DAY * offset for offset in _NEAR)
        if day.weekday() in window.days
    ]


@lru_cache(maxsize=4096)
def _instants(timezone: str, day: date, start: int, length: int) -> tuple[int, int]:
    zone = ZoneInfo(timezone)
    # Reckoned as on the wall: the zone is put in its place only when the time is known.
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=start)
    end = begin + timedelta(minutes=length)
    return _epoch(begin, zone, 0), max(_epoch(end, zone, 0), _epoch(end, zone, 1))


def _epoch(local: datetime, zone: ZoneInfo, fold: int) -> int:
    return round(local.replace(tzinfo=zone, fold=fold).timestamp() * 1000)
