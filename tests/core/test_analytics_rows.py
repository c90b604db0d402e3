"""Rows of single decisions: what each table says of an outcome, a sight, a technician, a storm; and what makes no row."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.storms import StormDeclared
from schemas.tables import TABLES, USUAL
from streams.core.analytics.decided import NoRecord, command_name
from streams.core.analytics.places import Places
from streams.core.analytics.rows import rows_of_decision
from tests.core.spec import (
    EXTERNAL_A,
    HOUR,
    START,
    UID_A,
    UID_B,
    Scene,
    acknowledgement,
    device,
    devices,
    gone,
    incidents,
    lifecycle,
    note,
    removed,
    reset,
    subject,
    triggered,
)
from tests.core.spec import ticket as seen

Row = dict[str, Any]


def rows(scene: Scene, table: str) -> list[Row]:
    """The rows of a table of the whole scene."""
    places, found = Places(), []
    for offset, record in enumerate(scene.records):
        found += [
            row
            for name, row in rows_of_decision(0, offset, record.to_json(), [*USUAL, "audit"], places)
            if name == table
        ]
    assert all(row.keys() <= {*TABLES[table].names, "rule", "revision"} for row in found)
    return found


def told(scene: Scene, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(column) for column in columns) for row in rows(scene, table)]


def test_an_alert_has_a_row_for_each_thing_that_is_learned_of_it_and_none_for_a_repetition() -> None:
    scene = incidents(triggered(), triggered()).settle("CreateTicket").when(acknowledgement(), reset(), reset())
    assert told(scene, "alerts", "event", "disposition", "reason", "incident") == [
        ("triggered", "ticketed", "Opened", EXTERNAL_A),
        ("acknowledged", None, None, None),
        ("reset", "closed", "Reset", None),
    ]


def test_what_is_decided_by_a_timer_is_a_row_without_an_event_of_ninjaone() -> None:
    scene = incidents(triggered(), **lifecycle(hold="5m")).fire()
    assert told(scene, "alerts", "event", "disposition", "device_name", "happened_at")[1:] == [
        ("decided", "ticketed", "NW-FS01", None)
    ]


def test_a_condition_is_the_same_on_two_devices_and_another_for_another_subject() -> None:
    other = subject(device=9)
    scene = incidents(triggered()).when(triggered(subject=other, uid=UID_B), key="9")
    scene.when(triggered(subject=other, uid="0" * 32, alert_subject="D:"), key="9")
    first, second, third = (row["condition"] for row in rows(scene, "alerts"))
    assert first == second != third
    assert "C:" not in first


def test_an_alert_that_is_gone_and_a_storm_of_its_own_are_told_by_their_names() -> None:
    place = subject(device=None, location_id=31)
    storm = StormDeclared.model_validate(
        {
            **triggered(subject=place, uid=UID_B).model_dump(exclude={"activity_id"}),
            "rule": "everything-else",
            "names": ("a", "b"),
            "devices": 2,
        }
    )
    scene = incidents(triggered(), gone()).when(storm, key="l31")
    assert told(scene, "alerts", "event", "key", "device_id", "location_id") == [
        ("triggered", "407", 407, 31),
        ("gone", "407", 407, 31),
        ("storm", "l31", None, 31),
    ]


@pytest.mark.parametrize(
    ("outcome", "more", "expected"),
    [
        ("Succeeded", {}, ("opened", "lockstep", 5001)),
        ("Succeeded", {"reason": "MergedByTenant"}, ("merged", "lockstep", 5001)),
        ("Rejected", {"reason": "QueueInactive"}, ("refused", "lockstep", None)),
        ("Deferred", {}, None),
        ("Withdrawn", {}, None),
    ],
)
def test_what_became_of_a_create(outcome: str, more: Row, expected: tuple[Any, ...] | None) -> None:
    scene = incidents(triggered()).settle("CreateTicket", outcome, **more)
    assert told(scene, "tickets", "event", "done_by", "ticket_id") == ([expected] if expected else [])
    assert told(scene, "commands", "event", "outcome")[1] == ("settled", outcome)


def test_a_settlement_that_is_told_twice_is_one_row_everywhere() -> None:
    scene = incidents(triggered()).settle("CreateTicket", calls=2).settle("CreateTicket", calls=2, settled_at=START + 1)
    assert told(scene, "calls", "purpose", "calls", "vendor") == [("create", 2, "autotask")]
    assert told(scene, "tickets", "event") == [("opened",)]
    assert told(scene, "commands", "event") == [("ordered",), ("settled",)]


def test_who_completed_and_who_reopened_a_ticket() -> None:
    scene = incidents(triggered()).settle("CreateTicket").when(seen(START + 10_000))
    scene.when(seen(START + 20_000, completed=True)).settle("ResetAlert", calls=1)
    scene.when(seen(START + HOUR)).when(seen(START + 2 * HOUR, completed=True))
    events = told(scene, "tickets", "event", "done_by", "completed")
    assert events == [
        ("opened", "lockstep", None),
        ("observed", None, False),
        ("observed", None, True),
        ("completed", "technician", True),
        ("observed", None, False),
        ("reopened", "technician", False),
        ("observed", None, True),
        ("completed", "technician", True),
    ]
    assert told(scene, "calls", "purpose", "vendor") == [("reset", "ninjaone")]


def test_a_completion_that_found_its_ticket_complete_was_somebodys() -> None:
    scene = incidents(triggered()).settle("CreateTicket").when(reset()).settle("CompleteTicket", how="NothingToDo")
    assert told(scene, "tickets", "event", "done_by")[-1] == ("completed", "somebody")


def test_notes_of_technicians_and_customers_and_a_ticket_that_is_left_to_them() -> None:
    scene = incidents(triggered(), **lifecycle(close_if="untouched")).settle("CreateTicket")
    scene.when(note(1), note(2, by_contact=True)).when(reset())
    events = told(scene, "tickets", "event", "done_by", "reason")
    assert events[:3] == [("opened", "lockstep", None), ("note", "technician", None), ("note", "customer", None)]
    assert ("left_open", "lockstep", "TouchedByTechnician") in events
    assert all("text" not in row and "title" not in row for row in rows(scene, "tickets"))


def test_an_incident_has_a_row_for_each_of_its_changes() -> None:
    scene = incidents(triggered()).settle("CreateTicket").when(triggered(11, uid=UID_B), reset(), reset(25, uid=UID_B))
    changes = told(scene, "incidents", "opened_by", "alerts_active", "ticket_id", "ended", "cause")
    assert changes[0] == (UID_A, 1, None, None, "alert.triggered")
    assert (None, None, 5001, None, "command.settled") in changes
    assert [one[1] for one in changes if one[1] is not None] == [1, 2, 1, 0]
    assert changes[-1][3] == "AlertsCleared"


def test_a_device_from_its_first_sight_to_its_retirement() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem").when(removed())
    scene.settle("RetireConfigurationItem", company_id=29683, item_id=700, how="Called")
    assert told(scene, "devices", "event", "company_id", "item_id", "reason") == [
        ("observed", None, None, None),
        ("item_written", 29683, 700, None),
        ("removed", None, None, "Deleted"),
        ("item_retired", 29683, 700, None),
    ]
    refused = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="ProductMissing")
    assert told(refused, "devices", "event", "reason")[-1] == ("item_refused", "ProductMissing")


def test_a_key_of_a_device_that_was_never_shown_has_its_id_and_nothing_else() -> None:
    assert Places().of("407") | {} == {**dict.fromkeys(Places().of("407")), "device_id": 407}
    assert Places().of("o17")["device_id"] is None
    kept = Places.kept(iter([["407", *range(8)]]))
    assert list(kept.rows()) == [["407", *range(8)]]
    with pytest.raises(ValueError, match="is no place"):
        Places.kept(iter([["407", 1]]))


def test_what_is_no_decision_is_refused() -> None:
    whole = incidents(triggered()).records[-1].model_dump(mode="json")
    for broken in (b"", b"[]", b"{}", b"\xff", b'{"fact": 1}'):
        with pytest.raises(NoRecord):
            list(rows_of_decision(0, 0, broken, USUAL, Places()))
    assert command_name("lockstep.command.append-ticket-note.v1") == "AppendTicketNote"
    assert whole
