"""Is the harness blind? Two ways that are known to lose must be seen to lose by it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from bench.kafka_io import refusing
from bench.verdict import Verdict
from streams.broker import EmbeddedBroker
from tests.kafka.delivery_run import counting_run

pytestmark = pytest.mark.kafka


async def test_state_written_outside_the_transaction_before_the_outputs_loses(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        feeding = run.feed(1200, per_second=400)
        killed = run.start(contender="state_first", instance="only", LOCKSTEP_TEST_DIE_AT="inside_transaction:6")
        assert await killed.ended() == -signal.SIGKILL, run.state()
        run.start(contender="state_first", instance="only")
        await feeding
        assert not await run.reader.until(run.job.audit_topic, 1200, timeout_s=20, quiet_s=4)
        verdict = await run.verdict()
    assert verdict.lost > 0


async def test_under_the_same_kills_an_idiomatic_faust_agent_loses(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    verdict = await verdict_after_kills(broker, topic_prefix, tmp_path, "idiomatic")
    assert verdict.lost > 0, verdict


async def test_under_the_same_kills_a_lockstep_worker_does_not(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    verdict = await verdict_after_kills(broker, topic_prefix, tmp_path, "ours")
    assert verdict.flawless, verdict


async def verdict_after_kills(broker: EmbeddedBroker, prefix: str, folder: Path, contender: str) -> Verdict:
    """Three SIGKILLs, each while the audit topic takes no writes, as in a cluster that lost a replica.

    Without that, an idiomatic agent loses too, but only in one kill of ten: a test would have to be lucky.
    """
    async with counting_run(broker.bootstrap_servers, prefix, folder) as run:
        feeding = run.feed(30_000, per_second=300)
        for _ in range(3):
            killed = run.start(contender=contender, instance="only", LOCKSTEP_IDIOMATIC="seen")
            assert await run.reader.until(run.job.audit_topic, run.audited + 50, timeout_s=40), run.state()
            async with refusing(run.servers, run.job.audit_topic):
                await asyncio.sleep(1.0)
                await killed.kill()
            await run.reader.read_to_end()
        run.start(contender=contender, instance="only", LOCKSTEP_IDIOMATIC="seen")
        await run.stop(feeding)
        await run.reader.until(run.job.audit_topic, sys.maxsize, timeout_s=40, quiet_s=4)
        return await run.verdict()
