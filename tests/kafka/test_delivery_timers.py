"""Due times fire: once each, at the key's partition, also for a worker that took the partition over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from bench.fleet import Fleet, Plan
from bench.kafka_io import Publisher, Reader, create_job_topics
from schemas.identity import derived_id, partition_of
from streams.broker import EmbeddedBroker
from tests.kafka.timer_job import job

pytestmark = pytest.mark.kafka


async def test_a_due_time_fires_once_and_survives_its_worker(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    servers, timers = broker.bootstrap_servers, f"{topic_prefix}timers"
    ticking = job(topic_prefix, topic_prefix, 3)
    plan = Plan(
        servers=servers,
        facts_prefix=topic_prefix,
        own_prefix=topic_prefix,
        folder=tmp_path,
        job="tests.kafka.timer_job:job",
        partitions=3,
        extra=("--timers-topic", timers),
    )
    await create_job_topics(servers, ticking, 3)
    async with (
        Fleet(plan) as fleet,
        Publisher(servers) as publisher,
        Reader(servers, [ticking.audit_topic, timers, ticking.stage.state_topic]) as reader,
    ):
        first = fleet.start(instance="only")
        await first.until("held")
        await publisher.publish(ticking.facts(40))
        assert await reader.until(ticking.stage.state_topic, 40, timeout_s=20)
        # The state is committed and its timers are pending in this process only; the next one must find them.
        await first.kill()
        fleet.start(instance="only")
        assert await reader.until(ticking.audit_topic, 40, timeout_s=20), fleet.workers[-1].log.read_text()
        await asyncio.sleep(1.0)
        await reader.read_to_end()
        fired = reader.records[timers]
        audited = [orjson.loads(record.value or b"") for record in reader.records[ticking.audit_topic]]
    # A timer may be said twice when its worker dies right after saying it; it was killed four seconds before.
    assert len({said["id"] for said in audited}) == len(audited) == 40
    assert all(said["due"] <= said["recorded"] < said["due"] + 15_000 for said in audited)
    for record in fired:
        key = (record.key or b"").decode()
        assert record.partition == partition_of(key, 3)
        due = orjson.loads(record.value or b"")["due_at"]
        assert dict(record.headers)["ce_id"].decode() == derived_id("ticking", key, "soon", due)
