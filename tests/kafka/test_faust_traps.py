"""Every known trap of plain Faust (E1 to E9): what it does to a fact, and the same input under our delivery module.

Where plain Faust loses, a test that fails after an upgrade is good news: read what changed, then the recipe may shrink.
Where it is safe, the test guards what we rely on. *Lost* is a fact below the committed offset of the group that was never
handled: whoever comes next begins behind it.

All programs run side by side, each in a group of its own on one topic, and end by their own fault or ours.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.fleet import Fleet, Plan, Worker
from bench.kafka_io import Publisher, create_job_topics
from bench.verdict import Verdict, judge
from streams.broker import EmbeddedBroker
from tests.kafka.faust_traps import FACTS
from tests.kafka.faust_traps.job import job

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

PREFIX = "t.faust-traps."
#: E5 has a topic that ends with the fact that raises: a stop waits for facts behind it, which nobody works on any more.
SHORT = "t.faust-traps.short."
#: A wait for a condition; a busy machine starts a dozen programs in half of it.
PATIENCE_S = 90.0
PLAIN = (
    "raises",
    "acks_by_hand",
    "unacknowledged_batches",
    "batches",
    "crashes",
    "two_at_a_time",
    "two_at_a_time_capped",
    "exits",
    "slow",
)
OURS = ("raises", "endless", "exits", "slow")


@dataclass
class Life:
    """One group on the topic and the process that works for it."""

    servers: str
    worker: Worker
    group: str
    own_prefix: str
    facts_prefix: str = PREFIX

    def handled(self) -> set[int]:
        return {report["offset"] for report in self.worker.reports() if report["event"] == "handled"}

    async def committed(self) -> int | None:
        """The offset at which the next member of the group begins."""
        place = TopicPartition(job(self.facts_prefix, "", 1).stage.topics[0], 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.servers, group_id=self.group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([place])
            return cast(int | None, await consumer.committed(place))
        finally:
            await consumer.stop()

    async def has_committed(self, offset: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while await self.committed() != offset:
            assert time.monotonic() < deadline, await self.state()
            await asyncio.sleep(0.1)

    async def lost(self) -> set[int]:
        """The dead process is the only one there was."""
        assert self.worker.exit_code is not None
        return set(range(await self.committed() or 0)) - self.handled()

    async def state(self) -> str:
        said = self.worker.log.read_text()[-2000:]
        return f"exit {self.worker.exit_code}, committed {await self.committed()}, handled {self.handled()}\n{said}"


@dataclass
class Traps:
    servers: str
    plain: dict[str, Life]
    ours: dict[str, Life]
    folder: Path

    def next_life(self, life: Life) -> Fleet:
        """A fleet with one more worker of ours on the same place, that meets no trap."""
        fleet = Fleet(_plan(self.servers, life.own_prefix, self.folder / "next" / life.own_prefix))
        fleet.start(instance="only")
        return fleet


def _plan(servers: str, own_prefix: str, folder: Path, facts_prefix: str = PREFIX) -> Plan:
    return Plan(servers, facts_prefix, own_prefix, folder, job="tests.kafka.faust_traps.job:job", partitions=1)


@pytest.fixture(scope="module")
def traps(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traps]:
    servers, folder = broker.bootstrap_servers, tmp_path_factory.mktemp("traps")
    asyncio.run(_prepare(servers))
    started = Traps(servers, {}, {}, folder)
    for name in PLAIN:
        own, read = f"{PREFIX}plain.{name}.", SHORT if name == "crashes" else PREFIX
        worker = Fleet(_plan(servers, own, folder / own, read)).start(contender=f"tests.kafka.faust_traps.{name}")
        started.plain[name] = Life(servers, worker, f"{own}plain", own, read)
    for name in OURS:
        own = f"{PREFIX}ours.{name}."
        worker = Fleet(_plan(servers, own, folder / own)).start(instance="only", LOCKSTEP_TEST_TRAP=name)
        started.ours[name] = Life(servers, worker, f"{own}counting", own)
    try:
        yield started
    finally:
        for life in (*started.plain.values(), *started.ours.values()):
            life.worker.process.kill()
            life.worker.process.wait()


async def _prepare(servers: str) -> None:
    made = job(PREFIX, f"{PREFIX}none.", 1)
    for name in OURS:
        await create_job_topics(servers, job(PREFIX, f"{PREFIX}ours.{name}.", 1), 1)
    short = job(SHORT, f"{PREFIX}none.", 1)
    await create_job_topics(servers, short, 1)
    async with Publisher(servers) as publisher:
        await publisher.publish(made.facts(FACTS))
        await publisher.publish(short.facts(4))


@pytest.mark.parametrize(
    ("program", "lost"),
    [
        pytest.param("raises", {3}, id="E1-raises"),
        pytest.param("acks_by_hand", {3}, id="E2-noack-and-ack"),
        pytest.param("batches", {1, 2, 3}, id="E4-take"),
    ],
)
async def test_plain_faust_commits_past_a_fact_whose_agent_raised(traps: Traps, program: str, lost: set[int]) -> None:
    life = traps.plain[program]
    await life.has_committed(FACTS)
    await life.worker.kill()
    assert await life.lost() == lost


async def test_e3_plain_faust_never_commits_batches_that_nobody_acknowledges(traps: Traps) -> None:
    # It was also seen to stop at the fact that raised and to commit all; here it goes on, and the next begins anew.
    life = traps.plain["unacknowledged_batches"]
    await life.worker.until("committed", PATIENCE_S)
    await life.worker.kill()
    assert life.handled() == set(range(FACTS)) - {3}
    assert await life.committed() is None


async def test_e5_a_supervisor_that_crashes_commits_the_fact_that_crashed_it(traps: Traps) -> None:
    life = traps.plain["crashes"]
    assert await life.worker.ended(PATIENCE_S) == 1, await life.state()
    assert life.handled() == {0, 1, 2}
    assert await life.lost() == {3}, await life.state()


async def test_e6_plain_faust_with_two_at_a_time_commits_past_the_one_under_way(traps: Traps) -> None:
    life = traps.plain["two_at_a_time"]
    await life.has_committed(FACTS)
    await life.worker.kill()
    assert await life.lost() == {0}


async def test_e7_a_commit_capped_at_the_lowest_fact_under_way_loses_nothing(traps: Traps) -> None:
    life = traps.plain["two_at_a_time_capped"]
    await life.worker.until("committed", PATIENCE_S)
    await life.worker.kill()
    assert life.handled() == set(range(1, FACTS))
    assert await life.committed() is None


async def test_e8_a_program_that_ends_itself_at_once_commits_nothing_it_has_not_handled(traps: Traps) -> None:
    life = traps.plain["exits"]
    assert await life.worker.ended(PATIENCE_S) == 70
    assert life.handled() == {0, 1, 2}
    assert (await life.committed() or 0) <= 3


async def test_e9_plain_faust_finishes_a_slow_fact_before_it_obeys_a_sigterm(traps: Traps) -> None:
    life = traps.plain["slow"]
    await life.worker.until("slow", PATIENCE_S)
    life.worker.signal(signal.SIGTERM)
    await life.worker.ended(PATIENCE_S)
    assert 3 in life.handled()
    assert await life.lost() == set()
    assert (await life.committed() or 0) >= 4


@pytest.mark.parametrize(("trap", "said"), [("raises", "slice not committed: ValueError: fact 3"), ("exits", "")])
async def test_under_ours_a_fact_that_raises_or_exits_ends_the_worker_and_is_decided_by_the_next(
    traps: Traps, trap: str, said: str
) -> None:
    life = traps.ours[trap]
    assert await life.worker.ended(PATIENCE_S) == 70, await life.state()
    assert said in life.worker.log.read_text()
    assert (await decided_by_the_next(traps, life)).flawless


async def test_under_ours_a_kill_during_a_slow_fact_leaves_it_and_the_others_to_the_next(traps: Traps) -> None:
    life = traps.ours["endless"]
    await life.worker.until("endless", PATIENCE_S)
    await life.worker.kill()
    assert await life.committed() in (None, 0)
    assert (await decided_by_the_next(traps, life)).flawless


async def test_under_ours_a_slow_slice_is_finished_before_a_sigterm_is_obeyed(traps: Traps) -> None:
    life = traps.ours["slow"]
    await life.worker.until("slow", PATIENCE_S)
    life.worker.signal(signal.SIGTERM)
    assert await life.worker.ended(PATIENCE_S) == 0, await life.state()
    verdict = await judge(life.servers, job(PREFIX, life.own_prefix, 1))
    assert verdict.lost < FACTS - 3
    assert verdict.doubled == 0
    assert (await decided_by_the_next(traps, life)).flawless


async def decided_by_the_next(traps: Traps, life: Life) -> Verdict:
    """What came of all facts, once a worker without a trap has taken over."""
    made = job(PREFIX, life.own_prefix, 1)
    async with traps.next_life(life) as fleet:
        deadline = time.monotonic() + PATIENCE_S
        while (verdict := await judge(life.servers, made)).lost:
            assert time.monotonic() < deadline, f"{verdict}\n{fleet.workers[0].log.read_text()[-2000:]}"
            await asyncio.sleep(0.2)
    assert verdict.facts == FACTS
    return verdict
