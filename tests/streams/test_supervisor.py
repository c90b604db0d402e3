"""The supervisor with real child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from streams.supervisor import Supervisor, last_words, reason_of


def supervisor(tmp_path: Path, script: str, told: list[str]) -> Supervisor:
    async def on_change(figures: dict[str, dict[str, object]]) -> None:
        return None

    children = {"role": [sys.executable, "-c", script]}
    return Supervisor(children, logs=tmp_path, environment=os.environ, on_change=on_change, tell=told.append)


async def test_a_role_that_ended_is_started_again_and_its_reason_is_kept(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = supervisor(tmp_path, "import time; time.sleep(60)", told)
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    child = keeper.children["role"]
    await child.started.wait()
    assert child.process
    first = child.process.pid
    child.started.clear()
    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(child.started.wait(), 10)
    assert child.process.pid != first
    assert (child.restarts, child.last_reason) == (1, "ended by SIGKILL")
    assert told == ["role ended by SIGKILL; starting it again in 1 s (restart 1)"]
    stop.set()
    await asyncio.wait_for(running, 10)
    assert child.process.returncode == -signal.SIGTERM


async def test_a_role_that_keeps_failing_is_restarted_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.supervisor.FIRST_DELAY_S", 0.01)
    told: list[str] = []
    keeper = supervisor(tmp_path, "raise SystemExit(70)", told)
    keeper.children["role"].delay = 0.01
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    while len(told) < 4:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert [line.split(" in ")[1].split(" s ")[0] for line in told[:4]] == ["0.01", "0.02", "0.04", "0.08"]


async def test_a_role_that_cannot_be_started_is_tried_again_and_a_closed_terminal_changes_nothing(
    tmp_path: Path,
) -> None:
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        raise BrokenPipeError

    keeper = supervisor(tmp_path, "import time; time.sleep(60)", told)
    keeper._tell = tell
    child = keeper.children["role"]
    child.argv, child.delay = [str(tmp_path / "nothing")], 0.01
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    while len(told) < 2:
        await asyncio.sleep(0.01)
    assert told[0] == "role could not be started (No such file or directory); starting it again in 0.01 s (restart 1)"
    child.argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    await asyncio.wait_for(child.started.wait(), 10)
    assert child.figures()["running"] is True
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_a_dismissed_role_stays_away_until_it_is_engaged_again(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = supervisor(tmp_path, "import time; time.sleep(60)", told)
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    await keeper.children["role"].started.wait()
    argv = keeper.children["role"].argv
    await keeper.engage("role", argv)  # it is kept already: nothing happens
    await keeper.engage("another", argv)
    first = keeper.children["role"].process
    assert first
    await keeper.dismiss("role")
    await asyncio.sleep(1.2)  # a role that ended is started again after one second; this one is not
    assert first.returncode == -signal.SIGTERM
    assert keeper.children["role"].process is first
    await keeper.engage("role", argv)
    processes = [child.process for child in keeper.children.values()]
    stop.set()
    await asyncio.wait_for(running, 10)
    assert [process.returncode for process in processes if process] == [-signal.SIGTERM] * 2
    assert told == []


def test_exit_codes_are_told_in_words() -> None:
    assert reason_of(-9) == "ended by SIGKILL"
    assert reason_of(70) == "stopped itself rather than lose work (exit 70)"
    assert reason_of(1) == "failed (exit 1)"


def test_the_last_words_of_a_role_are_its_fatal_line_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "worker-1.log"
    log.write_text("2026-11-24 worker-1 CRITICAL lockstep.delivery: an old story\n")
    before = log.stat().st_size
    assert last_words(log, before) == ""
    with log.open("a") as file:
        file.write("2026-11-24 worker-1 INFO lockstep: fine\n")
        file.write("2026-11-24 worker-1 CRITICAL lockstep.delivery: agent incidents: 100 records in a row\n  more\n")
    assert last_words(log, before) == "agent incidents: 100 records in a row"
    with log.open("a") as file:
        file.write("lockstep: topic timers has 4 partitions\n")
    assert last_words(log, before) == "topic timers has 4 partitions"


async def test_why_a_role_stopped_itself_is_told_and_kept_for_status(tmp_path: Path) -> None:
    told: list[str] = []
    script = "import sys; print('x worker-1 CRITICAL lockstep.delivery: too many', file=sys.stderr); sys.exit(70)"
    keeper = supervisor(tmp_path, script, told)
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    while not told:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 10)
    reason = "stopped itself rather than lose work (exit 70): too many"
    assert keeper.children["role"].figures()["last_reason"] == reason
    assert told == [f"role {reason}; starting it again in 1 s (restart 1)"]
