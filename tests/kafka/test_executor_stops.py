"""An executor that must stop rather than go on, and one that only waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.sandbox.serve import RunningSandbox, sandbox_in_thread
from schemas.topics import DEAD_LETTERS
from streams.broker import EmbeddedBroker
from streams.readers import read_all
from tests.kafka.executor_run import Run, executor_run

pytestmark = pytest.mark.kafka

SERIES = {"n": 60}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with sandbox_in_thread(devices=3) as running:
        yield running


@pytest.fixture
async def run(broker: EmbeddedBroker, sandbox: RunningSandbox, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Run]:
    SERIES["n"] += 1
    async with executor_run(broker.bootstrap_servers, topic_prefix, tmp_path, sandbox, series=SERIES["n"]) as running:
        yield running


async def letters(run: Run) -> int:
    return len([record async for record in read_all(run.options, run.prefix + DEAD_LETTERS)])


async def test_garbage_in_a_row_stops_it_before_it_is_kept_and_what_follows_goes_out_once_let_through(run: Run) -> None:
    for number in range(30):
        await run.send_raw(b"garbage %d" % number)
    await run.send([run.create(number) for number in range(3)])
    for _ in range(2):
        host = run.start("a", instance_id="a", limit={"consecutive": 20})
        assert await host.ended() == 70, host.tail()
        assert "20 records in a row of" in host.tail()
        assert "LOCKSTEP_EXECUTOR__DEAD_LETTERS__CONSECUTIVE=-1" in host.tail()
        assert await letters(run) < 20
    before = await letters(run)
    run.start("a", instance_id="a", limit={"consecutive": -1})
    await run.all_settled()
    # What was kept before the stop may be kept once more: it is one letter to an operator, by its place.
    assert 30 <= await letters(run) <= 30 + before
    assert await run.tickets() == {run.create(number).external_id: 1 for number in range(3)}


async def test_a_consumer_that_stalls_although_there_is_work_ends_it_and_the_next_one_goes_on(run: Run) -> None:
    host = run.start("a", instance_id="a", stalled_after_s=3.0)
    await host.owns()
    await run.send([run.create(0)])
    await run.all_settled()
    stall = run.folder / "stall"
    stall.touch()
    await asyncio.sleep(1)
    await run.send([run.create(1)])
    assert await host.ended() == 70, host.tail()
    assert "has stalled: " in host.tail()
    assert "s without a record at offset 2 of 4" in host.tail()
    stall.unlink()
    run.start("a", instance_id="a")
    await run.all_settled()


async def test_one_that_is_idle_or_waits_on_purpose_with_a_full_window_does_not_count_as_stalled(run: Run) -> None:
    run.closed.touch()
    host = run.start("a", window=5, stalled_after_s=2.0)
    await host.owns()
    await asyncio.sleep(4)
    await run.send([run.create(number) for number in range(20)])
    await host.waits_with(5)
    await asyncio.sleep(5)
    assert host.process.poll() is None, host.tail()
    # It says what it waits for, and since when.
    assert host.figures()["suspended"] == "the test closed the gate"
    assert host.figures()["suspended_since"]
    run.closed.unlink()
    await run.all_settled()
