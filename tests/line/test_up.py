"""``lockstep up`` itself: one worker becomes two and one again, what is killed comes back, SIGTERM ends everything."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.line.system import System, until
from tests.line.test_kills import Burst, _shared


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A small installation of its own, with one worker."""
    running = System(tmp_path_factory.mktemp("up"), workers=1, devices=24, organizations=1)
    try:
        yield running.start()
    finally:
        running.close()


@pytest.mark.long
def test_one_worker_becomes_two_and_one_again_in_a_burst(alone: System) -> None:
    burst = Burst(alone, 4, "WINDOWS_WORKSTATION")
    assert _shared(alone, 1)
    second = alone.worker("worker-b")
    until("two workers share the partitions", lambda: _shared(alone, 2), seconds=40)
    burst.run(30, {15: second.terminate})
    assert second.wait(30) == 0
    burst.judge()
    until("one worker holds them all", lambda: _shared(alone, 1), seconds=40)


def test_a_killed_role_comes_back_and_status_says_how_often_and_why(alone: System) -> None:
    pid = alone.kill("executor")

    def back() -> bool:
        roles = {role["name"]: role for role in alone.status()["roles"]}
        role = roles["executor"]
        return role["state"] == "running" and role["pid"] != pid and role["restarts"] == 1

    until("the executor is back", back)
    role = next(role for role in alone.status()["roles"] if role["name"] == "executor")
    assert role["last_reason"] == "ended by SIGKILL"
    assert "ended by SIGKILL" in alone.lockstep("status").out
    alone.opened(alone.alert(alone.take()[0]))


def test_sigterm_ends_everything_with_exit_0_and_leaves_no_process(alone: System) -> None:
    assert alone.up is not None
    below = alone.processes()
    assert len(below) >= 5, "up, broker, connectors, worker, executor"
    begun = time.monotonic()
    alone.up.send_signal(signal.SIGTERM)
    assert alone.up.wait(40) == 0
    assert time.monotonic() - begun < 40
    _, left = psutil.wait_procs(below, timeout=3)
    assert left == []
    assert alone.lockstep("status").code == 1
