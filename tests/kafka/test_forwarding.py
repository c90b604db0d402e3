"""The forwarder on a real broker: what was committed arrives in order and without gaps, what was undone never does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from schemas.identity import partition_of
from schemas.topics import CATALOGUE, CURSORS, FOR_TOPIC, HANDOFFS, STORM_CANDIDATES, STORM_VERDICTS
from streams.broker import EmbeddedBroker
from streams.forwarding import Forwarder
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import InputRecord
from streams.readers import end_offsets, read_all
from streams.topics import TopicSettings, create_topics

pytestmark = pytest.mark.kafka

NOW = 1_795_000_000_123
PARTITIONS = 3


@pytest.fixture
async def options(broker: EmbeddedBroker, topic_prefix: str) -> KafkaOptions:
    made = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
    used = [t for t in CATALOGUE if t.name in (HANDOFFS, STORM_CANDIDATES, STORM_VERDICTS, CURSORS, "dead-letters")]
    renamed = [replace(t, name=topic_prefix + t.name) for t in used]
    await create_topics(made, TopicSettings(partitions=PARTITIONS), catalogue=renamed)
    return made


@contextlib.asynccontextmanager
async def running(options: KafkaOptions, prefix: str) -> AsyncIterator[Forwarder]:
    async with KafkaLog(options, now=lambda: NOW) as kafka:
        forwarder = Forwarder(options, kafka, prefix=prefix)
        forwarder.active.set()
        task = asyncio.create_task(forwarder.run())
        try:
            yield forwarder
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def tell(options: KafkaOptions, prefix: str, numbers: range, *, undone: bool = False) -> None:
    """One transaction of an agent, with facts for either agent."""
    producer = AIOKafkaProducer(**options.client(), transactional_id=f"{prefix}agent", acks="all")
    await producer.start()
    try:
        await producer.begin_transaction()
        for number in numbers:
            receiver = STORM_CANDIDATES if number % 2 else STORM_VERDICTS
            headers = [("ce_id", str(number).encode()), (FOR_TOPIC, receiver.encode())]
            key = f"l{number % 7}".encode()
            await producer.send(prefix + HANDOFFS, b"fact %d" % number, key=key, headers=headers, partition=0)
        await (producer.abort_transaction() if undone else producer.commit_transaction())
    finally:
        await producer.stop()


async def arrived(options: KafkaOptions, prefix: str) -> list[InputRecord]:
    return [r async for r in read_all(options, prefix + STORM_CANDIDATES, prefix + STORM_VERDICTS)]


async def until_forwarded(options: KafkaOptions, prefix: str, count: int) -> list[InputRecord]:
    async with asyncio.timeout(40):
        while True:
            ends = await end_offsets(options, prefix + STORM_CANDIDATES, prefix + STORM_VERDICTS)
            if sum(ends.values()) >= count:
                return await arrived(options, prefix)
            await asyncio.sleep(0.2)


async def test_what_was_committed_arrives_once_in_order_and_without_gaps_and_what_was_undone_does_not(
    options: KafkaOptions, topic_prefix: str
) -> None:
    await tell(options, topic_prefix, range(100))
    await tell(options, topic_prefix, range(1000, 1050), undone=True)
    async with running(options, topic_prefix):
        await until_forwarded(options, topic_prefix, 100)
        await tell(options, topic_prefix, range(100, 200))
        records = await until_forwarded(options, topic_prefix, 200)
    told = sorted(int((record.value or b"").split()[1]) for record in records)
    assert told == list(range(200))
    for record in records:
        assert record.partition == partition_of(record.key or b"", PARTITIONS)
        assert [name for name, _ in record.headers] == ["ce_id"]
    places: dict[tuple[str, int], list[InputRecord]] = {}
    for record in records:
        places.setdefault((record.topic, record.partition), []).append(record)
    for found in places.values():
        assert [record.offset for record in found] == list(range(len(found)))
        by_key: dict[bytes | None, list[int]] = {}
        for record in found:
            by_key.setdefault(record.key, []).append(int((record.value or b"").split()[1]))
        assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_the_next_forwarder_goes_on_where_the_last_one_stood(options: KafkaOptions, topic_prefix: str) -> None:
    await tell(options, topic_prefix, range(50))
    async with running(options, topic_prefix):
        await until_forwarded(options, topic_prefix, 50)
        async with KafkaLog(options, now=lambda: NOW) as kafka:
            async with asyncio.timeout(20):
                while (await kafka.remembered(topic_prefix + CURSORS)).get("handoffs") is None:
                    await asyncio.sleep(0.1)
    await tell(options, topic_prefix, range(50, 60))
    async with running(options, topic_prefix):
        records = await until_forwarded(options, topic_prefix, 60)
        await asyncio.sleep(1)
    assert len(await arrived(options, topic_prefix)) == len(records) == 60
