"""``audit verify`` in small: whole audits pass, and whatever is changed, cut or added is named in one line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.core.differing import Difference
from streams.core.verify import Verifier
from tests.core.spec import (
    START,
    Scene,
    companies,
    device,
    devices,
    incidents,
    policy,
    removed,
    reset,
    subject,
    triggered,
)
from tests.core.spec import ticket as seen


def story() -> Scene:
    lost = subject(device=9, organization=99, organization_name="Westwind")
    scene = incidents(triggered()).settle("CreateTicket").when(triggered(11))
    scene.when(triggered(subject=lost, uid="0" * 32), key="9").when(reset()).settle("CompleteTicket")
    scene.when(companies((6, "Westwind")), seen(START + 30_000, completed=True))
    return scene


def check(records: list[AuditRecord], **start: Any) -> Difference | None:
    verifier = Verifier(agent="incidents", **start)
    for record in records:
        found = verifier.feed(record)
        if found is not None:
            return found
    return verifier.finish()


def changed(record: AuditRecord, **fields: Any) -> AuditRecord:
    """The record with other contents, and a hash that fits them again, as a careful forger would make it."""
    forged = AuditRecord.model_validate({**record.model_dump(), **fields})
    return AuditRecord.model_validate({**forged.model_dump(), "hash": forged.chained()})


def test_a_whole_audit_verifies_and_leads_to_the_live_state() -> None:
    scene = story()
    verifier = Verifier(agent="incidents")
    assert [verifier.feed(record) for record in scene.records] == [None] * len(scene.records)
    assert verifier.finish(scene.state) is None
    assert (verifier.records, verifier.commands) == (len(scene.records), len(scene.commands))


def test_the_audit_of_devices_verifies_too() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem").when(removed(), policy(2, devices={"grace": "0s"}))
    verifier = Verifier(agent="devices")
    assert all(verifier.feed(record) is None for record in scene.records)
    assert verifier.finish(scene.state) is None


def test_an_audit_can_be_verified_from_a_checkpoint() -> None:
    scene = story()
    checkpoint = dict(scene.state)
    scene.when(triggered(60))
    assert check(scene.records[-1:], state=checkpoint) is None
    found = check(scene.records[-1:])
    assert found is not None
    assert found.field == "count"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("decision", {"reasons": [{"reason": "Duplicate"}]}, "decision.changes"),
        ("commands", (), "commands[0]"),
        ("revision", 7, "revision"),
        ("recorded_at", 1, "recorded_at"),
        ("state", "0" * 32, "state"),
        ("key", "408", "key"),
        ("count", 9, "count"),
        ("previous", "f" * 64, "previous"),
        ("agent", "devices", "agent"),
    ],
)
def test_a_forged_field_is_named_even_with_a_fitting_hash(field: str, value: Any, named: str) -> None:
    records = story().records
    place = next(i for i, record in enumerate(records) if record.commands)
    records[place] = changed(records[place], **{field: value})
    found = check(records)
    assert found is not None
    assert found.field == named
    assert (found.topic, found.offset) == (records[place].fact.topic, records[place].fact.offset)
    assert "\n" not in str(found)


def test_a_changed_byte_without_a_fitting_hash_is_named_as_that() -> None:
    records = story().records
    records[2] = AuditRecord.model_validate({**records[2].model_dump(), "state": "0" * 32})
    found = check(records)
    assert found is not None
    assert found.field == "hash"


def test_another_value_in_a_command_is_shown_where_it_differs() -> None:
    records = story().records
    place = next(i for i, record in enumerate(records) if record.commands)
    command = records[place].commands[0].model_dump()
    command["value"] = command["value"].replace('"queue":"Monitoring"', '"queue":"Elsewhere"')
    records[place] = changed(records[place], commands=(command,))
    line = str(check(records))
    assert "commands[0]" in line
    assert "Elsewhere" in line
    assert "Monitoring" in line
    assert len(line) < 400


def test_a_changed_fact_shows_as_another_decision() -> None:
    records = story().records
    place = next(i for i, record in enumerate(records) if record.commands)
    fact = records[place].fact.model_dump()
    fact["value"] = fact["value"].replace("CRITICAL", "MINOR")
    records[place] = changed(records[place], fact=fact)
    found = check(records)
    assert found is not None
    assert found.field == "decision.changes"


def test_an_unreadable_fact_is_named() -> None:
    records = story().records
    records[1] = changed(records[1], fact={**records[1].fact.model_dump(), "value": "{"})
    found = check(records)
    assert found is not None
    assert found.field == "fact"
    assert "unreadable" in str(found)


def test_a_missing_record_is_named() -> None:
    records = story().records
    place = [record.key for record in records].index("407")
    del records[place]
    found = check(records)
    assert found is not None
    assert (found.field, found.decided) == ("count", "1")


def test_a_missing_decision_of_a_control_fact_is_named() -> None:
    records = story().records
    place = next(i for i, r in enumerate(records) if r.key == "9" and r.fact.topic == "control")
    del records[place]
    found = check(records)
    assert found is not None
    assert (found.key, found.field, found.recorded) == ("9", "record", "none")


def test_a_missing_decision_at_the_very_end_is_named() -> None:
    scene = story().when(triggered(subject=subject(device=8, organization=98, organization_name="Ost")), key="8")
    scene.when(companies((6, "Westwind"), (7, "Ost")))
    found = check(scene.records[:-1])
    assert found is not None
    assert (found.key, found.field) == ("8", "record")


def test_a_doubled_record_is_named() -> None:
    records = story().records
    found = check([*records[:3], records[2], *records[3:]])
    assert found is not None
    assert found.field in ("count", "decision.changes")


def test_a_cut_at_the_end_shows_against_the_live_state() -> None:
    scene = story()
    verifier = Verifier(agent="incidents")
    for record in scene.records[:-1]:
        assert verifier.feed(record) is None
    found = verifier.finish(scene.state)
    assert found is not None
    assert found.field == "end of the chain"
    assert f"{found.count - 1} records" in str(found)


def test_a_live_document_that_was_written_past_the_agent_is_named() -> None:
    scene = story()
    verifier = Verifier(agent="incidents")
    for record in scene.records:
        verifier.feed(record)
    document = orjson.loads(scene.state[b"407"])
    document["body"]["alerts"] = {}
    found = verifier.finish({**scene.state, b"407": orjson.dumps(document)})
    assert found is not None
    assert (found.key, found.field) == ("407", "live state")
