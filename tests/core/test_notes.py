"""Notes both ways: acknowledgements become notes on the ticket, notes of technicians become records."""

from __future__ import annotations

from typing import Any

from schemas.commands import AppendTicketNote
from streams.core.verify import Verifier
from tests.core.spec import (
    START,
    UID_A,
    UID_B,
    Scene,
    acknowledgement,
    incidents,
    lifecycle,
    note,
    observed,
    policy,
    reset,
    ticket,
    triggered,
)


def ticketed(**parts: Any) -> Scene:
    return incidents(triggered(), **parts).settle("CreateTicket")


def test_an_acknowledgement_becomes_an_internal_note_that_says_when_and_which_user() -> None:
    (command,) = ticketed().when(acknowledgement()).issued
    assert isinstance(command, AppendTicketNote)
    assert command.ticket_id == 5001
    assert command.text == f"Acknowledged in NinjaOne at 2026-11-24T03:00:15.000Z by user 12.\nAlert: {UID_A}."
    assert command.mark in command.title
    assert command.note_type == "Task Notes"


def test_an_acknowledgement_is_told_once() -> None:
    scene = ticketed().when(acknowledgement())
    assert scene.when(acknowledgement()).reasons == ["Duplicate"]
    assert scene.kinds == []
    assert scene.when(acknowledgement(14)).reasons == ["Superseded"]
    assert scene.when(acknowledgement(16)).kinds == ["AppendTicketNote"]


def test_an_acknowledgement_of_before_the_ticket_waits_for_it() -> None:
    scene = incidents(triggered(), acknowledgement(15), acknowledgement(16))
    assert scene.kinds == []
    assert scene.settle("CreateTicket").kinds == ["AppendTicketNote", "AppendTicketNote"]
    assert len({issued.command.effect_key for issued in scene.commands}) == len(scene.commands)


def test_an_acknowledgement_of_a_held_or_parked_alert_waits_too() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).when(acknowledgement())
    assert scene.reasons == ["TicketNotOpenYet"]
    assert scene.fire().settle("CreateTicket").kinds == ["AppendTicketNote"]
    scene = Scene("incidents", policy(companies={"auto_match": "never"}), triggered(), acknowledgement())
    assert scene.when(policy(2)).settle("CreateTicket").kinds == ["AppendTicketNote"]


def test_an_acknowledgement_that_comes_before_its_alert_is_kept_for_it() -> None:
    scene = incidents(acknowledgement())
    assert scene.reasons == ["NoTriggerSeen"]
    assert scene.disposition() == ("superseded", "NoTriggerSeen")
    assert scene.when(triggered()).settle("CreateTicket").kinds == ["AppendTicketNote"]


def test_an_acknowledgement_of_an_alert_that_is_over_says_nothing() -> None:
    scene = ticketed().when(reset())
    assert scene.when(acknowledgement(15)).reasons == ["AlreadyCleared"]
    assert scene.when(acknowledgement(25)).reasons == ["AlreadyCleared"]
    assert scene.kinds == []


def test_an_acknowledgement_that_found_no_ticket_is_not_told_of_the_next_raising() -> None:
    scene = incidents(triggered(), acknowledgement(), **lifecycle(hold="5m")).when(reset(), triggered(30))
    assert scene.fire().settle("CreateTicket").kinds == []


def test_an_acknowledged_alert_whose_ticket_is_complete_gets_no_note() -> None:
    scene = ticketed().when(ticket(START + 30_000, completed=True)).when(acknowledgement(40))
    assert scene.kinds == []


def test_each_alert_of_a_ticket_may_be_acknowledged() -> None:
    scene = ticketed().when(triggered(11, UID_B))
    assert scene.when(acknowledgement(15, UID_B, None)).kinds == ["AppendTicketNote"]
    (command,) = scene.issued
    assert isinstance(command, AppendTicketNote)
    assert UID_B in command.text
    assert "by user" not in command.text


def test_a_policy_may_leave_acknowledgements_out() -> None:
    scene = ticketed(notes={"acknowledgements": "ignore"}).when(acknowledgement())
    assert (scene.kinds, scene.reasons) == ([], ["AcknowledgementsIgnored"])


def test_a_note_that_could_not_be_written_for_a_while_comes_again() -> None:
    scene = ticketed().when(acknowledgement()).settle("AppendTicketNote", "Deferred")
    assert scene.fire().kinds == ["AppendTicketNote"]


def test_a_technicians_note_is_recorded_and_counts_as_a_touch() -> None:
    scene = ticketed(**lifecycle(close_if="untouched")).when(note())
    assert (scene.kinds, scene.reasons) == ([], ["TechnicianNoteRecorded"])
    assert '"title":"Looked at it"' in scene.records[-1].fact.value
    assert scene.when(reset()).kinds == ["AppendTicketNote"]
    assert scene.disposition() == ("closed", "TouchedByTechnician")


def test_a_note_is_recorded_once_and_in_any_order() -> None:
    scene = ticketed().when(note(2))
    body = scene.body()
    assert scene.when(note(2)).reasons == ["Duplicate"]
    assert scene.when(note(1)).reasons == ["TechnicianNoteRecorded"]
    assert scene.body() == body


def test_a_customers_note_is_told_from_a_technicians() -> None:
    assert ticketed().when(note(by_contact=True, creator_resource_id=None)).reasons == ["CustomerNoteRecorded"]


def test_a_note_on_a_ticket_that_nobody_knows_says_so() -> None:
    assert incidents().when(note()).reasons == ["UnknownIncident"]
    assert ticketed().when(note(external_id=None)).reasons == ["TechnicianNoteRecorded"]


def test_notes_and_acknowledgements_are_decided_the_same_again() -> None:
    scene = ticketed().when(acknowledgement(), note(), observed(), note(2), reset())
    verifier = Verifier(agent="incidents")
    assert all(verifier.feed(record) is None for record in scene.records)
    assert verifier.finish(scene.state) is None
