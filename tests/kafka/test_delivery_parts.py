"""The parts of delivery that rest on the broker: fencing, the changelog loader, two agents in one worker."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest
from aiokafka.errors import ProducerFenced

from bench import counting
from bench.kafka_io import Publisher, Reader, create_job_topics, create_topics, read_all
from bench.verdict import judge
from streams.broker import EmbeddedBroker
from streams.delivery.changelog import load_changelog
from streams.delivery.positions import POSITIONS_KEY, encode_positions
from streams.delivery.settings import SliceCommitted, WorkerSettings
from streams.delivery.transactions import SliceProducer
from streams.delivery.worker import run_worker
from streams.ports import OutputRecord

pytestmark = pytest.mark.kafka


def settings_of(broker: EmbeddedBroker, prefix: str, folder: Path, partitions: int = 2) -> WorkerSettings:
    return WorkerSettings(
        bootstrap_servers=broker.bootstrap_servers,
        partitions=partitions,
        data_dir=folder,
        prefix=prefix.rstrip("."),
        session_timeout_s=6.0,
    )


async def test_opening_a_producer_undoes_and_fences_the_former_owner(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = f"{topic_prefix}state"
    await create_topics(broker.bootstrap_servers, {}, {topic: 2})
    settings = settings_of(broker, topic_prefix, tmp_path)
    record = OutputRecord(topic, 1, b"407", b"former")
    former = SliceProducer(settings=settings, agent="a", partition=1)
    heir = SliceProducer(settings=settings, agent="a", partition=1)
    await former.open()
    await former.commit([record._replace(value=b"before")])
    acknowledged, go_on = asyncio.Event(), asyncio.Event()

    async def interrupted() -> None:
        producer = former._producer
        await producer.begin_transaction()
        await (await producer.send(topic, b"undone", key=b"407", partition=1))
        acknowledged.set()
        await go_on.wait()
        await producer.commit_transaction()

    late = asyncio.create_task(interrupted())
    await acknowledged.wait()
    await heir.open()
    # Straight after ``open``: nothing to wait for, the end of the changelog stands still.
    began = time.monotonic()
    loaded = await load_changelog(settings, topic, [0, 1])
    assert time.monotonic() - began < 5
    assert loaded[1].state == {b"407": b"before"}
    go_on.set()
    with pytest.raises(ProducerFenced):
        await late
    await heir.commit([record._replace(value=b"after")])
    assert (await load_changelog(settings, topic, [1]))[1].state == {b"407": b"after"}
    await asyncio.gather(heir.close(), former.close())


async def test_the_changelog_is_read_from_its_very_beginning_to_its_very_end(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    topic = f"{topic_prefix}state"
    await create_topics(broker.bootstrap_servers, {}, {topic: 2})
    settings = settings_of(broker, topic_prefix, tmp_path)
    producer = SliceProducer(settings=settings, agent="a", partition=0)
    await producer.open()
    for part in range(5):
        documents = [OutputRecord(topic, 0, b"%d" % key, b"%d" % part) for key in range(part * 1000, 9000)]
        await producer.commit([*documents, OutputRecord(topic, 0, POSITIONS_KEY, encode_positions({"in": part}))])
    await producer.commit([OutputRecord(topic, 0, b"3", None)])
    began = time.monotonic()
    loaded = await load_changelog(settings, topic, [0, 1])
    rate = 35_000 / (time.monotonic() - began)
    assert loaded[0].state == {b"%d" % key: b"%d" % min(key // 1000, 4) for key in range(9000) if key != 3}
    assert loaded[0].next_offsets == {"in": 4}
    assert loaded[0].records == 5 * 9000 - 10_000 + 5 + 1
    assert loaded[1].state == {}
    # 100,000 a second were measured; a tenth of that is a broken reader and not a busy machine.
    assert rate > 10_000
    await producer.close()


async def test_two_agents_in_one_worker_each_decide_all_of_their_own(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    servers, settings = broker.bootstrap_servers, settings_of(broker, topic_prefix, tmp_path)
    jobs = [counting.job(f"{topic_prefix}facts.", f"{topic_prefix}{name}.", 2) for name in ("a", "b")]
    for name, one in zip("ab", jobs, strict=True):
        one.stage = dataclasses.replace(one.stage, name=name)
        await create_job_topics(servers, one, 2)
    stop, slices = asyncio.Event(), []

    def progress(report: object) -> None:
        if isinstance(report, SliceCommitted):
            slices.append((report.agent, report.records))

    stages = [one.stage for one in jobs]
    working = asyncio.create_task(run_worker(stages, settings, lambda: 0, stop, progress))
    async with (
        Publisher(servers) as publisher,
        Reader(servers, [one.audit_topic for one in jobs]) as reader,
    ):
        await publisher.publish(jobs[0].facts(3000))
        for one in jobs:
            assert await reader.until(one.audit_topic, 3000, timeout_s=30), working
    began = time.monotonic()
    stop.set()
    await asyncio.wait_for(working, 10)
    assert time.monotonic() - began < 8
    assert {agent for agent, _ in slices} == {"a", "b"}
    assert max(records for _, records in slices) <= settings.slice_records
    for one in jobs:
        verdict = await judge(servers, one)
        assert verdict.facts == 3000
        assert verdict.flawless, verdict
    assert await read_all(servers, [f"{topic_prefix}facts.alerts"])
