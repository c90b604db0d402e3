"""The history of a sandbox: every change of its rows, whoever made it."""

from __future__ import annotations

from typing import Any, Literal

from connectors.sandbox.clock import Clock

By = Literal["api", "control", "vendor"]


class Journal:
    """Rows ``{seq, t, entity, id, what, by, before?, after?}``; ``vendor`` is what the simulated vendor did by itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: list[dict[str, Any]] = []

    def record(
        self,
        *,
        entity: str,
        item: str | int,
        what: str,
        by: By,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """Add a row; ``before`` and ``after`` hold the changed fields (or the whole row) and are left out when ``None``."""
        row: dict[str, Any] = {
            "seq": len(self._rows) + 1,
            "t": self._clock.now(),
            "entity": entity,
            "id": item,
            "what": what,
            "by": by,
        }
        if before is not None:
            row["before"] = before
        if after is not None:
            row["after"] = after
        self._rows.append(row)

    def since(self, seq: int = 0) -> list[dict[str, Any]]:
        """Rows with a greater ``seq``, oldest first."""
        return self._rows[max(seq, 0) :]
