"""A ticket is completed by somebody: its alerts are reset, and what is reopened is respected."""

from __future__ import annotations

from schemas.commands import CompleteTicket, CreateTicket, ResetAlert
from tests.core.spec import (
    EXTERNAL_A,
    MINUTE,
    START,
    UID_A,
    UID_B,
    completed_by_technician,
    incidents,
    observed,
    reset,
    ticket,
    ticketed,
    triggered,
)


def test_completing_the_ticket_resets_every_active_alert_once() -> None:
    scene = completed_by_technician()
    assert [c.uid for c in scene.issued if isinstance(c, ResetAlert)] == [UID_A, UID_B]
    assert len({issued.envelope.id for issued in scene.commands}) == len(scene.commands)
    assert scene.when(ticket(START + 41_000, completed=True)).kinds == []


def test_the_reset_that_we_asked_for_comes_back_as_an_echo() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert")
    assert scene.disposition() == ("closed", "TicketCompleted")
    scene.when(reset(50))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_a_list_read_before_our_reset_took_effect_does_not_open_again() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert").when(observed())
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_the_echo_may_come_before_the_outcome() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), reset(50))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])
    assert scene.settle("ResetAlert").kinds == []
    assert scene.disposition() == ("closed", "TicketCompleted")


def test_a_ticket_that_a_technician_completed_is_never_reopened_a_new_trigger_is_a_new_incident() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert").when(triggered(60))
    assert scene.kinds == ["CreateTicket"]
    assert "ReopenTicket" not in scene.all_kinds()


def test_an_alert_raised_again_while_its_reset_is_under_way_gets_a_new_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), triggered(60))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"
    assert scene.settle("ResetAlert").reasons == ["AlertMovedOn"]
    assert scene.when(reset(50)).reasons == ["Superseded"]
    assert scene.disposition() == ("ticketed", "Opened")


def test_reopening_before_the_reset_went_out_takes_the_reset_back() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000))
    assert scene.reasons == ["ReopenedByTechnician"]
    assert scene.kinds == ["WithdrawCommand"]
    resets = scene.last("ResetAlert")
    scene.settle_command(resets, "Withdrawn").settle("WithdrawCommand")
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.when(reset(60)).kinds == ["CompleteTicket"]


def test_an_alert_that_cleared_by_itself_while_its_reset_was_taken_back_ends_the_reopened_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000))
    resets = scene.last("ResetAlert")
    assert scene.when(reset(60)).kinds == []
    assert scene.settle_command(resets, "Withdrawn").kinds == ["CompleteTicket"]


def test_a_taken_back_reset_that_looked_like_our_echo_still_ends_the_reopened_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), reset(30), ticket(START + 50_000))
    assert scene.kinds == ["WithdrawCommand"]
    (complete,) = scene.settle_command(scene.last("ResetAlert"), "Withdrawn").issued
    assert isinstance(complete, CompleteTicket)
    assert complete.ticket_id == 5001


def test_a_completion_from_before_a_reopening_does_not_pay_for_what_is_owed_after_it() -> None:
    scene = ticketed().when(reset(), ticket(START + 30_000, completed=True), ticket(START + 40_000))
    scene.when(triggered(50, UID_B), reset(60, UID_B))
    assert scene.settle("CompleteTicket").kinds == ["CompleteTicket"]


def test_reopening_too_late_for_the_reset_leaves_the_ticket_to_the_technician() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000)).settle("ResetAlert")
    assert scene.kinds == []
    assert scene.reasons == ["ReopenedByTechnician"]
    assert scene.when(reset(60)).kinds == []


def test_a_ticket_reopened_while_its_alerts_are_cleared_is_respected() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.when(ticket(START + 90_000))
    assert (scene.kinds, scene.reasons) == ([], ["ReopenedByTechnician"])
    assert scene.when(ticket(START + 95_000)).kinds == []


def test_a_new_trigger_joins_a_reopened_ticket_and_its_reset_completes_it() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket")
    scene.when(ticket(START + 30_000, completed=True), ticket(START + 90_000), triggered(100, UID_B))
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.when(reset(110, UID_B)).kinds == ["CompleteTicket"]


def test_a_reopening_whose_completion_was_never_seen_shows_by_later_activity() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", settled_at=START + 30_000)
    assert scene.when(ticket(START + 10 * MINUTE)).reasons == ["ReopenedByTechnician"]


def test_an_older_sight_of_a_ticket_is_superseded() -> None:
    scene = ticketed().when(ticket(START + 50_000), ticket(START + 40_000))
    assert scene.reasons == ["Superseded"]
    assert scene.when(ticket(START + 50_000)).reasons == ["Duplicate"]


def test_of_two_tickets_seen_before_the_create_settled_the_older_is_adopted() -> None:
    for numbers in ((5001, 5002), (5002, 5001)):
        scene = incidents(triggered()).when(*(ticket(START + 50_000 + n, number=n) for n in numbers))
        assert scene.body()["incidents"][EXTERNAL_A]["ticket"] == 5001


def test_the_outcome_of_the_create_has_the_last_word_on_which_ticket_it_is() -> None:
    scene = incidents(triggered()).when(ticket(START + 50_000, number=5001)).settle("CreateTicket", ticket_id=5003)
    assert scene.when(ticket(START + 60_000, completed=True, number=5001)).reasons == ["DoubledTicket"]
    assert scene.when(ticket(START + 60_000, completed=True, number=5003)).kinds == ["ResetAlert"]


def test_a_ticket_seen_open_and_completed_in_the_same_instant_counts_as_completed() -> None:
    for facts in ((False, True), (True, False)):
        scene = ticketed().when(*(ticket(START + 50_000, completed=completed) for completed in facts))
        assert scene.all_kinds().count("ResetAlert") == 1
        assert "WithdrawCommand" not in scene.all_kinds()


def test_a_second_ticket_with_the_same_external_id_is_told_apart() -> None:
    scene = ticketed().when(ticket(START + 50_000, completed=True, number=5002))
    assert (scene.kinds, scene.reasons) == ([], ["DoubledTicket"])


def test_a_ticket_whose_external_id_was_emptied_is_still_ours() -> None:
    scene = ticketed().when(ticket(START + 50_000, completed=True, external_id=None))
    assert scene.kinds == ["ResetAlert"]


def test_a_ticket_of_an_incident_that_is_not_known_is_left_alone() -> None:
    scene = incidents(ticket(START))
    assert (scene.kinds, scene.reasons) == ([], ["UnknownIncident"])
