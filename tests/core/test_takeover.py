"""Alerts that carry a ticket of NinjaOne's own integration: it is taken over, or listed, and never doubled."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import AdoptTicket, CompleteTicket, CreateTicket
from streams.core.views import parked_in, waiting_in
from tests.core.spec import (
    EXTERNAL_A,
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
    ticket,
    triggered,
)

#: How NinjaOne names the ticket, and which it is in Autotask.
NATIVE = "7001"


def carrying(uid: str = UID_A, named: str = NATIVE, **more: Any) -> Any:
    return observed(uid, psa_ticket_id=named, **more)


def taken_over(**settings: Any) -> Scene:
    return incidents(carrying(), **lifecycle(**settings)).settle("AdoptTicket", ticket_id=7001, ticket_number="T7001")


def test_an_alert_that_carries_a_ticket_gets_that_one_and_no_second() -> None:
    scene = incidents(carrying())
    (adopt,) = scene.issued
    assert isinstance(adopt, AdoptTicket)
    assert (adopt.ticket, adopt.external_id, adopt.effect_key, adopt.company_id) == (
        NATIVE,
        EXTERNAL_A,
        EXTERNAL_A,
        29683,
    )
    assert scene.disposition() == ("ticketed", "TakenOver")


def test_a_reset_completes_the_ticket_that_was_taken_over() -> None:
    (complete,) = taken_over().when(reset()).issued
    assert isinstance(complete, CompleteTicket)
    assert complete.ticket_id == 7001


def test_completing_the_ticket_that_was_taken_over_resets_the_alert() -> None:
    scene = taken_over().when(ticket(START + 30_000, completed=True, number=7001))
    assert scene.kinds == ["ResetAlert"]


def test_an_alert_that_is_over_before_its_ticket_was_taken_over_has_it_completed_all_the_same() -> None:
    scene = incidents(carrying()).when(reset())
    assert (scene.kinds, scene.reasons) == ([], ["TicketBeingTakenOver"])
    assert scene.settle("AdoptTicket", ticket_id=7001).kinds == ["CompleteTicket"]


def test_a_take_over_that_fails_for_a_while_comes_again_also_when_the_alert_is_over() -> None:
    scene = incidents(carrying()).when(reset()).settle("AdoptTicket", "Deferred", reason="TimedOut")
    assert scene.fire().kinds == ["AdoptTicket"]
    assert scene.settle("AdoptTicket", ticket_id=7001).kinds == ["CompleteTicket"]


@pytest.mark.parametrize(
    "reason",
    ["TicketMissing", "TicketAlreadyComplete", "TicketOfAnotherCompany", "TicketTaken", "TicketIdNotUnderstood"],
)
def test_what_cannot_be_taken_over_is_listed_with_its_reason_and_no_ticket_is_opened(reason: str) -> None:
    scene = incidents(carrying()).settle("AdoptTicket", "Rejected", reason=reason, detail="the vendor's word")
    assert scene.kinds == []
    assert scene.disposition() == ("parked", reason)
    (item,) = parked_in("incidents", "407", scene.state[b"407"])
    assert (item.id, item.what, item.reason, item.detail) == (EXTERNAL_A, "AdoptTicket", reason, "the vendor's word")


def test_a_rule_may_open_a_ticket_of_ours_where_the_other_cannot_be_taken_over() -> None:
    scene = incidents(carrying(), **lifecycle(takeover="adopt_or_open"))
    (create,) = scene.settle("AdoptTicket", "Rejected", reason="TicketMissing").issued
    assert isinstance(create, CreateTicket)
    assert create.effect_key == EXTERNAL_A
    assert "OpenedInstead" in scene.reasons
    assert scene.settle("CreateTicket").when(reset()).kinds == ["CompleteTicket"]


def test_a_rule_may_leave_such_alerts_to_the_other_integration_and_says_so() -> None:
    scene = incidents(carrying(), **lifecycle(takeover="ignore"))
    assert scene.kinds == []
    assert scene.disposition() == ("suppressed", "LeftToOtherIntegration")
    (alert,) = waiting_in("407", scene.state[b"407"])
    assert (alert.uid, alert.until) == (UID_A, None)
    assert scene.when(reset()).kinds == []
    assert scene.disposition() == ("closed", "Reset")


def test_an_alert_that_was_left_alone_is_taken_over_when_the_policy_changes() -> None:
    scene = incidents(carrying(), **lifecycle(takeover="ignore"))
    assert scene.when(policy(2)).kinds == ["AdoptTicket"]
    assert (
        incidents(carrying(), **lifecycle(takeover="ignore")).when(policy(2, **lifecycle(takeover="ignore"))).kinds
        == []
    )


def test_a_ticket_that_shows_while_the_alert_is_held_is_taken_over_at_once() -> None:
    scene = incidents(triggered(at=START + 10_000), **lifecycle(hold="5m")).when(carrying())
    assert scene.kinds == ["AdoptTicket"]
    assert scene.timers() == []


def test_a_ticket_that_shows_again_is_known() -> None:
    assert taken_over().when(carrying()).reasons == ["Duplicate"]


def test_a_ticket_that_shows_beside_ours_is_said_and_changes_nothing() -> None:
    scene = incidents(triggered(at=START + 10_000)).settle("CreateTicket").when(carrying())
    assert (scene.kinds, scene.reasons) == ([], ["TicketElsewhere"])


def test_a_ticket_that_shows_while_ours_waits_to_be_opened_is_taken_over_instead() -> None:
    scene = incidents(triggered(at=START + 10_000)).when(carrying())
    assert scene.kinds == ["WithdrawCommand"]
    assert scene.settle("CreateTicket", "Withdrawn").kinds == ["AdoptTicket"]
    assert scene.settle("WithdrawCommand").settle("AdoptTicket", ticket_id=7001).when(reset()).kinds == [
        "CompleteTicket"
    ]


def test_a_create_that_cannot_be_taken_back_any_more_stands_and_the_other_ticket_is_told() -> None:
    scene = incidents(triggered(at=START + 10_000)).when(carrying()).settle("CreateTicket")
    assert (scene.kinds, scene.reasons) == ([], ["TicketElsewhere"])
    scene.settle("WithdrawCommand", "Rejected", reason="TooLate")
    (complete,) = scene.when(reset()).issued
    assert isinstance(complete, CompleteTicket)
    assert complete.ticket_id == 5001


def test_a_create_that_is_refused_after_a_ticket_showed_is_no_more_tried() -> None:
    scene = incidents(triggered(at=START + 10_000)).when(carrying()).settle("CreateTicket", "Rejected")
    assert scene.kinds == ["AdoptTicket"]


def test_a_ticket_that_shows_while_ours_could_not_be_opened_is_taken_over_instead() -> None:
    scene = incidents(triggered(at=START + 10_000)).settle("CreateTicket", "Deferred").when(carrying())
    assert scene.fire().kinds == ["AdoptTicket"]


def test_the_text_of_a_later_activity_does_not_make_the_ticket_forgotten() -> None:
    scene = Scene("incidents", policy(companies={"auto_match": "never"})).when(carrying(), triggered(20))
    assert scene.disposition()[0] == "parked"
    assert scene.when(policy(2)).kinds == ["AdoptTicket"]


def test_two_alerts_with_one_ticket_are_one_incident_and_alerts_with_two_are_two() -> None:
    scene = incidents(carrying(), carrying(UID_B, alert_subject="D:"))
    assert scene.disposition(UID_B) == ("appended", "SameTicket")
    assert scene.all_kinds().count("AdoptTicket") == 1
    assert incidents(carrying(), carrying(UID_B, "7002")).kinds == ["AdoptTicket"]


def test_an_alert_that_comes_back_after_its_ticket_was_completed_gets_one_of_ours() -> None:
    scene = taken_over().when(reset()).settle("CompleteTicket").later(MINUTE)
    scene.when(ticket(START + 30_000, completed=True, number=7001))
    assert scene.when(carrying(at=START + 40_000)).kinds == ["CreateTicket"]


def test_the_ticket_of_a_raising_that_is_over_says_nothing_of_the_next() -> None:
    scene = incidents(carrying(), **lifecycle(takeover="ignore")).when(reset())
    assert scene.when(triggered(30)).kinds == ["CreateTicket"]


def test_a_parked_take_over_may_be_retried_and_an_ended_one_owes_nothing() -> None:
    scene = incidents(carrying()).settle("AdoptTicket", "Rejected", reason="TicketOfAnotherCompany")
    assert scene.when(reset()).kinds == []
    assert scene.disposition() == ("closed", "ResetWhileParked")
    scene = incidents(carrying()).when(reset()).settle("AdoptTicket", "Rejected", reason="TicketAlreadyComplete")
    assert (scene.kinds, scene.reasons) == ([], ["NothingToTakeOver"])
