"""``whatif``: the log since an instant, decided under a draft policy, partition by partition; no vendor is called."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.audit import AuditedFact, AuditRecord
from schemas.facts import TimerFired
from schemas.topics import AUDIT
from streams.checkpoints import beginning, begins
from streams.core import incidents
from streams.core.rebuild import Rebuilder
from streams.core.verify import event_of, same_place
from streams.core.whatif import Comparison, Side, Simulation, TimerName
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError, end_offsets, first_offsets, read_all
from streams.replay.partitions import BREATHE, Tell, over_partitions

#: Of any version.
_TIMER_FIRED = TimerFired.ce_type.rpartition(".v")[0]


async def what_if(
    options: KafkaOptions,
    document: str,
    *,
    since: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> Comparison:
    """What the policy in ``document`` (canonical JSON) would have come to since then (epoch ms). Raises ``ReadError``."""
    [found] = await what_ifs(options, [document], since=since, progress=progress, processes=processes)
    return found


async def what_ifs(
    options: KafkaOptions,
    documents: Sequence[str],
    *,
    since: int,
    beyond_ms: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> list[Comparison]:
    """``what_if`` for several drafts side by side, with one reading of the log; in their order.

    ``beyond_ms``: how long nothing more happens after the log's end but due times that pass, so that what is held there is
    decided as if its alert went on.
    """
    ends, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
    # The log is read twice: first for the due times that really passed.
    total = 2 * sum(end - begin[place] for place, end in ends.items())
    parts = await over_partitions(
        WhatIfPartition(options, tuple(documents), since, beyond_ms),
        sorted(partition for _, partition in ends),
        records=total,
        progress=lambda done: progress(done, total),
        processes=processes,
    )
    return [together([part[place] for part in parts]) for place in range(len(documents))]


def together(parts: Sequence[Comparison]) -> Comparison:
    """The comparison over all partitions."""
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
    documents: tuple[str, ...]
    since: int
    beyond_ms: int = 0

    async def __call__(self, partition: int, tell: Tell) -> list[Comparison]:
        """Fold what was recorded before, then decide the rest anew under each draft."""
        state, passed, start, seen = await self._before(partition, tell)
        simulations = [
            Simulation(state=dict(state), document=document, passed=passed, at=self.since)
            for document in self.documents
        ]

        def feed(records: list[AuditRecord]) -> None:
            for simulation in simulations:
                simulation.feed(records)

        last = self.since
        gathered: list[AuditRecord] = []
        async for offset, value in _values(self.options, partition):
            seen += 1
            if seen % BREATHE == 0:
                tell(seen)
            if start is None or offset < start:
                continue
            record = AuditRecord.from_json(value)
            if record.agent != incidents.AGENT:
                continue
            last = max(last, record.recorded_at)
            if gathered and not same_place(gathered[0].fact, record.fact):
                feed(gathered)
                gathered = []
            gathered.append(record)
        if gathered:
            feed(gathered)
        return [simulation.finish(last + self.beyond_ms) for simulation in simulations]

    async def _before(self, partition: int, tell: Tell) -> tuple[dict[bytes, bytes], set[TimerName], int | None, int]:
        """The state at the draft's instant, the due times that passed since, where the log goes on, how many were read."""
        rebuilder, passed = Rebuilder(), set()
        checkpoint = await beginning(self.options, partition)
        if checkpoint is not None:
            if self.since < checkpoint.at:
                raise ReadError(f"{begins(partition, checkpoint)}; give --since a later time")
            rebuilder.begin(checkpoint.documents[incidents.AGENT])
        start, seen = None, 0
        async for offset, value in _values(self.options, partition):
            seen += 1
            if seen % BREATHE == 0:
                tell(seen)
            record = _loaded(value, f"audit[{partition}]@{offset}")
            if record["agent"] != incidents.AGENT:
                continue
            if start is None and record["recorded_at"] < self.since:
                if not rebuilder.has(record):
                    rebuilder.feed(record)
                continue
            start = offset if start is None else start
            if record["fact"]["headers"].get("ce_type", "").startswith(_TIMER_FIRED):
                fact = event_of(AuditedFact.model_construct(**record["fact"])).data
                assert isinstance(fact, TimerFired)
                passed.add((fact.key, fact.timer, fact.due_at))
        return rebuilder.documents(), passed, start, seen


async def _values(options: KafkaOptions, partition: int) -> AsyncIterator[tuple[int, bytes]]:
    """Every record of a partition of the audit, with its offset."""
    count = 0
    async for raw in read_all(options, AUDIT, partitions=[partition]):
        yield raw.offset, raw.value or b""
        count += 1
        if count % BREATHE == 0:
            await asyncio.sleep(0)


def _loaded(value: bytes, where: str) -> dict[str, Any]:
    """A record as JSON data. Whoever reads it a second time may rely on its being a record."""
    try:
        record: dict[str, Any] = orjson.loads(value)
        if record["recorded_at"] and record["fact"]["value"] and record["agent"]:
            return record
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise ReadError(f"{where} is not an audit record: `lockstep audit verify` says what is wrong")
