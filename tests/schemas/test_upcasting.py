"""An event in an older version of its schema is read in today's form, wherever events are read, and replays the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from schemas.envelope import DecodeError, Envelope
from schemas.events import UnknownType, command_of, decode_command, decode_fact
from schemas.facts import AlertReset
from schemas.upcasting import UPCASTS, Upcast
from streams.core.verify import Verifier
from streams.ports import InputRecord
from streams.stage import AgentStage
from tests.core.spec import START, incidents, policy, reset, triggered

V0, MIDDLE = "lockstep.alert.reset.v0", "lockstep.alert.reset.v0a"


def renamed(value: dict[str, Any]) -> dict[str, Any]:
    """Version 0 called the time of the reset ``at``."""
    at = value.pop("at")
    return {**value, "reset_at": at}


@pytest.fixture(autouse=True)
def _made_up_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPCASTS, V0, Upcast(AlertReset.ce_type, renamed))


def old_reset() -> tuple[list[tuple[str, bytes]], bytes]:
    fields = orjson.loads(reset().to_json())
    fields["at"] = fields.pop("reset_at")
    envelope = Envelope(id="0" * 32, type=V0, source="test", time=START, recorded=START, key="407")
    return envelope.to_headers(), orjson.dumps(fields)


def test_an_event_of_an_older_version_comes_in_todays_form() -> None:
    event = decode_fact(*old_reset())
    assert event.data == reset()
    assert event.envelope.type == AlertReset.ce_type


def test_steps_follow_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        UPCASTS, V0, Upcast(MIDDLE, lambda value: {**value, "status_code": value["status_code"].lower()})
    )
    monkeypatch.setitem(UPCASTS, MIDDLE, Upcast(AlertReset.ce_type, renamed))
    assert decode_fact(*old_reset()).data == reset().model_copy(update={"status_code": "reset"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{}", r"alert\.reset\.v0: at: Field required \(for lockstep\.alert\.reset\.v1\)"),
        (b"[]", r"alert\.reset\.v0: cannot be read as lockstep\.alert\.reset\.v1"),
        (b"no JSON", r"alert\.reset\.v0: cannot be read as"),
        (None, r"alert\.reset\.v0: cannot be read as"),
        (b'{"at": 1}', r"alert\.reset\.v1: uid: Field required"),
    ],
)
def test_what_the_older_version_did_not_write_is_refused_in_one_line(value: bytes | None, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        decode_fact(old_reset()[0], value)


def test_a_version_without_a_step_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(UPCASTS, V0)
    with pytest.raises(UnknownType, match=r"'lockstep\.alert\.reset\.v0' is not known here"):
        decode_fact(*old_reset())


def test_an_agent_decides_about_it_and_the_audit_keeps_its_bytes_and_verifies() -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    headers, value = old_reset()
    record = InputRecord("ninjaone.resets", 0, 7, b"407", value, headers, START)
    result = AgentStage("incidents").decide(0, [record], scene.state, len(scene.records))
    [made] = [AuditRecord.from_json(out.value or b"") for out in result.outputs if out.topic == "audit"]
    assert (made.fact.value.encode(), made.fact.headers["ce_type"]) == (value, V0)
    assert [command.type for command in made.commands] == ["lockstep.command.complete-ticket.v1"]
    verifier = Verifier(agent="incidents")
    assert [verifier.feed(each) for each in [*scene.records, made]] == [None] * (len(scene.records) + 1)
    # What was in force then decides it: the same fact in today's version comes to the same.
    today = incidents(triggered()).settle("CreateTicket").when(reset(), identity="0" * 32)
    assert made.decision == today.records[-1].decision
    assert policy().revision == made.revision


def test_commands_have_older_versions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    command = incidents(triggered()).issued[0]
    former = "lockstep.command.create-ticket.v0"
    fields = orjson.loads(command.to_json())
    fields["board"] = fields.pop("queue")
    monkeypatch.setitem(UPCASTS, former, Upcast(command.ce_type, _queue))
    headers = Envelope(id="1", type=former, source="test", time=START, recorded=START, key="407").to_headers()
    assert decode_command(headers, orjson.dumps(fields)).data == command
    assert command_of(former, orjson.dumps(fields).decode()) == command


def _queue(value: dict[str, Any]) -> dict[str, Any]:
    board = value.pop("board")
    return {**value, "queue": board}
