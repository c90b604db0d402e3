"""A bounded memory of what was told already."""

from __future__ import annotations

from collections import OrderedDict


class Seen:
    """The last so many ids that were published and acknowledged: what was told is not told again."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, identity: str) -> bool:
        return identity in self._ids

    def add(self, identity: str) -> None:
        """Remember an id; the oldest one is forgotten beyond the capacity."""
        self._ids[identity] = None
        self._ids.move_to_end(identity)
        while len(self._ids) > self._capacity:
            self._ids.popitem(last=False)
