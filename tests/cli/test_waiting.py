"""What ``lockstep status`` says about work that waits: what, since when, for what."""

from __future__ import annotations

from typing import Any

import pytest

from streams.cli.observe import _connection, _lines, _waiting
from streams.core.connection import Connection
from streams.executor.trying import Pace
from streams.operations import Pause

SINCE = 1_796_000_000_000
AT = 1_795_489_200_000


def waiting(**figures: Any) -> list[dict[str, Any]]:
    part = {"waiting": 3, "by_lane": {"create": 1, "note": 2}, **figures}
    report = {"role": "executor", "state": "running", "figures": {"autotask.ticket-commands": part}}
    return _waiting([report])


@pytest.mark.parametrize(
    ("figures", "why", "held"),
    [
        (
            {"suspended": "Autotask is Unhealthy", "suspended_since": SINCE},
            "Autotask is Unhealthy",
            {"create": 1, "note": 2},
        ),
        (
            {"slowed_down": "3 failures in a row: 503", "slowed_down_since": SINCE},
            "3 failures in a row: 503",
            {"create": 1, "note": 2},
        ),
        (
            {"held": {"note": 2}, "held_why": "hourly budget: 7600 of 10000", "held_since": SINCE},
            "hourly budget: 7600 of 10000 (holds back 2 note)",
            {"note": 2},
        ),
    ],
)
def test_what_waits_is_shown_with_its_reason_and_since_when(
    figures: dict[str, Any], why: str, held: dict[str, int]
) -> None:
    (entry,) = waiting(**figures)
    assert (entry["count"], entry["why"], entry["held"]) == (3, why, held)
    assert entry["since"] == "2026-11-30T00:53:20.000Z"


def test_work_on_its_way_has_no_reason_to_wait() -> None:
    (entry,) = waiting(held={}, held_why="hourly budget: 4600 of 10000", held_since=SINCE)
    assert (entry["why"], entry["since"]) == ("", None)


def report(**part: Any) -> dict[str, Any]:
    return {"role": "executor", "state": "running", "figures": {"autotask.ticket-commands": part}}


def test_one_that_backs_off_says_since_when_and_until_when() -> None:
    pace = Pace(lambda: 0.5)
    pace.throttle(AT, 30.0, "thread limit")
    pace.throttle(AT + 30_000, 60.0, "thread limit")
    figures = {"waiting": 1, "slowed_down": pace.why, "slowed_down_since": pace.since, "next_call_at": pace.not_before}
    (entry,) = _waiting([report(**figures)])
    assert (entry["since"], entry["until"]) == ("2026-11-24T03:00:00.000Z", "2026-11-24T03:01:30.000Z")
    assert entry["why"] == "flow control: thread limit"
    pace.worked()
    assert (pace.why, pace.since) == ("", None)


def test_nothing_that_waits_is_nothing_to_say() -> None:
    assert _waiting([report(waiting=0)]) == []


def test_a_list_that_stopped_at_the_limit_is_told_with_its_line() -> None:
    assert _lines(
        [
            {"role": "connectors", "state": "running", "figures": {"ninjaone": {"stopped": ["100 rows in a row"]}}},
            report(),
        ],
        "stopped",
    ) == ["100 rows in a row"]


def test_a_list_that_is_refused_for_good_is_told_only_by_the_connectors_that_run() -> None:
    line = "ninjaone alerts: 3 times in a row: refused"
    figures = {"ninjaone": {"failing": [line]}, "autotask": {}}
    here = {"role": "connectors", "state": "running", "figures": figures}
    assert _lines([here, {**here, "state": "gone"}, report()], "failing") == [line]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (
            "Refused the credentials.",
            "Refused the credentials; paused by anna since 2026-11-24T03:00:00.000Z: patching",
        ),
        ("", "paused by anna since 2026-11-24T03:00:00.000Z: patching"),
    ],
)
def test_a_pause_stands_beside_the_reason_that_was_there(reason: str, shown: str) -> None:
    state = Connection(name="autotask", state="Unhealthy", reason=reason, since=AT)
    told = _connection(state, Pause(what="autotask", since=AT, by="anna", reason="patching"))
    assert told["reason"] == shown
