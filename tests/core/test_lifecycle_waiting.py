"""Lifecycles, sentence by sentence: holding back, settling, repeats, and how a rule comes to its settings."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import AppendTicketNote, CompleteTicket, CreateTicket
from schemas.facts import ParkedRetried, Selection, TimerFired
from streams.core.policy.policy import PolicyError, parse_policy
from tests.core.spec import (
    DAY,
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    UID_C,
    Scene,
    companies,
    gone,
    incidents,
    lifecycle,
    observed,
    policy,
    reset,
    subject,
    ticket,
    triggered,
)


def ticketed(**settings: Any) -> Scene:
    """An alert with its ticket made, under a lifecycle."""
    return incidents(triggered(), **lifecycle(**settings)).settle("CreateTicket")


# hold


def test_without_a_hold_the_ticket_opens_at_once() -> None:
    assert incidents(triggered()).kinds == ["CreateTicket"]


def test_an_alert_is_held_and_says_so() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m"))
    assert scene.kinds == []
    assert scene.disposition() == ("held", "Holding")
    assert [at for at, _ in scene.timers()] == [START + 5 * MINUTE]


def test_an_alert_that_lasts_longer_than_its_hold_opens_its_ticket() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).fire()
    assert scene.kinds == ["CreateTicket"]
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.timers() == []


def test_an_alert_that_is_reset_within_its_hold_opens_nothing() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).later(MINUTE).when(reset())
    assert (scene.kinds, scene.timers()) == ([], [])
    assert scene.disposition() == ("closed", "ResetWithinHold")


def test_an_alert_that_leaves_the_list_within_its_hold_opens_nothing() -> None:
    scene = incidents(observed(), **lifecycle(hold="5m")).when(gone())
    assert scene.disposition() == ("closed", "ResetWithinHold")


def test_a_hold_counts_in_recorded_time_not_in_the_vendors() -> None:
    scene = incidents(**lifecycle(hold="5m")).later(HOUR).when(triggered(at=START))
    assert [at for at, _ in scene.timers()] == [START + HOUR + 5 * MINUTE]


def test_a_hold_that_ran_out_long_ago_opens_the_ticket_as_soon_as_its_timer_is_told() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).later(DAY).fire()
    assert scene.now == START + DAY
    assert scene.kinds == ["CreateTicket"]


def test_an_alert_raised_anew_after_a_reset_within_its_hold_is_held_anew() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).later(MINUTE).when(reset()).later(MINUTE).when(triggered(30))
    assert scene.disposition() == ("held", "Holding")
    assert [at for at, _ in scene.timers()] == [START + 7 * MINUTE]


def test_a_timer_of_a_hold_that_was_ended_by_a_reset_opens_nothing() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m"))
    due_at, name = scene.timers()[0]
    scene.when(reset(), TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert (scene.kinds, scene.reasons) == ([], ["TimerNotPending"])


def test_a_timer_of_a_hold_that_is_told_twice_opens_one_ticket() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m"))
    due_at, name = scene.timers()[0]
    scene.fire().when(TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert scene.all_kinds() == ["CreateTicket"]


def test_a_held_alert_that_is_raised_again_keeps_its_due_time_and_its_latest_text() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).later(MINUTE).when(triggered(11, message="2 % free"))
    assert scene.reasons == ["StillHeld"]
    assert [at for at, _ in scene.timers()] == [START + 5 * MINUTE]
    (create,) = scene.fire().issued
    assert isinstance(create, CreateTicket)
    assert "2 % free" in create.description


def test_two_held_alerts_of_one_condition_become_one_ticket() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).later(MINUTE).when(triggered(11, UID_B)).fire()
    assert scene.kinds == ["CreateTicket"]
    assert scene.disposition(UID_B) == ("held", "Holding")
    assert scene.fire().kinds == []
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_an_alert_of_a_condition_that_has_its_ticket_already_is_not_held() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).fire().settle("CreateTicket").when(triggered(11, UID_B))
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_a_held_alert_without_a_company_is_parked_when_its_hold_is_over_and_held_only_once() -> None:
    lost = subject(organization=99, organization_name="Westwind")
    scene = incidents(companies((1, "Elsewhere")), triggered(subject=lost), **lifecycle(hold="5m"))
    assert scene.disposition() == ("held", "Holding")
    scene.fire()
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    assert scene.when(companies((6, "Westwind"))).kinds == ["CreateTicket"]


def test_a_rule_may_hold_while_the_others_do_not() -> None:
    rules = [
        {"name": "disks", "when": {"subject": ["C:"]}, "lifecycle": {"hold": "5m"}},
        {"name": "rest", "when": {}, "lifecycle": {"hold": 0}},
    ]
    scene = incidents(triggered(), rules=rules, **lifecycle(hold="1h"))
    assert [at for at, _ in scene.timers()] == [START + 5 * MINUTE]
    assert scene.when(triggered(11, UID_B, alert_subject="D:")).kinds == ["CreateTicket"]


def test_the_rule_in_force_when_the_hold_ends_makes_the_ticket() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m"))
    scene.when(policy(2, defaults={"queue": "NOC", "lifecycle": {"hold": "5m"}}))
    (create,) = scene.fire().issued
    assert isinstance(create, CreateTicket)
    assert create.queue == "NOC"


# settle


def test_a_cleared_alerts_ticket_settles_before_it_is_completed() -> None:
    scene = ticketed(settle="10m").when(reset())
    assert scene.kinds == []
    assert scene.disposition() == ("closed", "Reset")
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]
    assert scene.fire().kinds == ["CompleteTicket"]


def test_an_alert_that_comes_back_while_its_ticket_settles_keeps_it_open() -> None:
    scene = ticketed(settle="10m").when(reset()).later(MINUTE).when(triggered(30))
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.disposition() == ("ticketed", "RaisedAgain")
    assert scene.timers() == []


def test_another_alert_of_the_condition_keeps_a_settling_ticket_open() -> None:
    scene = ticketed(settle="10m").when(reset()).later(MINUTE).when(triggered(30, UID_B))
    assert scene.disposition(UID_B) == ("appended", "SameCondition")
    assert scene.timers() == []


def test_an_alert_that_comes_back_after_its_ticket_settled_opens_a_new_one() -> None:
    scene = ticketed(settle="10m").when(reset()).fire().settle("CompleteTicket").when(triggered(30))
    assert scene.kinds == ["CreateTicket"]


def test_flapping_a_hundred_times_in_an_hour_under_settle_is_one_ticket_without_ping_pong() -> None:
    scene = ticketed(settle="10m")
    for turn in range(100):
        scene.later(18_000).when(reset(100 + 2 * turn)).later(18_000).when(triggered(101 + 2 * turn))
        if scene.kinds:
            scene.settle("AppendTicketNote")
    kinds = scene.all_kinds()
    assert (kinds.count("CreateTicket"), kinds.count("CompleteTicket"), kinds.count("WithdrawCommand")) == (1, 0, 0)
    assert kinds.count("AppendTicketNote") == 1  # the others are counted for the next one, an hour later
    scene.when(reset(900)).fire()
    assert scene.kinds == ["CompleteTicket"]


def test_flapping_with_a_ticket_per_alert_is_one_ticket_too() -> None:
    scene = ticketed(settle="10m", repeat="ticket")
    for turn in range(10):
        scene.later(MINUTE).when(reset(100 + 2 * turn)).later(MINUTE).when(triggered(101 + 2 * turn))
    assert scene.all_kinds().count("CreateTicket") == 1


def test_a_ticket_that_a_technician_completes_while_it_settles_is_not_completed_again() -> None:
    scene = ticketed(settle="10m").when(reset(), ticket(START + 60_000, completed=True))
    assert (scene.kinds, scene.timers()) == ([], [])


def test_a_ticket_whose_create_is_still_on_its_way_settles_as_well() -> None:
    scene = incidents(triggered(), **lifecycle(settle="10m")).when(reset())
    assert scene.kinds == []
    assert scene.settle("CreateTicket").kinds == []
    assert scene.fire().kinds == ["CompleteTicket"]


def test_a_create_that_is_still_waiting_when_its_ticket_has_settled_is_taken_back() -> None:
    scene = incidents(triggered(), **lifecycle(settle="10m")).when(reset()).fire()
    assert scene.kinds == ["WithdrawCommand"]


def test_only_the_last_cleared_alert_lets_a_gathered_ticket_settle() -> None:
    scene = ticketed(settle="10m").when(triggered(11, UID_B), reset(20))
    assert scene.timers() == []
    scene.when(reset(21, UID_B))
    assert len(scene.timers()) == 1


def test_a_settle_timer_that_was_overtaken_by_a_new_alert_completes_nothing() -> None:
    scene = ticketed(settle="10m").when(reset())
    due_at, name = scene.timers()[0]
    scene.when(triggered(30), TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert (scene.kinds, scene.reasons) == ([], ["TimerNotPending"])


def test_a_refused_ticket_whose_alert_clears_does_not_settle() -> None:
    scene = incidents(triggered(), **lifecycle(settle="10m")).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    scene.when(reset())
    assert (scene.kinds, scene.timers()) == ([], [])
    assert scene.disposition() == ("closed", "ResetWhileParked")
    assert scene.when(ParkedRetried(selection=Selection(everything=True), actor="ada")).kinds == []


# repeat and note_every


def test_repeat_count_gathers_alerts_without_notes() -> None:
    scene = ticketed(repeat="count").when(triggered(11, UID_B))
    assert (scene.kinds, scene.reasons) == ([], ["RepeatsAreCounted"])
    assert scene.disposition(UID_B) == ("appended", "SameCondition")
    assert scene.when(triggered(12)).kinds == []


def test_counted_repeats_are_told_when_the_ticket_is_completed() -> None:
    scene = ticketed(repeat="count").when(triggered(11), triggered(12), triggered(13), reset(20))
    (complete,) = scene.issued
    assert isinstance(complete, CompleteTicket)
    assert complete.resolution.endswith("Raised again while the ticket was open: 3 times.")


def test_a_note_every_of_zero_notes_every_repeat() -> None:
    scene = ticketed(note_every=0)
    for activity in (11, 12, 13):
        assert [type(command) for command in scene.when(triggered(activity)).issued] == [AppendTicketNote]


def test_with_a_ticket_per_alert_a_third_alert_opens_a_third_ticket() -> None:
    scene = ticketed(repeat="ticket").when(triggered(11, UID_B), triggered(12, UID_C))
    assert scene.all_kinds() == ["CreateTicket"] * 3


# How a rule comes to its settings


def test_a_rule_without_lifecycle_has_the_designs_defaults() -> None:
    fact = triggered()
    rule = parse_policy({"version": 1}).rule_for(fact.subject, fact)
    assert (rule.hold_ms, rule.settle_ms, rule.reopen_within_ms, rule.note_every_ms) == (0, 0, 0, HOUR)
    assert (rule.repeat, rule.close_if, rule.reset, rule.reopen) == ("note", "always", "all", "ours")
    assert (rule.reopen_status, rule.never_reopen) == ("New", ())


def test_a_zero_of_a_rule_wins_over_the_default() -> None:
    fact = triggered()
    document = {
        "version": 1,
        "rules": [{"name": "a", "when": {}, "lifecycle": {"settle": 0}}],
        **lifecycle(settle="1h"),
    }
    assert parse_policy(document).rule_for(fact.subject, fact).settle_ms == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hold": "5 minutes"}, "rules.0.lifecycle.hold: '5 minutes' is not a duration"),
        ({"hold": -1}, "is not a duration"),
        ({"settle": True}, "is not a duration"),
        ({"reopen_within": "31d"}, "longer than an ended incident is remembered"),
        ({"reopen": "all"}, "rules.0.lifecycle.reopen: 'all' is not possible here; write ours or any"),
        ({"close_if": "sometimes"}, "'sometimes' is not possible here; write untouched, always or never"),
        ({"reset": "none"}, "'none' is not possible here; write all or opening"),
        ({"escalate": "sometimes"}, "'sometimes' is neither true nor false; write true or false"),
        ({"setle": "5m"}, "did you mean 'settle'?"),
    ],
)
def test_a_lifecycle_that_cannot_be_meant_is_refused_with_its_reason(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy({"version": 1, "rules": [{"name": "a", "when": {}, "lifecycle": settings}]})
    assert words in str(refused.value)


def test_a_held_alert_is_counted_once_and_not_lost_on_the_way() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m", settle="5m", reopen_within="1h"))
    seen = [scene.disposition()]
    scene.fire().settle("CreateTicket")
    seen.append(scene.disposition())
    scene.when(reset())
    seen.append(scene.disposition())
    assert set(scene.body()["alerts"]) == {UID_A}
    assert seen == [("held", "Holding"), ("ticketed", "Opened"), ("closed", "Reset")]
