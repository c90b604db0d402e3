"""Reading an agent's state back from its compacted topic: read committed, from the very beginning to the very end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.delivery.positions import POSITIONS_KEY, decode_positions
from streams.delivery.settings import WorkerSettings
from streams.limit import Tally


@dataclass(slots=True)
class LoadedPartition:
    """What the changelog says about one partition. ``next_offsets`` is empty where the agent never committed."""

    state: dict[bytes, bytes] = field(default_factory=dict)
    next_offsets: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    records: int = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        self.records += 1
        if key == POSITIONS_KEY:
            self.next_offsets, self.tallies = decode_positions(value) if value is not None else ({}, {})
        elif value is None:
            self.state.pop(key, None)
        else:
            self.state[key] = value


async def load_changelog(
    settings: WorkerSettings,
    topic: str,
    partitions: Sequence[int],
    *,
    waiting_for: Callable[[str], None] = lambda what: None,
) -> dict[int, LoadedPartition]:
    """The state of some partitions of ``topic``, side by side through one consumer.

    Call it after the producers of these partitions are open, so that nobody can append behind the end that is read.
    ``waiting_for`` is told what is still missing after each fetch, for the message of whoever gives up on it.
    Raises ``RuntimeError`` when the reader does not stand where it was told to: a consumer without a group starts at
    the end of the log by default, and once loaded nothing at all without an error.
    """
    loaded = {partition: LoadedPartition() for partition in partitions}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        client_id=f"{settings.prefix}.changelog",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        # An empty partition answers after this; it is what an empty start costs.
        fetch_max_wait_ms=50,
        **settings.client_options,
    )
    await consumer.start()
    try:
        waiting = {TopicPartition(topic, partition) for partition in partitions}
        consumer.assign(list(waiting))
        await _seek_to_beginning(consumer, waiting)
        while waiting:
            fetched = await consumer.getmany(*waiting, timeout_ms=200)
            for tp, records in fetched.items():
                target = loaded[tp.partition]
                for record in records:
                    target.take(record.key, record.value)
            waiting = {tp for tp in waiting if not await _at_end(consumer, tp)}
            for tp in waiting:
                place, end = await consumer.position(tp), consumer.highwater(tp)
                waiting_for(f"{topic} partition {tp.partition} is read to {place} of {end}, with everything committed")
    finally:
        await consumer.stop()
    return loaded


async def _seek_to_beginning(consumer: Any, tps: set[TopicPartition]) -> None:
    beginnings = await consumer.beginning_offsets(list(tps))
    for tp, offset in beginnings.items():
        consumer.seek(tp, offset)
    for tp, offset in beginnings.items():
        position = await consumer.position(tp)
        if position != offset:
            raise RuntimeError(
                f"changelog {tp.topic} partition {tp.partition}: reader stands at {position}, not {offset}"
            )


async def _at_end(consumer: Any, tp: TopicPartition) -> bool:
    # The high watermark comes with the first answer of the broker, also for an empty partition. It counts what is not
    # committed yet, so an open transaction keeps the load waiting instead of hiding its neighbours.
    end = consumer.highwater(tp)
    return end is not None and await consumer.position(tp) >= end
