"""Planted damage in the topics: facts, decisions, dead letters, commands, settlements, the audit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from schemas.facts import AlertReset, DeviceObserved, TicketObserved
from schemas.identity import derived_id
from schemas.topics import (
    AUDIT,
    DEAD_LETTERS,
    HANDOFFS,
    INCIDENTS_STATE,
    OUTCOMES,
    STORM_CANDIDATES,
    TICKET_COMMANDS,
)
from streams.drill.evidence import Evidence
from streams.drill.reading import CommandAt, FactAt
from streams.ports import InputRecord
from tests.faults.evidence_builder import (
    Row,
    appended,
    chain_of,
    changed_json,
    edited,
    forged,
    healthy,
    reading,
    topic_with,
    with_id,
    without,
)

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
    outcomes = chain_of(2, topic=OUTCOMES)
    one, other = outcomes[0], outcomes[-1]
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


# --- what agents tell each other (nothing, in the recorded run)

_WORD = {
    "id": "0" * 32,
    "type": "lockstep.storm-candidate.left.v1",
    "topic": STORM_CANDIDATES,
    "key": "l31",
    "value": "{}",
}


def _handed(count: int = 1, topic: str = HANDOFFS) -> list[InputRecord]:
    headers = [("ce_id", _WORD["id"].encode())]
    return [InputRecord(topic, 0, offset, b"l31", b"{}", headers, 0) for offset in range(count)]


def told_and_not_written(evidence: Evidence) -> Evidence:
    return forged(evidence, chain_of()[1], lambda document: document["decision"].update(told=[_WORD]))


def told_and_not_forwarded(evidence: Evidence) -> Evidence:
    return topic_with(told_and_not_written(evidence), HANDOFFS, _handed())


def told_twice(evidence: Evidence) -> Evidence:
    return topic_with(told_and_not_written(evidence), HANDOFFS, _handed(2))


def told_by_nobody(evidence: Evidence) -> Evidence:
    return topic_with(evidence, STORM_CANDIDATES, _handed(topic=STORM_CANDIDATES))


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
    return _swapped_with_its_opening(evidence, "CompleteTicket")


def reopened_before_ordered_open(evidence: Evidence) -> Evidence:
    return _swapped_with_its_opening(evidence, "ReopenTicket")


def _swapped_with_its_opening(evidence: Evidence, kind: str) -> Evidence:
    rows = list(evidence.topics[TICKET_COMMANDS])
    incident = _command(kind).event.data.incident
    kinds = {
        type(c.event.data).__name__: c.place.offset
        for c in reading().commands
        if c.place.topic == TICKET_COMMANDS and c.event.data.incident == incident
    }
    by_offset = {raw.offset: place for place, raw in enumerate(rows)}
    one, other = by_offset[kinds["CreateTicket"]], by_offset[kinds[kind]]
    rows[one], rows[other] = rows[other], rows[one]
    return topic_with(evidence, TICKET_COMMANDS, rows)


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
