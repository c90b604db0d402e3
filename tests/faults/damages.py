"""Planted damage: each takes the healthy evidence and breaks one thing, as a fault in the product would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from schemas.facts import AlertReset, DeviceObserved, TicketObserved
from schemas.identity import derived_id
from schemas.topics import AUDIT, DEAD_LETTERS, INCIDENTS_STATE, OUTCOMES, TICKET_COMMANDS
from streams.drill.check_connections import closed_times
from streams.drill.evidence import Evidence
from streams.drill.reading import CommandAt, FactAt
from streams.drill.vendors import alerts_of
from streams.ports import InputRecord
from tests.faults.evidence_builder import (
    Row,
    appended,
    autotask_with,
    call,
    chain_of,
    changed_json,
    edited,
    forged,
    healthy,
    ninjaone_with,
    numbered,
    reading,
    ticket_history,
    ticket_where,
    topic_with,
    with_id,
    without,
)

#: (what was done, the kind it must be named by, the damage)
Damage = tuple[str, str, Callable[[Evidence], Evidence]]


# --- facts and decisions


def _some_fact(kind: type) -> FactAt:
    return next(row for row in reading().facts.values() if isinstance(row.event.data, kind))


def _last_fact(topic: str) -> InputRecord:
    return healthy().topics[topic][-1]


def undecided(evidence: Evidence) -> Evidence:
    return appended(evidence, with_id(_some_fact(AlertReset).raw, derived_id("nobody decided this")))


def decided_by_one_agent_only(evidence: Evidence) -> Evidence:
    device = _some_fact(DeviceObserved)
    gone = [row for row in reading().decided if row.fact == device.place]
    return without(evidence, AUDIT, *((row.at.partition, row.at.offset) for row in gone))


def decided_twice(evidence: Evidence) -> Evidence:
    return appended(evidence, _audit_raw(chain_of()[0].at.offset, chain_of()[0].at.partition))


def _audit_raw(offset: int, partition: int) -> InputRecord:
    return next(raw for raw in healthy().topics[AUDIT] if (raw.partition, raw.offset) == (partition, offset))


def swapped(evidence: Evidence) -> Evidence:
    """Two facts of one device, decided in the wrong order."""
    alerts = [row for row in chain_of(2) if row.fact.topic == OUTCOMES]
    one, other = alerts[0], alerts[-1]
    assert one.fact.offset < other.fact.offset
    records = list(evidence.topics[AUDIT])
    places = [i for i, raw in enumerate(records) if (raw.partition, raw.offset) in _places(one, other)]
    records[places[0]], records[places[1]] = records[places[1]], records[places[0]]
    return topic_with(evidence, AUDIT, records)


def _places(*rows: Any) -> set[tuple[int, int]]:
    return {(row.at.partition, row.at.offset) for row in rows}


def fact_missing(evidence: Evidence) -> Evidence:
    partitions = [raw.partition for raw in evidence.topics[OUTCOMES]]
    fullest = max(set(partitions), key=partitions.count)
    middle = [raw for raw in evidence.topics[OUTCOMES] if raw.partition == fullest][1]
    return without(evidence, OUTCOMES, (middle.partition, middle.offset))


def fact_never_read(evidence: Evidence) -> Evidence:
    last = chain_of()[-1].fact
    return without(evidence, last.topic, (last.partition, last.offset))


def fact_changed(evidence: Evidence) -> Evidence:
    place = _some_fact(TicketObserved).place
    raw = reading().facts[place].raw
    return edited(evidence, place.topic, place.partition, place.offset, value=changed_json(raw, status=77).value)


def silent(evidence: Evidence) -> Evidence:
    def change(document: Row) -> None:
        document["decision"], document["commands"] = {}, []

    return forged(evidence, chain_of()[1], change)


# --- dead letters


def dead_letter_missing(evidence: Evidence) -> Evidence:
    return topic_with(evidence, DEAD_LETTERS, [])


def dead_letter_twice(evidence: Evidence) -> Evidence:
    return appended(evidence, _last_fact(DEAD_LETTERS))


def dead_letter_of_a_good_fact(evidence: Evidence) -> Evidence:
    place = _some_fact(AlertReset).place
    about = {"dead_topic": place.topic, "dead_partition": str(place.partition), "dead_offset": str(place.offset)}
    headers = [(name, text.encode()) for name, text in {**about, "dead_stage": "incidents"}.items()]
    return appended(evidence, _last_fact(DEAD_LETTERS)._replace(headers=headers))


def nobody_planted_it(evidence: Evidence) -> Evidence:
    return replace(evidence, poison=frozenset())


# --- commands and settlements


def _command(kind: str) -> CommandAt:
    return next(command for command in reading().commands if type(command.event.data).__name__ == kind)


def command_missing(evidence: Evidence) -> Evidence:
    place = _command("CompleteTicket").place
    return without(evidence, place.topic, (place.partition, place.offset))


def command_twice(evidence: Evidence) -> Evidence:
    return appended(evidence, _command("CreateTicket").raw)


def command_changed(evidence: Evidence) -> Evidence:
    command = _command("CreateTicket")
    value = changed_json(command.raw, title="Something else").value
    return edited(evidence, command.place.topic, command.place.partition, command.place.offset, value=value)


def command_of_nobody(evidence: Evidence) -> Evidence:
    return appended(evidence, with_id(_command("CreateTicket").raw, derived_id("nobody ordered this")))


def never_settled(evidence: Evidence) -> Evidence:
    identity = _command("CreateTicket").event.envelope.id
    rows = [raw for raw in evidence.topics[OUTCOMES] if orjson.loads(raw.value or b"")["command_id"] != identity]
    return topic_with(evidence, OUTCOMES, rows)


def settled_twice(evidence: Evidence) -> Evidence:
    raw = _last_fact(OUTCOMES)
    other = changed_json(raw, outcome="Rejected", reason="Refused")
    command = orjson.loads(raw.value or b"")["command_id"]
    return appended(evidence, with_id(other, derived_id("settled", command, "Rejected")))


def settled_by_nobodys_order(evidence: Evidence) -> Evidence:
    other = changed_json(_last_fact(OUTCOMES), command_id=derived_id("no such command"))
    return appended(evidence, with_id(other, derived_id("no such settlement")))


def closed_before_ordered_open(evidence: Evidence) -> Evidence:
    rows = list(evidence.topics[TICKET_COMMANDS])
    incident = _command("CompleteTicket").event.data.incident
    kinds = {
        type(c.event.data).__name__: c.place.offset
        for c in reading().commands
        if c.place.topic == TICKET_COMMANDS and c.event.data.incident == incident
    }
    by_offset = {raw.offset: place for place, raw in enumerate(rows)}
    one, other = by_offset[kinds["CreateTicket"]], by_offset[kinds["CompleteTicket"]]
    rows[one], rows[other] = rows[other], rows[one]
    return topic_with(evidence, TICKET_COMMANDS, rows)


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
    ticket = ticket_where(complete=False)
    done = {"entity": "Tickets", "id": 99_999_999, "what": "Updated", "by": "api", "t": 0, "seq": 0}
    evidence = ticket_twice(evidence)
    rows = [
        {**row, "completedDate": "2026-11-27T00:00:00Z"} if row["id"] == 99_999_999 else row
        for row in evidence.autotask["tickets"]
    ]
    assert ticket["id"] != 99_999_999
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


# --- the audit


def cut_at_the_beginning(evidence: Evidence) -> Evidence:
    first = chain_of()[0].at
    return without(evidence, AUDIT, (first.partition, first.offset))


def cut_in_the_middle(evidence: Evidence) -> Evidence:
    second = chain_of()[1].at
    return without(evidence, AUDIT, (second.partition, second.offset))


def cut_at_the_end(evidence: Evidence) -> Evidence:
    last = chain_of()[-1].at
    return without(evidence, AUDIT, (last.partition, last.offset))


def whole_chain_cut(evidence: Evidence) -> Evidence:
    return without(evidence, AUDIT, *((row.at.partition, row.at.offset) for row in chain_of()))


def byte_flipped(evidence: Evidence) -> Evidence:
    victim = chain_of()[1]
    # The sixth digit: JSON knows no number with a nought in front.
    at = victim.value.index(b'"recorded_at":') + len(b'"recorded_at":') + 5
    value = bytearray(victim.value)
    value[at] ^= 1
    return edited(evidence, AUDIT, victim.at.partition, victim.at.offset, value=bytes(value))


def brace_lost(evidence: Evidence) -> Evidence:
    victim = chain_of()[1]
    return edited(evidence, AUDIT, victim.at.partition, victim.at.offset, value=victim.value[:-1])


def link_broken(evidence: Evidence) -> Evidence:
    """A changed decision whose own hash was repaired, but not those after it."""
    careful = forged(evidence, chain_of()[0], _other_decision)
    victim = chain_of()[0].at
    value = next(
        raw.value for raw in careful.topics[AUDIT] if (raw.partition, raw.offset) == (victim.partition, victim.offset)
    )
    return edited(evidence, AUDIT, victim.partition, victim.offset, value=value)


def _other_decision(document: Row) -> None:
    document["decision"] = {**document["decision"], "reasons": [{"reason": "BecauseISaySo"}]}


def decision_forged(evidence: Evidence) -> Evidence:
    return forged(evidence, chain_of()[0], _other_decision)


def state_of_yesterday(evidence: Evidence) -> Evidence:
    key = chain_of()[0].key.encode()
    versions = [raw for raw in evidence.topics[INCIDENTS_STATE] if raw.key == key]
    assert len(versions) > 1
    return without(evidence, INCIDENTS_STATE, (versions[-1].partition, versions[-1].offset))


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


DAMAGES: tuple[Damage, ...] = (
    ("a fact nobody decided", "LostFact", undecided),
    ("a device that was not decided", "LostFact", decided_by_one_agent_only),
    ("a fact decided twice", "DoubledDecision", decided_twice),
    ("two facts of a device in the wrong order", "OrderBroken", swapped),
    ("a fact that is missing between others", "GapInFacts", fact_missing),
    ("a decision about a fact that never was", "UnknownFact", fact_never_read),
    ("a fact with other bytes than were decided", "ChangedFact", fact_changed),
    ("a decision without any reason", "NoReason", silent),
    ("no dead letter for a poison", "MissingDeadLetter", dead_letter_missing),
    ("a dead letter kept twice", "DoubledDeadLetter", dead_letter_twice),
    ("a dead letter of a good fact", "NeedlessDeadLetter", dead_letter_of_a_good_fact),
    ("a broken record that nobody planted", "UnreadableRecord", nobody_planted_it),
    ("a command that is missing", "LostCommand", command_missing),
    ("a command that is there twice", "DoubledCommand", command_twice),
    ("a command with another title", "ChangedCommand", command_changed),
    ("a command that nobody ordered", "UnknownCommand", command_of_nobody),
    ("a command that was never settled", "UnsettledCommand", never_settled),
    ("a command with two outcomes", "SettledTwice", settled_twice),
    ("a settlement of no command", "UnknownSettlement", settled_by_nobodys_order),
    ("a closing ordered before the opening", "CloseBeforeCreate", closed_before_ordered_open),
    ("two open tickets of one incident", "DoubledTicket", ticket_twice),
    ("two open tickets for a while", "TwoOpenTickets", ticket_twice_for_a_while),
    ("a ticket that no command asks for", "UnaskedTicket", ticket_nobody_asked_for),
    ("a ticket closed before it was created", "CloseBeforeCreate", closed_before_created),
    ("a ticket that we completed twice", "CompletedTwice", completed_twice),
    ("a ticket that was never closed", "MissedClose", never_closed),
    ("a ticket that is not there", "MissingTicket", ticket_gone),
    ("two active items of one device", "DoubledItem", item_twice),
    ("an alert that nobody knows", "LostAlert", alert_of_nobody),
    ("an alert that NinjaOne never had", "InventedAlert", alert_invented),
    ("an alert that was cleared unnoticed", "MissedClear", cleared_unnoticed),
    ("a completed ticket whose alert was not reset", "MissedReset", never_reset),
    ("a second reset by NinjaOne's history", "ResetTwice", reset_twice),
    ("a second reset by NinjaOne's calls", "ResetTwice", reset_by_two_calls),
    ("an alert that fired again unnoticed", "ActiveAlertClosed", still_active_though_closed),
    ("a chain cut at its beginning", "CutAtBeginning", cut_at_the_beginning),
    ("a chain cut in its middle", "CutInMiddle", cut_in_the_middle),
    ("a chain cut at its end", "CutAtEnd", cut_at_the_end),
    ("a whole chain removed", "CutAtEnd", whole_chain_cut),
    ("a byte of an audit record flipped", "ChangedAudit", byte_flipped),
    ("an audit record that ends early", "UnreadableAudit", brace_lost),
    ("a forged record among honest ones", "BrokenLink", link_broken),
    ("a forged decision with every hash repaired", "ReplayDiffers", decision_forged),
    ("a live state older than the audit", "StateBehind", state_of_yesterday),
    ("a call while Unhealthy", "CallWhileUnhealthy", call_while_unhealthy),
    ("tests that nobody asked for", "TestsWhileUnhealthy", tests_nobody_asked_for),
    ("four calls at once", "TooManyInFlight", four_at_once),
    ("a refusal for too many threads", "OverThreadLimit", too_many_threads),
    ("a refusal beyond the hour's budget", "OverHourlyLimit", over_the_hour),
)
