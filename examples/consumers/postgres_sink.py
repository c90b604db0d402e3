"""Writes alerts and tickets of the audit into Postgres, each once. Needs aiokafka and psycopg, and nothing of Lockstep.

    python postgres_sink.py --servers 127.0.0.1:9092 --database postgresql://reporting@db/reporting

Rows and the place in the topic are written in one transaction of Postgres, and no consumer group is asked for a place. So a kill
at any moment repeats at most what was rolled back; and what comes twice all the same has the same key and is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

TABLES = """
CREATE TABLE IF NOT EXISTS lockstep_alerts (
  record text NOT NULL, uid text NOT NULL, recorded_at timestamptz NOT NULL, key text NOT NULL, fact text NOT NULL,
  disposition text NOT NULL, reason text NOT NULL, rule text, revision bigint NOT NULL,
  PRIMARY KEY (record, uid)
);
CREATE TABLE IF NOT EXISTS lockstep_tickets (
  record text PRIMARY KEY, recorded_at timestamptz NOT NULL, key text NOT NULL, incident text,
  event text NOT NULL, ticket_id bigint, ticket_number text, outcome text, completed boolean
);
CREATE TABLE IF NOT EXISTS lockstep_position (
  topic text NOT NULL, kafka_partition integer NOT NULL, next_offset bigint NOT NULL,
  PRIMARY KEY (topic, kafka_partition)
);
"""
ALERT = """
INSERT INTO lockstep_alerts (record, uid, recorded_at, key, fact, disposition, reason, rule, revision)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (record, uid) DO NOTHING
"""
TICKET = """
INSERT INTO lockstep_tickets (record, recorded_at, key, incident, event, ticket_id, ticket_number, outcome, completed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (record) DO NOTHING
"""
POSITION = """
INSERT INTO lockstep_position (topic, kafka_partition, next_offset) VALUES (%s, %s, %s)
ON CONFLICT (topic, kafka_partition)
DO UPDATE SET next_offset = GREATEST(lockstep_position.next_offset, excluded.next_offset)
"""


class Read(NamedTuple):
    """A record of the audit as it was fetched."""

    topic: str
    partition: int
    offset: int
    value: bytes


def prepare(connection: psycopg.Connection[Any]) -> dict[tuple[str, int], int]:
    """Make the tables where they are missing; returns where to go on, by topic and partition."""
    with connection.transaction():
        connection.execute(TABLES)
        rows = connection.execute("SELECT topic, kafka_partition, next_offset FROM lockstep_position").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def write(connection: psycopg.Connection[Any], records: Iterable[Read]) -> None:
    """A batch: its rows and its places, all or none."""
    batch = list(records)
    decisions = [json.loads(record.value) for record in batch]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(ALERT, [row for decision in decisions for row in alerts(decision)])
        cursor.executemany(TICKET, [row for decision in decisions for row in tickets(decision)])
        ends = {(record.topic, record.partition): record.offset + 1 for record in batch}
        cursor.executemany(POSITION, [(topic, partition, end) for (topic, partition), end in ends.items()])


def alerts(record: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Every alert whose disposition a decision changed."""
    for uid, (disposition, reason) in record["decision"].get("dispositions", {}).items():
        fact = record["fact"]["headers"]["ce_type"]
        yield (
            name(record),
            uid,
            at(record),
            record["key"],
            fact,
            disposition,
            reason,
            record["decision"].get("rule"),
            record["revision"],
        )


def tickets(record: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """What a decision learned of a ticket: the outcome of a command about it, or how Autotask shows it."""
    kind = record["fact"]["headers"]["ce_type"]
    fact = json.loads(record["fact"]["value"])
    if record["agent"] != "incidents" or not record["decision"].get("changes"):
        return
    if kind == "lockstep.command.settled.v1" and "-ticket" in fact["command_type"]:
        event = fact["command_type"].removeprefix("lockstep.command.").partition(".v")[0]
        shown = (fact["incident"], event, fact["ticket_id"], fact["ticket_number"], fact["outcome"], None)
    elif kind == "lockstep.ticket.observed.v1":
        shown = (fact["external_id"], "observed", fact["ticket_id"], fact["ticket_number"], None, fact["completed"])
    else:
        return
    yield name(record), at(record), record["key"], *shown


def name(record: dict[str, Any]) -> str:
    """The id of a decision: the same however often it is read."""
    return f"{record['agent']}/{record['key']}/{record['count']}"


def at(record: dict[str, Any]) -> datetime:
    """When the fact was recorded."""
    return datetime.fromtimestamp(record["recorded_at"] / 1000, UTC)


async def follow(servers: str, topic: str, connection: psycopg.Connection[Any], *, once: bool) -> None:
    """Read from where Postgres stands, committed records only; for ever, or until there is nothing more."""
    from aiokafka import AIOKafkaConsumer

    places = prepare(connection)
    # Without a group, a consumer has all partitions of its topic.
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        beginnings = await consumer.beginning_offsets(consumer.assignment())
        for place, first in beginnings.items():
            consumer.seek(place, places.get((place.topic, place.partition), first))
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            records = [Read(r.topic, r.partition, r.offset, r.value) for of in fetched.values() for r in of]
            if records:
                write(connection, records)
            elif once:
                return
    finally:
        await consumer.stop()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", required=True)
    parser.add_argument(
        "--database", required=True, help="What libpq takes, without a password: PGPASSWORD or ~/.pgpass has it."
    )
    parser.add_argument("--topic", default="audit")
    parser.add_argument("--once", action="store_true", help="End when there is nothing more for a second.")
    given = parser.parse_args()
    with psycopg.connect(given.database, autocommit=True) as connection:
        asyncio.run(follow(given.servers, given.topic, connection, once=given.once))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
