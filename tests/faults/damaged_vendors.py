"""Planted damage in what the sandboxes recorded: tickets, items, alerts, calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streams.drill.check_connections import closed_times
from streams.drill.evidence import Evidence
from streams.drill.vendors import alerts_of, touches_of
from tests.faults.evidence_builder import (
    Row,
    autotask_with,
    call,
    healthy,
    ninjaone_with,
    numbered,
    reading,
    ticket_history,
    ticket_where,
)

# --- tickets and items


def _with_ticket_history(evidence: Evidence, change: Callable[[list[Row]], list[Row]]) -> Evidence:
    return autotask_with(evidence, history=numbered(change([dict(row) for row in evidence.autotask["history"]])))


def ticket_twice(evidence: Evidence) -> Evidence:
    ticket = ticket_where(complete=False)
    created = ticket_history(ticket["id"])[0]
    other = {**created, "id": 99_999_999, "after": {**created["after"], "id": 99_999_999}}
    evidence = autotask_with(evidence, tickets=[*evidence.autotask["tickets"], {**ticket, "id": 99_999_999}])
    return _with_ticket_history(evidence, lambda rows: [*rows, other])


def ticket_twice_for_a_while(evidence: Evidence) -> Evidence:
    done = {"entity": "Tickets", "id": 99_999_999, "what": "Updated", "by": "api", "t": 0, "seq": 0}
    evidence = ticket_twice(evidence)
    rows = [
        {**row, "completedDate": "2026-11-27T00:00:00Z"} if row["id"] == 99_999_999 else row
        for row in evidence.autotask["tickets"]
    ]
    return _with_ticket_history(
        autotask_with(evidence, tickets=rows), lambda rows: [*rows, {**done, "after": {"completedDate": "2026"}}]
    )


def ticket_nobody_asked_for(evidence: Evidence) -> Evidence:
    created = ticket_history(ticket_where(complete=True)["id"])[0]
    external_id = "ls.4711." + "ab" * 16
    other = {**created, "id": 99_999_999, "after": {**created["after"], "externalID": external_id}}
    return _with_ticket_history(evidence, lambda rows: [*rows, other])


def closed_before_created(evidence: Evidence) -> Evidence:
    number = ticket_where(complete=True)["id"]
    created = ticket_history(number)[0]
    return _with_ticket_history(
        evidence, lambda rows: [*(row for row in rows if row["seq"] != created["seq"]), dict(created)]
    )


def completed_twice(evidence: Evidence) -> Evidence:
    done = ticket_history(ticket_where(complete=True, by="api")["id"])[-1]
    again = {**done, "before": {"lastActivityDate": 1}, "after": {"lastActivityDate": 2}}
    return _with_ticket_history(evidence, lambda rows: [*rows, again])


def never_closed(evidence: Evidence) -> Evidence:
    number = ticket_where(complete=True, by="api")["id"]
    return _reopened(evidence, number)


def _reopened(evidence: Evidence, number: int) -> Evidence:
    """As if the ticket had never been completed."""
    rows = [{**row, "completedDate": None} if row["id"] == number else row for row in evidence.autotask["tickets"]]
    evidence = autotask_with(evidence, tickets=rows)
    return _with_ticket_history(evidence, lambda rows: [r for r in rows if r["id"] != number or r["what"] == "Created"])


def ticket_gone(evidence: Evidence) -> Evidence:
    number = ticket_where(complete=False)["id"]
    rows = [row for row in evidence.autotask["tickets"] if row["id"] != number]
    return _with_ticket_history(
        autotask_with(evidence, tickets=rows), lambda rows: [row for row in rows if row["id"] != number]
    )


def item_twice(evidence: Evidence) -> Evidence:
    items = evidence.autotask["configurationItems"]
    ours = next(row for row in items if row["isActive"] and str(row["referenceNumber"] or "").startswith("ls."))
    return autotask_with(evidence, configurationItems=[*items, {**ours, "id": 99_999_999}])


# --- alerts


def _active() -> Row:
    return dict(healthy().ninjaone["alerts"][0])


def alert_of_nobody(evidence: Evidence) -> Evidence:
    uid = "0badcafe-0000-4000-8000-000000000000"
    row = {"seq": 0, "t": evidence.ninjaone["now"], "entity": "alert", "id": uid, "what": "triggered", "by": "control"}
    return ninjaone_with(
        evidence,
        alerts=[*evidence.ninjaone["alerts"], {**_active(), "uid": uid}],
        history=numbered([*evidence.ninjaone["history"], row]),
    )


def alert_invented(evidence: Evidence) -> Evidence:
    uid = _active()["uid"]
    return ninjaone_with(
        evidence,
        alerts=[row for row in evidence.ninjaone["alerts"] if row["uid"] != uid],
        history=[row for row in evidence.ninjaone["history"] if row["id"] != uid],
    )


def cleared_unnoticed(evidence: Evidence) -> Evidence:
    uid = _active()["uid"]
    row = {"seq": 0, "t": evidence.ninjaone["now"], "entity": "alert", "id": uid, "what": "cleared", "by": "control"}
    return ninjaone_with(
        evidence,
        alerts=[row for row in evidence.ninjaone["alerts"] if row["uid"] != uid],
        history=numbered([*evidence.ninjaone["history"], row]),
    )


def never_reset(evidence: Evidence) -> Evidence:
    """A technician completed the ticket of an alert that is still active."""
    uid = _active()["uid"].replace("-", "")
    number = next(t["id"] for t in evidence.autotask["tickets"] if uid in str(t["externalID"]))
    done = {"entity": "Tickets", "id": number, "what": "Updated", "by": "control", "t": 0, "seq": 0}
    return _with_ticket_history(evidence, lambda rows: [*rows, {**done, "after": {"completedDate": "2026"}}])


def _reset() -> Row:
    return next(row for row in healthy().ninjaone["history"] if row["what"] == "reset")


def reset_twice(evidence: Evidence) -> Evidence:
    again = {**_reset(), "t": _reset()["t"] + 5}
    return ninjaone_with(evidence, history=numbered([*evidence.ninjaone["history"], again]))


def reset_by_two_calls(evidence: Evidence) -> Evidence:
    uid = _reset()["id"]
    first = next(c for c in evidence.ninjaone_calls if uid in c["path"] and c["method"] in ("POST", "DELETE"))
    calls = [*evidence.ninjaone_calls, call(first, seq=99_999, t=_reset()["t"] + 5)]
    return replace(evidence, ninjaone_calls=calls)


def still_active_though_closed(evidence: Evidence) -> Evidence:
    """NinjaOne fired the alert again, and nobody took it up."""
    alert = next(alert for alert in alerts_of(evidence).values() if not alert.active)
    row = {"seq": 0, "t": evidence.ninjaone["now"], "entity": "alert", "id": alert.uid, "what": "triggered"}
    return ninjaone_with(
        evidence,
        alerts=[*evidence.ninjaone["alerts"], {**_active(), "uid": alert.uid}],
        history=numbered([*evidence.ninjaone["history"], {**row, "by": "vendor"}]),
    )


# --- calls


def _autotask_call(path: str) -> Row:
    return dict(next(c for c in healthy().autotask_calls if path in c["path"] and c["status"] == 200))


def call_while_unhealthy(evidence: Evidence) -> Evidence:
    closed = next(time for time in closed_times(reading(), "autotask") if time.state == "Unhealthy")
    extra = call(_autotask_call("/Tickets/query"), seq=99_999, t=closed.since + 1.5)
    return replace(evidence, autotask_calls=[*evidence.autotask_calls, extra])


def tests_nobody_asked_for(evidence: Evidence) -> Evidence:
    closed = next(time for time in closed_times(reading(), "autotask") if time.state == "Unhealthy")
    probe = call(_autotask_call("/Version"), t=closed.since + 1.5, status=401, auth="locked")
    extra = [call(probe, seq=99_990 + number) for number in range(5)]
    return replace(evidence, autotask_calls=[*evidence.autotask_calls, *extra], tests={"autotask": 1})


def four_at_once(evidence: Evidence) -> Evidence:
    extra = call(_autotask_call("/Tickets"), seq=99_999, inflight=4)
    return replace(evidence, autotask_calls=[*evidence.autotask_calls, extra])


def too_many_threads(evidence: Evidence) -> Evidence:
    extra = call(_autotask_call("/Tickets"), seq=99_999, status=429, refusedWhy="thread limit: 4 at once, 3 allowed")
    return replace(evidence, autotask_calls=[*evidence.autotask_calls, extra])


def over_the_hour(evidence: Evidence) -> Evidence:
    extra = call(_autotask_call("/Tickets"), seq=99_999, status=429, refusedWhy="hourly limit: 10000 of 10000")
    return replace(evidence, autotask_calls=[*evidence.autotask_calls, extra])


# --- the life of a ticket by its rule


def known_by_reason(word: str) -> tuple[str, str, Row]:
    """Key, uid and entry of the alert whose reason this is in the recorded run."""
    for key, body in reading().bodies.items():
        for uid, alert in body.get("alerts", {}).items():
            if alert.get("reason") == word:
                return key, uid, alert
    raise AssertionError(f"the recorded run has no alert with the reason {word}")


def _another_ticket(evidence: Evidence, external_id: str, t: float) -> Evidence:
    """A ticket that we made, open, without any command."""
    ticket = ticket_where(complete=False)
    created = ticket_history(ticket["id"])[0]
    other = {**created, "id": 99_999_999, "t": t, "after": {**created["after"], "externalID": external_id}}
    row = {**ticket, "id": 99_999_999, "externalID": external_id}
    evidence = autotask_with(evidence, tickets=[*evidence.autotask["tickets"], row])
    return _with_ticket_history(evidence, lambda rows: [*rows, other])


def ticket_within_hold(evidence: Evidence) -> Evidence:
    """The alert was reset within its hold, and got a ticket all the same."""
    key, uid, _ = known_by_reason("ResetWithinHold")
    return _another_ticket(evidence, f"ls.{key}.{uid.replace('-', '')}", evidence.autotask["history"][-1]["t"])


def doubled_instead_of_reopened(evidence: Evidence) -> Evidence:
    """The condition came back, and its ticket was not reopened but stayed complete beside a new one."""
    key, uid, alert = known_by_reason("Reopened")
    former = next(t for t in evidence.autotask["tickets"] if t["externalID"] == alert["incident"])
    history = ticket_history(former["id"])
    reopening = next(row for row in history[1:] if (row.get("after") or {}).get("completedDate", "") is None)
    evidence = _with_ticket_history(
        evidence, lambda rows: [row for row in rows if row["id"] != former["id"] or row["seq"] < reopening["seq"]]
    )
    return _another_ticket(evidence, f"ls.{key}.{uid.replace('-', '')}", reopening["t"])


def reopened_by_nobodys_order(evidence: Evidence) -> Evidence:
    return _with_ticket_history(
        evidence,
        lambda rows: [*rows, {**ticket_history(ticket_where(complete=True, by="api")["id"])[-1], **_OPEN_AGAIN}],
    )


_OPEN_AGAIN: Row = {"before": {"completedDate": "2026"}, "after": {"completedDate": None}}


def touched_and_completed(evidence: Evidence, *, seconds: float = 60, looks: int = 3) -> Evidence:
    """A technician had worked on the ticket, the executor looked (at this one or others), and we completed it."""
    _, _, alert = known_by_reason("TouchedByTechnician")
    number = next(t["id"] for t in evidence.autotask["tickets"] if t["externalID"] == alert["incident"])
    touch = next(t for _, t in touches_of(evidence, number))
    late = touch + seconds
    done = {
        "entity": "Tickets",
        "id": number,
        "what": "Updated",
        "by": "api",
        "t": late,
        "after": {"completedDate": "x"},
    }
    others = [c for c in evidence.autotask_calls if not ("/TicketNotes/query" in c["path"] and c["t"] > touch)]
    query = call(_autotask_call("/TicketNotes/query"), seq=99_990)
    more = [{**query, "t": touch + (place + 1) * seconds / 5} for place in range(looks)]
    rows = [{**row, "completedDate": "x"} if row["id"] == number else row for row in evidence.autotask["tickets"]]
    evidence = replace(autotask_with(evidence, tickets=rows), autotask_calls=[*others, *more])
    return _with_ticket_history(evidence, lambda rows: [*rows, done])


def forgotten_after_maintenance(evidence: Evidence) -> Evidence:
    """The device is out of maintenance, its alert still fires, and nobody came back for it."""
    known_by_reason("Maintenance:NinjaOne")
    return ninjaone_with(evidence, devices=[])


def touched_by_nobody(evidence: Evidence) -> Evidence:
    """A ticket was left open to a technician who never was there."""
    return _with_ticket_history(evidence, lambda rows: [row for row in rows if row["entity"] == "Tickets"])
