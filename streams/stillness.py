"""How long a partition that has work has not moved: what the stuck detectors of workers and executors count. Pure."""

from __future__ import annotations

from collections.abc import Mapping


class Stillness:
    """For how long each input partition has had work and not moved. It is told what was seen, and when."""

    def __init__(self, *, longest_look_s: float) -> None:
        self._longest_look_s = longest_look_s
        self._places: dict[tuple[str, int], int] = {}
        self._still: dict[tuple[str, int], float] = {}

    def seen(self, places: Mapping[tuple[str, int], tuple[int, int]], seconds: float) -> dict[tuple[str, int], float]:
        """Take one look (``where -> (next offset, end)``), ``seconds`` after the last; answer who stands still since.

        A look counts for at most ``longest_look_s``: a process that was stopped for a minute stood still itself. What is
        not among ``places`` (paused on purpose, given up, not known) begins anew.
        """
        counted = min(seconds, self._longest_look_s)
        still: dict[tuple[str, int], float] = {}
        for where, (offset, end) in places.items():
            if offset < end and self._places.get(where) == offset:
                still[where] = self._still.get(where, 0.0) + counted
        self._places = {where: offset for where, (offset, _) in places.items()}
        self._still = still
        return still
