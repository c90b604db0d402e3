"""``export``: the log since where the folder stands, in batches, as rows of tables. Bounded memory, whatever the log's size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.envelope import rfc3339
from schemas.topics import AUDIT
from streams.analytics.folder import Choice, Folder
from streams.analytics.formats import ExportError, Writer, writer_of
from streams.core.analytics.decided import NoRecord, Row
from streams.core.analytics.rows import rows_of_decision, rows_of_fact, topics_of
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import Offsets, ReadError, end_offsets, first_offsets, read_all
from streams.replay.partitions import BREATHE

#: So many records are in memory at once, at most; with their rows about 100 MB.
BATCH_RECORDS = 20_000


class Source(Protocol):
    """The log, as an export reads it."""

    async def ends(self, *topics: str) -> tuple[Offsets, Offsets]:
        """The first offset that is kept and the next one to be written, by topic and partition."""
        ...

    def records(self, *topics: str, start: Offsets) -> AsyncIterator[InputRecord]:
        """Every record from ``start`` to the end as it is now; each partition in order."""
        ...


@dataclass(frozen=True, slots=True)
class KafkaSource:
    """The committed records of a cluster. Raises ``ReadError``."""

    options: KafkaOptions

    async def ends(self, *topics: str) -> tuple[Offsets, Offsets]:
        """See ``Source``."""
        return await first_offsets(self.options, *topics), await end_offsets(self.options, *topics)

    def records(self, *topics: str, start: Offsets) -> AsyncIterator[InputRecord]:
        """See ``Source``."""
        return read_all(self.options, *topics, start=start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a run came to: records read and rows written by it, by table; ``missed``: records that were gone already."""

    records: int
    rows: Mapping[str, int]
    missed: int


async def export(
    source: Source,
    folder: Folder,
    *,
    batch_records: int = BATCH_RECORDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: asyncio.Event | None = None,
) -> Exported:
    """Everything from where the folder stands to the log's end as it is now, or until ``stop`` is set.

    Raises ``ReadError``, ``OSError``, ``ExportError``: another log than the folder's. What was committed before stays.
    """
    choice = folder.manifest.choice
    topics = topics_of(choice.tables)
    firsts, ends = await source.ends(*topics)
    start = {**firsts, **folder.manifest.offsets()}
    for place, at in start.items():
        if at > ends.get(place, 0):
            raise ExportError(
                f"{folder.path}: stands at {place[0]}[{place[1]}]@{at}, but Kafka ends at {ends.get(place, 0)}: "
                "this is another log; take another folder"
            )
    missed = sum(max(0, firsts[place] - at) for place, at in start.items())
    before = dict(folder.manifest.rows)
    batch = _Batch(folder, writer_of(choice.format), missed)
    total = sum(end - max(start[place], firsts[place]) for place, end in ends.items())
    seen = 0
    async for raw in source.records(*topics, start=start):
        batch.take(raw)
        seen += 1
        if seen % BREATHE == 0:
            progress(seen, total)
            await asyncio.sleep(0)
            if stop is not None and stop.is_set():
                break
        if batch.records >= batch_records:
            batch.commit()
    else:
        batch.reached(ends)
    batch.commit()
    rows = {name: folder.manifest.rows.get(name, 0) - before.get(name, 0) for name in choice.tables}
    return Exported(records=seen, rows=rows, missed=missed)


class _Batch:
    """What was read since the last commit."""

    def __init__(self, folder: Folder, writer: Writer, missed: int) -> None:
        self.records = 0
        self._folder = folder
        self._writer = writer
        self._missed = missed
        self._choice = folder.manifest.choice
        self._rows: dict[tuple[str, str], list[Row]] = {}
        self._positions: dict[tuple[str, int], int] = {}

    def take(self, raw: InputRecord) -> None:
        """The rows of one more record."""
        for table, row in self._found(raw):
            if _wanted(self._choice, table, row):
                self._rows.setdefault((table, rfc3339(row["recorded_at"])[:10]), []).append(row)
        self._positions[raw.topic, raw.partition] = raw.offset + 1
        self.records += 1

    def reached(self, ends: Offsets) -> None:
        """Everything before these was read: also the markers of transactions, which retention may remove unmissed."""
        for place, end in ends.items():
            self._positions[place] = max(end, self._positions.get(place, 0))

    def commit(self) -> None:
        """Write what there is, if anything was read. Raises ``ExportError``."""
        if self.records or self._missed:
            try:
                self._folder.commit(self._writer, self._rows, self._positions, self._missed)
            except OSError as error:
                raise ExportError(
                    f"{self._folder.path}: cannot be written: {error.strerror}; what was committed stays, run it again to go on"
                ) from None
        self.records, self._missed = 0, 0
        self._rows, self._positions = {}, {}

    def _found(self, raw: InputRecord) -> list[tuple[str, Row]]:
        tables = self._choice.tables
        if raw.topic != AUDIT:
            return list(rows_of_fact(raw.topic, raw.partition, raw.offset, raw.headers, raw.value, tables))
        try:
            return list(rows_of_decision(raw.partition, raw.offset, raw.value or b"", tables, self._folder.places))
        except NoRecord:
            raise ReadError(
                f"audit[{raw.partition}]@{raw.offset} is not an audit record: `lockstep audit verify` says what is wrong"
            ) from None


def _wanted(choice: Choice, table: str, row: Row) -> bool:
    """Whether a row is asked for. A connection's health is everybody's."""
    if choice.since is not None and row["recorded_at"] < choice.since:
        return False
    if table == "health":
        return True
    if choice.organization is not None and row.get("organization_id") != choice.organization:
        return False
    return choice.device is None or row.get("device_id") == choice.device


async def follow(
    source: Source,
    folder: Folder,
    *,
    stop: asyncio.Event,
    every: float,
    batch_records: int = BATCH_RECORDS,
    told: Callable[[Exported], None],
    trouble: Callable[[str], None],
) -> None:
    """Export again and again, ``every`` so many seconds, until ``stop``. A broker that is away for a while is waited for."""
    troubled = ""
    while not stop.is_set():
        try:
            found = await export(source, folder, batch_records=batch_records, stop=stop)
        except ReadError as error:
            if str(error) != troubled:
                trouble(str(error))
            troubled = str(error)
        else:
            troubled = ""
            told(found)
        try:
            await asyncio.wait_for(stop.wait(), every)
        except TimeoutError:
            continue
