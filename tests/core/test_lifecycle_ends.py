"""Lifecycles, sentence by sentence: reopening, what may be completed, and which alerts a completed ticket resets."""

from __future__ import annotations

from typing import Any

from schemas.commands import AppendTicketNote, CompleteTicket, CreateTicket, ReopenTicket, ResetAlert, WithdrawCommand
from schemas.facts import TicketObserved
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    EXTERNAL_B,
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    Scene,
    incidents,
    lifecycle,
    reset,
    ticket,
    triggered,
)


def ticketed(**settings: Any) -> Scene:
    """An alert with its ticket made, under a lifecycle."""
    return incidents(triggered(), **lifecycle(**settings)).settle("CreateTicket")


def completed(**settings: Any) -> Scene:
    """An alert that came and went; we completed its ticket, and have seen that."""
    scene = ticketed(**settings).when(reset()).settle("CompleteTicket")
    return scene.when(ticket(START + 30_000, completed=True))


def assigned(at: int) -> TicketObserved:
    return ticket(at).model_copy(update={"assigned_resource_id": 29682885})


# reopen_within


def test_without_reopen_within_a_condition_that_comes_back_gets_a_new_ticket() -> None:
    assert completed().when(triggered(30)).kinds == ["CreateTicket"]


def test_a_condition_that_comes_back_in_time_reopens_the_ticket_that_we_completed() -> None:
    scene = completed(reopen_within="24h").later(HOUR).when(triggered(30))
    (reopen,) = scene.issued
    assert isinstance(reopen, ReopenTicket)
    assert (reopen.ticket_id, reopen.status, reopen.only_ours) == (5001, "New", True)
    assert "free space" in reopen.note
    assert scene.disposition() == ("ticketed", "Reopened")


def test_a_condition_that_comes_back_too_late_gets_a_new_ticket() -> None:
    scene = completed(reopen_within="24h").later(DAY + 1).when(triggered(30))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"


def test_another_alert_of_the_condition_reopens_the_ticket() -> None:
    scene = completed(reopen_within="24h").when(triggered(30, UID_B))
    assert scene.kinds == ["ReopenTicket"]
    assert scene.disposition(UID_B) == ("appended", "Reopened")


def test_another_condition_reopens_nothing() -> None:
    assert completed(reopen_within="24h").when(triggered(30, UID_B, alert_subject="D:")).kinds == ["CreateTicket"]


def test_with_a_ticket_per_alert_another_alert_reopens_nothing() -> None:
    scene = completed(reopen_within="24h", repeat="ticket")
    assert scene.when(triggered(30, UID_B)).kinds == ["CreateTicket"]
    assert scene.when(triggered(31, UID_A)).kinds == ["ReopenTicket"]


def test_a_reopened_ticket_is_completed_when_its_alert_clears_again() -> None:
    scene = completed(reopen_within="24h").when(triggered(30)).settle("ReopenTicket", ticket_activity_at=START + 40_000)
    assert scene.when(ticket(START + 40_000)).kinds == []
    assert "ReopenedByTechnician" not in scene.reasons
    assert scene.when(reset(50)).kinds == ["CompleteTicket"]


def test_a_late_sight_of_our_own_completion_does_not_close_a_reopened_ticket() -> None:
    scene = ticketed(reopen_within="24h").when(reset()).settle("CompleteTicket").when(triggered(30))
    scene.settle("ReopenTicket", ticket_activity_at=START + 40_000).when(ticket(START + 30_000, completed=True))
    assert scene.kinds == []
    assert scene.disposition() == ("ticketed", "Reopened")


def test_a_technician_who_completes_a_reopened_ticket_is_heard() -> None:
    scene = completed(reopen_within="24h").when(triggered(30)).settle("ReopenTicket", ticket_activity_at=START + 40_000)
    assert scene.when(ticket(START + 50_000, completed=True)).kinds == ["ResetAlert"]


def test_what_a_technician_completed_stays_completed() -> None:
    scene = ticketed(reopen_within="24h").when(ticket(START + 30_000, completed=True)).settle("ResetAlert")
    assert scene.when(triggered(60)).kinds == ["CreateTicket"]


def test_reopen_any_reopens_what_a_technician_completed() -> None:
    scene = ticketed(reopen_within="24h", reopen="any").when(ticket(START + 30_000, completed=True))
    (reopen,) = scene.settle("ResetAlert").when(triggered(60)).issued
    assert isinstance(reopen, ReopenTicket)
    assert not reopen.only_ours


def test_a_completion_that_a_technician_was_ahead_of_counts_as_the_technicians() -> None:
    scene = ticketed(reopen_within="24h", close_if="untouched").when(reset())
    scene.settle("CompleteTicket", how="NothingToDo").when(ticket(START + 30_000, completed=True))
    assert scene.when(triggered(60)).kinds == ["CreateTicket"]


def test_the_executor_may_find_that_a_technician_completed_it_and_a_new_ticket_opens() -> None:
    scene = completed(reopen_within="24h").when(triggered(30))
    (create,) = scene.settle("ReopenTicket", "Rejected", reason="CompletedByTechnician").issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"
    assert scene.disposition() == ("ticketed", "Opened")


def test_statuses_that_never_reopen_go_with_the_command_and_its_refusal_opens_a_new_ticket() -> None:
    scene = completed(reopen_within="24h", never_reopen=["Billed", 29]).when(triggered(30), triggered(31, UID_B))
    reopen = scene.last("ReopenTicket").command
    assert isinstance(reopen, ReopenTicket)
    assert reopen.never == ("Billed", 29)
    assert scene.settle("ReopenTicket", "Rejected", reason="StatusNeverReopens").kinds == ["CreateTicket"]
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_a_ticket_that_refused_to_be_reopened_is_not_asked_again() -> None:
    scene = completed(reopen_within="24h").when(triggered(30)).settle("ReopenTicket", "Rejected", reason="TicketGone")
    scene.settle("CreateTicket", ticket_id=5002).when(reset(40)).settle("CompleteTicket").when(triggered(50))
    (reopen,) = scene.issued
    assert isinstance(reopen, ReopenTicket)
    assert reopen.ticket_id == 5002


def test_a_rule_may_name_the_status_of_a_reopened_ticket() -> None:
    (reopen,) = completed(reopen_within="24h", reopen_status="In Progress").when(triggered(30)).issued
    assert isinstance(reopen, ReopenTicket)
    assert reopen.status == "In Progress"


def test_a_completion_that_still_waits_is_taken_back_and_the_ticket_just_goes_on() -> None:
    scene = ticketed(reopen_within="24h").when(reset(), triggered(30))
    (withdraw,) = scene.issued
    assert isinstance(withdraw, WithdrawCommand)
    assert withdraw.command_id == scene.last("CompleteTicket").envelope.id
    scene.settle("CompleteTicket", "Withdrawn")
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.when(reset(40)).kinds == ["CompleteTicket"]


def test_a_completion_that_could_not_be_taken_back_is_undone() -> None:
    scene = ticketed(reopen_within="24h").when(reset(), triggered(30)).settle("CompleteTicket")
    assert scene.kinds == ["ReopenTicket"]
    assert scene.settle("WithdrawCommand", "Rejected", reason="TooLate").kinds == []


def test_an_alert_that_clears_while_its_reopening_waits_takes_it_back() -> None:
    scene = completed(reopen_within="24h").when(triggered(30), reset(40))
    (withdraw,) = scene.issued
    assert isinstance(withdraw, WithdrawCommand)
    assert scene.settle("ReopenTicket", "Withdrawn").kinds == []
    assert scene.disposition() == ("closed", "Reset")


def test_an_alert_that_clears_after_its_reopening_went_out_completes_the_ticket_again() -> None:
    scene = completed(reopen_within="24h").when(triggered(30), reset(40))
    assert scene.settle("ReopenTicket", ticket_activity_at=START + 45_000).kinds == ["CompleteTicket"]


def test_a_deferred_reopening_comes_again() -> None:
    scene = completed(reopen_within="24h").when(triggered(30)).settle("ReopenTicket", "Deferred")
    assert scene.kinds == []
    assert scene.fire().kinds == ["ReopenTicket"]


def test_a_reopening_that_is_told_twice_changes_nothing() -> None:
    scene = completed(reopen_within="24h").when(triggered(30))
    issued = scene.last("ReopenTicket")
    scene.settle_command(issued, ticket_activity_at=START + 40_000)
    assert scene.settle_command(issued, ticket_activity_at=START + 40_000).reasons == ["NotAwaited"]


def test_a_held_alert_reopens_by_the_time_at_which_it_was_raised() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m", reopen_within="10m")).fire().settle("CreateTicket")
    scene.when(reset()).settle("CompleteTicket").later(9 * MINUTE).when(triggered(30))
    assert scene.disposition() == ("held", "Holding")
    assert scene.fire().kinds == ["ReopenTicket"]


# close_if


def test_close_if_always_completes_what_a_technician_is_assigned_to() -> None:
    (complete,) = ticketed().when(assigned(START + 15_000), reset()).issued
    assert isinstance(complete, CompleteTicket)
    assert not complete.only_if_untouched


def test_close_if_untouched_asks_the_executor_to_look_first() -> None:
    (complete,) = ticketed(close_if="untouched", reopen_status="In Progress").when(reset()).issued
    assert isinstance(complete, CompleteTicket)
    assert complete.only_if_untouched
    assert complete.own_statuses == ("New", "In Progress")


def test_a_touched_ticket_stays_open_with_a_note_and_the_disposition_says_so() -> None:
    scene = ticketed(close_if="untouched").when(reset())
    (note,) = scene.settle("CompleteTicket", "Rejected", reason="TouchedByTechnician").issued
    assert isinstance(note, AppendTicketNote)
    assert note.text.startswith("Cleared in NinjaOne at 2026-11-24T03:00:20.000Z: Disk C:")
    assert scene.disposition() == ("closed", "TouchedByTechnician")


def test_a_ticket_that_was_seen_assigned_is_left_open_without_asking() -> None:
    scene = ticketed(close_if="untouched").when(assigned(START + 15_000), reset())
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.disposition() == ("closed", "TouchedByTechnician")


def test_close_if_never_leaves_the_ticket_to_the_technician() -> None:
    scene = ticketed(close_if="never").when(reset())
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.disposition() == ("closed", "NeverCompleted")
    assert scene.settle("AppendTicketNote").when(ticket(START + DAY, completed=True)).kinds == []


def test_an_alert_that_comes_back_joins_the_ticket_that_was_left_open() -> None:
    scene = ticketed(close_if="never").when(reset(), triggered(30))
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.disposition() == ("ticketed", "RaisedAgain")
    assert scene.all_kinds().count("CreateTicket") == 1


def test_flapping_on_a_ticket_that_is_never_completed_does_not_flood_it_with_notes() -> None:
    scene = ticketed(close_if="never")
    for turn in range(20):
        scene.later(MINUTE).when(reset(100 + 2 * turn), triggered(101 + 2 * turn))
    assert scene.all_kinds().count("AppendTicketNote") == 2  # one of each kind an hour
    assert scene.reasons == ["NoteNotDue"]


def test_a_create_that_still_waits_is_taken_back_whatever_close_if_says() -> None:
    scene = incidents(triggered(), **lifecycle(close_if="never")).when(reset())
    assert scene.kinds == ["WithdrawCommand"]


def test_a_completion_refused_for_another_reason_is_parked_as_ever() -> None:
    scene = ticketed(close_if="untouched").when(reset()).settle("CompleteTicket", "Rejected", reason="StatusRefused")
    assert scene.disposition() == ("parked", "StatusRefused")


def test_a_touched_ticket_is_found_out_after_it_settled() -> None:
    scene = ticketed(close_if="untouched", settle="10m").when(reset(), assigned(START + 60_000))
    assert scene.kinds == []
    assert scene.fire().kinds == ["AppendTicketNote"]


def test_close_text_and_complete_status_of_a_rule_stand_in_the_completion() -> None:
    rule = {
        "name": "a",
        "when": {},
        "ticket": {"complete_status": "Resolved", "close_text": "{{ alert.subject }} is fine"},
    }
    (complete,) = incidents(triggered(), rules=[rule]).settle("CreateTicket").when(reset()).issued
    assert isinstance(complete, CompleteTicket)
    assert (complete.status, complete.resolution) == ("Resolved", "C: is fine")


# reset


def gathered(**settings: Any) -> Scene:
    """A ticket with two alerts, completed by a technician."""
    return ticketed(**settings).when(triggered(11, UID_B), ticket(START + 40_000, completed=True))


def test_reset_all_resets_every_alert_of_a_completed_ticket() -> None:
    assert [c.uid for c in gathered().issued if isinstance(c, ResetAlert)] == [UID_A, UID_B]


def test_reset_opening_resets_the_opening_alert_only_and_says_what_became_of_the_other() -> None:
    scene = gathered(reset="opening")
    assert [c.uid for c in scene.issued if isinstance(c, ResetAlert)] == [UID_A]
    assert scene.disposition(UID_B) == ("suppressed", "ResetOfOpeningOnly")


def test_an_alert_that_was_left_active_opens_a_ticket_of_its_own_when_raised_again() -> None:
    (create,) = gathered(reset="opening").when(triggered(60, UID_B)).issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_B


def test_an_alert_that_was_left_active_and_clears_closes_nothing_more() -> None:
    scene = gathered(reset="opening").when(reset(60, UID_B))
    assert scene.kinds == []
    assert scene.disposition(UID_B) == ("closed", "Reset")


def test_a_technician_who_reopens_the_ticket_has_the_left_alerts_in_it_again() -> None:
    scene = gathered(reset="opening").when(ticket(START + 90_000))
    assert scene.disposition(UID_B) == ("appended", "SameCondition")
