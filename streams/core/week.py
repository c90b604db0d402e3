"""Hours of the week in a time zone: from an instant to the local weekday and minute, by a table that the policy carries.

The core reads no files, so it cannot ask a time zone database. Publishing a policy puts the offsets of its zones into
the document (``streams.zones``): the same revision always decides the same way, whatever database a machine has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

#: A zone: from when (epoch seconds) which offset to UTC (seconds) holds, ascending.
Offsets = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A weekday (0 is Monday) and the minutes since its midnight, on the clock of some place."""

    day: int
    minute: int


def offset_at(seconds: int, offsets: Offsets) -> int:
    """The offset (seconds) at an instant (epoch seconds). Before the table's beginning its first one holds."""
    position = bisect_right(offsets, seconds, key=lambda row: row[0])
    return offsets[max(position - 1, 0)][1]


def weekday_of(days: int) -> int:
    """The weekday (0 is Monday) of a day, counted from 1970-01-01, which was a Thursday."""
    return (days + 3) % 7


def local(at: int, offsets: Offsets) -> Moment:
    """What the clock of a zone shows at an instant (epoch ms)."""
    seconds = at // 1000
    days, rest = divmod(seconds + offset_at(seconds, offsets), DAY_MINUTES * 60)
    return Moment(weekday_of(days), rest // 60)


def within(moment: Moment, days: frozenset[int], start: int, end: int) -> bool:
    """Whether a moment lies in the hours that begin on one of ``days``: ``start`` to ``end``, in minutes since midnight.

    ``end`` is not part of it; where it is not after ``start``, it is the next day's.
    """
    if start < end:
        return moment.day in days and start <= moment.minute < end
    return (moment.day in days and moment.minute >= start) or ((moment.day - 1) % 7 in days and moment.minute < end)


def minutes_of(days: frozenset[int], start: int, end: int) -> set[int]:
    """The minutes of the week, counted from Monday's midnight, that these hours hold."""
    length = (end - start) % DAY_MINUTES or DAY_MINUTES
    return {(day * DAY_MINUTES + start + minute) % (7 * DAY_MINUTES) for day in days for minute in range(length)}
