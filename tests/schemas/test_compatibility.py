"""What released versions wrote is read today, and what is written today is read by what was made for released versions."""

from __future__ import annotations

import copy
import lzma
from collections.abc import Callable
from typing import Any

import fastjsonschema
import orjson
import pytest

from schemas import VERSION, contract, events
from schemas.audit import AuditRecord
from schemas.commands import COMMANDS
from schemas.envelope import DecodeError
from schemas.events import ALL_FACTS, decode_command, decode_fact
from schemas.facts import AlertReset
from schemas.model import Model
from streams.core import documents, engine
from streams.core.verify import Verifier
from streams.core.views import parked_in, waiting_in
from tests.schemas import record_samples
from tests.schemas.compatibility import findings
from tests.schemas.record_samples import FOLDER, KEPT
from tests.schemas.sampling import samples_of

Row = dict[str, Any]
VERSIONS = sorted(path.name for path in FOLDER.iterdir())
READERS: dict[str, type[Model]] = {
    model.__name__: model for model in (*ALL_FACTS, *COMMANDS, AuditRecord)
}  # fmt: skip


def samples(version: str) -> list[Row]:
    return [
        orjson.loads(line)
        for line in lzma.decompress((FOLDER / version / "samples.jsonl.xz").read_bytes()).splitlines()
    ]


def contract_of(version: str) -> Any:
    return orjson.loads(lzma.decompress((FOLDER / version / "contract.json.xz").read_bytes()))


def read(sample: Row) -> object:
    """By today's reader of its kind."""
    headers = [(name, text.encode()) for name, text in sample["headers"]]
    value = sample["value"].encode()
    match sample["of"]:
        case "fact":
            return decode_fact(headers, value)
        case "command":
            return decode_command(headers, value)
        case "audit":
            return AuditRecord.from_json(value)
        case "kept":
            return KEPT[sample["kind"]].from_json(value)
        case _:
            return documents.read(value)


def test_this_version_has_its_samples_and_every_kind_is_among_them() -> None:
    """Where this fails: python -m tests.schemas.record_samples, as long as this version is not released."""
    assert VERSION in VERSIONS
    kinds = {sample["kind"] for sample in samples(VERSION)}
    assert {model.ce_type for model in (*ALL_FACTS, *COMMANDS)} <= kinds
    assert {"AuditRecord", "incidents.state", "devices.state", "storms.state", "attempt", "position"} <= kinds


@pytest.mark.parametrize("version", VERSIONS)
def test_todays_readers_read_everything_that_a_version_wrote(version: str) -> None:
    for sample in samples(version):
        read(sample)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_audit_of_a_version_is_decided_again_the_same(version: str) -> None:
    verifiers: dict[int, Verifier] = {}
    for sample in samples(version):
        if sample["of"] == "audit":
            record = AuditRecord.from_json(sample["value"])
            verifier = verifiers.setdefault(sample["scene"], Verifier(agent=record.agent))
            assert verifier.feed(record) is None
    states: dict[int, dict[bytes, bytes]] = {}
    for sample in samples(version):
        if sample["of"] == "state":
            states.setdefault(sample["scene"], {})[sample["key"].encode()] = sample["value"].encode()
    assert {scene: verifier.finish(states[scene]) for scene, verifier in verifiers.items()} == dict.fromkeys(states)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_state_of_a_version_can_be_gone_on_with(version: str) -> None:
    for sample in samples(version):
        if sample["of"] == "state":
            document = sample["value"].encode()
            engine.timers_of(sample["agent"], sample["key"], document)
            parked_in(sample["agent"], sample["key"], document)
            if sample["agent"] == "incidents":
                waiting_in(sample["key"], document)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_today_is_what_the_contract_of_a_version_says(version: str) -> None:
    was = contract_of(version)
    for name, model in READERS.items():
        if name not in was["components"]["messages"] or model is AuditRecord:
            continue
        fits = fastjsonschema.compile({"$ref": f"#/components/schemas/{name}", "components": was["components"]})
        for sample in samples_of(model):
            fits(orjson.loads(sample.to_json()))


@pytest.mark.parametrize("version", VERSIONS)
def test_since_a_version_there_are_additions_only(version: str) -> None:
    assert findings(contract_of(version), contract.document(), READERS) == []


# What the comparison sees


def later(change: Callable[[Row], object]) -> list[str]:
    """What is found where the contract of today is another: ``change`` gets the schema of AlertReset."""
    now = copy.deepcopy(contract.document())
    change(now["components"]["schemas"]["AlertReset"])
    return findings(contract.document(), now, READERS)


def field(**schema: Any) -> Callable[[Row], object]:
    return lambda reset: reset["properties"].update(schema)


def test_an_added_field_is_no_finding() -> None:
    assert later(field(added={"type": "string", "default": ""})) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda reset: reset["properties"].pop("reset_at"), "field 'reset_at' was removed"),
        (field(reset_at={"type": "string"}), "field 'reset_at' was integer, and may be string now"),
        (field(uid={"anyOf": [{"type": "string"}, {"type": "null"}]}), "field 'uid' was string, and may be null now"),
        (lambda reset: reset["required"].remove("uid"), "field 'uid' may be left out now"),
    ],
    ids=["removed", "another type", "nothing at all", "left out"],
)
def test_what_is_no_addition_is_found_by_its_event_and_field(change: Callable[[Row], object], found: str) -> None:
    assert later(change) == [f"lockstep.alert.reset.v1: {found}"]


def test_a_field_within_a_field_is_found_in_every_event_that_has_it() -> None:
    now = copy.deepcopy(contract.document())
    now["components"]["schemas"]["Subject"]["properties"].pop("tags")
    found = findings(contract.document(), now, READERS)
    assert "lockstep.alert.triggered.v1: field 'subject.tags' was removed" in found
    assert "lockstep.device.observed.v1: field 'subject.tags' was removed" in found


def test_a_new_choice_is_found_for_a_strict_reader_does_not_know_it() -> None:
    now = copy.deepcopy(contract.document())
    now["components"]["schemas"]["AlertGone"]["properties"]["cause"]["enum"].append("Forgotten")
    assert findings(contract.document(), now, READERS) == [
        "lockstep.alert.gone.v1: field 'cause' may be Forgotten now"
    ]  # fmt: skip


def test_an_event_that_is_gone_is_found() -> None:
    now = copy.deepcopy(contract.document())
    del now["components"]["messages"]["AlertReset"]
    assert findings(contract.document(), now, READERS) == [
        "lockstep.alert.reset.v1: is gone, and nothing in schemas.upcasting reads it"
    ]


def test_a_new_required_field_is_found_and_old_bytes_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(AlertReset):
        reset_by: str

    [found] = findings(contract.document(), contract.document(), {**READERS, "AlertReset": Later})
    assert found.startswith("lockstep.alert.reset.v1: field 'reset_by' is new and required")
    monkeypatch.setitem(events._FACTS, AlertReset.ce_type, Later)
    old = next(sample for sample in samples(VERSIONS[0]) if sample["kind"] == AlertReset.ce_type)
    with pytest.raises(DecodeError, match=r"lockstep\.alert\.reset\.v1: reset_by: Field required"):
        read(old)


def test_a_field_that_nobody_knows_is_refused_by_us_and_named() -> None:
    """What Lockstep writes, Lockstep understands whole: a field of a newer version is not passed over in silence."""
    old = next(sample for sample in samples(VERSIONS[0]) if sample["kind"] == AlertReset.ce_type)
    more = orjson.dumps({**orjson.loads(old["value"]), "added_later": 1}).decode()
    with pytest.raises(DecodeError, match=r"lockstep\.alert\.reset\.v1: added_later: Extra inputs"):
        read({**old, "value": more})


def test_recording_makes_the_same_samples_again() -> None:
    assert list(record_samples.samples()) == list(record_samples.samples())
