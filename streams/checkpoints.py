"""A daily checkpoint of every state document, so that the log can be gone through from where the audit begins after retention.

A state topic keeps the last documents only, and the audit the last 400 days. So once a day the worker that forwards between agents reads the state
topics and writes what stands there to ``checkpoints``, partition by partition: compressed bundles of documents that say which
checkpoint they belong to. A slice commits its audit records and its documents together, so what is read to a committed end is the state after
a certain record. Checkpoints are kept as long as the audit; the earliest complete one that the audit goes on from counts.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from schemas.envelope import rfc3339
from schemas.topics import AGENT_STATE, AUDIT, CHECKPOINTS, CURSORS
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.ports import InputRecord, OutputRecord
from streams.readers import ReadError, end_offsets, first_offsets, read_all
from streams.views import state_documents

DAY_MS = 24 * 3_600_000
#: How often it is looked whether a day has passed, in seconds.
LOOK_S = 60.0
CURSOR = "checkpoint"
#: Documents of so many bytes are one record.
_BUNDLE = 1024 * 1024

log = logging.getLogger("lockstep.checkpoints")

Documents = dict[str, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One partition at a moment: ``documents`` by agent and key after every audit record before ``audit`` (and perhaps some more)."""

    at: int
    audit: int
    documents: Documents


async def take(options: KafkaOptions, kafka: KafkaLog, *, at: int) -> int:
    """Write a checkpoint of every partition; returns how many documents there are. Raises ``ReadError``, ``LogError``."""
    written = 0
    for (_, partition), end in sorted((await end_offsets(options, AUDIT)).items()):
        found = {agent: (await state_documents(options, agent, partition)).get(partition, {}) for agent in AGENT_STATE}
        await kafka.write(records_of(Checkpoint(at=at, audit=end, documents=found), partition))
        written += sum(map(len, found.values()))
    return written


def records_of(checkpoint: Checkpoint, partition: int) -> list[OutputRecord]:
    """The records of a checkpoint."""
    bundles = list(_bundles(checkpoint.documents)) or [b""]
    about = [("at", str(checkpoint.at).encode()), ("audit", str(checkpoint.audit).encode())]
    return [
        OutputRecord(
            CHECKPOINTS,
            partition,
            b"checkpoint",
            gzip.compress(bundle, mtime=0),
            [*about, ("bundle", str(number).encode()), ("of", str(len(bundles)).encode())],
        )
        for number, bundle in enumerate(bundles)
    ]


def _bundles(documents: Documents) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for agent, found in documents.items():
        for key, document in sorted(found.items()):
            line = orjson.dumps({"agent": agent, "key": key.decode(), "document": document.decode()}) + b"\n"
            if lines and size + len(line) > _BUNDLE:
                yield b"".join(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
    if lines:
        yield b"".join(lines)


class Gatherer:
    """Shown the records of ``checkpoints`` of one partition in order: the first whole checkpoint that is late enough."""

    def __init__(self, begin: int) -> None:
        self._begin = begin
        self._open: dict[int, dict[int, bytes]] = {}

    def take(self, record: InputRecord) -> Checkpoint | None:
        """The checkpoint that this record completes, if it is of the audit's beginning or later."""
        about = dict(record.headers)
        at, audit = int(about["at"]), int(about["audit"])
        if audit < self._begin:
            return None
        bundles = self._open.setdefault(at, {})
        bundles[int(about["bundle"])] = record.value or b""
        if len(bundles) < int(about["of"]):
            return None
        documents: Documents = {agent: {} for agent in AGENT_STATE}
        for bundle in bundles.values():
            for line in gzip.decompress(bundle).splitlines():
                row = orjson.loads(line)
                documents[row["agent"]][row["key"].encode()] = row["document"].encode()
        return Checkpoint(at=at, audit=audit, documents=documents)


async def beginning(options: KafkaOptions, partition: int) -> Checkpoint | None:
    """What the kept audit of a partition goes on from; ``None`` where it is all there. Raises ``ReadError`` where nothing is known of it."""
    begin = (await first_offsets(options, AUDIT))[AUDIT, partition]
    if begin == 0:
        return None
    gatherer = Gatherer(begin)
    async with aclosing(read_all(options, CHECKPOINTS, partitions=[partition])) as records:
        async for record in records:
            found = gatherer.take(record)
            if found is not None:
                return found
    raise ReadError(
        f"audit[{partition}] begins at {begin} (retention) and no checkpoint is of then or later, "
        "so the state that it goes on from is not known: the next daily checkpoint will be"
    )


def begins(partition: int, checkpoint: Checkpoint) -> str:
    """Where a partition begins, for people."""
    return f"audit[{partition}] begins after retention: from the checkpoint of {rfc3339(checkpoint.at)} on"


class Checkpointer:
    """``run`` until cancelled; writes a checkpoint a day while ``active`` is set. Trouble is a warning and another attempt."""

    def __init__(self, options: KafkaOptions, kafka: KafkaLog, now: Callable[[], int]) -> None:
        self.active = asyncio.Event()
        self._options = options
        self._kafka = kafka
        self._now = now
        #: When it is looked next whether one is due (epoch ms): as long as the last one is young there is nothing to read.
        self._due = 0

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.active.wait()
            try:
                await self.look(lambda at: take(self._options, self._kafka, at=at))
            except (ReadError, LogError) as error:
                log.warning("the daily checkpoint waits: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self, write: Callable[[int], Awaitable[int]]) -> None:
        """Write one if the last is a day old. The day begins with the first look: until then nothing can have been lost."""
        now = self._now()
        if now < self._due:
            return
        last = (await self._kafka.remembered(CURSORS)).get(CURSOR)
        if last is not None and now - int(last) < DAY_MS:
            self._due = int(last) + DAY_MS
            return
        if last is not None:
            log.info("checkpoint of %d documents", await write(now))
        await self._kafka.remember(CURSORS, CURSOR, str(now).encode())
        self._due = now + DAY_MS
