"""An agent's stage: records in, the records of one transaction out. What cannot be decoded becomes a dead letter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from schemas.audit import AuditedFact
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.topics import AGENT_INPUTS, AGENT_STATE, AUDIT, DEAD_LETTERS, FOR_TOPIC, HANDOFFS
from streams.core import engine
from streams.core.decision import Told
from streams.core.documents import length_of
from streams.dead_letters import dead_letter_headers
from streams.ports import Due, InputRecord, OutputRecord, SliceResult


class AgentStage:
    """The stage of one agent; satisfies ``streams.ports.Stage``.

    Audit records go to the partition of the fact, commands to the one partition of their topic, dead letters to
    theirs. The audit record's key is the device key, so that a compaction or a look-up by key works. What is told to another
    agent goes to ``handoffs``, from where it is forwarded (``streams.forwarding``): agents read nothing transactional.
    """

    def __init__(self, agent: str) -> None:
        self.name = agent
        self.topics = AGENT_INPUTS[agent]
        self.state_topic = AGENT_STATE[agent]

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        """Decide consecutive records of one partition; later ones see what earlier ones changed.

        ``decided`` is how many decisions led to ``state``: the audit records are numbered from there.
        """
        before = decided
        view = _Overlay(state)
        outputs: list[OutputRecord] = []
        timers: dict[bytes, Sequence[Due]] = {}
        unreadable: dict[tuple[str, int], str] = {}
        for record in records:
            try:
                event = decode_fact(record.headers, record.value)
                fact = AuditedFact.model_construct(
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    headers={name: value.decode() for name, value in record.headers},
                    value=(record.value or b"").decode(),
                )
            except (DecodeError, UnicodeDecodeError) as error:
                outputs.append(dead_letter(record, stage=self.name, error=error))
                unreadable[record.topic, record.offset] = str(error)
                continue
            for step in engine.decide(self.name, event, fact, view, sequence=decided + 1):
                decided += 1
                key = step.key.encode()
                outputs.append(OutputRecord(AUDIT, partition, key, step.value))
                outputs += [
                    OutputRecord(topic, 0, key, command.to_json(), envelope.to_headers())
                    for envelope, command, topic in step.commands
                ]
                outputs += [handoff(told) for told in step.told]
                view[key] = step.state
                timers[key] = [Due(timer.at, timer.timer) for timer in step.timers]
        return SliceResult(
            outputs=outputs,
            states=view.changed,
            timers=timers,
            unreadable=unreadable,
            decisions=decided - before,
        )

    def decisions(self, state: bytes) -> int:
        """How many decisions led to a document."""
        return length_of(state)

    def timers(self, key: bytes, state: bytes) -> Sequence[Due]:
        """The pending timers of a document that was just loaded."""
        return [Due(timer.at, timer.timer) for timer in engine.timers_of(self.name, key.decode(), state)]


def handoff(told: Told) -> OutputRecord:
    """A fact for another agent as it stands in ``handoffs``: the record to be, and the topic that it is for."""
    headers = [*told.envelope.to_headers(), (FOR_TOPIC, told.topic.encode())]
    return OutputRecord(HANDOFFS, 0, told.envelope.key.encode(), told.fact.to_json(), headers)


def dead_letter(record: InputRecord, *, stage: str, error: ValueError) -> OutputRecord:
    """A record that could not be understood: its bytes and headers as they were, and where and why it failed."""
    headers = dead_letter_headers(record, stage=stage, error=error, at=record.timestamp)
    return OutputRecord(DEAD_LETTERS, 0, record.key, record.value, headers)


class _Overlay(MutableMapping[bytes, bytes]):
    """A partition's documents with the changes of one slice laid over them; the documents below stay untouched."""

    __slots__ = ("_below", "changed")

    def __init__(self, below: Mapping[bytes, bytes]) -> None:
        self._below = below
        self.changed: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        found = self.changed.get(key)
        return self._below[key] if found is None else found

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        found = self.changed.get(key)
        return self._below.get(key, default) if found is None else found

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.changed[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise TypeError("a document is never removed within a slice")

    def __iter__(self) -> Iterator[bytes]:
        yield from self._below
        yield from (key for key in self.changed if key not in self._below)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def stages() -> list[AgentStage]:
    """One stage per agent."""
    return [AgentStage(agent) for agent in AGENT_INPUTS]
