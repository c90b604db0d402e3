"""The examples for consumers that need a server of others: their topics exist, and so does every field that they name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.contract import document
from schemas.facts import CommandSettled
from schemas.topics import AUDIT, BY_NAME
from tests.streams.recorded_log import evidence, exported, month, recorded

HERE = Path(__file__).resolve().parent.parent
EXAMPLES = HERE / "examples" / "consumers"
CONNECT = sorted((EXAMPLES / "kafka-connect").glob("*.json"))
CLICKHOUSE = (EXAMPLES / "clickhouse" / "audit.sql").read_text()
SCHEMAS: dict[str, Any] = document()["components"]["schemas"]


def names_of(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    return schema


def holds(schema: dict[str, Any], path: list[str]) -> bool:
    """Whether a field is one of the schema's, or lies in a map that may hold any."""
    if not path:
        return True
    schema = names_of(schema)
    if "properties" in schema:
        return path[0] in schema["properties"] and holds(schema["properties"][path[0]], path[1:])
    return "additionalProperties" in schema


@pytest.mark.parametrize("path", CONNECT, ids=lambda path: path.stem)
def test_a_connector_reads_topics_of_the_catalogue_committed_records_only_as_plain_json(path: Path) -> None:
    config = json.loads(path.read_text())["config"]
    for topic in config["topics"].split(","):
        assert topic in BY_NAME
        # What is compacted or internal is no feed.
        assert BY_NAME[topic].cleanup == "delete"
    assert config["consumer.override.isolation.level"] == "read_committed"
    assert config["value.converter"] == "org.apache.kafka.connect.json.JsonConverter"
    assert config["value.converter.schemas.enable"] == "false"
    assert all(isinstance(value, str) for value in config.values()), "Connect takes texts"
    assert not any(word in name for name in config for word in ("password", "secret", "token"))


def test_the_columns_that_the_iceberg_table_is_told_are_fields_of_its_topic() -> None:
    config = json.loads((EXAMPLES / "kafka-connect" / "iceberg-sink.json").read_text())["config"]
    assert config["topics"] == "outcomes"
    for name in ("iceberg.tables.default-id-columns", "iceberg.tables.default-partition-by"):
        assert config[name] in CommandSettled.model_fields


def test_clickhouse_reads_the_audit_and_names_fields_that_it_has() -> None:
    [topics] = re.findall(r"kafka_topic_list = '([^']+)'", CLICKHOUSE)
    assert topics == AUDIT
    paths = re.findall(r"JSONExtract\w+\(record, ([^)]+)\)", CLICKHOUSE)
    assert len(paths) == 12
    for path in paths:
        assert holds(SCHEMAS["AuditRecord"], [part.strip(" '") for part in path.split(",")]), path
    assert not holds(SCHEMAS["AuditRecord"], ["fact", "header"])


def test_clickhouse_names_entries_that_recorded_decisions_have() -> None:
    """Within ``decision`` the schema allows anything; what stands there is seen in the recorded run."""
    records = [json.loads(raw.value or b"") for raw in evidence().topics[AUDIT]]
    for name, entry in (("changes", "change"), ("reasons", "reason")):
        entries = [each for record in records for each in record["decision"].get(name, [])]
        assert entries
        assert all(isinstance(each[entry], str) for each in entries)
    assert any(isinstance(record["decision"].get("rule"), str) for record in records)


def test_every_column_of_the_clickhouse_table_is_filled_by_the_view_and_in_its_order() -> None:
    table, _, view = (part for part in CLICKHOUSE.split(";\n") if "CREATE" in part)
    columns = re.findall(r"^    (\w+) ", table, re.MULTILINE)
    assert re.findall(r" AS (\w+),?$", view, re.MULTILINE) == columns
    [key] = re.findall(r"ORDER BY \(([^)]+)\)", table)
    assert set(key.split(", ")) <= set(columns)


async def test_the_report_answers_every_query_over_an_export(tmp_path: Path) -> None:
    await exported(recorded(), tmp_path, format="parquet")
    said = report(tmp_path)
    assert said.index("calls_by_purpose") < said.index("devices_per_month") < said.index("noise")
    assert f"{month()}  29683" in said


def report(folder: Path) -> str:
    queries = [str(path) for path in sorted((HERE / "docs" / "analytics").glob("*.sql"))]
    assert len(queries) >= 6
    program = [sys.executable, str(EXAMPLES / "duckdb_report.py"), str(folder), *queries]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout
