"""Kafka as connectors see it, in memory: for tests of connectors without a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.ports import CallsSuspended, Publication
from schemas.facts import ConnectionName, Fact


@dataclass
class DeadLetter:
    stage: str
    error: str
    value: bytes
    headers: Mapping[str, str]


@dataclass
class MemoryLog:
    """Keeps everything in order. ``refusing`` makes each publication fail; ``writes`` is the order of all writes."""

    publications: list[Publication] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    compacted: dict[str, dict[str, bytes]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    refusing: Exception | None = None

    async def publish(self, publications: Sequence[Publication]) -> None:
        if self.refusing is not None:
            raise self.refusing
        self.publications.extend(publications)
        self.writes.extend(f"publish {type(entry.fact).__name__} {entry.key}" for entry in publications)

    async def publish_dead_letter(self, *, stage: str, error: str, value: bytes, headers: Mapping[str, str]) -> None:
        if self.refusing is not None:
            raise self.refusing
        self.dead_letters.append(DeadLetter(stage, error, value, dict(headers)))
        self.writes.append(f"dead letter {stage}")

    async def remembered(self, topic: str) -> Mapping[str, bytes]:
        return dict(self.compacted.get(topic, {}))

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        if self.refusing is not None:
            raise self.refusing
        self.writes.append(f"remember {topic} {key}")
        table = self.compacted.setdefault(topic, {})
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def facts(self, kind: type[Fact] | None = None) -> list[Fact]:
        return [entry.fact for entry in self.publications if kind is None or isinstance(entry.fact, kind)]

    def of(self, kind: type[Fact]) -> list[Publication]:
        return [entry for entry in self.publications if isinstance(entry.fact, kind)]


class SwitchedGate:
    """A gate for tests: ``closed`` with a line closes it; keeps what it was told, in order."""

    def __init__(self, connection: ConnectionName) -> None:
        self.connection: ConnectionName = connection
        self.closed: str | None = None
        self.epoch = 1
        self.entered = 0
        self.told: list[str] = []

    def enter(self) -> int:
        if self.closed is not None:
            raise CallsSuspended(self.closed)
        self.entered += 1
        return self.epoch

    async def refused(self, reason: str, epoch: int) -> None:
        self.told.append(f"refused {reason}")
        if epoch == self.epoch:
            self.closed = reason

    async def troubled(self, reason: str) -> None:
        self.told.append(f"troubled {reason}")

    async def worked(self) -> None:
        self.told.append("worked")
