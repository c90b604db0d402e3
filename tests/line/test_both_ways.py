"""Beside another integration and beside people, on the whole line: tickets taken over, notes both ways, priorities raised.

Every order and duplication of the same is in ``tests/core``; here each meets both vendors once, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.line.system import Row, System, is_complete, until

#: Longer than it takes until the list of active alerts, which names their tickets, is read after an activity was heard of.
HOLD = "6s"


@pytest.fixture(scope="module", autouse=True)
def rules(system: System) -> Iterator[None]:
    """A rule per matter, chosen by the beginning of the message."""
    policy = system.policy()
    priority = {"CRITICAL": "Critical", "MAJOR": "High", "default": "Medium"}
    policy["rules"] = [
        {"name": "native", "when": {"message": {"matches": "^native:"}}, "lifecycle": {"hold": HOLD}},
        {
            "name": "worsening",
            "when": {"message": {"matches": "^worse:"}},
            "ticket": {"priority": priority},
            "lifecycle": {"escalate": True},
        },
        *policy["rules"],
    ]
    system.publish(policy)
    system.ninja.ask("PATCH", "settings", activity_severity="present")
    yield
    system.ninja.ask("PATCH", "settings", activity_severity="absent")
    system.publish(system.policy())


def native(system: System, device: Row, title: str) -> Row:
    """A ticket that NinjaOne's own integration opened at the device's company."""
    item = until("the device has its item", lambda: system.item(device))
    return system.psa.ask("POST", "tickets", companyID=item["companyID"], title=title)["item"]


def ticket_now(system: System, number: int) -> Row:
    return next(ticket for ticket in system.psa.state()["tickets"] if ticket["id"] == number)


def notes_of(system: System, ticket: Row) -> list[Row]:
    return [note for note in system.psa.state()["ticketNotes"] if note["ticketID"] == ticket["id"]]


def says(system: System, uid: str, word: str) -> None:
    """Wait until ``explain`` has a word about an alert."""
    until(f"{word} is said of the alert", lambda: word in system.lockstep("explain", uid).out)


def test_an_alert_that_carries_a_ticket_has_that_one_closed_by_its_reset(system: System) -> None:
    device = system.take()[0]
    theirs = native(system, device, "native: closed by a reset")
    uid = system.alert(device, "native: closed by a reset", psaTicketId=theirs["id"])
    (ticket,) = system.opened(uid)
    assert (ticket["id"], ticket["title"]) == (theirs["id"], theirs["title"])
    says(system, uid, "TakenOver")
    system.clear(uid)
    system.completed(ticket)
    assert len([t for t in system.psa.state()["tickets"] if "closed by a reset" in t["title"]]) == 1


def test_closing_a_ticket_that_was_taken_over_resets_its_alert(system: System) -> None:
    device = system.take()[0]
    theirs = native(system, device, "native: closed by a technician")
    uid = system.alert(device, "native: closed by a technician", psaTicketId=theirs["ticketNumber"])
    (ticket,) = system.opened(uid)
    assert ticket["id"] == theirs["id"]
    system.complete(ticket)
    until("the alert is reset", lambda: uid not in system.active())
    assert len(system.resets(uid)) == 1


def test_a_ticket_that_cannot_be_taken_over_is_listed_and_none_is_opened(system: System) -> None:
    device = system.take()[0]
    uid = system.alert(device, "native: of nobody", psaTicketId=99_999_999)
    until("it is listed", lambda: "TicketMissing" in system.lockstep("parked", "list").out)
    assert system.ticket_of(uid) is None
    external_id = f"ls.{device['id']}.{uid.replace('-', '')}"
    assert system.lockstep("parked", "dismiss", external_id, "--reason", "looked at it").code == 0
    says(system, uid, "Dismissed")
    system.clear(uid)


def test_notes_travel_both_ways_and_no_text_of_a_technician_is_kept(system: System) -> None:
    device = system.take()[0]
    uid = system.alert(device, "to be acknowledged")
    (ticket,) = system.opened(uid)
    system.ninja.ask("POST", f"alerts/{uid}/acknowledge", userId=12)
    until("the ticket says so", lambda: any("by user 12" in n["description"] for n in notes_of(system, ticket)))
    system.psa.ask("POST", f"tickets/{ticket['id']}/note", title="Called back", description="It is the secret UPS.")
    says(system, uid, "TechnicianNoteRecorded")
    assert "secret UPS" not in system.lockstep("explain", uid, "--json").out
    ours = [note for note in notes_of(system, ticket) if "acknowledged" in note["title"]]
    assert [note["publish"] for note in ours] == [2]
    system.clear(uid)
    system.completed(ticket)
    assert len([note for note in notes_of(system, ticket) if "acknowledged" in note["title"]]) == 1


def test_a_condition_that_becomes_worse_raises_its_tickets_priority_unless_a_technician_chose_another(
    system: System,
) -> None:
    first, second = system.take(2)
    worse, chosen = (
        system.alert(first, "worse: disk", severity="MINOR"),
        system.alert(second, "worse: fan", severity="MINOR"),
    )
    ticket, other = system.opened(worse, chosen)
    assert ticket["priority"] == other["priority"]
    system.psa.ask("PATCH", f"tickets/{other['id']}", priority=3)
    for uid in (worse, chosen):
        system.ninja.ask("POST", f"alerts/{uid}/repeat", severity="CRITICAL")
    until("the priority is raised", lambda: ticket_now(system, ticket["id"])["priority"] == 4)
    says(system, chosen, "PriorityNotRaised")
    assert ticket_now(system, other["id"])["priority"] == 3
    for uid in (worse, chosen):
        system.clear(uid)
    system.completed(ticket, other)
    assert is_complete(ticket_now(system, ticket["id"]))


def test_all_of_it_is_decided_the_same_again(system: System) -> None:
    said = system.lockstep("audit", "verify")
    assert said.code == 0, said
