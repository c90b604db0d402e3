"""What ``lockstep status`` says about work that waits: what, since when, for what."""

from __future__ import annotations

from typing import Any

import pytest

from streams.cli.observe import _waiting

SINCE = 1_796_000_000_000


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
