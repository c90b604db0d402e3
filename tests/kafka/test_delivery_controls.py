"""Is the harness blind? Two ways that are known to lose must be seen to lose by it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from tests.kafka.delivery_run import Run, counting_run

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


async def test_an_idiomatic_faust_agent_loses_under_plain_kills(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    # One or two facts are lost per kill at full load (12 kills: 23 of 12,000), so 15 kills without any would be a
    # blind harness. It stops at the first loss.
    chance = random.Random(5)
    lost = 0
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        await run.publisher.publish(run.job.facts(15_000))
        for _ in range(15):
            killed = run.start(contender="idiomatic", instance="only", LOCKSTEP_IDIOMATIC="seen")
            assert await run.reader.until(run.job.audit_topic, run.audited + 100, timeout_s=40), run.state()
            lost = holes(run)
            if lost:
                break
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            await killed.kill()
            await run.reader.read_to_end()
    assert lost > 0


def holes(run: Run) -> int:
    """Facts that were passed over: one partition is worked on in order, so what is missing below the last is lost."""
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    for record in run.reader.records[run.job.audit_topic]:
        topic, partition, offset = run.job.fact_of(record)
        seen[(topic, partition)].add(offset)
    return sum(max(offsets) + 1 - len(offsets) for offsets in seen.values())
