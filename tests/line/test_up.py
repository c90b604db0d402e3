"""``lockstep up`` itself: it begins with a wrong key, one worker becomes two and one again, what is killed comes back, SIGTERM ends everything."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from streams.secrets_file import store_secrets
from tests.line.system import Row, Said, System, until
from tests.line.test_kills import Burst, _shared


@dataclass(slots=True)
class FirstStart:
    """What a small installation of its own said while Autotask's key was wrong, and what it has done since then."""

    system: System
    alert: str = ""
    parked: list[Row] = field(default_factory=list)
    status: Said | None = None
    setup: Said | None = None
    calls_of_setup: list[Row] = field(default_factory=list)


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstStart]:
    """With one worker. Autotask was never read before the key is given; then everything has come to its end."""
    running = System(tmp_path_factory.mktemp("up"), workers=1, devices=24, organizations=1)
    found = FirstStart(running)
    try:
        running.start_sandbox()
        right = running.given["autotask"]
        store_secrets(running.secrets, "autotask", {"secret": "wrong", "integration_code": right["integration_code"]})
        running.start_up()
        found.alert = running.alert(running.take()[0], "before anything was read")

        def waits() -> bool:
            said = running.lockstep("parked", "list", "--json")
            found.parked = json.loads(said.out)["parked"] if said.code == 0 and said.out else []
            return found.alert in {row["id"] for row in found.parked} and len(found.parked) > 20

        until("the alert and the devices wait", waits, seconds=60)
        found.status = running.lockstep("status")
        mark = running.psa.mark()
        found.setup = running.lockstep("setup")
        found.calls_of_setup = running.psa.calls(mark)
        secret = f"{right['secret']}\n"
        code = right["integration_code"]
        said = running.lockstep("connect", "autotask", "--integration-code", code, "--secret-stdin", stdin=secret)
        assert said.code == 0, said
        until("every device has an item", running._all_items, seconds=90)
        yield found
    finally:
        running.close()


@pytest.fixture(scope="module")
def alone(first_start: FirstStart) -> System:
    return first_start.system


def test_before_autotask_was_ever_read_nobody_is_called_unmapped_and_then_all_of_it_goes_out_once(
    first_start: FirstStart,
) -> None:
    assert {row["reason"] for row in first_start.parked} == {"CompaniesNotKnown"}
    assert first_start.status is not None
    assert "unknown; the company of organization" in first_start.status.out
    assert "is not known yet: Autotask was never read" in first_start.status.out
    assert "unmapped" not in first_start.status.out
    assert first_start.setup is not None
    assert (first_start.setup.code, first_start.calls_of_setup) == (1, [])
    assert "no call is made before 'lockstep test autotask' succeeds; nothing was created" in first_start.setup.err
    system = first_start.system
    system.opened(first_start.alert)
    assert [row for row in system.tickets() if first_start.alert.replace("-", "") in row["externalID"]] != []
    assert len(system.tickets()) == 1
    assert json.loads(system.lockstep("parked", "list", "--json").out)["parked"] == []


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
