"""Topic ``attempts``, written in transactions under one id per command topic: whoever opens it last may write.

A fenced executor cannot write its attempt, so it cannot begin a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer import sender

from streams.executor.attempt import Attempt, Position, Remembered, Told, key_of
from streams.executor.settings import ExecutorSettings
from streams.kafka_options import MAX_RECORD_BYTES

Record = Attempt | Told | Position

#: A killed owner's open transaction holds all readers of the topic back until the next owner opens the producer or this
#: passes. A transaction takes 5 to 30 ms, so 15 s is far above any.
TRANSACTION_TIMEOUT_MS = 15_000
#: How long a record that nobody waits for may stay in memory; most go out earlier, with one that somebody waits for.
LINGER_S = 0.5
#: aiokafka waits 20 ms where the broker still writes the end of the last transaction of one id, which takes 1 to 5 ms. A
#: command needs two transactions one after the other and four share the way, so 20 commands a second would fill it.
BACK_OFF_S = 0.003

_PARTITION = 0


class Store(Protocol):
    """Where the engine keeps what must survive it."""

    async def write(self, records: Sequence[Record]) -> None:
        """Returns when the records are committed. Raises when they are not, and then nothing may be called any more."""
        ...

    def note(self, records: Sequence[Record], forget: Sequence[str] = ()) -> None:
        """Written with the next transaction; ``forget`` names keys to delete."""
        ...


class _Batch:
    """Records that go out in one transaction: the last per key, and who waits for them."""

    def __init__(self) -> None:
        self.records: dict[str, bytes | None] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.awaited = False


class AttemptLog:
    """``Store`` on Kafka. While one transaction is under way, what comes next gathers for the following one."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings
        self._client: Mapping[str, Any] = settings.kafka.client()
        self._producer: Any = None
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> Remembered:
        """Fence the former owner, then read what it left: when this returns nobody else can write it any more."""
        self._producer = AIOKafkaProducer(
            **self._client,
            client_id=f"{self._settings.name}.attempts",
            transactional_id=self._settings.name,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            max_request_size=MAX_RECORD_BYTES,
        )
        _shorten_back_off()
        # ``start`` waits for the producer id, and giving it out is where the broker fences.
        await self._producer.start()
        remembered = await self._load()
        self._task = asyncio.create_task(self._run(), name=f"{self._settings.name}.attempts")
        return remembered

    async def write(self, records: Sequence[Record]) -> None:
        """``Store.write``."""
        batch = self._add(records, ())
        batch.awaited = True
        self._wake.set()
        # Shielded: a call that is given up must not take its neighbours' records with it.
        await asyncio.shield(batch.done)

    def note(self, records: Sequence[Record], forget: Sequence[str] = ()) -> None:
        """``Store.note``."""
        fresh = not self._batch.records
        self._add(records, forget)
        if fresh:
            asyncio.get_running_loop().call_later(LINGER_S, self._wake.set)

    async def close(self) -> None:
        """Write what is still in memory, then disconnect. Raises when it cannot be written (fenced)."""
        self._closing = True
        self._wake.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """Disconnect without writing anything more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task
            self._task = None
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(Exception):
                await producer.stop()

    def _add(self, records: Sequence[Record], forget: Sequence[str]) -> _Batch:
        if self._task is not None and self._task.done():
            raise RuntimeError("the attempts of this executor can no longer be written") from _error_of(self._task)
        for record in records:
            self._batch.records[key_of(record)] = record.to_json()
        for key in forget:
            self._batch.records[key] = None
        return self._batch

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._batch = self._batch, _Batch()
            if batch.records:
                try:
                    await self._commit(batch.records)
                except BaseException as error:
                    _fail(batch, error)
                    _fail(self._batch, error)
                    raise
            if not batch.done.done():
                batch.done.set_result(None)
            if self._closing and not self._batch.records:
                return

    async def _commit(self, records: Mapping[str, bytes | None]) -> None:
        producer = self._producer
        await producer.begin_transaction()
        sent = [
            await producer.send(self._settings.attempts, key=key.encode(), value=value, partition=_PARTITION)
            for key, value in records.items()
        ]
        await asyncio.gather(*sent)
        await producer.commit_transaction()

    async def _load(self) -> Remembered:
        """Read the topic from its beginning to its end as of now, committed records only."""
        tp = TopicPartition(self._settings.attempts, _PARTITION)
        remembered = Remembered()
        consumer = AIOKafkaConsumer(
            **self._client,
            client_id=f"{self._settings.name}.loader",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            # An empty topic answers after this; it is what an empty start costs.
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            consumer.assign([tp])
            beginning = (await consumer.beginning_offsets([tp]))[tp]
            consumer.seek(tp, beginning)
            while True:
                fetched = await consumer.getmany(tp, timeout_ms=200)
                for record in fetched.get(tp, ()):
                    remembered.take(self._settings.commands, record.key.decode(), record.value)
                # The high watermark counts what is not committed yet: a transaction that another topic's executor has
                # open keeps this waiting instead of hiding records behind it.
                end = consumer.highwater(tp)
                if end is not None and await consumer.position(tp) >= end:
                    return remembered
        finally:
            await consumer.stop()


def _shorten_back_off() -> None:
    """Begin the next transaction soon after the last one (see ``BACK_OFF_S``). Another aiokafka is slower, not wrong."""
    if hasattr(sender, "BACKOFF_OVERRIDE"):
        sender.BACKOFF_OVERRIDE = min(sender.BACKOFF_OVERRIDE, BACK_OFF_S)


def _fail(batch: _Batch, error: BaseException) -> None:
    if batch.done.done():
        return
    if isinstance(error, Exception) and batch.awaited:
        batch.done.set_exception(error)
    else:
        batch.done.cancel()


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
