"""How long the work of a worker stands still when it is lost or stopped, and what is done twice because of it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from bench.kafka_io import read_all
from streams.broker import EmbeddedBroker
from streams.settings import WorkerSettings
from tests.kafka.delivery_run import Run, counting_run, together

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

#: As ``up`` starts its workers.
SESSION_S = WorkerSettings().session_timeout_seconds


async def twice(run: Run) -> int:
    """Facts that were decided in a transaction that came to nothing, and so were handed out again."""
    topic = run.job.audit_topic
    written = (await read_all(run.servers, [topic], aborted=True))[topic]
    return len(written) - len((await read_all(run.servers, [topic]))[topic])


async def test_a_worker_that_is_lost_for_good_is_replaced_by_the_other_within_15_s(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path, session_s=SESSION_S) as run:
        first, second = run.start(instance="worker-1"), run.start(instance="worker-2")
        await together([first, second], timeout_s=90)
        feeding = run.feed(6000, per_second=200)
        await run.decided(400, 120)
        began = time.monotonic()
        await first.kill()
        await together([second])
        took = time.monotonic() - began
        print(f"taken over {took:.1f} s after SIGKILL (session {SESSION_S:g} s)")
        await run.decided(await feeding, 120)
        verdict = await run.verdict()
    assert took < 15
    assert verdict.flawless, verdict


async def test_a_worker_that_is_stopped_under_load_ends_soon_and_nothing_is_handed_out_twice(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path, session_s=SESSION_S) as run:
        await run.publisher.publish(run.job.facts(12_000))
        first = run.start(instance="worker-1")
        await run.decided(1000, 120)
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0, run.state()
        took = time.monotonic() - began
        await run.reader.read_to_end()
        assert run.audited < 12_000
        run.start(instance="worker-2")
        await run.decided(12_000, 120)
        redelivered = await twice(run)
        print(f"ended {took:.1f} s after SIGTERM, {12_000 - run.audited} facts left, {redelivered} decided twice")
        verdict = await run.verdict()
    assert took < 30
    assert redelivered == 0
    assert verdict.flawless, verdict
