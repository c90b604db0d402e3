"""A tiny stage whose every mistake shows: a counter and an order-sensitive hash per key.

The audit record of a fact carries the counter and the hash after it, so that one pure fold over the audit tells lost,
doubled and misordered facts, wrong commands and wrong states apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from schemas.identity import derived_id, partition_of
from schemas.model import Model
from streams.ports import Due, InputRecord, OutputRecord, SliceResult

KEYS = 1000
#: 0.44 commands a fact, as in the decide stage that was measured before.
COMMANDS_OF_100 = 44


class CountedFact(Model):
    """One fact; ``text`` makes it as long as a real alert (about 560 bytes)."""

    id: str
    key: str
    number: int
    text: str


class Counter(Model):
    """The state of one key."""

    count: int = 0
    hash: str = ""

    def after(self, fact: CountedFact) -> Counter:
        chained = blake2b(f"{self.hash}|{fact.id}".encode(), digest_size=8).hexdigest()
        return Counter(count=self.count + 1, hash=chained)


def commands(fact: CountedFact) -> bool:
    """Whether a fact leads to a command."""
    return _leads_to_command(fact.id)


def _leads_to_command(fact_id: str) -> bool:
    return int(fact_id[:8], 16) % 100 < COMMANDS_OF_100


@dataclass(frozen=True)
class CountingStage:
    """Counts; see the module."""

    name: str
    topics: tuple[str, ...]
    state_topic: str
    audit_topic: str
    command_topic: str

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        outputs: list[OutputRecord] = []
        changed: dict[bytes, bytes | None] = {}
        for record in records:
            assert record.key is not None
            assert record.value is not None
            fact = CountedFact.from_json(record.value)
            known = changed.get(record.key) or state.get(record.key)
            counter = (Counter.from_json(known) if known else Counter()).after(fact)
            changed[record.key] = counter.to_json()
            audited = {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "fact": fact.id,
                "count": counter.count,
                "hash": counter.hash,
            }
            outputs.append(OutputRecord(self.audit_topic, partition, record.key, orjson.dumps(audited)))
            if commands(fact):
                outputs.append(OutputRecord(self.command_topic, 0, record.key, derived_id("command", fact.id).encode()))
        return SliceResult(outputs=outputs, states=changed)

    def decisions(self, state: bytes) -> int:
        return 0

    def timers(self, key: bytes, state: bytes) -> Sequence[Due]:
        return ()


@dataclass
class CountingJob:
    """``bench.counting:job``."""

    stage: CountingStage
    outputs: Mapping[str, int]
    audit_topic: str
    partitions: int
    facts_prefix: str
    keys: list[str] = field(default_factory=lambda: [str(1000 + number) for number in range(KEYS)])

    def facts(self, count: int) -> Iterator[OutputRecord]:
        text = "The agent on this device has not reported for fifteen minutes. " * 7
        for number in range(count):
            key = self.keys[number * 7919 % len(self.keys)]
            topic = self.stage.topics[number % 3 % len(self.stage.topics)]
            fact = CountedFact(id=derived_id(self.facts_prefix, number), key=key, number=number, text=text)
            yield OutputRecord(topic, partition_of(key, self.partitions), key.encode(), fact.to_json())

    def fact_of(self, audited: InputRecord) -> tuple[str, int, int]:
        assert audited.value is not None
        document = orjson.loads(audited.value)
        return document["topic"], document["partition"], document["offset"]

    @property
    def command_topics(self) -> Sequence[str]:
        return [self.stage.command_topic]

    def commands_of(self, audited: InputRecord) -> list[str]:
        identity = orjson.loads(audited.value or b"")["fact"]
        return [derived_id("command", identity)] if _leads_to_command(identity) else []

    def command_id(self, command: InputRecord) -> str:
        return (command.value or b"").decode()


def job(facts_prefix: str, own_prefix: str, partitions: int) -> CountingJob:
    """Three input topics, one audit topic, one command topic with a single partition."""
    stage = CountingStage(
        name="counting",
        topics=tuple(f"{facts_prefix}{name}" for name in ("alerts", "resets", "outcomes")),
        state_topic=f"{own_prefix}state",
        audit_topic=f"{own_prefix}audit",
        command_topic=f"{own_prefix}commands",
    )
    outputs = {stage.audit_topic: partitions, stage.command_topic: 1}
    return CountingJob(stage, outputs, stage.audit_topic, partitions, facts_prefix)
