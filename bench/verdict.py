"""Was every fact decided exactly once, in order, and is the state what a pure fold says?"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import orjson

from bench.counting import CountedFact, Counter, CountingJob, commands
from bench.job import Job
from bench.kafka_io import read_all
from schemas.identity import derived_id
from streams.delivery.positions import POSITIONS_KEY
from streams.ports import InputRecord


@dataclass(frozen=True)
class Verdict:
    """All zero means: exactly once, in order, state equal to the fold. ``facts`` is how many were published."""

    facts: int
    lost: int
    doubled: int
    misordered: int = 0
    wrong_audit: int = 0
    lost_commands: int = 0
    doubled_commands: int = 0
    wrong_states: int = 0

    @property
    def flawless(self) -> bool:
        return not any(count for name, count in asdict(self).items() if name != "facts")


def lost_and_doubled(
    job: Job, facts: Iterable[InputRecord], audit: Iterable[InputRecord], commands: Iterable[InputRecord] = ()
) -> Verdict:
    """What any job can be asked: one audit record per fact, and each command that the audit names once (by id)."""
    audit = list(audit)
    wanted = {(fact.topic, fact.partition, fact.offset) for fact in facts}
    seen = Tally(job.fact_of(record) for record in audit)
    promised = {identity for record in audit for identity in job.commands_of(record)}
    sent = Tally(job.command_id(record) for record in commands)
    return Verdict(
        facts=len(wanted),
        lost=len(wanted - set(seen)),
        doubled=sum(times - 1 for times in seen.values() if times > 1),
        lost_commands=len(promised - set(sent)),
        doubled_commands=sum(sent.values()) - len(sent),
    )


async def judge(servers: str, job: CountingJob) -> Verdict:
    """The whole verdict on a counting job, from what lies in its topics."""
    stage = job.stage
    records = await read_all(servers, [*stage.topics, stage.audit_topic, stage.command_topic, stage.state_topic])
    facts = {
        (record.topic, record.partition, record.offset): CountedFact.from_json(record.value or b"")
        for topic in stage.topics
        for record in records[topic]
    }
    base = lost_and_doubled(job, [r for topic in stage.topics for r in records[topic]], records[stage.audit_topic])
    fold = _Fold(facts)
    for record in records[stage.audit_topic]:
        fold.take(record)
    wanted = {derived_id("command", fact.id).encode() for fact in facts.values() if commands(fact)}
    sent = Tally(record.value for record in records[stage.command_topic])
    return Verdict(
        facts=len(facts),
        lost=base.lost,
        doubled=base.doubled,
        misordered=fold.misordered,
        wrong_audit=fold.wrong,
        lost_commands=len(wanted - set(sent)),
        doubled_commands=sum(sent.values()) - len(sent),
        wrong_states=_wrong_states(fold.states, records[stage.state_topic]),
    )


class _Fold:
    """The pure fold over the audit in its own order."""

    def __init__(self, facts: Mapping[tuple[str, int, int], CountedFact]) -> None:
        self.misordered = 0
        self.wrong = 0
        self.states: dict[bytes, Counter] = {}
        self._facts = facts
        self._last: dict[tuple[str, int], int] = {}

    def take(self, record: InputRecord) -> None:
        said = orjson.loads(record.value or b"")
        where = (said["topic"], said["partition"])
        fact = self._facts[(*where, said["offset"])]
        if said["offset"] != self._last.get(where, -1) + 1:
            self.misordered += 1
        self._last[where] = said["offset"]
        assert record.key is not None
        counter = self.states[record.key] = self.states.get(record.key, Counter()).after(fact)
        if (said["count"], said["hash"], said["fact"]) != (counter.count, counter.hash, fact.id):
            self.wrong += 1


def _wrong_states(wanted: Mapping[bytes, Counter], changelog: Iterable[InputRecord]) -> int:
    last = {record.key: record.value for record in changelog if record.key != POSITIONS_KEY}
    folded = {key: counter.to_json() for key, counter in wanted.items()}
    return sum(1 for key in folded.keys() | last.keys() if folded.get(key) != last.get(key))
