"""The log of vendor calls: what was asked, what it got, how many ran side by side. Never holds a header or a body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class LoggedCall:
    """One row of ``GET /_sandbox/calls``. ``status`` is ``None`` while under way and when no answer was sent."""

    seq: int
    t: float
    method: str
    path: str
    entity: str
    itemId: str | int | None
    status: int | None
    inflight: int
    auth: str
    refusedWhy: str | None


class CallLog:
    """Calls in the order in which they began; a row appears at once and is completed when the call ends."""

    def __init__(self) -> None:
        self._rows: list[LoggedCall] = []
        self._inflight: defaultdict[str, int] = defaultdict(int)

    def begin(self, *, t: float, method: str, path: str, entity: str, item_id: str | int | None) -> LoggedCall:
        """Open a row; the call counts as in flight for its entity until ``end``."""
        self._inflight[entity] += 1
        row = LoggedCall(
            seq=len(self._rows) + 1,
            t=t,
            method=method,
            path=path,
            entity=entity,
            itemId=item_id,
            status=None,
            inflight=self._inflight[entity],
            auth="none",
            refusedWhy=None,
        )
        self._rows.append(row)
        return row

    def end(self, row: LoggedCall) -> None:
        """The call is over, answered or dropped."""
        self._inflight[row.entity] -= 1

    def inflight(self) -> Mapping[str, int]:
        """Calls under way by entity."""
        return {entity: count for entity, count in self._inflight.items() if count}

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Rows with a greater ``seq``, oldest first."""
        return [asdict(row) for row in self._rows[max(seq, 0) :]]
