"""The real stage of the agent ``incidents`` as a job: three alerts on each device, each raised, ticketed, cleared, done.

Four facts an alert: it is raised (a ticket is ordered), the ticket is there, it clears (completion is ordered), that is
done. The stage is Lockstep's own; only the topics get the run's prefixes, and policy and companies are in place from the start
(the ``~context`` document), so that one fact makes one audit record. All facts lie in one topic: order across topics is
nobody's promise, and a reset that is seen before its alert is much less work, so the ways would not do the same job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
import yaml

from schemas.envelope import Envelope
from schemas.events import decode_command
from schemas.facts import (
    AlertReset,
    AlertTriggered,
    CommandSettled,
    CompaniesObserved,
    Company,
    Fact,
    PolicyPublished,
    Subject,
)
from schemas.identity import derived_id, partition_of
from schemas.topics import (
    AUDIT,
    COMMAND_TOPICS,
    CONTROL,
    DEAD_LETTERS,
    INCIDENTS_STATE,
    NINJAONE_ALERTS,
)
from streams.core.documents import CONTEXT_KEY
from streams.policy_file import STARTER
from streams.ports import Due, InputRecord, OutputRecord, SliceResult
from streams.stage import AgentStage

#: 2026-11-24T08:00:00Z, in epoch milliseconds; a fact every 37 ms from then on.
BEGIN_MS, STEP_MS = 1_795_507_200_000, 37
FACTS_A_DEVICE = 12
ORGANIZATIONS = 3
_CONTEXT = CONTEXT_KEY.encode()


class _InContext(Mapping[bytes, bytes]):
    """A partition's documents, with the context document beside them."""

    __slots__ = ("_below", "_context")

    def __init__(self, below: Mapping[bytes, bytes], context: bytes) -> None:
        self._below = below
        self._context = context

    def __getitem__(self, key: bytes) -> bytes:
        return self._context if key == _CONTEXT else self._below[key]

    def get(self, key: bytes, default: Any = None) -> Any:
        return self._context if key == _CONTEXT else self._below.get(key, default)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._below)

    def __len__(self) -> int:
        return len(self._below)


@dataclass(frozen=True)
class PrefixedStage:
    """``AgentStage("incidents")`` on topics of this run."""

    name: str
    topics: tuple[str, ...]
    state_topic: str
    own_prefix: str
    context: bytes
    stage: AgentStage

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        result = self.stage.decide(partition, records, _InContext(state, self.context), decided)
        prefix = self.own_prefix
        outputs = [OutputRecord(prefix + out[0], *out[1:]) for out in result.outputs]
        return replace(result, outputs=outputs)

    def timers(self, key: bytes, state: bytes) -> Sequence[Due]:
        return self.stage.timers(key, state)

    def decisions(self, state: bytes) -> int:
        return self.stage.decisions(state)


@dataclass
class IncidentsJob:
    """``bench.incidents:job``."""

    stage: PrefixedStage
    outputs: Mapping[str, int]
    audit_topic: str
    command_topics: Sequence[str]
    partitions: int
    facts_prefix: str

    def facts(self, count: int) -> Iterator[OutputRecord]:
        devices = max(1, count // FACTS_A_DEVICE)
        state: dict[bytes, bytes | None] = {}
        ordered: dict[int, OutputRecord] = {}
        for number in range(count):
            turn, device = divmod(number, devices)
            fact = fact_at(number, turn, device, ordered.get(device))
            envelope = envelope_at(number, device, fact)
            key, value, headers = envelope.key.encode(), fact.to_json(), envelope.to_headers()
            where = partition_of(key, self.partitions)
            record = InputRecord("", where, number, key, value, headers, envelope.recorded)
            result = self.stage.decide(where, [record], cast(Mapping[bytes, bytes], state))
            state |= result.states
            for out in result.outputs:
                if out.topic in self.command_topics:
                    # What the stage orders here, the next fact of this device says to be done.
                    ordered[device] = out
            yield OutputRecord(self.stage.topics[0], where, key, value, headers)

    def fact_of(self, audited: InputRecord) -> tuple[str, int, int]:
        fact = orjson.loads(audited.value or b"")["fact"]
        return fact["topic"], fact["partition"], fact["offset"]

    def commands_of(self, audited: InputRecord) -> list[str]:
        return [command["id"] for command in orjson.loads(audited.value or b"")["commands"]]

    def command_id(self, command: InputRecord) -> str:
        return dict(command.headers)["ce_id"].decode()


def _uid(device: int, turn: int) -> str:
    digits = derived_id("alert", device, turn // 4)
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def _subject(device: int) -> Subject:
    return Subject(
        organization_id=1 + device % ORGANIZATIONS,
        organization_name=f"Organization {device % ORGANIZATIONS}",
        location_id=5,
        location_name="Main office",
        device_id=1000 + device,
        device_name=f"SRV-{device:05d}",
        node_class="WINDOWS_SERVER",
        role_id=3,
        role_name="Windows Server",
        link=f"https://eu.ninjarmm.com/#/deviceDashboard/{1000 + device}/overview",
    )


def envelope_at(number: int, device: int, fact: Fact) -> Envelope:
    at = BEGIN_MS + number * STEP_MS
    identity = derived_id("bench", number)
    return Envelope(id=identity, type=fact.ce_type, source="/bench", time=at, recorded=at, key=str(1000 + device))


def fact_at(number: int, turn: int, device: int, ordered: OutputRecord | None) -> Fact:
    at = BEGIN_MS + number * STEP_MS
    if turn % 2 == 1:
        assert ordered is not None
        return _done(ordered, at, device * 100 + turn // 4)
    if turn % 4 == 0:
        return AlertTriggered(
            uid=_uid(device, turn),
            subject=_subject(device),
            raised_at=at,
            activity_id=10_000 + number,
            source_type="AGENT_OFFLINE",
            source_config_uid="0b5d0f0a-0000-4000-8000-000000000001",
            source_name="Agent offline",
            condition_name="Offline for fifteen minutes",
            message="The agent on this device has not reported for fifteen minutes.",
            severity="CRITICAL",
            priority="HIGH",
        )
    return AlertReset(
        uid=_uid(device, turn),
        subject=_subject(device),
        activity_id=10_000 + number,
        reset_at=at,
        message="The agent reports again.",
    )


def _done(ordered: OutputRecord, at: int, ticket: int) -> CommandSettled:
    event = decode_command(ordered.headers, ordered.value)
    return CommandSettled(
        key=event.data.key,
        command_id=event.envelope.id,
        command_type=event.envelope.type,
        effect_key=event.data.effect_key,
        incident=event.data.incident,
        outcome="Succeeded",
        settled_at=at,
        how="Called",
        ticket_id=ticket,
        ticket_number=f"T20261124.{ticket:06d}",
        written=True,
        calls=1,
    )


def _context() -> bytes:
    """The document that a published policy and the list of companies lead to."""
    companies = tuple(Company(id=100 + n, name=f"Organization {n}", active=True) for n in range(ORGANIZATIONS))
    policy = orjson.dumps(yaml.safe_load(STARTER)).decode()
    facts: list[Fact] = [
        PolicyPublished(revision=1, document=policy, author="bench"),
        CompaniesObserved(digest="bench", companies=companies),
    ]
    records = []
    for offset, fact in enumerate(facts):
        headers = Envelope(
            id=derived_id("context", offset), type=fact.ce_type, source="/bench", time=0, recorded=0, key=CONTEXT_KEY
        ).to_headers()
        records.append(InputRecord(CONTROL, 0, offset, _CONTEXT, fact.to_json(), headers, 0))
    document = AgentStage("incidents").decide(0, records, {}).states[_CONTEXT]
    assert document is not None
    return document


def job(facts_prefix: str, own_prefix: str, partitions: int) -> IncidentsJob:
    """Alerts and resets in, audit and commands out."""
    stage = PrefixedStage(
        name="incidents",
        topics=(f"{facts_prefix}{NINJAONE_ALERTS}",),
        state_topic=f"{own_prefix}{INCIDENTS_STATE}",
        own_prefix=own_prefix,
        context=_context(),
        stage=AgentStage("incidents"),
    )
    commands = [f"{own_prefix}{name}" for name in COMMAND_TOPICS]
    audit = f"{own_prefix}{AUDIT}"
    outputs = {audit: partitions, **dict.fromkeys([*commands, f"{own_prefix}{DEAD_LETTERS}"], 1)}
    return IncidentsJob(stage, outputs, audit, commands, partitions, facts_prefix)
