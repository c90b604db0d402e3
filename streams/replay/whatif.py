"""``whatif``: the log since an instant, decided under a draft policy, partition by partition; no vendor is called."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from schemas.audit import AuditRecord
from schemas.facts import TimerFired
from schemas.topics import AUDIT
from streams.core import incidents
from streams.core.rebuild import Rebuilder
from streams.core.verify import event_of, same_place
from streams.core.whatif import Comparison, Side, Simulation, TimerName
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError, end_offsets, first_offsets, read_all
from streams.replay.partitions import Tell, over_partitions
from streams.replay.verify import BREATHE


async def what_if(
    options: KafkaOptions,
    document: str,
    *,
    since: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> Comparison:
    """What the policy in ``document`` (canonical JSON) would have come to since then (epoch ms). Raises ``ReadError``."""
    ends, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
    # The log is read twice: first for the due times that really passed.
    total = 2 * sum(end - begin[place] for place, end in ends.items())
    parts = await over_partitions(
        WhatIfPartition(options, document, since),
        sorted(partition for _, partition in ends),
        records=total,
        progress=lambda done: progress(done, total),
        processes=processes,
    )
    return Comparison(
        facts=sum(part.facts for part in parts),
        live=_together([part.live for part in parts]),
        draft=_together([part.draft for part in parts]),
    )


def _together(sides: list[Side]) -> Side:
    """Partitions share no tickets, so their sides add up."""
    whole = Side()
    for side in sides:
        whole.tickets |= side.tickets
        whole.commands += Counter(side.commands)
        whole.calls += Counter(side.calls)
    return whole


@dataclass(frozen=True, slots=True)
class WhatIfPartition:
    """The job of one partition (``streams.replay.partitions``)."""

    options: KafkaOptions
    document: str
    since: int

    async def __call__(self, partition: int, tell: Tell) -> Comparison:
        """Fold what was recorded before, then decide the rest anew."""
        rebuilder = Rebuilder()
        passed: set[TimerName] = set()
        start, seen = None, 0
        async for offset, record in _records(self.options, partition):
            seen += 1
            if start is None and record.recorded_at < self.since:
                rebuilder.feed(orjson.loads(record.to_json()))
            else:
                start = offset if start is None else start
                fact = event_of(record.fact).data
                if isinstance(fact, TimerFired):
                    passed.add((fact.key, fact.timer, fact.due_at))
            tell(seen)
        simulation = Simulation(state=rebuilder.documents(), document=self.document, passed=passed, at=self.since)
        last = self.since
        gathered: list[AuditRecord] = []
        async for offset, record in _records(self.options, partition):
            seen += 1
            tell(seen)
            if start is None or offset < start:
                continue
            last = max(last, record.recorded_at)
            if gathered and not same_place(gathered[0].fact, record.fact):
                simulation.feed(gathered)
                gathered = []
            gathered.append(record)
        if gathered:
            simulation.feed(gathered)
        return simulation.finish(last)


async def _records(options: KafkaOptions, partition: int) -> AsyncIterator[tuple[int, AuditRecord]]:
    """The agent's records of a partition with their offsets."""
    count = 0
    async for raw in read_all(options, AUDIT, partitions=[partition]):
        try:
            record = AuditRecord.from_json(raw.value or b"")
        except ValidationError:
            raise ReadError(
                f"audit[{raw.partition}]@{raw.offset} is not an audit record: `lockstep audit verify` says what is wrong"
            ) from None
        if record.agent == incidents.AGENT:
            yield raw.offset, record
        count += 1
        if count % BREATHE == 0:
            await asyncio.sleep(0)
