"""A part of the audit can be verified alone: what is in it is decided again, the rest is gone over by its changes and its chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.core.ranges import Chooser, Range
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.replay import verify_partition as verify
from streams.replay.verify_partition import VerifiedPartition, VerifyPartition
from tests.core.spec import (
    EXTERNAL_A,
    HOUR,
    START,
    UID_B,
    UID_C,
    Scene,
    companies,
    incidents,
    policy,
    reset,
    subject,
    triggered,
)
from tests.core.storm_world import World, storm_policy

OPTIONS = KafkaOptions(bootstrap_servers="127.0.0.1:1")
OTHER = subject(device=9, organization=99, organization_name="Westwind")


def story() -> Scene:
    """An alert each of two customers' devices; a policy in between; the second is mapped, and both clear."""
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR)
    scene.when(triggered(11, UID_B, subject=OTHER), key="9").later(HOUR).when(companies((6, "Westwind")))
    scene.later(HOUR).when(policy(2, defaults={"queue": "NOC"})).when(triggered(12, UID_C, alert_subject="D:"))
    return scene.later(HOUR).when(reset(90))


async def verified(
    monkeypatch: pytest.MonkeyPatch,
    scene: Scene,
    wanted: Range,
    change: Callable[[AuditRecord], AuditRecord] = lambda r: r,
    key: Callable[[AuditRecord], bytes | None] = lambda _: None,
) -> VerifiedPartition:
    async def log(*_: Any, **__: Any) -> AsyncIterator[InputRecord]:
        for offset, record in enumerate(scene.records):
            value = change(record).to_json()
            filed = key(record) or record.key.encode()
            yield InputRecord("audit", 0, 2 * offset, filed, value, (), record.recorded_at)

    async def live(_: Any, agent: str, partition: int) -> dict[int, dict[bytes, bytes]]:
        return {partition: scene.state if agent == "incidents" else {}}

    async def whole(*_: Any) -> None:
        """Retention has taken nothing away."""

    monkeypatch.setattr(verify, "beginning", whole)
    monkeypatch.setattr(verify, "read_all", log)
    monkeypatch.setattr(verify, "state_documents", live)
    return await VerifyPartition(OPTIONS, wanted)(0, lambda _: None)


@pytest.mark.parametrize(
    "wanted",
    [
        Range(),
        Range(since=START + HOUR),
        Range(since=START + 2 * HOUR + 1),
        Range(until=START + HOUR),
        Range(partition=0, first=4, last=10),
        Range(partition=0, first=9),
        Range(key="9"),
        Range(key="407", since=START + HOUR),
        Range(organization=99),
        Range(incident=EXTERNAL_A),
    ],
    ids=str,
)
async def test_every_part_of_a_whole_audit_verifies(monkeypatch: pytest.MonkeyPatch, wanted: Range) -> None:
    found = await verified(monkeypatch, story(), wanted)
    assert (found.difference, found.from_live) == (None, None)
    assert (found.passed == 0) is (wanted in (Range(), Range(until=START + HOUR)))
    assert found.records - found.passed > 0


async def test_what_is_after_the_range_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = story()
    until = await verified(monkeypatch, scene, Range(until=START + HOUR))
    assert until.records == sum(record.recorded_at <= START + HOUR for record in scene.records) < len(scene.records)


def forged(record: AuditRecord) -> AuditRecord:
    """Another word in the first decision about device 407, with a hash that fits."""
    if (record.key, record.count) != ("407", 1):
        return record
    other = AuditRecord.model_validate({**record.model_dump(), "decision": {**record.decision, "rule": "another"}})
    return AuditRecord.model_validate({**other.model_dump(), "hash": other.chained()})


@pytest.mark.parametrize("wanted", [Range(), Range(key="407"), Range(until=START), Range(incident=EXTERNAL_A)], ids=str)
async def test_a_forged_decision_is_found_where_it_is_decided_again(
    monkeypatch: pytest.MonkeyPatch, wanted: Range
) -> None:
    found = await verified(monkeypatch, story(), wanted, forged)
    assert "incidents 407 #1" in str(found.difference)
    assert "decision.rule" in str(found.difference)


@pytest.mark.parametrize("wanted", [Range(key="9"), Range(since=START + HOUR)], ids=str)
async def test_elsewhere_a_forged_decision_breaks_the_chain_at_the_next_record(
    monkeypatch: pytest.MonkeyPatch, wanted: Range
) -> None:
    found = await verified(monkeypatch, story(), wanted, forged)
    assert str(found.difference).startswith("incidents 407 #2")
    assert "previous" in str(found.difference)


async def test_a_changed_byte_is_found_in_what_is_gone_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(record: AuditRecord) -> AuditRecord:
        return record.model_copy(update={"revision": 7}) if (record.key, record.count) == ("407", 1) else record

    found = await verified(monkeypatch, story(), Range(since=START + HOUR), changed)
    assert "incidents 407 #1" in str(found.difference)
    assert "hash" in str(found.difference)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (Range(), ["407", "9", "~context"]),
        (Range(key="9"), ["9"]),
        (Range(organization=99), ["9"]),
        (Range(organization=17), ["407"]),
        (Range(incident=EXTERNAL_A), ["407"]),
        (Range(since=START + 3 * HOUR, until=START + 3 * HOUR), ["407", "~context"]),
        (Range(partition=0, first=2, last=2), ["407"]),
        (Range(organization=1), []),
    ],
    ids=str,
)
def test_a_range_takes_the_records_that_it_says(wanted: Range, keys: list[str]) -> None:
    chooser = Chooser(wanted)
    records = [orjson.loads(record.to_json()) for record in story().records]
    taken = {record["key"] for offset, record in enumerate(records) if chooser.takes(record, 2 * offset)}
    assert sorted(taken) == keys


def test_an_outcome_belongs_to_the_organization_of_its_device() -> None:
    chooser = Chooser(Range(organization=17))
    records = [orjson.loads(record.to_json()) for record in story().records]
    taken = [record["fact"]["topic"] for offset, record in enumerate(records) if chooser.takes(record, offset)]
    assert "outcomes" in taken


def test_a_place_belongs_to_the_organization_of_the_devices_that_are_held_there() -> None:
    world = World(**storm_policy()).down(1, 2, 3).work()
    chooser = Chooser(Range(organization=17))
    records = [orjson.loads(record.to_json()) for record in world.storms.records]
    assert all(chooser.takes(record, offset) for offset, record in enumerate(records))


async def test_a_record_that_is_filed_under_another_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = story()
    found = await verified(monkeypatch, scene, Range(), key=lambda record: b"9" if record.count == 2 else None)
    assert found.difference == "audit[0]@4: the record's key in Kafka is '9', and it is about '407'"
