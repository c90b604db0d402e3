"""Refused, deferred, parked: what waits goes out once, in order, or is given up by a person."""

from __future__ import annotations

import pytest

from schemas.commands import CreateTicket
from schemas.facts import ParkedDismissed, ParkedRetried, Selection, TimerFired
from streams.core import placing
from tests.core.spec import (
    EVERYTHING,
    EXTERNAL_A,
    MINUTE,
    START,
    UID_A,
    UID_B,
    UID_C,
    Scene,
    companies,
    incidents,
    organizations,
    policy,
    reset,
    subject,
    ticket,
    ticketed,
    triggered,
)


def test_an_alert_of_an_unmapped_organization_waits_and_goes_out_when_mapped() -> None:
    scene = incidents(triggered(subject=subject(organization=99, organization_name="Südwind KG")))
    assert scene.kinds == []
    assert scene.disposition() == ("parked", "CompaniesNotKnown")
    scene.when(companies((5, "Suedwind")))
    assert scene.kinds == []
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    (create,) = scene.when(companies((5, "Suedwind"), (6, "südwind"))).issued
    assert isinstance(create, CreateTicket)
    assert create.company_id == 6
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_renamed_organization_lets_its_alerts_go() -> None:
    scene = incidents(companies((6, "Westwind")), triggered(subject=subject(organization=99, organization_name="Old")))
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    assert scene.when(organizations((99, "Westwind"))).kinds == ["CreateTicket"]


def test_alerts_before_the_first_policy_wait_for_it() -> None:
    scene = Scene("incidents", triggered())
    assert scene.disposition() == ("parked", "NoPolicy")
    assert scene.when(policy()).kinds == ["CreateTicket"]


def test_an_alert_reset_while_parked_opens_nothing() -> None:
    scene = incidents(triggered(subject=subject(organization=99)), reset())
    assert scene.disposition() == ("closed", "ResetWhileParked")
    mapped = {"companies": {"map": [{"organization": 99, "company": 7}]}}
    assert scene.when(policy(2, **mapped)).kinds == []


def test_two_parked_alerts_of_one_condition_become_one_ticket() -> None:
    lost = subject(organization=99, organization_name="Westwind")
    scene = incidents(triggered(11, UID_B, subject=lost), triggered(10, UID_A, subject=lost))
    assert scene.when(companies((6, "Westwind"))).kinds == ["CreateTicket"]
    assert scene.disposition(UID_A) == ("ticketed", "Opened")
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_a_refused_ticket_parks_its_alerts_and_a_retry_asks_again() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue", detail="no queue 'NOC'")
    assert scene.disposition() == ("parked", "UnknownQueue")
    first = scene.last("CreateTicket")
    retried = scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1")
    assert retried.kinds == ["CreateTicket"]
    assert scene.last("CreateTicket").envelope.id != first.envelope.id
    assert scene.last("CreateTicket").command.effect_key == first.command.effect_key
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_redelivered_retry_asks_nothing_again() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1")
    scene.settle("CreateTicket", "Rejected", reason="UnknownQueue")
    assert scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1").kinds == []


def test_a_retry_concerns_what_it_names_only() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    other = Selection(ids=("408",), organization_id=18)
    assert scene.when(ParkedRetried(selection=other, actor="ada")).kinds == []
    for number, chosen in enumerate(
        (Selection(ids=("407",)), Selection(ids=(EXTERNAL_A,)), Selection(ids=(UID_A,)), Selection(organization_id=17))
    ):
        scene.when(ParkedRetried(selection=chosen, actor="ada"), identity=f"retry-{number}")
        assert scene.kinds == ["CreateTicket"]
        scene.settle("CreateTicket", "Rejected", reason="UnknownQueue")


def test_dismissed_for_a_reason_only_what_is_parked_for_it_is_given_up() -> None:
    scene = incidents(companies((1, "Elsewhere")), triggered(subject=subject(organization=99)))
    other = Selection(ids=(UID_A,), because="UnknownQueue")
    scene.when(ParkedDismissed(selection=other, actor="ada", note="n"))
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    named = Selection(everything=True, because="UnmappedOrganization")
    scene.when(ParkedDismissed(selection=named, actor="ada", note="n"), identity="d2")
    assert scene.disposition() == ("rejected", "Dismissed")


def test_a_retry_of_an_unmapped_alert_says_that_it_is_still_parked() -> None:
    scene = incidents(triggered(subject=subject(organization=99)))
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"))
    assert scene.reasons == ["StillParked"]


def test_a_dismissed_alert_is_given_up_until_it_is_raised_anew() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    scene.when(ParkedDismissed(selection=EVERYTHING, actor="ada", note="test device"))
    assert scene.disposition() == ("rejected", "Dismissed")
    assert scene.when(triggered(11)).reasons == ["Dismissed"]
    assert scene.when(reset(20)).kinds == []
    assert scene.when(triggered(30)).kinds == ["CreateTicket"]


def test_a_dismissed_unmapped_alert_stays_given_up_when_its_organization_is_mapped() -> None:
    scene = incidents(triggered(subject=subject(organization=99, organization_name="Westwind")))
    scene.when(ParkedDismissed(selection=EVERYTHING, actor="ada", note="gone"))
    assert scene.when(companies((6, "Westwind"))).kinds == []


def test_a_deferred_create_comes_again_after_ten_minutes_as_the_same_effect() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred")
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]
    first = scene.last("CreateTicket")
    assert scene.fire().kinds == ["CreateTicket"]
    again = scene.last("CreateTicket")
    assert again.envelope.id != first.envelope.id
    assert again.command.effect_key == first.command.effect_key
    assert scene.timers() == []


def test_a_timer_that_fires_twice_asks_once() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred")
    due_at, name = scene.timers()[0]
    scene.fire()
    scene.when(TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert (scene.kinds, scene.reasons) == ([], ["TimerNotPending"])


def test_a_reset_while_the_create_is_deferred_drops_it() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred").when(reset())
    assert (scene.kinds, scene.timers()) == ([], [])
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")


def test_a_deferred_completion_comes_again_unless_the_ticket_is_done() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Deferred")
    assert scene.fire().kinds == ["CompleteTicket"]
    scene.settle("CompleteTicket", "Deferred").when(ticket(scene.now + 1, completed=True))
    assert (scene.kinds, scene.timers()) == ([], [])


def test_a_refused_completion_parks_the_alert_until_somebody_completes_the_ticket() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Rejected", reason="StatusRefused")
    assert scene.disposition() == ("parked", "StatusRefused")
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="r")
    assert scene.kinds == ["CompleteTicket"]
    scene.settle("CompleteTicket", "Rejected", reason="StatusRefused").when(ticket(START + 60_000, completed=True))
    assert scene.disposition() == ("closed", "Reset")


def test_a_refused_reset_parks_the_alert_and_can_be_retried() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert", "Rejected", reason="Forbidden")
    assert scene.disposition() == ("parked", "Forbidden")
    assert scene.when(ParkedRetried(selection=EVERYTHING, actor="ada")).kinds == ["ResetAlert"]
    assert scene.settle("ResetAlert").kinds == []
    assert scene.disposition() == ("closed", "TicketCompleted")


def test_a_ticket_of_another_incident_is_not_taken_for_ours() -> None:
    scene = ticketed().when(triggered(11, UID_B, alert_subject="D:")).settle("CreateTicket", ticket_id=5001)
    assert scene.disposition(UID_B) == ("parked", "MergedByTenant")


def test_an_answer_with_anybody_elses_ticket_parks_the_alert() -> None:
    scene = incidents(triggered()).settle("CreateTicket", ticket_id=1, reason="MergedByTenant", detail="ticket T1")
    assert scene.disposition() == ("parked", "MergedByTenant")
    assert scene.when(reset()).kinds == []
    assert scene.disposition() == ("closed", "ResetWhileParked")


def test_a_deferral_that_is_told_twice_defers_once() -> None:
    scene = incidents(triggered())
    create = scene.last("CreateTicket")
    scene.settle_command(create, "Deferred").later(MINUTE).settle_command(create, "Deferred")
    assert scene.reasons == ["NotAwaited"]
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]


def test_an_outcome_that_comes_twice_changes_nothing() -> None:
    scene = incidents(triggered())
    create = scene.last("CreateTicket")
    scene.settle_command(create).settle_command(create)
    assert (scene.kinds, scene.reasons) == ([], ["NotAwaited"])


def test_an_alert_whose_uid_makes_no_external_id_is_rejected_and_says_why() -> None:
    scene = incidents(triggered(uid="not-a-uuid"))
    assert scene.disposition("not-a-uuid") == ("rejected", "UnusableUid")
    assert "not-a-uuid" in scene.body()["alerts"]["not-a-uuid"]["detail"]
    assert scene.when(reset(20, "not-a-uuid")).kinds == []
    assert scene.disposition("not-a-uuid") == ("closed", "Reset")


def test_the_hundredth_incident_of_one_uid_is_rejected_not_cut() -> None:
    key = "l1234567890"
    scene = incidents()
    for turn in range(100):
        scene.when(triggered(10 + 2 * turn), reset(11 + 2 * turn), key=key)
        for issued in [command for command in scene.commands if type(command.command) is CreateTicket][-1:]:
            if turn < 99:
                scene.settle_command(issued, "Withdrawn")
    scene.when(triggered(1000), key=key)
    assert scene.disposition(UID_A, key) == ("rejected", "ExternalIdTooLong")


def test_a_device_that_flaps_while_nothing_can_go_out_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "MOST_IN_FLIGHT", 1)
    scene = ticketed().when(triggered(11))
    scene.when(triggered(12, UID_C, alert_subject="D:"))
    assert scene.disposition(UID_C) == ("parked", "ManyCommandsWaiting")
    assert scene.settle("AppendTicketNote").kinds == ["CreateTicket"]
    assert scene.disposition(UID_C) == ("ticketed", "Opened")
