"""Reading topics without a consumer group: everything up to now, or on and on; and a compacted topic as a mapping."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka_options import LOOK_AT, KafkaOptions
from streams.ports import InputRecord

Isolation = Literal["read_committed", "read_uncommitted"]
log = logging.getLogger("lockstep.readers")

#: (topic, partition) -> offset.
Offsets = Mapping[tuple[str, int], int]

#: Longer than a broker needs to come back after a kill (7 s seen).
CONNECT_SECONDS = 30.0
#: A read that gets nothing although there is something to get does not recover by itself: the fetch task of aiokafka
#: ends with the first error it does not expect, and every fetch is empty from then on. Rounds are counted and not
#: seconds, since a process that was stopped for a while stood still itself: 100 of 0.2 s, and twice 10 of 1 s.
ROUND_MS, STALLED_ROUNDS = 200, 100
TAIL_ROUND_MS, LOOK_AFTER_ROUNDS = 1000, 10


class ReadError(RuntimeError):
    """A topic could not be read; one line: which, why and what to do."""


async def read_all(
    options: KafkaOptions,
    *topics: str,
    partitions: Collection[int] | None = None,
    start: Offsets | None = None,
    since: int | None = None,
    isolation: Isolation = "read_committed",
) -> AsyncGenerator[InputRecord, None]:
    """Every record from the beginning to the end as it is now; each partition in order, partitions interleaved.

    Begins at ``start`` where it names the partition, else at the first record whose Kafka timestamp is ``since`` (epoch
    ms) or later, else at the beginning. Raises ``ReadError``: no broker, no such topic.
    """
    async with _consumer(options, topics, partitions, isolation) as (consumer, tps):
        ends = await consumer.end_offsets(tps)
        await _seek(consumer, tps, start or {}, since)
        left = [tp for tp in tps if await consumer.position(tp) < ends[tp]]
        places: list[int] = []
        still = 0
        while left:
            fetched = await consumer.getmany(*left, timeout_ms=ROUND_MS)
            for tp, records in fetched.items():
                for record in records:
                    # Records that arrived after we began belong to the next reader.
                    if record.offset < ends[tp]:
                        yield _as_input(record)
            # The position also passes transaction markers and aborted records, which are never delivered.
            before, places = places, [await consumer.position(tp) for tp in tps]
            left = [tp for tp, place in zip(tps, places, strict=True) if place < ends[tp]]
            still = still + 1 if places == before else 0
            if left and still >= STALLED_ROUNDS:
                raise _stalled(options)


async def last_values(options: KafkaOptions, topic: str) -> dict[str, bytes]:
    """The last value per key of a compacted topic, read to its current end. Raises ``ReadError``."""
    values: dict[str, bytes] = {}
    async for record in read_all(options, topic):
        take_last(values, record)
    return values


def take_last(values: dict[str, bytes], record: InputRecord) -> None:
    """What a record of a compacted topic makes of the values known so far; one without a value forgets its key."""
    key = (record.key or b"").decode("utf-8", "replace")
    if record.value is None:
        values.pop(key, None)
    else:
        values[key] = record.value


async def tail(
    options: KafkaOptions,
    *topics: str,
    from_beginning: bool = False,
    start: Offsets | None = None,
    isolation: Isolation = "read_committed",
) -> AsyncIterator[InputRecord]:
    """Records as they come, for ever; from the current end unless told otherwise. Survives a restart of the broker.

    The starting place is fixed when the first record is asked for. A reader that stalls is opened anew where it stood.
    Raises ``ReadError`` like ``read_all``.
    """
    places = dict(start or {})
    while True:
        async with _consumer(options, topics, None, isolation) as (consumer, tps):
            if not from_beginning:
                ends = await consumer.end_offsets(tps)
                places = {(tp.topic, tp.partition): end for tp, end in ends.items()} | places
            await _seek(consumer, tps, places, None)
            async for record in _until_stalled(consumer, tps):
                places[record.topic, record.partition] = record.offset + 1
                yield record
        log.warning(
            "a reader of %s got nothing although there is more; it begins anew where it stood", ", ".join(topics)
        )


async def _until_stalled(consumer: Any, tps: list[TopicPartition]) -> AsyncIterator[InputRecord]:
    empty = 0
    behind: list[int] | None = None
    while True:
        fetched = await consumer.getmany(timeout_ms=TAIL_ROUND_MS)
        for records in fetched.values():
            for record in records:
                yield _as_input(record)
        empty = 0 if fetched else empty + 1
        if empty == 0:
            behind = None
        elif empty % LOOK_AFTER_ROUNDS == 0:
            before, behind = behind, await _behind(consumer, tps)
            if behind is not None and behind == before:
                return


async def end_offsets(options: KafkaOptions, *topics: str, isolation: Isolation = "read_committed") -> Offsets:
    """The offset after the last record of every partition; with ``read_committed``, after the last stable one."""
    async with _consumer(options, topics, None, isolation) as (consumer, tps):
        return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(tps)).items()}


async def first_offsets(options: KafkaOptions, *topics: str) -> Offsets:
    """The offset of the first record that is still kept, per partition."""
    async with _consumer(options, topics, None, "read_uncommitted") as (consumer, tps):
        return {(tp.topic, tp.partition): first for tp, first in (await consumer.beginning_offsets(tps)).items()}


class Remembered(Mapping[str, bytes]):
    """The last value per key of a compacted topic, kept up to date while it is started.

    ``on_change(key, value)`` is called for every record that arrives after ``start`` returned (``None``: forgotten).
    Reading it after the following has failed raises ``ReadError`` rather than give an old answer; a broker that is away
    for a while is not a failure.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topic: str,
        *,
        on_change: Callable[[str, bytes | None], None] = lambda key, value: None,
    ) -> None:
        self.topic = topic
        self._options = options
        self._on_change = on_change
        self._values: dict[str, bytes] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read to the current end, then follow. Raises ``ReadError``."""
        self._places = dict(await end_offsets(self._options, self.topic))
        async for record in read_all(self._options, self.topic):
            self._places[record.topic, record.partition] = record.offset + 1
            take_last(self._values, record)
        self._task = asyncio.create_task(self._follow(), name=f"remembered:{self.topic}")

    async def catch_up(self) -> None:
        """Wait until everything that the broker has now is known here. Raises ``ReadError``."""
        ends = await end_offsets(self._options, self.topic)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while any(self._places.get(place, 0) < end for place, end in ends.items()):
                    self._check()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise ReadError(f"topic {self.topic} is not followed to its end within {CONNECT_SECONDS:g} s") from None

    async def stop(self) -> None:
        """Stop following; the values stay as they are."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task
            self._task = None

    async def ended(self) -> str:
        """Wait until the following has failed; returns why. Cancelled otherwise, also where it was stopped on purpose."""
        task = self._task
        if task is not None:
            await asyncio.wait({task})
        if task is None or task.cancelled():
            await asyncio.Event().wait()
        assert task is not None
        return f"topic {self.topic}: {task.exception()!r}"

    def __getitem__(self, key: str) -> bytes:
        self._check()
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        self._check()
        return iter(list(self._values))

    def __len__(self) -> int:
        self._check()
        return len(self._values)

    def _check(self) -> None:
        if self._task is not None and self._task.done() and not self._task.cancelled():
            raise ReadError(f"topic {self.topic} is no longer followed: {self._task.exception()}")

    async def _follow(self) -> None:
        places = self._places
        while True:
            # A broker that is just restarting refuses the connection: go on from where we are when it is back.
            with contextlib.suppress(ReadError):
                async for record in tail(self._options, self.topic, start=dict(places), from_beginning=True):
                    places[record.topic, record.partition] = record.offset + 1
                    take_last(self._values, record)
                    self._on_change((record.key or b"").decode("utf-8", "replace"), record.value)
            await asyncio.sleep(0.5)


async def _behind(consumer: Any, tps: list[TopicPartition]) -> list[int] | None:
    """Where a reader stands, if the broker says that there is more; ``None`` also where the broker does not answer."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            ends = await consumer.end_offsets(tps)
            positions = [await consumer.position(tp) for tp in tps]
    except (KafkaError, TimeoutError):
        return None
    return positions if any(at < ends[tp] for tp, at in zip(tps, positions, strict=True)) else None


def _stalled(options: KafkaOptions) -> ReadError:
    return ReadError(f"Kafka at {options.bootstrap_servers} hands nothing out although there is more: read it again")


@contextlib.asynccontextmanager
async def _consumer(
    options: KafkaOptions, topics: Collection[str], partitions: Collection[int] | None, isolation: Isolation
) -> AsyncIterator[tuple[Any, list[TopicPartition]]]:
    consumer = AIOKafkaConsumer(
        **options.client(),
        client_id="lockstep.reader",
        enable_auto_commit=False,
        # Where retention has removed the place we stand at, go on with what is left.
        auto_offset_reset="earliest",
        isolation_level=isolation,
        # How long a read to the end may wait at an empty end.
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        check_crcs=False,
    )
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await consumer.start()
            tps = await _partitions(consumer, topics, partitions)
        consumer.assign(tps)
        yield consumer, tps
    except (KafkaError, OSError, TimeoutError) as error:
        raise ReadError(
            f"Kafka at {options.bootstrap_servers} does not answer ({type(error).__name__}): {LOOK_AT}"
        ) from None
    finally:
        await _stop(consumer)


async def _stop(consumer: Any) -> None:
    """One whose broker is away ends with the cancellation of its own tasks, which must not be taken for one of ours."""
    task = asyncio.current_task()
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if task is None or task.cancelling():
            raise
        await consumer._client.close()


async def _partitions(consumer: Any, topics: Collection[str], wanted: Collection[int] | None) -> list[TopicPartition]:
    # The list of all topics, not a question about one: that would create it where the cluster creates on demand.
    # ``consumer.topics()`` asks the same and gives the names only (aiokafka is pinned exactly).
    cluster = await consumer._client.fetch_all_metadata()
    known = cluster.topics()
    tps = []
    for topic in topics:
        if topic not in known:
            raise ReadError(
                f"there is no topic '{topic}': `lockstep up` creates it, `lockstep topics` lists what exists"
            )
        for partition in sorted(cluster.partitions_for_topic(topic) or ()):
            if wanted is None or partition in wanted:
                tps.append(TopicPartition(topic, partition))
    return tps


async def _seek(consumer: Any, tps: list[TopicPartition], start: Offsets, since: int | None) -> None:
    beginnings = await consumer.beginning_offsets(tps)
    places = {tp: start.get((tp.topic, tp.partition), beginnings[tp]) for tp in tps}
    if since is not None:
        ends = await consumer.end_offsets(tps)
        for tp, found in (await consumer.offsets_for_times(dict.fromkeys(tps, since))).items():
            if (tp.topic, tp.partition) not in start:
                places[tp] = ends[tp] if found is None else found.offset
    for tp, offset in places.items():
        consumer.seek(tp, max(offset, beginnings[tp]))


def _as_input(record: Any) -> InputRecord:
    return InputRecord(
        record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp
    )
