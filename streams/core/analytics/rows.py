"""From a record of the log to the rows of all tables. The only memory is where things happen (``places``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import orjson

from schemas.envelope import DecodeError, Envelope
from schemas.tables import TABLES
from schemas.topics import CONNECTIONS
from streams.core.analytics.alerts import alerts, incidents
from streams.core.analytics.decided import Decided, Row, decided, happened_at
from streams.core.analytics.places import Places
from streams.core.analytics.tickets import tickets
from streams.core.analytics.work import calls, commands, devices

Headers = Iterable[tuple[str, bytes | None]]


def _audit(found: Decided, places: Places) -> Iterator[Row]:
    record = found.record
    organization, device = places.ids(found.key)
    yield {
        "recorded_at": found.at,
        "kafka_partition": found.partition,
        "kafka_offset": found.offset,
        "record": found.name,
        "agent": found.agent,
        "key": found.key,
        "chain_count": record["count"],
        "organization_id": organization,
        "device_id": device,
        "fact_id": record["fact"]["headers"].get("ce_id"),
        "fact_type": record["fact"]["headers"]["ce_type"],
        "fact_topic": record["fact"]["topic"],
        "fact_partition": record["fact"]["partition"],
        "fact_offset": record["fact"]["offset"],
        "happened_at": happened_at(found),
        "changes": [change["change"] for change in found.changes],
        "reasons": [reason["reason"] for reason in record["decision"].get("reasons", [])],
        "commands": [command["id"] for command in record["commands"]],
        "rule": found.rule,
        "revision": found.revision,
        "previous": record["previous"],
        "hash": record["hash"],
    }


_OF_AUDIT: Mapping[str, Callable[[Decided, Places], Iterator[Row]]] = {
    "alerts": alerts,
    "incidents": incidents,
    "tickets": tickets,
    "commands": commands,
    "calls": calls,
    "devices": devices,
    "audit": _audit,
}


def topics_of(tables: Collection[str]) -> tuple[str, ...]:
    """The topics that these tables need, in order."""
    return tuple(sorted({topic for name in tables for topic in TABLES[name].topics}))


def rows_of_decision(
    partition: int, offset: int, value: bytes, tables: Collection[str], places: Places
) -> Iterator[tuple[str, Row]]:
    """The rows of an audit record, by table; ``places`` learns from it first. Raises ``NoRecord``."""
    found = decided(partition, offset, value)
    subject = found.fact.get("subject")
    if isinstance(subject, dict):
        places.learn(found.key, subject)
    for name in tables:
        if name in _OF_AUDIT:
            for row in _OF_AUDIT[name](found, places):
                yield name, row


def rows_of_fact(
    topic: str, partition: int, offset: int, headers: Headers, value: bytes | None, tables: Collection[str]
) -> Iterator[tuple[str, Row]]:
    """The rows of a fact that is read from its own topic. One that cannot be decoded is a dead letter, and no row."""
    try:
        envelope = Envelope.from_headers(headers)
        content = orjson.loads(value or b"")
    except (DecodeError, ValueError):
        return
    if not isinstance(content, dict):
        return
    if topic == CONNECTIONS and "health" in tables:
        yield "health", _health(offset, envelope, content)
    elif topic != CONNECTIONS and "facts" in tables:
        yield "facts", _fact(topic, partition, offset, envelope, content)


def _health(offset: int, envelope: Envelope, content: Row) -> Row:
    shown = {name: content.get(name) for name in ("changed_at", "connection", "previous", "state", "epoch")}
    return {"recorded_at": envelope.recorded, "kafka_offset": offset, "id": envelope.id, **shown}


def _fact(topic: str, partition: int, offset: int, envelope: Envelope, content: Row) -> Row:
    subject = content.get("subject")
    where = subject if isinstance(subject, dict) else {}
    device = where.get("device_id")
    return {
        "recorded_at": envelope.recorded,
        "topic": topic,
        "kafka_partition": partition,
        "kafka_offset": offset,
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "key": envelope.key,
        "happened_at": envelope.time,
        "organization_id": where.get("organization_id"),
        "device_id": int(envelope.key) if device is None and envelope.key.isdigit() else device,
    }
