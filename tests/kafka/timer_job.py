"""A stage with timers: each fact asks for one four seconds after it, and each timer that fires is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from schemas.envelope import Envelope
from schemas.events import decode_fact
from schemas.facts import TimerFired
from schemas.identity import partition_of
from streams.ports import Due, InputRecord, OutputRecord, SliceResult

DELAY_MS = 4000


@dataclass(frozen=True)
class TimerStage:
    """State of a key: ``{"due": ms or null, "fired": count}``. Never clears a timer whose key ends in 9."""

    name: str
    topics: tuple[str, ...]
    state_topic: str
    audit_topic: str

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        outputs: list[OutputRecord] = []
        changed: dict[bytes, bytes | None] = {}
        dues: dict[bytes, Sequence[Due]] = {}
        for record in records:
            assert record.key is not None
            document = orjson.loads(changed.get(record.key) or state.get(record.key) or b'{"due":null,"fired":0}')
            if record.topic.endswith("timers"):
                event = decode_fact(record.headers, record.value)
                assert isinstance(event.data, TimerFired)
                document["fired"] += 1
                document["due"] = document["due"] if record.key.endswith(b"9") else None
                outputs.append(self._audit(partition, record, event.envelope, event.data))
            else:
                document["due"] = record.timestamp + DELAY_MS
            changed[record.key] = orjson.dumps(document)
            dues[record.key] = self.timers(record.key, orjson.dumps(document))
        return SliceResult(outputs=outputs, states=changed, timers=dues)

    def timers(self, key: bytes, state: bytes) -> Sequence[Due]:
        due = orjson.loads(state)["due"]
        return () if due is None else (Due(due, "soon"),)

    def decisions(self, state: bytes) -> int:
        return 0

    def _audit(self, partition: int, record: InputRecord, envelope: Envelope, fact: TimerFired) -> OutputRecord:
        said = {"id": envelope.id, "due": fact.due_at, "recorded": envelope.recorded, "agent": fact.agent}
        return OutputRecord(self.audit_topic, partition, record.key, orjson.dumps(said))


@dataclass
class TimerJob:
    """``tests.kafka.timer_job:job``."""

    stage: TimerStage
    outputs: Mapping[str, int]
    audit_topic: str
    partitions: int

    def facts(self, count: int) -> Iterator[OutputRecord]:
        for number in range(count):
            key = str(100 + number)
            yield OutputRecord(self.stage.topics[0], partition_of(key, self.partitions), key.encode(), b"{}")

    def fact_of(self, audited: InputRecord) -> tuple[str, int, int]:
        return audited.topic, audited.partition, audited.offset


def job(facts_prefix: str, own_prefix: str, partitions: int) -> TimerJob:
    """One topic of facts, and the timers of this stage."""
    topics = (f"{facts_prefix}facts", f"{own_prefix}timers")
    stage = TimerStage("ticking", topics, f"{own_prefix}state", f"{own_prefix}audit")
    return TimerJob(stage, {stage.audit_topic: partitions}, stage.audit_topic, partitions)
