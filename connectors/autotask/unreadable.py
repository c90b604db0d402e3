"""Rows of a poll that cannot be understood: told as dead letters once each, so that one odd row never stops the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from connectors.autotask.seen import Seen
from connectors.personal import without_personal
from connectors.ports import Log
from schemas.autotask import Wire
from schemas.identity import derived_id

W = TypeVar("W", bound=Wire)


class RowReader:
    """Reads the rows of one list. A poller meets the same odd row every time, an operator once while this process lives."""

    def __init__(self, log: Log, stage: str) -> None:
        self._log = log
        self._stage = stage
        self._reported = Seen(5_000)

    async def read(self, model: type[W], rows: Sequence[Any]) -> list[W]:
        """The rows that fit; the others are kept as dead letters. Raises what the log raises."""
        read: list[W] = []
        for row in rows:
            try:
                read.append(model.model_validate(row))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(part) for part in first["loc"]) or "the row"
                await self._report(orjson.dumps(row), f"{where}: {first['msg']}")
        return read

    async def _report(self, value: bytes, error: str) -> None:
        identity = derived_id(value.hex())
        if identity not in self._reported:
            await self._log.publish_dead_letter(
                stage=self._stage, error=error, value=without_personal(value), headers={}
            )
            self._reported.add(identity)
