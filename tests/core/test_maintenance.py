"""Maintenance windows, sentence by sentence: what they swallow, for whom, and what is decided at their end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from schemas.commands import CreateTicket
from schemas.facts import AlertObserved, TimerFired
from streams.core.policy.maintenance import WeeklyWindow
from streams.core.policy.policy import PolicyError, parse_policy
from streams.core.views import waiting_in
from streams.core.windows import end_of
from streams.zones import offsets_of, zones_in
from tests.core.spec import (
    DAY,
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    Scene,
    incidents,
    lifecycle,
    observed,
    policy,
    reset,
    subject,
    triggered,
)

#: From the start of every scene on, for two hours.
ONCE = {"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T05:00:00Z"}


def in_window(*windows: dict[str, Any], **more: Any) -> Scene:
    return incidents(triggered(), maintenance=list(windows or (ONCE,)), **more)


def test_an_alert_in_a_window_is_suppressed_and_names_it() -> None:
    scene = in_window()
    assert scene.kinds == []
    assert scene.disposition() == ("suppressed", "Maintenance:move")
    assert [at for at, _ in scene.timers()] == [START + 2 * HOUR]


def test_what_still_fires_when_the_window_ends_opens_its_ticket_then() -> None:
    scene = in_window().fire()
    assert scene.kinds == ["CreateTicket"]
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.now == START + 2 * HOUR


def test_what_came_and_went_in_a_window_opens_nothing_and_is_told_apart() -> None:
    scene = in_window().when(reset())
    assert (scene.kinds, scene.timers()) == ([], [])
    assert scene.disposition() == ("closed", "ResetWithinMaintenance")
    assert scene.body()["alerts"][UID_A]["detail"] == "move"


def test_an_alert_before_and_after_the_window_opens_its_ticket() -> None:
    assert incidents(maintenance=[ONCE]).later(-1).when(triggered()).kinds == ["CreateTicket"]
    assert incidents(maintenance=[ONCE]).later(2 * HOUR).when(triggered()).kinds == ["CreateTicket"]


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        ({"organization": [17]}, True),
        ({"organization": ["nordwind gmbh"]}, True),
        ({"organization": 18}, False),
        ({"location": "Main Office"}, True),
        ({"location": 32}, False),
        ({"role": "Windows Server"}, True),
        ({"role": [2]}, False),
        ({"device": [407]}, True),
        ({"device": ["nw-fs01"]}, True),
        ({"device": [408, "OTHER"]}, False),
        ({"organization": 17, "device": 408}, False),
    ],
)
def test_a_window_is_for_what_it_names(scope: dict[str, Any], inside: bool) -> None:
    assert (in_window({**ONCE, **scope}).kinds == []) is inside


def test_of_two_windows_the_one_that_ends_last_counts() -> None:
    longer = {"name": "patch", "from": "2026-11-24T02:00:00Z", "to": "2026-11-24T06:00:00Z"}
    scene = in_window(ONCE, longer)
    assert scene.disposition() == ("suppressed", "Maintenance:patch")
    assert scene.fire().kinds == ["CreateTicket"]


def test_a_window_that_follows_on_another_goes_on_suppressing() -> None:
    then = {"name": "then", "from": "2026-11-24T05:00:00Z", "to": "2026-11-24T06:00:00Z"}
    scene = in_window(ONCE, then).fire()
    assert scene.kinds == []
    assert scene.disposition() == ("suppressed", "Maintenance:then")
    assert scene.fire().kinds == ["CreateTicket"]


def test_a_held_alert_whose_hold_ends_in_a_window_waits_for_the_windows_end() -> None:
    late = {**ONCE, "from": "2026-11-24T03:04:00Z"}
    scene = in_window(late, **lifecycle(hold="5m"))
    assert scene.disposition() == ("held", "Holding")
    scene.fire()
    assert scene.disposition() == ("suppressed", "Maintenance:move")


def test_what_still_fires_at_the_end_is_held_as_its_rule_says() -> None:
    scene = in_window(**lifecycle(hold="5m")).fire()
    assert scene.disposition() == ("held", "Holding")
    assert scene.fire().kinds == ["CreateTicket"]


def test_a_repeat_in_a_window_is_counted_on_its_ticket_without_a_note() -> None:
    late = {**ONCE, "from": "2026-11-24T03:30:00Z"}
    scene = in_window(late).settle("CreateTicket").later(HOUR).when(triggered(11))
    assert (scene.kinds, scene.reasons) == ([], ["Maintenance:move"])
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_ticket_from_before_the_window_is_completed_in_it() -> None:
    late = {**ONCE, "from": "2026-11-24T03:30:00Z"}
    scene = in_window(late).settle("CreateTicket").later(HOUR).when(reset())
    assert scene.kinds == ["CompleteTicket"]


def test_a_second_alert_of_an_open_ticket_is_suppressed_and_joins_it_afterwards() -> None:
    late = {**ONCE, "from": "2026-11-24T03:30:00Z"}
    scene = in_window(late).settle("CreateTicket").later(HOUR).when(triggered(11, UID_B))
    assert scene.disposition(UID_B) == ("suppressed", "Maintenance:move")
    scene.fire()
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_a_window_that_is_taken_out_of_the_policy_lets_its_alerts_go() -> None:
    assert in_window().when(policy(2)).kinds == ["CreateTicket"]


def test_a_window_that_stays_in_the_policy_keeps_its_alerts() -> None:
    scene = in_window()
    before = scene.body()
    assert scene.when(policy(2, maintenance=[ONCE])).kinds == []
    assert scene.body() == before


def test_the_end_of_a_window_that_is_told_twice_opens_one_ticket() -> None:
    scene = in_window()
    due_at, name = scene.timers()[0]
    scene.fire().when(TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert scene.all_kinds() == ["CreateTicket"]


def test_the_latest_text_of_a_suppressed_alert_is_what_its_ticket_says() -> None:
    scene = in_window().later(MINUTE).when(triggered(11, message="1 % free"))
    assert scene.reasons == ["StillSuppressed"]
    (create,) = scene.fire().issued
    assert isinstance(create, CreateTicket)
    assert "1 % free" in create.description


def test_ninjaones_own_maintenance_is_honoured_until_its_end() -> None:
    scene = incidents(triggered(in_maintenance=True, maintenance_ends_at=START + HOUR))
    assert scene.disposition() == ("suppressed", "Maintenance:NinjaOne")
    assert scene.fire().kinds == ["CreateTicket"]
    assert scene.now == START + HOUR


def test_ninjaones_own_maintenance_without_an_end_is_honoured_for_a_day() -> None:
    scene = incidents(triggered(at=START, in_maintenance=True))
    assert scene.fire().kinds == ["CreateTicket"]
    assert scene.now == START + DAY


def seen(moment: int, until: int | None = None, **more: Any) -> AlertObserved:
    """What the connector tells anew: the device's maintenance mode as seen at an instant; ``until`` 0 is none at all."""
    mode = {"in_maintenance": until != 0, "maintenance_ends_at": until or None, "maintenance_seen_at": moment}
    return observed(**mode, **more)


def in_ninjaones(until: int | None = START + HOUR, **more: Any) -> Scene:
    word = {"in_maintenance": True, "maintenance_ends_at": until, "maintenance_seen_at": START}
    return incidents(triggered(**word), **more)


def test_what_is_taken_out_of_maintenance_before_its_end_opens_at_once() -> None:
    scene = in_ninjaones().later(MINUTE).when(seen(START + MINUTE, 0))
    assert scene.kinds == ["CreateTicket"]
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.timers() == []


@pytest.mark.parametrize("minutes", [30, 90])
def test_a_maintenance_whose_end_is_moved_is_honoured_until_the_new_one(minutes: int) -> None:
    scene = in_ninjaones().later(MINUTE).when(seen(START + MINUTE, START + minutes * MINUTE))
    assert (scene.kinds, scene.disposition()) == ([], ("suppressed", "Maintenance:NinjaOne"))
    assert scene.fire().kinds == ["CreateTicket"]
    assert scene.now == START + minutes * MINUTE


def test_an_older_word_about_the_maintenance_that_comes_late_does_not_count() -> None:
    scene = in_ninjaones().when(seen(START + 2 * MINUTE, START + 2 * HOUR)).when(seen(START + MINUTE, 0))
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])
    assert [at for at, _ in scene.timers()] == [START + 2 * HOUR]


def test_the_end_that_is_told_before_the_alert_is_raised_counts_all_the_same() -> None:
    scene = incidents(seen(START + MINUTE, 0))
    word = {"in_maintenance": True, "maintenance_ends_at": START + HOUR, "maintenance_seen_at": START}
    assert scene.kinds == ["CreateTicket"]
    assert scene.when(triggered(**word)).reasons == ["Duplicate"]


def test_a_word_about_the_maintenance_of_an_alert_that_has_its_ticket_changes_nothing() -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    before = scene.body()
    scene.when(seen(START + MINUTE, START + HOUR, at=START + 10_000))
    assert (scene.kinds, scene.disposition()) == ([], ("ticketed", "Opened"))
    assert {**scene.body()["alerts"][UID_A], "observed": None} == {**before["alerts"][UID_A], "observed": None}


def test_an_alert_that_is_raised_again_in_maintenance_keeps_what_was_seen_of_it_and_its_latest_text() -> None:
    scene = in_ninjaones().when(seen(START + MINUTE, START + 2 * HOUR)).when(triggered(11, message="1 % free"))
    assert (scene.reasons, [at for at, _ in scene.timers()]) == (["StillSuppressed"], [START + 2 * HOUR])
    (create,) = scene.fire().issued
    assert isinstance(create, CreateTicket)
    assert "1 % free" in create.description


def test_an_alert_that_is_raised_again_out_of_maintenance_opens_at_once() -> None:
    word = {"in_maintenance": False, "maintenance_seen_at": START + MINUTE}
    assert in_ninjaones().when(triggered(11, **word)).kinds == ["CreateTicket"]


def test_the_hold_of_an_alert_begins_when_its_maintenance_ends_early() -> None:
    scene = in_ninjaones(**lifecycle(hold="5m")).later(MINUTE).when(seen(START + MINUTE, 0))
    assert scene.disposition() == ("held", "Holding")
    assert [at for at, _ in scene.timers()] == [scene.now + 5 * MINUTE]


def test_the_policys_own_window_holds_what_ninjaone_lets_go() -> None:
    scene = in_ninjaones(maintenance=[ONCE]).when(seen(START + MINUTE, 0))
    assert scene.disposition() == ("suppressed", "Maintenance:move")
    assert scene.fire().kinds == ["CreateTicket"]


def test_what_is_held_back_is_listed_with_its_reason_and_its_end() -> None:
    scene = incidents(
        triggered(),
        triggered(11, UID_B, subject=subject(node_class="LINUX_SERVER"), alert_subject="D:"),
        maintenance=[{**ONCE, "to": "2026-11-24T04:00:00Z"}],
        **lifecycle(hold="5m"),
    )
    listed = waiting_in("407", scene.state[b"407"])
    assert [(entry.uid, entry.disposition, entry.reason, entry.until) for entry in listed] == [
        (UID_B, "suppressed", "Maintenance:move", START + HOUR),
        (UID_A, "suppressed", "Maintenance:move", START + HOUR),
    ]
    assert listed[0].organization_id == 17


# Weekly windows

SATURDAY = {"days": "sat", "from": "22:00", "to": "04:00", "timezone": "UTC"}


def weekly(days: Any = ("sat",), start: str = "22:00", end: str = "04:00", zone: str = "Europe/Berlin") -> WeeklyWindow:
    return WeeklyWindow.model_validate({"days": days, "from": start, "to": end, "timezone": zone})


def ends(window: WeeklyWindow, moment: str) -> int | None:
    offsets = [(since, offset) for since, offset in offsets_of(window.timezone)]
    return end_of(window, at(moment), offsets)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-28T21:59:59+01:00", False),
        ("2026-11-28T22:00:00+01:00", True),
        ("2026-11-29T03:59:59+01:00", True),
        ("2026-11-29T04:00:00+01:00", False),
        ("2026-11-29T23:00:00+01:00", False),
        ("2026-11-28T03:00:00+01:00", False),
    ],
)
def test_a_weekly_window_over_midnight_begins_on_its_day_and_ends_on_the_next(moment: str, inside: bool) -> None:
    assert (ends(weekly(), moment) is not None) is inside


def test_a_window_follows_the_clock_on_the_wall_when_summer_begins_and_ends() -> None:
    assert ends(weekly(), "2026-03-28T23:00:00+01:00") == at("2026-03-29T04:00:00+02:00")
    assert ends(weekly(), "2026-10-24T23:00:00+02:00") == at("2026-10-25T04:00:00+01:00")


def test_a_window_that_ends_at_a_time_which_the_clock_skips_ends_as_much_later() -> None:
    assert ends(weekly(end="02:30"), "2026-03-28T23:00:00+01:00") == at("2026-03-29T03:30:00+02:00")


def test_a_window_that_ends_at_a_time_which_occurs_twice_ends_with_the_second() -> None:
    assert ends(weekly(end="02:30"), "2026-10-24T23:00:00+02:00") == at("2026-10-25T02:30:00+01:00")


def test_a_window_of_equal_times_lasts_the_whole_day() -> None:
    window = weekly(days=["sun"], start="00:00", end="00:00", zone="UTC")
    assert [ends(window, f"2026-11-{day}T12:00:00Z") is not None for day in (28, 29, 30)] == [False, True, False]


def test_an_alert_in_a_weekly_window_waits_for_its_end() -> None:
    # The scenes begin on a Tuesday at 04:00 in Berlin.
    night = {"days": ["mon"], "from": "22:00", "to": "04:30", "timezone": "Europe/Berlin"}
    scene = in_window({"name": "patch-night", "weekly": night})
    assert scene.disposition() == ("suppressed", "Maintenance:patch-night")
    assert [at for at, _ in scene.timers()] == [START + 30 * MINUTE]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"name": "a"}, "window 'a' does not say when; write from and to, or weekly"),
        ({**ONCE, "to": None}, "window 'move' does not say when"),
        ({**ONCE, "weekly": SATURDAY}, "window 'move' is both weekly and once"),
        ({**ONCE, "to": "2026-11-24T03:00:00Z"}, "window 'move' ends before it begins"),
        ({**ONCE, "from": "2026-11-24T03:00:00"}, "does not say which time zone it is in"),
        ({**ONCE, "from": "tomorrow"}, "maintenance.0.from: 'tomorrow' is not an instant"),
        ({"name": "a", "weekly": {"days": [], "from": "01:00", "to": "02:00", "timezone": "UTC"}}, "names no day"),
        (
            {"name": "a", "weekly": {"days": "son", "from": "01:00", "to": "02:00", "timezone": "UTC"}},
            "there is no day 'son'",
        ),
        (
            {"name": "a", "weekly": {"days": "mon", "from": "24:30", "to": "02:00", "timezone": "UTC"}},
            "'24:30' is no time of day",
        ),
        (
            {"name": "a", "weekly": {"days": "mon", "from": "01:00", "to": "02:00", "timezone": "Europe/Munich"}},
            "maintenance.0.weekly.timezone: there is no time zone 'Europe/Munich'",
        ),
        ({**ONCE, "organisation": 17}, "unknown key 'organisation'; did you mean 'organization'?"),
        (
            {"name": "a", "weekly": {"days": "mon", "form": "01:00", "to": "02:00", "timezone": "UTC"}},
            "did you mean 'from'?",
        ),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_with_its_reason(window: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        document = {"version": 1, "maintenance": [window]}
        parse_policy({**document, "zones": zones_in(document)})
    assert words in str(refused.value)


def test_two_windows_of_one_name_are_refused() -> None:
    with pytest.raises(PolicyError, match="maintenance window 'move' stands twice"):
        parse_policy({"version": 1, "maintenance": [ONCE, ONCE]})
