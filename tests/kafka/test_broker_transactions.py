"""A transaction whose end was decided when the only broker was killed is ended when it is back, in every partition.

Apache Kafka 4.3.0 to 4.4.0 end it without its markers where a partition has no leader for a moment, as all have after a
restart (KAFKA-20734): its records are then never readable, nor is anything written after them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.kafka_io import create_topics
from streams.broker import EmbeddedBroker
from tests.kafka.test_broker_lost import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

#: All of them commit at once, each in two partitions, and the broker is killed so many seconds later: whichever is right for
#: this machine, that life ends between the decisions and the markers.
WRITERS = 24
KILLED_AFTER_S = (0.005, 0.01, 0.02, 0.04)
TOPIC = "written"
#: Transactions of a writer that is gone are undone after this, and Kafka looks for them every ten seconds.
TRANSACTION_MS = 5_000


async def _begun(servers: str, life: int, number: int) -> AIOKafkaProducer:
    # Every life has producers of its own: the next transaction of a producer would end its earlier one in passing.
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, transactional_id=f"writer-{life}-{number}", transaction_timeout_ms=TRANSACTION_MS
    )
    await producer.start()
    await producer.begin_transaction()
    for partition in (number, (number + 1) % WRITERS):
        await producer.send_and_wait(TOPIC, b"x", partition=partition)
    return producer


async def _stopped(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await producer.stop()


async def _ends(servers: str, isolation: str) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level=isolation)
    await consumer.start()
    try:
        return dict(await consumer.end_offsets([TopicPartition(TOPIC, number) for number in range(WRITERS)]))
    finally:
        await consumer.stop()


async def test_what_was_being_committed_when_the_broker_was_killed_is_ended_when_it_is_back(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        servers = broker.bootstrap_servers
        await create_topics(servers, {TOPIC: WRITERS}, {})
        for life, killed_after_s in enumerate(KILLED_AFTER_S, 1):
            producers = await asyncio.gather(*(_begun(servers, life, number) for number in range(WRITERS)))
            committing = [asyncio.create_task(producer.commit_transaction()) for producer in producers]
            await asyncio.sleep(killed_after_s)
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGKILL)
            for task in committing:
                task.cancel()
            await asyncio.gather(*committing, *map(_stopped, producers), return_exceptions=True)
            await eventually(lambda life=life: broker.restarts == life and (tmp_path / "kafka/broker.json").exists())
        async with asyncio.timeout(60):
            while (open_ends := await _ends(servers, "read_committed")) != await _ends(servers, "read_uncommitted"):
                await asyncio.sleep(1)
        assert len(open_ends) == WRITERS
