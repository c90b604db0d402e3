"""The life of a ticket by its rule, on the whole line: what is held, kept, reopened, left to a technician or suppressed.

Every order and duplication of the same is in ``tests/core``; here each setting meets the vendors once, in seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from schemas.envelope import rfc3339
from tests.line.system import Row, System, is_complete, name_of, until

#: Longer than an alert, its clearing and the observation of both take, also on a busy machine.
HOLD_S = 6

LIFECYCLES: Row = {
    "held": {"hold": f"{HOLD_S}s"},
    "settling": {"settle": f"{HOLD_S}s"},
    "reopening": {"reopen_within": "1h", "reopen_status": "In Progress"},
    "never again": {"reopen_within": "1h", "never_reopen": ["Complete"]},
    "counted": {"repeat": "count"},
    "each its own": {"repeat": "ticket"},
    "untouched": {"close_if": "untouched"},
    "left open": {"close_if": "never"},
    "only the first": {"reset": "opening"},
}


@pytest.fixture(scope="module", autouse=True)
def rules(system: System) -> Iterator[None]:
    """A rule per lifecycle, chosen by the beginning of the message."""
    policy = system.policy()
    policy["rules"] = [
        {"name": name, "when": {"message": {"matches": f"^{name}:"}}, "lifecycle": lifecycle}
        for name, lifecycle in LIFECYCLES.items()
    ] + [
        {
            "name": "told",
            "when": {"message": {"matches": "^told:"}},
            "ticket": {"close_text": "{{ device.name }} is well again", "complete_status": "Complete"},
        },
        *policy["rules"],
    ]
    system.publish(policy)
    yield
    system.publish(system.policy())


def says(system: System, uid: str, word: str) -> None:
    """Wait until ``explain`` has a word about an alert."""
    until(f"{word} is said of the alert", lambda: word in system.lockstep("explain", uid).out)


def same(system: System, device: Row, text: str) -> str:
    """An alert of one condition of this device, so that repeats are about the same."""
    return system.alert(device, text, sourceConfigUid=f"0b5d0f0a-0000-4000-8000-{device['id']:012d}", subject="C:")


def notes_of(system: System, ticket: Row) -> list[str]:
    return [n["description"] or "" for n in system.psa.state()["ticketNotes"] if n["ticketID"] == ticket["id"]]


def test_an_alert_that_is_reset_within_its_hold_opens_nothing_and_one_that_stays_opens_after_it(
    system: System,
) -> None:
    short, long = system.take(2)
    gone, stays = system.alert(short, "held: a moment"), system.alert(long, "held: longer")
    raised = time.monotonic()
    says(system, gone, "Holding")
    system.clear(gone)
    system.opened(stays)
    assert time.monotonic() - raised > HOLD_S - 2
    says(system, gone, "ResetWithinHold")
    assert system.ticket_of(gone) is None
    assert gone not in system.active()


def test_a_condition_that_comes_back_before_it_has_settled_keeps_its_ticket_open(system: System) -> None:
    device = system.take()[0]
    uid = same(system, device, "settling: up and down")
    ticket = system.opened(uid)[0]
    for _ in range(2):
        system.clear(uid)
        until("the alert is cleared", lambda uid=uid: uid not in system.active())
        time.sleep(2)
        uid = same(system, device, "settling: up and down")
        time.sleep(1)
    history = [r for r in system.psa.history() if r["entity"] == "Tickets" and r["id"] == ticket["id"]]
    assert [row["after"].get("status") for row in history if "status" in row["after"]] == [ticket["status"]]
    system.clear(uid)
    system.completed(ticket)
    assert len([t for t in system.tickets() if t["title"] == ticket["title"]]) == 1


def test_a_condition_that_comes_back_in_time_reopens_the_ticket_that_we_completed(system: System) -> None:
    device = system.take()[0]
    first = same(system, device, "reopening: again")
    ticket = system.opened(first)[0]
    system.clear(first)
    system.completed(ticket)
    until("its completion was seen", lambda: "completed" in system.lockstep("explain", first).out.lower())
    second = same(system, device, "reopening: again")
    now = until(
        "the ticket is open again",
        lambda: next((t for t in system.tickets() if t["id"] == ticket["id"] and not is_complete(t)), None),
    )
    assert now["status"] == 8
    assert system.ticket_of(second) is None
    system.clear(second)
    system.completed(ticket)
    assert system.doubled() == 0


def test_a_status_that_never_reopens_gets_a_new_ticket(system: System) -> None:
    device = system.take()[0]
    first = same(system, device, "never again: done")
    ticket = system.opened(first)[0]
    system.clear(first)
    system.completed(ticket)
    second = same(system, device, "never again: done")
    other = system.opened(second)[0]
    assert other["id"] != ticket["id"]
    assert next(is_complete(t) for t in system.tickets() if t["id"] == ticket["id"])
    system.clear(second)
    system.completed(other)


def test_counted_repeats_are_a_number_in_the_resolution_and_no_notes(system: System) -> None:
    device = system.take()[0]
    uids = [same(system, device, "counted: once")]
    ticket = system.opened(*uids)[0]
    uids += [same(system, device, f"counted: {n}") for n in range(2)]
    for uid in uids[1:]:
        says(system, uid, "SameCondition")
    for uid in uids:
        system.clear(uid)
    system.completed(ticket)
    done = next(t for t in system.tickets() if t["id"] == ticket["id"])
    assert "2" in (done["resolution"] or "")
    assert notes_of(system, ticket) == []


def test_repeats_may_be_tickets_of_their_own(system: System) -> None:
    device = system.take()[0]
    uids = [same(system, device, f"each its own: {n}") for n in range(2)]
    tickets = system.opened(*uids)
    assert len({ticket["id"] for ticket in tickets}) == 2
    for uid in uids:
        system.clear(uid)
    system.completed(*tickets)


def test_a_ticket_that_a_technician_worked_on_stays_open_with_a_note_and_an_untouched_one_is_completed(
    system: System,
) -> None:
    uids = [system.alert(device, "untouched: or not") for device in system.take(3)]
    noted, timed, untouched = system.opened(*uids)
    system.psa.ask("POST", f"tickets/{noted['id']}/note", title="Looking", description="I am on it")
    system.psa.ask("POST", f"tickets/{timed['id']}/time", hoursWorked=0.25)
    for uid in uids:
        system.clear(uid)
    system.completed(untouched)
    for uid in uids[:2]:
        says(system, uid, "TouchedByTechnician")
    until("it says why it is open", lambda: len(notes_of(system, noted)) == 2)
    system.silence(2)
    assert [is_complete(t) for t in system.tickets() if t["id"] in (noted["id"], timed["id"])] == [False, False]


def test_a_ticket_of_a_rule_that_never_completes_is_left_open_with_a_note(system: System) -> None:
    uid = system.alert(system.take()[0], "left open: for a person")
    ticket = system.opened(uid)[0]
    system.clear(uid)
    says(system, uid, "NeverCompleted")
    until("it says why it is open", lambda: notes_of(system, ticket))
    assert not next(is_complete(t) for t in system.tickets() if t["id"] == ticket["id"])


def test_only_the_opening_alert_is_reset_where_the_rule_says_so(system: System) -> None:
    device = system.take()[0]
    opening, other = (same(system, device, f"only the first: {n}") for n in range(2))
    ticket = system.opened(opening)[0]
    says(system, other, "SameCondition")
    system.complete(ticket)
    until("the opening alert is reset", lambda: opening not in system.active())
    says(system, other, "ResetOfOpeningOnly")
    system.silence(2)
    assert other in system.active()
    assert system.resets(other) == []


def test_the_text_of_a_completion_is_the_rules(system: System) -> None:
    device = system.take()[0]
    uid = system.alert(device, "told: what happened")
    ticket = system.opened(uid)[0]
    system.clear(uid)
    system.completed(ticket)
    done = next(t for t in system.tickets() if t["id"] == ticket["id"])
    assert f"{name_of(device)} is well again" in done["resolution"]


def test_in_a_maintenance_window_nothing_opens_and_what_still_fires_at_its_end_does(system: System) -> None:
    inside, outside = system.take(2)
    ends = time.time_ns() // 10**6 + 14_000
    policy = system.policy()
    policy["maintenance"] = [
        {"name": "move", "device": [inside["id"]], "from": rfc3339(ends - 80_000), "to": rfc3339(ends)}
    ]
    try:
        system.publish(policy)
        gone, stays = (system.alert(inside, f"in the window {n}", subject=f"{n}:") for n in range(2))
        elsewhere = system.opened(system.alert(outside, "beside the window"))[0]
        assert time.time_ns() // 10**6 < ends, "the window was over too soon for this machine: nothing was shown"
        says(system, stays, "Maintenance:move")
        held = {row["uid"]: row for row in json.loads(system.lockstep("parked", "held", "--json").out)["held"]}
        assert (held[stays]["disposition"], held[stays]["until"]) == ("suppressed", ends)
        assert stays in system.lockstep("parked", "held").out
        system.clear(gone)
        opened = system.opened(stays)[0]
        assert time.time_ns() // 10**6 >= ends
        says(system, gone, "ResetWithinMaintenance")
        assert system.ticket_of(gone) is None
        assert elsewhere["id"] != opened["id"]
    finally:
        policy = system.policy()
        system.publish(policy)


def test_in_ninjaones_own_maintenance_nothing_opens_until_it_ends_or_is_switched_off(system: System) -> None:
    device, other = system.take(2)
    ends = time.time_ns() // 10**9 + 14
    maintain(system, device, {"start": ends - 80, "end": ends})
    maintain(system, other, {"start": ends - 80, "end": ends + 3600})
    gone, stays = (system.alert(device, f"in maintenance {n}", subject=f"{n}:") for n in range(2))
    early = system.alert(other, "in maintenance for an hour")
    for uid in (gone, stays, early):
        says(system, uid, "Maintenance:NinjaOne")
    held = {row["uid"]: row for row in json.loads(system.lockstep("parked", "held", "--json").out)["held"]}
    assert [held[uid]["until"] for uid in (stays, early)] == [ends * 1000, (ends + 3600) * 1000]
    assert time.time() < ends, "the maintenance was over too soon for this machine: nothing was shown"
    system.clear(gone)
    maintain(system, other, None)
    system.opened(early)
    system.opened(stays)
    assert time.time() >= ends
    says(system, gone, "ResetWithinMaintenance")
    assert system.ticket_of(gone) is None


def maintain(system: System, device: Row, window: Row | None) -> None:
    """Put a device into NinjaOne's maintenance mode, or switch it off; nothing tells of it."""
    system.ninja.ask("PATCH", f"devices/{device['id']}", maintenance=window)
