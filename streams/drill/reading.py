"""Evidence made readable: decoded facts, decisions, commands, settlements, dead letters and live documents.

Decodes with ``schemas`` alone, and judges nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from schemas.commands import Command
from schemas.envelope import DecodeError
from schemas.events import Event, decode_command, decode_fact
from schemas.facts import (
    AlertAcknowledged,
    AlertGone,
    AlertObserved,
    AlertReset,
    AlertTriggered,
    CommandSettled,
    ConnectionChanged,
    ControlFact,
    DeviceObserved,
    DeviceRemoved,
    Fact,
    TicketNoteObserved,
    TicketObserved,
    TimerFired,
)
from schemas.storms import (
    StormCandidateLeft,
    StormCandidateSeen,
    StormJoined,
    StormListed,
    StormReleased,
    StormTicketCompleted,
)
from schemas.topics import (
    AGENT_INPUTS,
    AGENT_STATE,
    AUDIT,
    COMMAND_TOPICS,
    CONNECTIONS,
    DEAD_LETTERS,
    OUTCOMES,
    STORM_VERDICTS,
)
from streams.drill.evidence import Evidence
from streams.ports import InputRecord

#: The key under which an agent keeps what concerns a whole partition.
CONTEXT = "~context"
#: The stage that an executor's dead letters name.
EXECUTE = "execute"

_CONCERN: Mapping[str, tuple[type[Fact], ...]] = {
    "incidents": (
        AlertTriggered,
        AlertObserved,
        AlertReset,
        AlertAcknowledged,
        AlertGone,
        TicketObserved,
        TicketNoteObserved,
        CommandSettled,
        TimerFired,
        ControlFact,
        StormJoined,
        StormReleased,
        StormListed,
    ),
    "devices": (DeviceObserved, DeviceRemoved, CommandSettled, TimerFired, ControlFact),
    "storms": (StormCandidateSeen, StormCandidateLeft, StormTicketCompleted, TimerFired),
}


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class FactAt:
    """A fact where it stands; ``raw`` is its record."""

    place: Place
    event: Event[Fact]
    raw: InputRecord

    def agents(self) -> list[str]:
        """The agents that must decide it."""
        return [agent for agent, topics in AGENT_INPUTS.items() if self.place.topic in topics and self._concerns(agent)]

    def _concerns(self, agent: str) -> bool:
        fact = self.event.data
        if isinstance(fact, TimerFired):
            return fact.agent == agent
        if isinstance(fact, CommandSettled) and agent == "devices":
            return "configuration-item" in fact.command_type
        return isinstance(fact, _CONCERN[agent])


@dataclass(frozen=True, slots=True)
class Decided:
    """An audit record as plain JSON data, with the place where it stands and the place of its fact."""

    at: Place
    value: bytes
    document: dict[str, Any]

    @property
    def agent(self) -> str:
        return str(self.document["agent"])

    @property
    def key(self) -> str:
        return str(self.document["key"])

    @property
    def fact(self) -> Place:
        fact = self.document["fact"]
        return Place(fact["topic"], fact["partition"], fact["offset"])

    @property
    def shown(self) -> str:
        """How a finding names it."""
        return f"{self.agent} {self.key} #{self.document['count']}"


@dataclass(frozen=True, slots=True)
class CommandAt:
    """A command where it stands."""

    place: Place
    event: Event[Command]
    raw: InputRecord


@dataclass(frozen=True, slots=True)
class SettlementAt:
    """A settlement where it stands, with the id of its event."""

    id: str
    fact: CommandSettled
    value: bytes


class Reading:
    """The topics of the evidence, decoded when first asked for."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.topics = evidence.topics

    def records(self, topic: str) -> Sequence[InputRecord]:
        """The records of a topic; none where it was not read."""
        return self.topics.get(topic, ())

    @cached_property
    def fact_topics(self) -> list[str]:
        """Every topic that an agent reads."""
        return sorted({topic for topics in AGENT_INPUTS.values() for topic in topics})

    @cached_property
    def facts(self) -> dict[Place, FactAt]:
        """Every fact that can be decoded."""
        return {place: FactAt(place, found, raw) for place, found, raw in self._decoded if isinstance(found, Event)}

    @cached_property
    def unreadable(self) -> dict[Place, str]:
        """Every record of a fact topic or command topic that cannot be decoded, and why."""
        found = {place: str(error) for place, error, _ in self._decoded if isinstance(error, DecodeError)}
        return found | {place: str(error) for place, error, _ in self._commands if isinstance(error, DecodeError)}

    @cached_property
    def _decoded(self) -> list[tuple[Place, Event[Fact] | DecodeError, InputRecord]]:
        return [(_place(raw), _attempt(raw), raw) for topic in self.fact_topics for raw in self.records(topic)]

    @cached_property
    def _commands(self) -> list[tuple[Place, Event[Command] | DecodeError, InputRecord]]:
        return [(_place(raw), _attempt_command(raw), raw) for topic in COMMAND_TOPICS for raw in self.records(topic)]

    @cached_property
    def commands(self) -> list[CommandAt]:
        """Every command, in the order of its topic."""
        return [CommandAt(place, found, raw) for place, found, raw in self._commands if isinstance(found, Event)]

    def incident_of(self, command_id: str) -> str:
        """The incident of a command by its id; empty where the command is missing, or belongs to none."""
        return self._incident_by_id.get(command_id, "")

    @cached_property
    def _incident_by_id(self) -> dict[str, str]:
        return {c.event.envelope.id: c.event.data.incident or "" for c in self.commands}

    @cached_property
    def decided(self) -> list[Decided]:
        """Every audit record that is JSON of the right shape, in the order of its partition."""
        return [found for found in self._audit if isinstance(found, Decided)]

    @cached_property
    def unreadable_audit(self) -> list[Place]:
        """Every audit record that is not."""
        return [found for found in self._audit if isinstance(found, Place)]

    @cached_property
    def _audit(self) -> list[Decided | Place]:
        return [_decided(raw) for raw in self.records(AUDIT)]

    @cached_property
    def settlements(self) -> dict[str, list[SettlementAt]]:
        """All settlements by command id, repetitions of one and the same among them."""
        found: dict[str, list[SettlementAt]] = defaultdict(list)
        for row in self.facts.values():
            data = row.event.data
            if row.place.topic == OUTCOMES and isinstance(data, CommandSettled):
                found[data.command_id].append(SettlementAt(row.event.envelope.id, data, row.raw.value or b""))
        return found

    @cached_property
    def dead(self) -> Counter[tuple[Place, str]]:
        """Dead letters of records, by the record's place and the stage that gave it up."""
        found: Counter[tuple[Place, str]] = Counter()
        for raw in self.records(DEAD_LETTERS):
            about = {name: value.decode("utf-8", "replace") for name, value in raw.headers if name.startswith("dead_")}
            if "dead_topic" in about:
                place = Place(about["dead_topic"], int(about["dead_partition"]), int(about["dead_offset"]))
                found[place, about.get("dead_stage", "")] += 1
        return found

    @cached_property
    def changes(self) -> list[ConnectionChanged]:
        """What was said about connections, in the order that counts."""
        found = [_attempt(raw) for raw in self.records(CONNECTIONS)]
        return [e.data for e in found if isinstance(e, Event) and isinstance(e.data, ConnectionChanged)]

    def documents(self, agent: str) -> dict[int, dict[bytes, bytes]]:
        """The live state documents of an agent by partition and key, without the partitions' positions."""
        return self._documents[agent]

    @cached_property
    def _documents(self) -> dict[str, dict[int, dict[bytes, bytes]]]:
        return {agent: self._documents_of(agent) for agent in AGENT_STATE}

    def _documents_of(self, agent: str) -> dict[int, dict[bytes, bytes]]:
        found: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        for raw in self.records(AGENT_STATE[agent]):
            key = raw.key or b""
            if raw.value is None:
                found[raw.partition].pop(key, None)
            elif key[:1].isalnum() or key == CONTEXT.encode():
                found[raw.partition][key] = raw.value
        return found

    @cached_property
    def bodies(self) -> dict[str, dict[str, Any]]:
        """What the agent ``incidents`` knows by key: ``alerts``, ``incidents`` and ``pending`` commands."""
        return {
            key.decode(): orjson.loads(value)["body"]
            for documents in self.documents("incidents").values()
            for key, value in documents.items()
            if key != CONTEXT.encode()
        }

    def alert_facts(self) -> Iterator[AlertTriggered | AlertObserved]:
        """Every sighting of an active alert of NinjaOne's."""
        for row in self.facts.values():
            if isinstance(row.event.data, AlertTriggered | AlertObserved) and row.place.topic != STORM_VERDICTS:
                yield row.event.data


def _place(raw: InputRecord) -> Place:
    return Place(raw.topic, raw.partition, raw.offset)


def _attempt(raw: InputRecord) -> Event[Fact] | DecodeError:
    try:
        event = decode_fact(raw.headers, raw.value)
        # The audit keeps headers and value as text, so what is no text cannot be decided.
        for text in (raw.value or b"", *(value for _, value in raw.headers)):
            text.decode()
    except UnicodeDecodeError as error:
        return DecodeError(str(error))
    except DecodeError as error:
        return error
    return event


def _attempt_command(raw: InputRecord) -> Event[Command] | DecodeError:
    try:
        return decode_command(raw.headers, raw.value)
    except DecodeError as error:
        return error


def _decided(raw: InputRecord) -> Decided | Place:
    try:
        document = orjson.loads(raw.value or b"")
        found = Decided(_place(raw), raw.value or b"", document)
        # What every check reads; the contents are judged elsewhere.
        complete = isinstance(document["count"], int) and all(
            isinstance(document[name], str) for name in ("agent", "key", "previous", "hash")
        )
        if not complete or not isinstance(document["decision"], dict) or not all(c["id"] for c in document["commands"]):
            return _place(raw)
        found.fact.topic.encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return _place(raw)
    return found
