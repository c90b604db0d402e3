"""Topics, facts and what came out, as the harness sees them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bench.job import Job
from streams.ports import InputRecord, OutputRecord


async def create_topics(
    servers: str, deleting: Mapping[str, int], compacted: Mapping[str, int], copies: int = 1
) -> None:
    """Create topics, name to number of partitions; those that exist are left alone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        known = set(await admin.list_topics())
        wanted = [NewTopic(name, count, copies) for name, count in deleting.items() if name not in known]
        compact = {"cleanup.policy": "compact"}
        wanted += [NewTopic(n, c, copies, topic_configs=compact) for n, c in compacted.items() if n not in known]
        if wanted:
            await admin.create_topics(wanted)
        # Created is not yet known to the broker's own metadata: a reader that asks too early sees fewer partitions.
        while not _all_there(await admin.describe_topics([*deleting, *compacted]), {**deleting, **compacted}):
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


def _all_there(described: Iterable[Mapping[str, Any]], wanted: Mapping[str, int]) -> bool:
    led = {topic["topic"]: sum(part["leader"] >= 0 for part in topic["partitions"]) for topic in described}
    return all(led.get(name) == count for name, count in wanted.items())


async def create_job_topics(servers: str, job: Job, partitions: int, copies: int = 1) -> None:
    """All topics of a job."""
    deleting = {**dict.fromkeys(job.stage.topics, partitions), **job.outputs}
    await create_topics(servers, deleting, {job.stage.state_topic: partitions}, copies)


class Publisher:
    """Publishes facts, plainly and in order: at full speed, or at a steady rate."""

    def __init__(self, servers: str) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024
        )

    async def __aenter__(self) -> Publisher:
        await self._producer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._producer.stop()

    async def flush(self) -> None:
        """Await the acknowledgement of everything that was begun."""
        await self._producer.flush()

    async def publish(self, facts: Iterable[OutputRecord], per_second: float | None = None) -> int:
        """Publish and await every acknowledgement; returns how many."""
        began, sent, pending = time.monotonic(), 0, []
        for fact in facts:
            pending.append(
                await self._producer.send(
                    fact.topic, fact.value, key=fact.key, partition=fact.partition, headers=list(fact.headers)
                )
            )
            sent += 1
            if per_second is not None:
                await asyncio.sleep(max(0.0, began + sent / per_second - time.monotonic()))
            elif sent % 2000 == 0:
                await asyncio.gather(*pending)
                pending.clear()
        await asyncio.gather(*pending)
        return sent


class Reader:
    """Everything in some topics, from the beginning; ``records`` grows with every ``read``.

    ``aborted``: also what lies there of transactions that came to nothing.
    """

    def __init__(self, servers: str, topics: Sequence[str], *, aborted: bool = False) -> None:
        self.records: dict[str, list[InputRecord]] = {topic: [] for topic in topics}
        self._consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted" if aborted else "read_committed",
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )

    async def __aenter__(self) -> Reader:
        await self._consumer.start()
        tps = [TopicPartition(topic, number) for topic in self.records for number in await self._numbers(topic)]
        self._consumer.assign(tps)
        for tp, offset in (await self._consumer.beginning_offsets(tps)).items():
            self._consumer.seek(tp, offset)
        self._tps = tps
        return self

    async def _numbers(self, topic: str) -> list[int]:
        await self._consumer._client._wait_on_metadata(topic)
        return sorted(self._consumer.partitions_for_topic(topic) or ())

    async def __aexit__(self, *exc: object) -> None:
        await self._consumer.stop()

    async def read(self, timeout_s: float = 0.2) -> int:
        """One fetch; returns how many records it brought."""
        fetched = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000))
        for tp, records in fetched.items():
            self.records[tp.topic] += [
                InputRecord(r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.timestamp) for r in records
            ]
        return sum(map(len, fetched.values()))

    async def read_to_end(self) -> None:
        """Up to what is committed now."""
        ends = await self._consumer.end_offsets(self._tps)
        for tp, end in ends.items():
            while await self._consumer.position(tp) < end:
                await self.read()

    async def until(self, topic: str, count: int, timeout_s: float, quiet_s: float | None = None) -> bool:
        """Read until ``topic`` brought ``count`` records. False after ``timeout_s``, or ``quiet_s`` without any."""
        deadline = last = time.monotonic()
        deadline += timeout_s
        while len(self.records[topic]) < count:
            if await self.read():
                last = time.monotonic()
            now = time.monotonic()
            if now > deadline or (quiet_s is not None and now - last > quiet_s):
                return False
        return True


async def read_all(servers: str, topics: Sequence[str], *, aborted: bool = False) -> dict[str, list[InputRecord]]:
    """What is committed in some topics now (``aborted``: and what never will be)."""
    async with Reader(servers, topics, aborted=aborted) as reader:
        await reader.read_to_end()
        return reader.records


async def recreate(servers: str, topic: str, partitions: int) -> None:
    """Delete a topic and create it empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():
            await asyncio.sleep(0.1)
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def ends_of(servers: str, topic: str) -> dict[int, int]:
    """The end offset of every partition."""
    async with Reader(servers, [topic]) as reader:
        return {tp.partition: end for tp, end in (await reader._consumer.end_offsets(reader._tps)).items()}


async def delete_before(servers: str, topic: str, offsets: Mapping[int, int]) -> None:
    """What retention does: the log of each partition begins at its offset from now on."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition(topic, number): RecordsToDelete(offset) for number, offset in offsets.items()}
        )
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def refusing(servers: str, topic: str) -> AsyncIterator[None]:
    """A topic that takes no writes for a while, as in a cluster that lost a replica (NotEnoughReplicas, retriable).

    What a producer still holds for it then, dies with the process; the other topics go on.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await _demand_replicas(admin, topic, 2)
        try:
            yield
        finally:
            await _demand_replicas(admin, topic, 1)
    finally:
        await admin.close()


async def _demand_replicas(admin: AIOKafkaAdminClient, topic: str, number: int) -> None:
    wanted = {"min.insync.replicas": str(number)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=wanted)])
    # Altered at the controller is not yet in force at the broker.
    while await _demanded_replicas(admin, topic) != str(number):
        await asyncio.sleep(0.05)


async def _demanded_replicas(admin: AIOKafkaAdminClient, topic: str) -> str | None:
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]):
        for _, _, _, _, entries in answer.resources:
            return next((entry[1] for entry in entries if entry[0] == "min.insync.replicas"), None)
    return None
