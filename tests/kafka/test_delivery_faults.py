"""What must end the process with 70 instead of going on, and what it must say."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from bench.kafka_io import delete_before, ends_of, recreate
from streams.broker import EmbeddedBroker
from tests.kafka.delivery_run import PARTITIONS, counting_run, together

pytestmark = pytest.mark.kafka


async def test_a_worker_that_slept_through_its_session_is_fenced(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        # Stopped by itself after the acknowledgements and before the commit: the worst moment to sleep.
        sleeper = run.start(LOCKSTEP_TEST_SLEEP_AT="inside_transaction:5")
        await together([sleeper])
        feeding = run.feed(4000, per_second=400)
        await sleeper.until("sleeps")
        heir = run.start()
        await together([heir])
        await run.decided(run.audited + 400)
        sleeper.signal(signal.SIGCONT)
        assert await sleeper.ended() == 70, run.state()
        assert "ProducerFenced" in sleeper.log.read_text()
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 4000
    assert verdict.flawless, verdict


async def test_a_slice_lost_on_the_way_ends_the_worker_and_is_decided_by_the_next(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        losing = run.start(instance="only", LOCKSTEP_TEST_LOSE_BATCH="30")
        await together([losing])
        feeding = run.feed(2000, per_second=500)
        assert await losing.ended() == 70, run.state()
        assert "a slice was lost on the way" in losing.log.read_text()
        run.start(instance="only")
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 2000
    assert verdict.flawless, verdict


async def test_another_partition_count_than_the_setting_is_refused_naming_the_way_out(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        worker = run.start(extra=("--partitions", "4"))
        assert await worker.ended() == 1
        said = worker.log.read_text().splitlines()[-1]
    assert "kafka.partitions is 4" in said
    assert "has 6" in said
    assert "Set kafka.partitions" in said


async def test_a_truncated_topic_is_refused_and_not_read_as_already_decided(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        first = run.start(instance="only")
        await run.decided(await run.publisher.publish(run.job.facts(600)))
        await first.kill()
        await recreate(run.servers, run.job.stage.topics[0], PARTITIONS)
        second = run.start(instance="only")
        assert await second.ended() == 70, run.state()
        assert "deleted or truncated" in second.log.read_text()


async def test_what_retention_deleted_before_it_was_decided_is_said_loudly(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        topic = run.job.stage.topics[0]
        first = run.start(instance="only")
        await run.decided(await run.publisher.publish(run.job.facts(600)))
        decided = await ends_of(run.servers, topic)
        await first.kill()
        await run.publisher.publish(run.job.facts(600))
        kept = {number: end - 10 for number, end in (await ends_of(run.servers, topic)).items()}
        await delete_before(run.servers, topic, kept)
        gone = sum(kept[number] - decided[number] for number in kept)
        second = run.start(instance="only")
        await run.decided(1200 - gone)
        audited = [run.job.fact_of(record) for record in run.reader.records[run.job.audit_topic]]
        assert second.exit_code is None
        log = second.log.read_text()
    assert log.count("were deleted by retention before they were decided") == PARTITIONS
    assert len(set(audited)) == len(audited) == 1200 - gone


async def test_a_partition_that_stands_still_although_it_has_work_ends_the_worker(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        worker = run.start(extra=("--stuck-after", "4"), LOCKSTEP_TEST_LOSE_BATCH="1-")
        await worker.until("held")
        await run.publisher.publish(run.job.facts(60))
        assert await worker.ended() == 70, run.state()
        said = worker.log.read_text()
    assert "stands at offset 0 of" in said


async def test_a_partition_without_work_is_idle_and_not_stuck(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        # All work is done before the one that is watched begins: a busy machine must not look like a stall.
        first = run.start(instance="only")
        await run.decided(await run.publisher.publish(run.job.facts(60)))
        await first.kill()
        worker = run.start(instance="only", extra=("--stuck-after", "10"))
        await together([worker], timeout_s=60)
        await asyncio.sleep(15)
        assert worker.exit_code is None, run.state()
