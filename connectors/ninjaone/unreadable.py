"""Rows that cannot be understood go to the dead letters, once each while this process lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from connectors.ninjaone.client import Unreadable
from connectors.personal import without_personal
from connectors.ports import Log
from schemas.identity import derived_id

_LIMIT = 5_000


class UnreadableRows:
    """Reports the unreadable rows of one list. A poller meets the same row every time, an operator once."""

    def __init__(self, log: Log, stage: str) -> None:
        self._log = log
        self._stage = stage
        self._reported: OrderedDict[str, None] = OrderedDict()

    async def report(self, rows: Sequence[Unreadable]) -> None:
        """Publish those that were not reported yet."""
        for row in rows:
            name = derived_id(row.value.hex())
            if name in self._reported:
                continue
            await self._log.publish_dead_letter(
                stage=self._stage, error=row.error, value=without_personal(row.value), headers={}
            )
            self._reported[name] = None
            while len(self._reported) > _LIMIT:
                self._reported.popitem(last=False)
