"""An alert is over: its ticket is completed, once."""

from __future__ import annotations

from schemas.commands import CompleteTicket, CreateTicket, WithdrawCommand
from tests.core.spec import (
    EXTERNAL_A,
    START,
    UID_A,
    UID_B,
    gone,
    incidents,
    observed,
    reset,
    ticket,
    ticketed,
    triggered,
)


def test_a_reset_completes_the_ticket() -> None:
    scene = ticketed().when(reset())
    (complete,) = scene.issued
    assert isinstance(complete, CompleteTicket)
    assert (complete.ticket_id, complete.status) == (5001, "Complete")
    assert scene.disposition() == ("closed", "Reset")


def test_an_alert_that_is_gone_from_the_list_completes_the_ticket() -> None:
    scene = ticketed().when(gone())
    assert scene.kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "Gone")


def test_a_removed_device_completes_the_ticket() -> None:
    scene = ticketed().when(gone(cause="DeviceRemoved"))
    assert scene.kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "DeviceRemoved")


def test_a_gathered_incident_ends_with_its_last_alert() -> None:
    scene = ticketed().when(triggered(11, UID_B), reset(20, UID_A))
    assert scene.kinds == []
    assert scene.when(reset(21, UID_B)).kinds == ["CompleteTicket"]


def test_a_reset_that_comes_twice_completes_once() -> None:
    scene = ticketed().when(reset(), reset())
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])
    assert scene.when(gone(START + 30_000)).reasons == ["AlreadyCleared"]


def test_a_reset_before_its_trigger_opens_no_ticket() -> None:
    scene = incidents(reset())
    assert scene.reasons == ["NoTriggerSeen"]
    assert scene.when(triggered()).reasons == ["ResetBeforeTrigger"]
    assert "CreateTicket" not in scene.all_kinds()
    assert scene.disposition() == ("superseded", "ResetBeforeTrigger")


def test_a_reset_older_than_the_latest_trigger_changes_nothing() -> None:
    scene = ticketed().when(triggered(30), reset(20))
    assert scene.reasons == ["Superseded"]
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_trigger_older_than_the_latest_one_changes_nothing() -> None:
    scene = ticketed().when(triggered(5))
    assert (scene.kinds, scene.reasons) == ([], ["Superseded"])


def test_a_list_read_before_the_reset_does_not_open_again() -> None:
    scene = ticketed().when(reset(), observed(at=START + 10_000))
    assert (scene.kinds, scene.reasons) == ([], ["AlreadyCleared"])


def test_a_reset_while_the_create_waits_takes_the_create_back() -> None:
    scene = incidents(triggered()).when(reset())
    create = scene.last("CreateTicket")
    (withdraw,) = scene.issued
    assert isinstance(withdraw, WithdrawCommand)
    assert (withdraw.command_id, withdraw.command_topic) == (create.envelope.id, "autotask.ticket-commands")
    scene.settle_command(create, "Withdrawn").settle("WithdrawCommand")
    assert scene.kinds == []
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")


def test_a_create_that_could_not_be_taken_back_is_completed() -> None:
    scene = incidents(triggered(), reset()).settle("WithdrawCommand", "Rejected", reason="TooLate")
    assert scene.reasons == ["TooLateToWithdraw"]
    assert scene.settle("CreateTicket").kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "Reset")


def test_a_ticket_seen_before_its_create_settled_is_adopted() -> None:
    scene = incidents(triggered()).when(ticket(START + 15_000))
    assert scene.when(reset()).kinds == ["CompleteTicket"]
    assert scene.settle("CreateTicket").kinds == []


def test_a_ticket_that_shows_up_after_its_create_was_given_up_is_completed() -> None:
    scene = incidents(triggered(), reset()).settle("CreateTicket", "Deferred")
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")
    assert scene.timers() == []
    assert scene.when(ticket(START + 15_000)).kinds == ["CompleteTicket"]


def test_our_own_completion_comes_back_as_an_echo() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_an_open_ticket_seen_late_does_not_look_reopened() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", settled_at=START + 30_000).when(ticket(START + 25_000))
    assert "ReopenedByTechnician" not in scene.reasons
    assert scene.kinds == []


def test_a_new_trigger_after_the_end_is_a_new_incident() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(triggered(30))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"
