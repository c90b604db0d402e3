"""What is said to people: the demo's lines, how each process is, and what the simulators can be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.autotask import AutotaskVendor
from connectors.sandbox.calls import CallLog
from connectors.sandbox.clock import Clock
from connectors.sandbox.control import control_app
from connectors.sandbox.ninjaone import NinjaVendor
from connectors.sandbox.world import World
from streams.cli.role_rows import NEVER, cells, role_rows, said_of_ends
from streams.demo import words

NOW = 1_796_000_000_000


def test_the_demo_says_what_is_proven() -> None:
    assert words.opened(6, 6, "1.2 s each") == (
        "6 alerts were raised in NinjaOne and 6 tickets opened in Autotask, one for each, with the queue and priority that "
        "one of two rules chose; 1.2 s each"
    )
    assert words.redelivered(2, 2, 0) == (
        "NinjaOne's last 20 webhooks came again in reverse order, and those of 2 new alerts twice each; that changed "
        "nothing: one call for each of the 2 new tickets, and no other write, and no ticket was opened twice"
    )
    assert "5 calls wrote something where 2 new tickets need one each" in words.redelivered(2, 5, 1)
    assert "but 1 tickets were opened twice" in words.redelivered(2, 5, 1)
    assert words.after_a_kill(20, 0, 1.25).startswith("all 20 alerts have their ticket all the same, and no ticket was")


def role(heard: int, *, pid: int = 7, state: str = "running", host: str = "here") -> dict[str, Any]:
    about = {"role": "executor", "name": "executor", "host": host, "pid": pid, "started_at": NOW - 60_000}
    return {**about, "state": state, "heard_at": heard, "figures": {}}


def supervisor(heard: int, pid: int | None, host: str = "here") -> dict[str, Any]:
    kept = {"pid": pid, "running": pid is not None, "restarts": 1, "last_reason": "ended by SIGKILL"}
    return {"role": "supervisor", "host": host, "state": "running", "heard_at": heard, "roles": {"executor": kept}}


@pytest.mark.parametrize(
    ("reports", "state", "ago"),
    [
        ([role(NOW - 2_400)], "running", 2),
        ([role(NOW - 2_400), supervisor(NOW - 1_000, None)], "restarting", 2),
        ([role(NOW - 2_400), supervisor(NOW - 1_000, 8)], "restarting", 2),
        ([role(NOW - 400, pid=8), supervisor(NOW - 1_000, 8)], "running", 0),
        ([role(NOW - 400), supervisor(NOW - 1_000, 8)], "running", 0),
        ([role(NOW - 2_400), supervisor(NOW - 1_000, 8, host="there")], "running", 2),
        ([role(NOW - 30_000, state="gone")], "gone", 30),
    ],
)
def test_a_process_that_was_killed_a_moment_ago_is_not_shown_as_running(
    reports: list[dict[str, Any]], state: str, ago: int
) -> None:
    (shown,) = [row for row in role_rows(reports, now=NOW) if (row["role"], row["host"]) == ("executor", "here")]
    assert (shown["state"], shown["reported_seconds_ago"]) == (state, ago)


def test_a_role_that_ought_to_run_and_was_never_heard_of_is_shown_with_why_up_ended_it() -> None:
    why = "stopped itself rather than lose work (exit 70): Faust is not what delivery was tested with"
    kept = {"worker-1": {"pid": None, "running": False, "restarts": 3, "last_reason": why}}
    up = {**supervisor(NOW - 2_000, 7), "roles": {**supervisor(0, 7)["roles"], **kept}}
    rows = role_rows([role(NOW - 1_000), up], now=NOW)
    assert [(row["name"], row["state"]) for row in rows] == [
        *(("connectors", NEVER), ("executor", "running"), ("worker-1", NEVER)),
    ]
    worker = rows[2]
    assert (worker["restarts"], worker["last_reason"], worker["reported_seconds_ago"]) == (3, why, None)
    told = list(said_of_ends(rows))
    assert told[0] == f"connectors {NEVER}; start it with 'lockstep up', or with 'lockstep run connectors'"
    assert told[2] == f"worker-1 was started again 3 times, the last time because it {why}"


def test_without_any_report_every_role_that_is_needed_is_named() -> None:
    assert [(row["role"], row["state"]) for row in role_rows([], now=NOW)] == [
        *(("connectors", NEVER), ("executor", NEVER), ("worker", NEVER)),
    ]


def test_a_role_that_stopped_long_ago_is_still_shown_and_since_when() -> None:
    days = 3 * 24 * 3_600_000
    long_gone = role(NOW - days, state="gone")
    (row,) = [row for row in role_rows([long_gone], now=NOW) if row["role"] == "executor"]
    assert (row["state"], cells(row)[2]) == ("gone", "3 d ago")
    # Beside one that was heard of since it is history.
    rows = role_rows([long_gone, {**role(NOW - 1_000), "name": "executor-2"}], now=NOW)
    assert [row["name"] for row in rows if row["role"] == "executor"] == ["executor-2"]


def test_two_machines_have_each_a_supervisor_of_their_own() -> None:
    reports = [role(NOW - 400), role(NOW - 400, host="there")]
    rows = role_rows([*reports, supervisor(NOW - 300, 7), supervisor(NOW - 300, 9, host="there")], now=NOW)
    assert [(r["host"], r["state"]) for r in rows if r["role"] == "executor"] == [
        *(("here", "running"), ("there", "restarting")),
    ]


def test_every_control_call_of_the_simulators_is_documented_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {
        (method, path.partition("?")[0])
        for methods, path in re.findall(r"^\| `((?:[A-Z]+`, `)*[A-Z]+) (/_sandbox/\S*)`", page, re.MULTILINE)
        for method in methods.split("`, `")
    }
    world, clock = World(organizations=1, devices=1), Clock()
    vendors = (NinjaVendor(world=world, clock=clock), AutotaskVendor(world=world, clock=clock))
    there = {
        (method, route.path)  # type: ignore[attr-defined]
        for vendor in vendors
        for route in control_app(vendor, CallLog()).routes
        for method in route.methods  # type: ignore[attr-defined]
        if method != "HEAD"
    }
    assert told == there
