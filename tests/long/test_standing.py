"""A connection or an executor that stands still: everything else runs on, and nothing is restarted, moved or lost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.line.system import Row, System, until

#: How long Autotask is Unhealthy, in real seconds: beyond every time-out of Kafka's groups (session 6 s for workers and
#: 10 s for executors, rebalance 30 s, aiokafka's poll interval of the fetcher 60 s). LOCKSTEP_LONG_SCALE=6.7 makes it 10 minutes.
UNHEALTHY_S = 90.0
BACKLOG = 60
#: Alerts per measurement of the latency beside a blocked executor.
MEASURED = 40
#: "Unchanged" on a machine that is shared: medians of one run within this factor of each other.
UNCHANGED = 1.5


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path / "line", devices=90)
    try:
        yield running.start()
    finally:
        running.close()


def standing(system: System) -> dict[str, object]:
    """What must not change while something waits: processes, restarts, who holds which partitions, take-overs."""
    shown = system.status()
    log = (system.folder / "logs" / "executor.log").read_text(errors="replace")
    return {
        "pids": {role["name"]: role["pid"] for role in shown["roles"]},
        "restarts": {role["name"]: role["restarts"] for role in shown["roles"]},
        "partitions": system.partitions(),
        "take-overs": log.count("begins at offset"),
    }


def test_minutes_unhealthy_with_a_backlog_restart_nothing_move_nothing_and_lose_nothing(
    system: System, scale: float
) -> None:
    before = standing(system)
    assert before["take-overs"] == 3
    system.psa.ask("PATCH", "api-user", locked=True)
    devices = _devices(system, 0)
    uids = [system.alert(devices[n % 20], f"check {n}", subject=f"check {n}") for n in range(BACKLOG)]
    system.reaches("autotask", "Unhealthy")
    mark, began = system.psa.mark(), time.monotonic()
    for uid in uids[::4]:
        system.clear(uid)
    time.sleep(UNHEALTHY_S * max(scale, 1.0))
    assert system.psa.calls(mark) == [], "a call went out while Unhealthy"
    assert standing(system) == before
    waiting = [entry for entry in system.status()["waiting"] if entry["topic"] == "autotask.ticket-commands"]
    assert waiting
    assert waiting[0]["count"] >= BACKLOG * 3 // 4 - 1
    assert "Unhealthy since" in waiting[0]["why"]
    system.psa.ask("PATCH", "api-user", locked=False)
    said = system.lockstep("test", "autotask")
    assert said.code == 0, said
    due = [uid for index, uid in enumerate(uids) if index % 4]
    system.opened(*due, seconds=120)
    system.silence(3)
    assert standing(system) == before
    assert system.doubled() == 0
    opened = {row["externalID"].split(".")[2] for row in system.tickets()}
    # The one whose call met the refusal may have been under way; what was reset behind the closed gate opens nothing.
    assert len(opened - {uid.replace("-", "") for uid in due}) <= 1
    print(f"Unhealthy for {time.monotonic() - began:.0f} s with {waiting[0]['count']} commands waiting")


def spans(system: System, devices: list[Row], kind: str) -> list[float]:
    """From alert to ticket, in milliseconds by the simulators' clock, for alerts one after another."""
    uids = []
    for number in range(MEASURED):
        uids.append(system.alert(devices[number % len(devices)], f"{kind} {number}", subject=f"{kind} {number}"))
        time.sleep(0.2)
    rows = {row["externalID"].split(".")[2]: row["id"] for row in system.opened(*uids, seconds=60)}
    raised = {r["id"]: r["t"] for r in system.ninja.history() if r["entity"] == "alert" and r["what"] == "triggered"}
    created = {r["id"]: r["t"] for r in system.psa.history() if r["entity"] == "Tickets" and r["what"] == "Created"}
    return [(created[rows[uid.replace("-", "")]] - raised[uid]) * 1000 for uid in uids]


@pytest.mark.parametrize("kind", ["throttle", "delay"])
def test_a_blocked_executor_of_items_leaves_the_latency_of_tickets_as_it_was(system: System, kind: str) -> None:
    devices = _devices(system, 0)
    spans(system, devices, "warm up")
    before = spans(system, devices, "before")
    params = {"retry_after": 30} if kind == "throttle" else {"seconds": 25}
    match = {"path": "ConfigurationItems"}
    system.psa.ask("POST", "faults", kind=kind, match=match, count=-1, params=params)
    for device in _devices(system, 20):
        system.ninja.ask("PATCH", f"devices/{device['id']}", displayName=f"renamed {device['id']}")
    until("items wait", lambda: _waiting(system, "autotask.device-commands") >= 10, seconds=60)
    during = spans(system, devices, "during")
    assert _waiting(system, "autotask.device-commands") >= 10, "it was not blocked while this was measured"
    ratio = statistics.median(during) / statistics.median(before)
    print(
        f"{kind}: alert to ticket p50 {statistics.median(before):.0f} ms before, {statistics.median(during):.0f} ms with "
        f"items blocked, ratio {ratio:.2f}"
    )
    assert ratio < UNCHANGED
    system.psa.ask("DELETE", "faults")


def _waiting(system: System, topic: str) -> int:
    return sum(entry["count"] for entry in system.status()["waiting"] if entry["topic"] == topic)


def _devices(system: System, begin: int) -> list[Row]:
    """Twenty devices of the fleet, of whatever class."""
    approved = [device for device in system.fleet() if device["approvalStatus"] == "APPROVED"]
    return approved[begin : begin + 20]
