"""A log without a broker, for what reads it from the beginning: the recorded run of a whole Lockstep, or scenes of the core."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from schemas.audit import AuditRecord
from schemas.tables import TABLES
from schemas.topics import AUDIT
from streams.analytics.export import Exported, export
from streams.analytics.folder import Choice, Folder
from streams.drill.evidence import Evidence, kept
from streams.ports import InputRecord
from streams.readers import Offsets
from tests.faults.record import HEALTHY

Row = dict[str, Any]


class RecordedLog:
    """Records as an export's source. ``add`` more at any time, ``forget`` the oldest as retention does."""

    def __init__(self, records: Iterable[InputRecord] = ()) -> None:
        self._records = list(records)
        self._firsts: dict[tuple[str, int], int] = {}

    def add(self, records: Iterable[InputRecord]) -> None:
        self._records += records

    def forget(self, topic: str, partition: int, before: int) -> None:
        self._firsts[topic, partition] = before

    async def ends(self, *topics: str) -> tuple[Offsets, Offsets]:
        ends: dict[tuple[str, int], int] = {}
        for record in self._records:
            if record.topic in topics:
                place = record.topic, record.partition
                ends[place] = max(ends.get(place, 0), record.offset + 1)
        return {place: self._firsts.get(place, 0) for place in ends}, ends

    async def records(self, *topics: str, start: Offsets) -> AsyncIterator[InputRecord]:
        for record in list(self._records):
            place = record.topic, record.partition
            if record.topic in topics and record.offset >= max(start.get(place, 0), self._firsts.get(place, 0)):
                yield record


@functools.cache
def evidence() -> Evidence:
    """The recorded run."""
    return kept(HEALTHY)


def month() -> str:
    """The month in which the run was recorded, as ``2026-11``."""
    first = orjson.loads(evidence().topics[AUDIT][0].value or b"")["recorded_at"]
    return datetime.fromtimestamp(first / 1000, tz=UTC).strftime("%Y-%m")


def recorded() -> RecordedLog:
    """Its whole log."""
    return RecordedLog(record for records in evidence().topics.values() for record in records)


def audit_of(records: Iterable[AuditRecord], first: int = 0, partition: int = 0) -> list[InputRecord]:
    """Decisions of a scene as they would stand in the audit, in one partition."""
    return [
        InputRecord(AUDIT, partition, first + place, record.key.encode(), record.to_json(), (), record.recorded_at)
        for place, record in enumerate(records)
    ]


async def exported(log: RecordedLog, path: Path, *, batch_records: int = 1000, **choice: Any) -> Exported:
    """One run of an export into a folder; all tables, unless told otherwise."""
    with Folder.open(path, Choice(**{"format": "jsonl", "tables": tuple(TABLES), **choice})) as folder:
        return await export(log, folder, batch_records=batch_records)


def rows_of(path: Path, table: str | None = None) -> list[Row]:
    """What a reader of the folder sees, in any order: the rows of a table, or all rows with their table."""
    found = []
    for file in sorted(path.glob(f"{table or '*'}/day=*/*.jsonl")):
        for line in file.read_bytes().splitlines():
            row = orjson.loads(line)
            found.append(row if table else {"table": file.parts[-3], "day": file.parts[-2], **row})
    return found


def as_set(rows: list[Row]) -> set[bytes]:
    """Rows without their order; fails where one stands twice."""
    found = {orjson.dumps(row) for row in rows}
    assert len(found) == len(rows)
    return found
