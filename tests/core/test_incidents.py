"""What is remembered of incidents, and what their commands say of themselves."""

from __future__ import annotations

from schemas.commands import CreateTicket
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    HOUR,
    START,
    UID_A,
    UID_B,
    UID_C,
    incidents,
    observed,
    reset,
    ticket,
    ticketed,
    triggered,
)


def test_old_alerts_are_forgotten_after_thirty_days_and_a_late_duplicate_opens_nothing() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now))
    assert set(scene.body()["alerts"]) == {UID_B}
    assert scene.when(triggered()).reasons == ["OlderThanMemory"]
    assert scene.when(ticket(START + 30_000, completed=True)).reasons == ["UnknownIncident"]


def test_a_forgotten_uid_that_fires_again_gets_the_next_external_id() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now, alert_subject="D:"))
    (create,) = scene.when(triggered(501, UID_A, at=scene.now)).issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"


def test_only_so_many_closed_alerts_are_kept() -> None:
    scene = incidents()
    for turn in range(400):
        scene.when(reset(10 + turn, f"{turn:032x}"))
    assert 150 <= len(scene.body()["alerts"]) <= 200
    assert f"{399:032x}" in scene.body()["alerts"]


def test_an_alert_in_the_list_is_never_too_old() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now, alert_subject="D:"))
    assert scene.when(observed(UID_C, START - DAY)).kinds == ["CreateTicket"]


def test_open_work_is_never_forgotten() -> None:
    scene = ticketed().later(400 * DAY).when(triggered(500, UID_B, alert_subject="D:"))
    assert set(scene.body()["alerts"]) == {UID_A, UID_B}
    assert scene.when(reset()).kinds == ["CompleteTicket"]


def test_a_command_says_who_caused_it_and_which_incident_it_belongs_to() -> None:
    scene = incidents(triggered())
    envelope = scene.last("CreateTicket").envelope
    assert envelope.source == "lockstep/incidents"
    assert (envelope.time, envelope.recorded) == (START, START)
    assert envelope.correlation_id == EXTERNAL_A
    assert envelope.causation_id == scene.steps[0].record.fact.headers["ce_id"]


def test_of_two_tickets_the_older_is_kept_and_closing_the_younger_closes_nothing() -> None:
    scene = incidents(triggered()).settle("CreateTicket", ticket_id=5002)
    scene.settle("CreateTicket", ticket_id=5001, reason="DoubledTicket")
    assert scene.body()["incidents"][EXTERNAL_A]["ticket"] == 5001
    assert scene.when(ticket(START + 60_000, completed=True, number=5002)).kinds == []
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_doubled_ticket_that_is_told_again_changes_nothing() -> None:
    scene = (
        incidents(triggered())
        .settle("CreateTicket", ticket_id=5001)
        .settle("CreateTicket", ticket_id=5001, reason="DoubledTicket")
    )
    assert (scene.kinds, scene.reasons) == ([], ["DoubledTicket"])
