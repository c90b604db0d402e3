"""Workers come and go: partitions move whole, with their state, and without a gap."""

from __future__ import annotations

import signal
import time
from itertools import islice
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from tests.kafka.delivery_run import counting_run, together

pytestmark = pytest.mark.kafka


async def test_one_worker_becomes_two_and_one_again(broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        first = run.start()
        await together([first])
        feeding = run.feed(6000, per_second=600)
        await run.decided(600)
        second = run.start()
        await together([first, second])
        await run.decided(run.audited + 600)
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        assert await first.ended() == 0, run.state()
        assert time.monotonic() - began < 10
        await together([second])
        await run.decided(await feeding)
        second.signal(signal.SIGTERM)
        assert await second.ended() == 0, run.state()
        verdict = await run.verdict()
    assert verdict.facts == 6000
    assert verdict.flawless, verdict


async def test_four_workers_hold_the_same_numbers_of_all_topics(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    # Two workers can agree by chance even under round-robin; four cannot.
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        workers = [run.start(), run.start()]
        await together(workers)
        feeding = run.feed(6000, per_second=600)
        await run.decided(300)
        workers += [run.start(), run.start()]
        await together(workers)
        assert sorted(len(worker.held()) for worker in workers) == [1, 1, 2, 2]
        await run.decided(run.audited + 600)
        for leaving in workers[:2]:
            leaving.signal(signal.SIGTERM)
            assert await leaving.ended() == 0, run.state()
        await together(workers[2:])
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 6000
    assert verdict.flawless, verdict
    assert [worker.exit_code for worker in workers[2:]] != [70, 70]


@pytest.mark.faults
async def test_a_fetch_that_outlasts_a_rebalance_leaves_nothing_behind(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    # Begun before the seek, ended after it: its records are dropped, and no later record is there to show the gap. The
    # rebalances take less than a second, so most fetches under way outlast them.
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        facts = run.job.facts(1000)
        late = run.start(LOCKSTEP_TEST_FETCH_LATE="3")
        await together([late])
        for _ in range(3):
            other = run.start()
            await together([late, other])
            await run.publisher.publish(islice(facts, 60))
            await run.finished(30)
            other.signal(signal.SIGTERM)
            assert await other.ended() == 0, run.state()
            await together([late])
            await run.publisher.publish(islice(facts, 60))
            await run.finished(30)
        verdict = await run.verdict()
    assert verdict.facts == 360
    assert verdict.flawless, verdict
