"""The examples for consumers, run as they stand against a real broker: committed decisions only, each counted once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from bench.kafka_io import create_topics
from examples.consumers import postgres_sink
from examples.consumers.postgres_sink import Read
from schemas.audit import AuditRecord
from streams.broker import EmbeddedBroker
from tests.core.spec import START, UID_A, incidents, reset, triggered
from tests.core.spec import ticket as seen
from tests.postgres import AVAILABLE, postgres

pytestmark = pytest.mark.kafka

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "consumers"


def story() -> list[AuditRecord]:
    scene = incidents(triggered()).settle("CreateTicket").when(seen(START + 20_000))
    return scene.when(reset()).settle("CompleteTicket", how="Called").when(seen(START + 40_000, completed=True)).records


async def written(servers: str, topic: str, records: Sequence[AuditRecord], *, committed: bool) -> None:
    """One transaction of an agent."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{topic}.agent", acks="all")
    await producer.start()
    try:
        await producer.begin_transaction()
        for record in records:
            await producer.send_and_wait(topic, record.to_json(), key=record.key.encode())
        await (producer.commit_transaction() if committed else producer.abort_transaction())
    finally:
        await producer.stop()


def run(example: str, *arguments: str) -> list[str]:
    """Runs an example to its end; the lines that it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def test_a_consumer_group_prints_what_became_of_tickets_and_nothing_that_was_undone(
    broker: EmbeddedBroker, topic_prefix: str
) -> None:
    servers, topic, records = broker.bootstrap_servers, topic_prefix + "audit", story()
    await create_topics(servers, {topic: 2}, {})
    await written(servers, topic, records[:3], committed=False)
    await written(servers, topic, records[:3], committed=True)
    arguments = ("--servers", servers, "--topic", topic, "--group", topic_prefix + "reporting", "--once")
    lines = [json.loads(line) for line in run("audit_tickets.py", *arguments)]
    assert [(line["what"], line["ticket"], line["record"]) for line in lines] == [("opened", 5001, "incidents/407/2")]
    await written(servers, topic, records[3:], committed=True)
    # The group goes on where it was.
    lines = [json.loads(line) for line in run("audit_tickets.py", *arguments)]
    assert [line["what"] for line in lines] == ["completed"]


@pytest.mark.skipif(not AVAILABLE, reason="this machine has no Postgres server (initdb and postgres)")
async def test_postgres_has_every_alert_and_ticket_once_however_often_the_log_is_read(
    broker: EmbeddedBroker, topic_prefix: str
) -> None:
    servers, topic, records = broker.bootstrap_servers, topic_prefix + "audit", story()
    await create_topics(servers, {topic: 2}, {})
    await written(servers, topic, records[:3], committed=False)
    await written(servers, topic, records[:4], committed=True)
    with postgres() as database:
        arguments = ("--servers", servers, "--topic", topic, "--database", database, "--once")
        run("postgres_sink.py", *arguments)
        # Told twice: an agent's topic does not do that, a log that was copied may.
        await written(servers, topic, records, committed=True)
        run("postgres_sink.py", *arguments)
        with psycopg.connect(database, autocommit=True) as connection:
            alerts = connection.execute(
                "SELECT uid, disposition, reason FROM lockstep_alerts ORDER BY recorded_at, record"
            )
            assert alerts.fetchall() == [(UID_A, "ticketed", "Opened"), (UID_A, "closed", "Reset")]
            tickets = "SELECT event, ticket_id, outcome, completed FROM lockstep_tickets ORDER BY record"
            expected = [
                ("create-ticket", 5001, "Succeeded", None),
                ("observed", 5001, None, False),
                ("complete-ticket", None, "Succeeded", None),
                ("observed", 5001, None, True),
            ]
            assert connection.execute(tickets).fetchall() == expected
            # From the beginning once more, as after the loss of its place.
            connection.execute("DELETE FROM lockstep_position")
            run("postgres_sink.py", *arguments)
            assert connection.execute(tickets).fetchall() == expected
            _a_batch_that_fails_leaves_nothing(connection, records)


def _a_batch_that_fails_leaves_nothing(connection: psycopg.Connection, records: list[AuditRecord]) -> None:  # type: ignore[type-arg]
    connection.execute("DROP TABLE lockstep_alerts, lockstep_tickets, lockstep_position")
    assert postgres_sink.prepare(connection) == {}
    good = [Read("audit", 0, place, record.to_json()) for place, record in enumerate(records)]
    # What fails is the last that is written, its place; the rows are written before.
    with pytest.raises(psycopg.errors.NotNullViolation):
        postgres_sink.write(connection, [*good, Read(None, 0, len(good), good[-1].value)])  # type: ignore[arg-type]
    assert connection.execute("SELECT count(*) FROM lockstep_tickets").fetchall() == [(0,)]
    assert postgres_sink.prepare(connection) == {}
    postgres_sink.write(connection, good)
    assert postgres_sink.prepare(connection) == {("audit", 0): len(good)}
