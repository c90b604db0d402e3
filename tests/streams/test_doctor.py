"""What the doctor says of what it saw, line by line; the looking itself is in ``tests/cli``, ``tests/kafka`` and ``tests/line``."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from connectors.autotask.vendor_clock import vendor_time
from streams.clock import machine_now
from streams.core.connection import Connection
from streams.core.context import parse_context
from streams.doctor import kafka_version
from streams.doctor.everything import clock_line
from streams.doctor.kafka import _topics, lagging
from streams.doctor.kafka_version import Told
from streams.doctor.running import _budget, _clocks, _connection, _mapping, _roles, _told_by_connectors, _waiting
from streams.settings import Settings
from streams.topics import Finding
from tests.connectors.autotask_lab import lab
from tests.connectors.autotask_tenant import running_board
from tests.core.spec import companies, incidents, organizations

NOW = 1_795_000_000_000
HERE = ("audit", "workers")


def report(role: str, state: str = "running", **more: Any) -> dict[str, Any]:
    return {"role": role, "name": role, "host": "a", "state": state, "heard_at": NOW, "figures": {}, **more}


ALL = [report("connectors"), report("worker"), report("executor")]


@pytest.mark.parametrize(
    ("state", "level", "word"),
    [
        ("Healthy", "ok", "Healthy since"),
        ("Degraded", "warning", "locked"),
        ("Unhealthy", "wrong", "lockstep test autotask"),
        ("NotConnected", "wrong", "lockstep test autotask"),
    ],
)
def test_a_connection_is_told_with_since_when_why_and_the_way_out(state: Any, level: str, word: str) -> None:
    line = _connection(Connection(name="autotask", state=state, since=NOW, reason="locked"), has_credentials=True)
    assert line.level == level
    assert word in str(line)


def test_without_credentials_the_way_is_to_connect() -> None:
    assert "lockstep connect" in _connection(Connection(name="autotask"), has_credentials=False).do


@pytest.mark.parametrize(
    ("first", "second", "level", "word"),
    [
        ({HERE: 5}, {}, "ok", "is being read"),
        ({HERE: 5}, {HERE: 3}, "ok", "is being read"),
        ({HERE: 5}, {HERE: 5}, "warning", "read none in"),
        ({HERE: 5}, {HERE: 9}, "warning", "read none in"),
        ({}, {HERE: 9}, "ok", "is being read"),
        ({HERE: 50_000}, {HERE: 40_000}, "warning", "and is reading"),
    ],
)
def test_a_group_that_reads_nothing_between_two_looks_is_named(first: Any, second: Any, level: str, word: str) -> None:
    (line,) = lagging(first, second)
    assert (line.level, word in line.found) == (level, True)


def test_roles_that_are_missing_are_wrong_and_none_at_all_is_not_seen() -> None:
    assert [line.level for line in _roles(ALL)] == ["ok"]
    (line,) = _roles(ALL[:2])
    assert (line.level, "executor" in line.found) == ("wrong", True)
    (line,) = _roles([report("worker", "gone")])
    assert line.level == "unseen"


def test_restarts_and_a_role_that_fell_silent_beside_others_are_warnings() -> None:
    kept = {"worker-1": {"restarts": 3, "last_reason": "exit code 70"}, "executor": {"restarts": 0}}
    supervisor = report("supervisor", roles=kept)
    lines = list(_roles([*ALL, supervisor, report("worker", "gone", name="worker-2")]))
    assert [line.level for line in lines] == ["ok", "warning", "warning"]
    assert "exit code 70" in lines[1].found
    assert "worker-2" in lines[2].found


def test_a_clock_that_is_ahead_is_wrong() -> None:
    assert [line.level for line in _clocks(ALL, NOW)] == ["ok"]
    (line,) = _clocks([report("worker", heard_at=NOW + 90_000)], NOW)
    assert (line.level, "by 90 s" in line.found) == ("wrong", True)
    assert list(_clocks([], NOW)) == []


@pytest.mark.parametrize(("used", "level"), [(100, "ok"), (7_500, "warning")])
def test_a_budget_that_is_nearly_used_is_a_warning(used: int, level: str) -> None:
    assert _budget({"used": used, "limit": 10_000}).level == level


def test_lists_that_are_stopped_or_fail_and_webhooks_that_are_not_set_up_are_told() -> None:
    settings = Settings.model_validate({"ninjaone": {"webhook": {"public_url": "https://x.example/hook"}}})
    figures = {
        "ninjaone": {"stopped": ["9 rows cannot be read"], "failing": ["devices: 403"], "webhook": "refused"},
        "autotask": {"webhook": "", "budget": {"used": 1, "limit": 10}},
    }
    lines = list(_told_by_connectors(settings, [report("connectors", figures=figures)]))
    assert [(line.what, line.level) for line in lines] == [
        ("reading", "wrong"),
        ("reading", "warning"),
        ("ninjaone webhook", "warning"),
        ("budget", "ok"),
        ("autotask webhook", "ok"),
    ]
    figures["ninjaone"]["webhook"] = "NinjaOne sends its activities to https://x.example/hook"
    assert list(_told_by_connectors(settings, [report("connectors", figures=figures)]))[2].level == "ok"


def test_parked_work_is_counted_by_reason_the_most_first() -> None:
    lines = list(_waiting({"AmbiguousItem": 1, "UnmappedOrganization": 7}))
    assert [line.found for line in lines] == ["7 because of UnmappedOrganization", "1 because of AmbiguousItem"]
    assert [line.level for line in _waiting({})] == ["ok"]


def test_before_the_companies_are_read_the_remedy_is_the_connection_and_then_the_policy() -> None:
    scene = incidents(organizations((98, "Ostwind"), (99, "Westwind")))
    line = _mapping(parse_context(scene.state[b"~context"]).mapping())
    assert (line.level, "companies of 2 organizations" in line.found, "test autotask" in line.do) == (
        "warning",
        True,
        True,
    )
    scene.when(companies((29683, "Nordwind"), (5, "Ostwind")))
    line = _mapping(parse_context(scene.state[b"~context"]).mapping())
    assert ("unmapped" in line.found, "companies.map" in line.do) == (True, True)
    scene.when(companies((29683, "Nordwind"), (5, "Ostwind"), (6, "Westwind")))
    assert _mapping(parse_context(scene.state[b"~context"]).mapping()).level == "ok"
    assert _mapping(()).level == "unseen"


def test_a_missing_topic_and_another_number_of_partitions_are_wrong_another_retention_is_a_warning() -> None:
    findings = [
        Finding(topic="audit", setting="partitions", expected="6", found="3", hint="set kafka.partitions to 3"),
        Finding(topic="audit", setting="retention.ms", expected="1", found="2"),
    ]
    assert [line.level for line in _topics(["personal"], findings)] == ["wrong", "wrong", "warning"]
    assert [line.level for line in _topics([], [])] == ["ok"]


@pytest.mark.parametrize(
    ("level", "release"),
    [(None, "names no version"), (21, "3.9 or older"), (22, "4.0"), (27, "4.1"), (29, "4.2"), (30, "newer than 4.2")],
)
def test_the_release_follows_from_the_level_that_a_broker_names(level: int | None, release: str) -> None:
    assert release in Told(level).release


def answer(*, error: int = 0, level: int = 29) -> bytes:
    """As a broker writes it: an array of requests, then tagged fields of which one holds the features."""
    apis = b"\x02" + struct.pack(">hhh", 18, 0, 4) + b"\0"
    name = b"metadata.version"
    features = b"\x02" + bytes([len(name) + 1]) + name + struct.pack(">hh", 7, level) + b"\0"
    tags = b"\x02" + b"\x01\x08" + bytes(8) + b"\0" + bytes([len(features)]) + features
    return struct.pack(">ih", 1, error) + apis + bytes(4) + tags


def test_the_level_is_found_among_the_tagged_fields_of_the_answer() -> None:
    assert kafka_version._level(answer(level=31)) == 31


@pytest.mark.parametrize("raw", [answer()[:-9], b"", answer(error=35)])
def test_an_answer_that_is_cut_off_or_a_refusal_is_one_line(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|refused the question"):
        kafka_version._level(raw)


@pytest.mark.parametrize(
    ("told", "level", "word"),
    [
        (NOW - 500, "ok", "agrees"),
        (NOW + 1_000, "ok", "agrees"),
        (NOW + 31_000, "warning", "30 s behind"),
        (NOW - 31_000, "warning", "30 s ahead of"),
        (NOW + 3_600_000, "wrong", "behind"),
        (None, "unseen", "no date"),
    ],
)
def test_the_vendors_clock_is_compared_within_what_the_call_took(told: int | None, level: str, word: str) -> None:
    line = clock_line(told, NOW, NOW + 1_000)
    assert (line.level, word in line.found) == (level, True), line


async def test_the_vendors_time_is_the_date_of_an_answer() -> None:
    async with running_board() as board, lab(board) as it:
        told = await vendor_time(it.client)
    assert told is not None
    assert abs(told - machine_now()) < 60_000
