"""SIGKILL at the worst moments: nothing lost, nothing doubled, nothing out of order."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from streams.broker import EmbeddedBroker
from tests.kafka.delivery_run import counting_run, together

pytestmark = pytest.mark.kafka


async def test_a_kill_before_inside_or_after_a_transaction_changes_nothing(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    # A static member id, so that each next life begins after two or three seconds and not after the session.
    deaths = [f"{point}:{number}" for number in (4, 7) for point in POINTS]
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        feeding = run.feed(8000, per_second=450)
        for death in deaths:
            worker = run.start(instance="only", LOCKSTEP_TEST_DIE_AT=death)
            assert await worker.ended() == -signal.SIGKILL, run.state()
        run.start(instance="only")
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 8000
    assert verdict.flawless, verdict


POINTS = ("before_transaction", "inside_transaction", "after_commit_before_memory")


@pytest.mark.faults
async def test_two_workers_survive_random_kills(broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        workers = [run.start(instance="a"), run.start(instance="b")]
        await together(workers)
        feeding = run.feed(9000, per_second=700)
        for number in range(6):
            await asyncio.sleep(chance.uniform(0.2, 1.2))
            await workers[number % 2].kill()
            workers[number % 2] = run.start(instance="ab"[number % 2])
            await workers[number % 2].until("held")
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 9000
    assert verdict.flawless, verdict


async def test_a_killed_member_without_a_static_id_is_replaced_after_its_session(
    broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
        first, second = run.start(), run.start()
        await together([first, second])
        feeding = run.feed(3000, per_second=400)
        await run.decided(500)
        await first.kill()
        await together([second])
        await run.decided(await feeding)
        verdict = await run.verdict()
    assert verdict.facts == 3000
    assert verdict.flawless, verdict
