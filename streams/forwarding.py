"""Forwards what one agent tells another: from ``handoffs``, written in a slice's transaction, to the topic that the other reads.

Topics that agents read are written without transactions, so that their offsets have no gaps; what an agent says is part of
its slice's transaction, so that it is said exactly when the slice is decided. Between the two stands this: at least once, in
order per key, the same bytes and ids, so that a reader knows what it has read. The place is remembered (topic ``cursors``, key
``handoffs``) after the broker has what was forwarded; whoever goes on there repeats at most what came after it.

One worker does it, the one that holds the first partition of the agent ``storms``: no group of its own is needed, and two that do it
for a moment (while a partition moves) only repeat. While nobody does, what is told is late and never lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from schemas.identity import partition_of
from schemas.topics import CURSORS, DEAD_LETTERS, FOR_TOPIC, HANDOFFS, STORM_CANDIDATES, STORM_VERDICTS
from streams.dead_letters import dead_letter_headers
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.ports import InputRecord, OutputRecord
from streams.readers import ReadError, last_values, read_all, tail

#: What is written at once, and remembered once.
BATCH = 500
#: How soon it is noticed that somebody else forwards now.
LOOK_S = 1.0
AGAIN_S = 1.0
CURSOR = "handoffs"
RECEIVERS = (STORM_CANDIDATES, STORM_VERDICTS)

log = logging.getLogger("lockstep.forwarding")


class Forwarder:
    """``run`` until cancelled; forwards while ``active`` is set. Broker trouble is a warning and another attempt."""

    def __init__(self, options: KafkaOptions, kafka: KafkaLog, *, prefix: str = "") -> None:
        self.active = asyncio.Event()
        self.forwarded = 0
        self._options = options
        self._kafka = kafka
        self._prefix = prefix
        self._last_error = ""

    def figures(self) -> dict[str, Any]:
        """For ``status``: what was forwarded since the start, and what went wrong last."""
        return {"active": self.active.is_set(), "forwarded": self.forwarded, "last_error": self._last_error or None}

    async def run(self) -> None:
        """Forward for ever."""
        while True:
            await self.active.wait()
            try:
                await self._follow()
            except (ReadError, LogError) as error:
                self._last_error = str(error)
                log.warning("what agents tell each other waits: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        """From the remembered place on, until somebody else does."""
        place = int((await self._kafka.remembered(self._prefix + CURSORS)).get(CURSOR, b"0"))
        waiting: asyncio.Queue[InputRecord] = asyncio.Queue(maxsize=2 * BATCH)
        reading = asyncio.create_task(self._read(place, waiting))
        try:
            while self.active.is_set():
                batch = await _taken(waiting)
                if batch:
                    await self._forward(batch)
                elif reading.done():
                    return reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, place: int, waiting: asyncio.Queue[InputRecord]) -> None:
        topic = self._prefix + HANDOFFS
        # Closed at once when somebody else forwards: a reader that is only let go of keeps its connection.
        reader = tail(self._options, topic, start={(topic, 0): place}, from_beginning=True)
        async with contextlib.aclosing(cast(AsyncGenerator[InputRecord, None], reader)) as records:
            async for record in records:
                await waiting.put(record)

    async def _forward(self, batch: Sequence[InputRecord]) -> None:
        sizes = {topic: await self._kafka.partitions(self._prefix + topic) for topic in RECEIVERS}
        await self._kafka.write([forwarded(record, sizes, prefix=self._prefix) for record in batch])
        await self._kafka.remember(self._prefix + CURSORS, CURSOR, str(batch[-1].offset + 1).encode())
        self.forwarded += len(batch)


async def unforwarded(options: KafkaOptions) -> int:
    """How many facts of one agent for another have not been forwarded yet. Raises ``ReadError``."""
    place = int((await last_values(options, CURSORS)).get(CURSOR, b"0"))
    return len([record async for record in read_all(options, HANDOFFS, start={(HANDOFFS, 0): place})])


def forwarded(record: InputRecord, partitions: dict[str, int], *, prefix: str = "") -> OutputRecord:
    """The record as its receiver reads it. One that names no receiver is kept as a dead letter."""
    receiver = next((value.decode() for name, value in record.headers if name == FOR_TOPIC), "")
    if receiver not in partitions:
        error = ValueError(f"header {FOR_TOPIC} names no topic that an agent reads: '{receiver}'")
        headers = dead_letter_headers(record, stage="forward", error=error, at=record.timestamp)
        return OutputRecord(prefix + DEAD_LETTERS, 0, record.key, record.value, headers)
    headers = [header for header in record.headers if header[0] != FOR_TOPIC]
    return OutputRecord(
        prefix + receiver, partition_of(record.key or b"", partitions[receiver]), record.key, record.value, headers
    )


async def _taken(waiting: asyncio.Queue[InputRecord]) -> list[InputRecord]:
    """What waits, at most a batch of it; nothing where nothing came for a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            taken = [await waiting.get()]
            while len(taken) < BATCH and not waiting.empty():
                taken.append(waiting.get_nowait())
            return taken
    return []
