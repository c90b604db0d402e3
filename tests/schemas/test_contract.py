"""The feed as a contract: the document in the repository is the models', and a stranger can read what we write by it."""

from __future__ import annotations

from pathlib import Path

import fastjsonschema
import orjson
import pytest

from schemas import contract
from schemas.commands import COMMANDS
from schemas.envelope import Envelope
from schemas.facts import FACTS, AlertReset
from schemas.topics import AGENT_INPUTS, AUDIT, CATALOGUE, NINJAONE_ALERTS
from tests.core.spec import (
    START,
    Scene,
    companies,
    device,
    devices,
    incidents,
    organizations,
    removed,
    reset,
    triggered,
)
from tests.core.spec import ticket as seen
from tests.schemas.stranger import Stranger

KEPT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def stranger() -> Stranger:
    return Stranger(orjson.loads(KEPT.read_bytes()))


def scenes() -> list[Scene]:
    alerts = incidents(triggered()).settle("CreateTicket").when(triggered(11), reset()).settle("CompleteTicket")
    alerts.when(companies((6, "Westwind")), organizations((17, "North")), seen(START + 30_000, completed=True))
    return [alerts, devices(device()).settle("UpsertConfigurationItem").when(removed())]


def test_the_document_in_the_repository_is_what_the_models_say() -> None:
    assert KEPT.read_text() == contract.text(), (
        "write it anew: .venv/bin/python -m schemas.contract > docs/asyncapi.json"
    )


def test_every_topic_and_every_event_has_its_place_in_it() -> None:
    assert {*contract.MESSAGES, *contract.PLAIN} == {topic.name for topic in CATALOGUE}
    assert not {*contract.MESSAGES} & {*contract.PLAIN}
    held = {model for models in contract.MESSAGES.values() for model in models}
    assert {*FACTS, *COMMANDS} <= held
    assert {topic for topics in AGENT_INPUTS.values() for topic in topics} <= {*contract.MESSAGES}


def test_a_stranger_reads_facts_commands_and_decisions_by_the_document_alone(stranger: Stranger) -> None:
    kinds = set()
    for scene in scenes():
        for record in scene.records:
            assert stranger.read(AUDIT, [], record.key.encode(), record.to_json())["agent"] == scene.agent
            fact = record.fact
            headers = [(name, value.encode()) for name, value in fact.headers.items()]
            key = fact.headers["ce_partitionkey"].encode()
            stranger.read(fact.topic, headers, key, fact.value.encode())
            kinds.add(fact.headers["ce_type"])
        for envelope, command, topic in scene.commands:
            stranger.read(topic, envelope.to_headers(), envelope.key.encode(), command.to_json())
            kinds.add(envelope.type)
    assert len(kinds) >= 10


def _written(fact: AlertReset) -> tuple[list[tuple[str, bytes]], bytes, bytes]:
    envelope = Envelope(id="1", type=fact.ce_type, source="test", time=START, recorded=START, key="407")
    return envelope.to_headers(), b"407", fact.to_json()


def test_a_stranger_refuses_what_is_not_in_the_document(stranger: Stranger) -> None:
    headers, key, value = _written(reset())
    with pytest.raises(ValueError, match="not enough values to unpack"):
        stranger.read(NINJAONE_ALERTS, headers, key, value)
    without = orjson.loads(value)
    del without["reset_at"]
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match="reset_at"):
        stranger.read("ninjaone.resets", headers, key, orjson.dumps(without))


def test_a_stranger_of_today_reads_what_a_later_version_adds(stranger: Stranger) -> None:
    headers, key, value = _written(reset())
    later = {**orjson.loads(value), "added_later": True}
    assert stranger.read("ninjaone.resets", headers, key, orjson.dumps(later)) == later
