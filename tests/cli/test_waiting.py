"""What ``status`` says of work that waits on purpose: what, since when, until when, for what."""

from __future__ import annotations

from typing import Any

from streams.cli.observe import _stopped, _waiting
from streams.executor.trying import Pace

AT = 1_795_489_200_000


def report(role: str, **parts: Any) -> dict[str, Any]:
    return {"role": role, "state": "running", "figures": {"autotask.ticket-commands": parts}}


def test_a_suspended_executor_says_since_when_and_for_what() -> None:
    (entry,) = _waiting([report("executor", waiting=3, suspended="autotask is Unhealthy", suspended_since=AT)])
    assert (entry["count"], entry["since"], entry["why"]) == (3, "2026-11-24T03:00:00.000Z", "autotask is Unhealthy")


def test_one_that_backs_off_says_since_when_and_until_when() -> None:
    pace = Pace(lambda: 0.5)
    pace.throttle(AT, 30.0, "thread limit")
    pace.throttle(AT + 30_000, 60.0, "thread limit")
    figures = {"waiting": 1, "slowed_down": pace.why, "slowed_down_since": pace.since, "next_call_at": pace.not_before}
    (entry,) = _waiting([report("executor", **figures)])
    assert (entry["since"], entry["until"]) == ("2026-11-24T03:00:00.000Z", "2026-11-24T03:01:30.000Z")
    assert entry["why"] == "flow control: thread limit"
    pace.worked()
    assert (pace.why, pace.since) == ("", None)


def test_nothing_that_waits_is_nothing_to_say() -> None:
    assert _waiting([report("executor", waiting=0), report("worker", facts=3)]) == []


def test_a_list_that_stopped_at_the_limit_is_told_with_its_line() -> None:
    assert _stopped([report("connectors", stopped=["100 rows in a row"]), report("executor")]) == ["100 rows in a row"]
