"""Where things happen: the organization, location and device of a key, as its facts showed them last.

Many decisions (a timer, an outcome, a ticket that was seen) do not say where; the audit's order of a partition does. So what is
known of a key depends on the log alone, and a reader that goes on in the middle needs what was known there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.tables import PLACE

#: The values of ``schemas.tables.PLACE``, in its order.
Place = tuple[int | str | None, ...]

_NAMES = tuple(column.name for column in PLACE)
_NOWHERE: Place = (None,) * len(_NAMES)
_DEVICE = _NAMES.index("device_id")
_ORGANIZATION = _NAMES.index("organization_id")


class Places:
    """What is known by key. ``changed``: whether anything was learned since it was last set to false."""

    def __init__(self, known: Mapping[str, Place] | None = None) -> None:
        self._known: dict[str, Place] = dict(known or {})
        self.changed = False

    def learn(self, key: str, subject: Mapping[str, Any]) -> None:
        """A fact of this key showed where it happened (``schemas.facts.Subject`` as JSON data)."""
        place = tuple(_shared(subject.get(name)) for name in _NAMES)
        if self._known.get(key) != place:
            self._known[key] = place
            self.changed = True

    def of(self, key: str) -> dict[str, int | str | None]:
        """The columns of the place; a device that was never seen still has its id."""
        place = self._known.get(key, _NOWHERE)
        found = dict(zip(_NAMES, place, strict=True))
        if found["device_id"] is None and key.isdigit():
            found["device_id"] = int(key)
        return found

    def ids(self, key: str) -> tuple[int | str | None, int | str | None]:
        """Organization and device of a key."""
        place = self._known.get(key, _NOWHERE)
        return place[_ORGANIZATION], place[_DEVICE] if not key.isdigit() else int(key)

    def rows(self) -> Iterator[list[int | str | None]]:
        """Everything known, to be kept: key and place."""
        for key, place in self._known.items():
            yield [key, *place]

    @classmethod
    def kept(cls, rows: Iterator[list[Any]]) -> Places:
        """What ``rows`` said. Raises ``ValueError`` for a row of another shape."""
        known: dict[str, Place] = {}
        for key, *place in rows:
            if not isinstance(key, str) or len(place) != len(_NAMES):
                raise ValueError(f"{[key, *place]} is no place")
            known[key] = tuple(_shared(value) for value in place)
        return cls(known)


def _shared(value: Any) -> int | str | None:
    # Names of organizations, locations and roles are those of thousands of devices: one copy of each is enough.
    if isinstance(value, str):
        return sys.intern(value) if value else None
    return value if isinstance(value, int) else None
