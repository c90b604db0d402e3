"""Evidence with something wrong in it: the recorded healthy run, and the cuts and forgeries that tests make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Any

import orjson

from schemas.topics import AGENT_STATE, AUDIT
from streams.drill.evidence import Evidence, kept
from streams.drill.reading import Decided, Reading
from streams.ports import InputRecord
from tests.faults.record import HEALTHY

Row = dict[str, Any]


@cache
def healthy() -> Evidence:
    """What the recorded run left behind. Read once: nothing may change it in place."""
    return kept(HEALTHY)


@cache
def reading() -> Reading:
    """The healthy evidence, decoded."""
    return Reading(healthy())


# --- topics


def topic_with(evidence: Evidence, topic: str, records: Sequence[InputRecord]) -> Evidence:
    """Other records in a topic."""
    return replace(evidence, topics={**evidence.topics, topic: list(records)})


def without(evidence: Evidence, topic: str, *offsets: tuple[int, int]) -> Evidence:
    """A topic without the records at (partition, offset)."""
    left = [raw for raw in evidence.topics[topic] if (raw.partition, raw.offset) not in offsets]
    assert len(left) < len(evidence.topics[topic])
    return topic_with(evidence, topic, left)


def edited(evidence: Evidence, topic: str, partition: int, offset: int, **fields: Any) -> Evidence:
    """A topic in which one record has other contents."""
    rows = [
        raw._replace(**fields) if (raw.partition, raw.offset) == (partition, offset) else raw
        for raw in evidence.topics[topic]
    ]
    assert rows != list(evidence.topics[topic])
    return topic_with(evidence, topic, rows)


def appended(evidence: Evidence, raw: InputRecord) -> Evidence:
    """One more record at the end of its partition."""
    end = max((r.offset for r in evidence.topics[raw.topic] if r.partition == raw.partition), default=-1) + 1
    return topic_with(evidence, raw.topic, [*evidence.topics[raw.topic], raw._replace(offset=end)])


def with_id(raw: InputRecord, identity: str) -> InputRecord:
    """The same record as an event of another id."""
    headers = tuple((name, identity.encode() if name == "ce_id" else value) for name, value in raw.headers)
    return raw._replace(headers=headers)


def changed_json(raw: InputRecord, **fields: Any) -> InputRecord:
    """The same record with other fields in its value."""
    return raw._replace(value=orjson.dumps({**orjson.loads(raw.value or b"{}"), **fields}))


# --- the audit


def chain_of(least: int = 3, agent: str = "incidents", topic: str | None = None) -> list[Decided]:
    """The records of one device's chain, of at least so many; of facts of one topic only, if it is named."""
    chains: dict[tuple[str, str], list[Decided]] = {}
    for decided in reading().decided:
        if decided.key[0].isdigit() and topic in (None, decided.fact.topic):
            chains.setdefault((decided.agent, decided.key), []).append(decided)
    return next(rows for (name, _), rows in chains.items() if name == agent and len(rows) >= least)


def forged(evidence: Evidence, victim: Decided, change: Callable[[Row], None]) -> Evidence:
    """A decision changed by somebody careful: every later hash of the chain, and the live state, fit it again."""
    rows: list[InputRecord] = []
    head = None
    for raw in evidence.topics[AUDIT]:
        document = orjson.loads(raw.value or b"")
        same_chain = (document["agent"], document["key"]) == (victim.agent, victim.key)
        if raw.offset == victim.at.offset and raw.partition == victim.at.partition:
            change(document)
        elif not same_chain or head is None or raw.partition != victim.at.partition:
            rows.append(raw)
            continue
        if head is not None:
            document["previous"] = head
        head = document["hash"] = _hash(document)
        rows.append(raw._replace(value=orjson.dumps(document)))
    topic = AGENT_STATE[victim.agent]
    states = list(evidence.topics[topic])
    for place, raw in reversed(list(enumerate(states))):
        if raw.key == victim.key.encode():
            state = orjson.loads(raw.value or b"")
            state["chain"]["head"] = head
            states[place] = raw._replace(value=orjson.dumps(state, option=orjson.OPT_SORT_KEYS))
            break
    return topic_with(topic_with(evidence, AUDIT, rows), topic, states)


def _hash(document: Row) -> str:
    body = {name: value for name, value in document.items() if name != "hash"}
    return blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=32).hexdigest()


# --- the sandboxes


def autotask_with(evidence: Evidence, **parts: Any) -> Evidence:
    """Other rows in Autotask."""
    return replace(evidence, autotask={**evidence.autotask, **parts})


def ninjaone_with(evidence: Evidence, **parts: Any) -> Evidence:
    """Other rows in NinjaOne."""
    return replace(evidence, ninjaone={**evidence.ninjaone, **parts})


def numbered(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """History rows with their numbers anew."""
    return [{**row, "seq": place} for place, row in enumerate(rows, start=1)]


def ticket_history(ticket_id: int) -> list[Row]:
    """What happened to a ticket."""
    rows = healthy().autotask["history"]
    return [row for row in rows if row["entity"] == "Tickets" and row["id"] == ticket_id]


def ticket_where(*, complete: bool, by: str | None = None) -> Row:
    """A ticket of ours that ended so; ``by`` names who completed it."""
    for row in healthy().autotask["tickets"]:
        if str(row["externalID"] or "").startswith("ls.") and (row["completedDate"] is not None) == complete:
            if by is None or ticket_history(row["id"])[-1]["by"] == by:
                return dict(row)
    raise AssertionError("the recorded run has no such ticket")


def call(template: Mapping[str, Any], **fields: Any) -> Row:
    """A call like another one."""
    return {**template, **fields}
