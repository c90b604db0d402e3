"""Something that a vendor has and the log does not know yet: when it is read, by what, and what keeps it from being read."""

from __future__ import annotations

from typing import Any

import pytest

from streams.not_yet import hint
from streams.settings import Settings
from tests.core.spec import UID_A

HOOK = "https://hooks.example.com/webhooks/ninjaone"


def reports(state: str = "running", **figures: Any) -> list[dict[str, Any]]:
    return [{"role": "connectors", "state": state, "figures": {"ninjaone": figures, "autotask": {}}}]


@pytest.mark.parametrize("uid", [UID_A, UID_A.replace("-", "").upper()])
def test_an_alert_of_a_moment_ago_comes_with_the_next_poll(uid: str) -> None:
    assert hint(Settings(), reports(webhook=""), uid) == (
        "an alert that is new is read by the next poll, in 30 s at most (ninjaone.poll_seconds); no webhook is set up"
    )


def test_where_a_webhook_is_set_up_it_comes_within_seconds() -> None:
    settings = Settings.model_validate({"ninjaone": {"webhook": {"public_url": HOOK}}})
    told = hint(settings, reports(webhook=f"NinjaOne sends activities to {HOOK}"), UID_A)
    assert "by webhook within seconds (the receiver runs), else by the poll, 30 s at most" in told
    assert "no webhook is set up" in hint(settings, reports(webhook="refused: 403"), UID_A)


@pytest.mark.parametrize(("roles", "word"), [([], "no connectors run"), (reports("gone"), "no connectors run")])
def test_without_connectors_nothing_is_read_and_that_is_said(roles: list[dict[str, Any]], word: str) -> None:
    assert word in hint(Settings(), roles, UID_A)


def test_a_connection_that_is_closed_is_named_with_its_reason() -> None:
    told = hint(Settings(), reports(suspended="ninjaone is Unhealthy: WrongSecret"), UID_A)
    assert told == "an alert that is new is not read at the moment: ninjaone is Unhealthy: WrongSecret"


def test_tickets_and_devices_are_read_at_their_own_pace_and_anything_else_is_not_guessed_at() -> None:
    slow = [{"role": "connectors", "state": "running", "figures": {"ninjaone": {}, "autotask": {"polls_slower_by": 4}}}]
    assert "in 2 min at most (autotask.poll_seconds)" in hint(Settings(), slow, "T20261128.0012")
    assert "in 15 min at most (ninjaone.inventory_seconds)" in hint(Settings(), reports(), "4711")
    assert hint(Settings(), reports(), "o17") == hint(Settings(), reports(), "server") == ""
