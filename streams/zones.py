"""Time zones as tables of offsets, from the pinned package ``tzdata`` and never from the machine's own database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

#: What a table covers. After its end the last offset holds; a policy that is published until then gets a longer one.
_FIRST, _LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)


@cache
def zone_names() -> frozenset[str]:
    """Every zone there is, by its name in the time zone database (``Europe/Berlin``)."""
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def offsets_of(name: str) -> list[list[int]]:
    """A zone's table: ``[epoch second from which it holds, offset to UTC in seconds]``. Raises ``KeyError``."""
    if name not in zone_names():
        raise KeyError(name)
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        zone = ZoneInfo.from_file(file, key=name)
    rows = [[int(_FIRST.timestamp()), _offset(_FIRST, zone)]]
    day = _FIRST
    while day < _LAST:
        following = day + timedelta(days=1)
        if _offset(following, zone) != rows[-1][1]:
            change = _change_between(day, following, zone)
            rows.append([int(change.timestamp()), _offset(change, zone)])
        day = following
    return rows


def zones_in(document: Any) -> dict[str, list[list[int]]]:
    """The tables of all zones that a policy document names; a name that is none is left out, and refused elsewhere."""
    return {name: offsets_of(name) for name in sorted({*_named(document)}) if name in zone_names()}


def _named(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "timezone" and isinstance(value, str):
                yield value
            else:
                yield from _named(value)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value)


def _offset(at: datetime, zone: ZoneInfo) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second of the offset that holds at ``after``."""
    wanted = _offset(after, zone)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == wanted:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)
