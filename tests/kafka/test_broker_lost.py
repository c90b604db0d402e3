"""The only broker is lost under load, by SIGKILL or by a full disk: it comes back by itself, and so does the work."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.broker import BrokerError, EmbeddedBroker, attach
from streams.drill.disk import disk_full, disk_full_on
from tests.kafka.delivery_run import counting_run, kept

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

#: More than a worker decides between two looks at what it has done.
BACKLOG = 20_000


async def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_broker_killed_in_the_middle_of_transactions_costs_nothing(topic_prefix: str, tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
            await run.publisher.publish(run.job.facts(BACKLOG))
            async with kept(run, instance="only"):
                for number in (1, 2):
                    await run.decided(run.audited + 2000)
                    assert broker.pid is not None
                    os.kill(broker.pid, signal.SIGKILL)
                    await eventually(lambda number=number: broker.restarts == number and broker.pid is not None)
                    assert run.audited < BACKLOG
                await run.decided(BACKLOG, 120)
            verdict = await run.verdict()
    assert verdict.facts == BACKLOG
    assert verdict.flawless, verdict


async def test_a_full_disk_stops_the_broker_and_room_brings_everything_back(topic_prefix: str, tmp_path: Path) -> None:
    told: list[str] = []
    with EmbeddedBroker(tmp_path / "kafka", progress=told.append) as broker:
        async with counting_run(broker.bootstrap_servers, topic_prefix, tmp_path) as run:
            await run.publisher.publish(run.job.facts(BACKLOG))
            async with kept(run, instance="only"):
                await run.decided(2000)
                with disk_full_on(broker.data_dir):
                    # The second of these lives began on a full disk.
                    await eventually(lambda: broker.restarts >= 2)
                    with pytest.raises(BrokerError, match=DOWN) as refused:
                        attach(broker.data_dir)
                    stuck = run.audited
                assert stuck < BACKLOG
                await run.decided(BACKLOG, 120)
            verdict = await run.verdict()
        assert broker.failure is None
    assert verdict.facts == BACKLOG
    assert verdict.flawless, verdict
    assert "\n" not in str(refused.value)
    assert [bool(re.match(DOWN, line)) for line in told] == [True, False], told
    assert told[1] == "the embedded broker runs again"


DOWN = (
    r"the embedded broker .*is down: the disk is full \(File too large\); make room; it is started again until it runs"
)


def test_a_broker_that_cannot_start_for_lack_of_room_says_so_and_can_be_tried_again(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "kafka")
    with disk_full_on(broker.data_dir), pytest.raises(BrokerError, match=r"does not start: the disk is full"):
        broker.open()
    with broker:
        assert attach(broker.data_dir) == broker.bootstrap_servers


def test_only_the_named_process_finds_the_disk_full_and_only_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with disk_full(os.getpid()), pytest.raises(OSError, match="File too large"):
        (tmp_path / "a").write_text("more")
    (tmp_path / "a").write_text("more")
