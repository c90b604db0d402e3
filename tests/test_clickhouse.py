"""The statements for ClickHouse, run by ClickHouse itself (``chdb``, the same engine in a process), over a recorded audit.

Only the queue is another table: the engine Kafka needs a server, which the package is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from schemas.topics import AUDIT
from tests.streams.recorded_log import evidence

session = pytest.importorskip("chdb.session", reason="ClickHouse (pip install chdb) is not installed")

STATEMENTS = Path(__file__).resolve().parent.parent / "examples" / "consumers" / "clickhouse" / "audit.sql"


@pytest.fixture(scope="module")
def ask() -> Iterator[Any]:
    server = session.Session()
    queue = r"ENGINE = Kafka\s+SETTINGS[^;]+;"
    text, replaced = re.subn(queue, "ENGINE = MergeTree ORDER BY tuple();", STATEMENTS.read_text())
    assert replaced == 1
    server.query("CREATE DATABASE lockstep ENGINE = Atomic")
    server.query("USE lockstep")
    for statement in filter(None, map(str.strip, text.split(";\n"))):
        server.query(statement)
    rows = "\n".join(json.dumps({"record": raw.value.decode()}) for raw in evidence().topics[AUDIT] if raw.value)
    for _ in range(2):
        # The engine Kafka delivers at least once.
        server.query(f"INSERT INTO lockstep_audit_queue FORMAT JSONEachRow {rows}")
    yield lambda query: [orjson.loads(line) for line in str(server.query(query, "JSONEachRow")).splitlines()]
    server.close()


def recorded() -> list[AuditRecord]:
    return [AuditRecord.from_json(raw.value) for raw in evidence().topics[AUDIT] if raw.value]


def test_every_record_is_one_row_although_it_came_twice(ask: Any) -> None:
    [row] = ask("SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(hash)) AS hashes FROM lockstep_decisions FINAL")
    assert row == {"rows": len(recorded()), "hashes": len(recorded())}


def test_the_columns_hold_what_the_records_say(ask: Any) -> None:
    rows = {
        row.pop("hash"): row
        for row in ask(
            "SELECT agent, key, toUInt32(count) AS count, toUnixTimestamp64Milli(recorded_at)::String AS recorded_at,"
            " toUInt32(revision) AS revision, rule, fact_type, fact_id, changes, reasons, commands, hash"
            " FROM lockstep_decisions FINAL"
        )
    }
    for record in recorded():
        assert rows[record.hash] == {
            "agent": record.agent,
            "key": record.key,
            "count": record.count,
            "recorded_at": str(record.recorded_at),
            "revision": record.revision,
            "rule": record.decision.get("rule") or "",
            "fact_type": record.fact.headers["ce_type"],
            "fact_id": record.fact.headers["ce_id"],
            "changes": [each["change"] for each in record.decision.get("changes", [])],
            "reasons": [each["reason"] for each in record.decision.get("reasons", [])],
            "commands": [command.id for command in record.commands],
        }
    assert all(any(row[name] for row in rows.values()) for name in ("commands", "reasons", "changes", "rule"))
