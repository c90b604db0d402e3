"""One partition of the audit under draft policies: what was recorded before is folded, the rest decided anew under each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.audit import AuditedFact, AuditRecord
from schemas.facts import TimerFired
from schemas.topics import AUDIT
from streams.checkpoints import beginning, begins
from streams.core import incidents
from streams.core.rebuild import Rebuilder
from streams.core.verify import event_of, same_place
from streams.core.whatif import Comparison, Simulation, TimerName
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import Offsets, ReadError, read_all
from streams.replay.bookmarks import Bookmarks, DamagedBookmark, Keeping, Row, unreadable
from streams.replay.partitions import BREATHE, Tell

#: Of any version.
_TIMER_FIRED = TimerFired.ce_type.rpartition(".v")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfs:
    """What came of one partition, by draft. ``trouble``: why no bookmark could be kept."""

    comparisons: list[Comparison]
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of a partition at some record of it.

    First the whole log is read for the ``rebuilder`` of the draft's instant, the due times that ``passed`` since, and the
    offset ``start`` where the draft begins; then, with ``simulations``, once more from there. ``end``: where the log ended
    when that began. ``seen`` counts the records of both readings, ``gathered`` are those of the last fact.
    """

    end: int
    last: int
    rebuilder: Rebuilder = field(default_factory=Rebuilder)
    passed: set[TimerName] = field(default_factory=set)
    start: int | None = None
    seen: int = 0
    simulations: list[Simulation] | None = None
    gathered: list[AuditRecord] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """All of it, for a bookmark."""
        yield {
            "end": self.end,
            "last": self.last,
            "passed": sorted(self.passed),
            "start": self.start,
            "seen": self.seen,
            "gathered": [record.to_json().decode() for record in self.gathered],
            "simulations": None if self.simulations is None else [one.saved() for one in self.simulations],
        }
        states: list[Mapping[bytes, bytes]] = [one.state for one in self.simulations or ()]
        for place, documents in enumerate(states if self.simulations is not None else [self.rebuilder.documents()]):
            for key, document in documents.items():
                yield {"of": place, "key": key.decode(), "document": document.decode()}

    @classmethod
    def of(cls, rows: Iterator[Row]) -> Known:
        """What ``rows`` gave. Raises ``DamagedBookmark``, ``OSError``."""
        try:
            head = next(rows)
            saved = head["simulations"]
            states: list[dict[bytes, bytes]] = [{} for _ in saved or [None]]
            for row in rows:
                states[row["of"]][row["key"].encode()] = row["document"].encode()
            passed: set[TimerName] = {(key, timer, due) for key, timer, due in head["passed"]}
            known = cls(
                end=head["end"],
                last=head["last"],
                passed=passed,
                start=head["start"],
                seen=head["seen"],
                gathered=[AuditRecord.from_json(text.encode()) for text in head["gathered"]],
            )
            if saved is None:
                known.rebuilder.begin(states[0])
            else:
                known.simulations = [
                    Simulation.resumed(state=state, passed=passed, saved=one)
                    for state, one in zip(states, saved, strict=True)
                ]
            return known
        except (StopIteration, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise DamagedBookmark(str(error)) from None


@dataclass(frozen=True, slots=True)
class WhatIfPartition:
    """The job of one partition (``streams.replay.partitions``). ``ends``: where the log ends for it."""

    options: KafkaOptions
    documents: tuple[str, ...]
    since: int
    beyond_ms: int
    ends: Offsets
    bookmarks: Bookmarks | None = None

    async def __call__(self, partition: int, tell: Tell) -> WhatIfs:
        """Fold what was recorded before, then decide the rest anew under each draft."""
        keeping = Keeping(self.bookmarks, partition)
        known = await self._known(partition, keeping)
        before, start = known.seen, keeping.start(AUDIT)
        if known.simulations is None:
            async with aclosing(self._records(partition, keeping, known, start)) as values:
                async for raw in values:
                    _before(known, raw, self.since)
                    if known.seen % BREATHE == 0:
                        tell(known.seen - before)
            state = known.rebuilder.documents()
            known.simulations = [
                Simulation(state=dict(state), document=document, passed=known.passed, at=self.since)
                for document in self.documents
            ]
            # What was folded is no longer needed.
            known.rebuilder, start = Rebuilder(), {}
        async with aclosing(self._records(partition, keeping, known, start)) as values:
            async for raw in values:
                _since(known, raw)
                if known.seen % BREATHE == 0:
                    tell(known.seen - before)
        if known.gathered:
            _feed(known)
        return WhatIfs(
            comparisons=[one.finish(known.last + self.beyond_ms) for one in known.simulations],
            trouble=keeping.trouble,
        )

    async def _records(
        self, partition: int, keeping: Keeping, known: Known, start: Offsets
    ) -> AsyncGenerator[InputRecord]:
        """Every record of the partition from ``start`` to the end that counts. What is known is kept from time to time."""
        last: InputRecord | None = None
        try:
            async with aclosing(read_all(self.options, AUDIT, partitions=[partition], start=start)) as records:
                async for raw in records:
                    if raw.offset >= known.end:
                        break
                    yield raw
                    known.seen += 1
                    last = raw
                    if known.seen % BREATHE == 0:
                        await asyncio.sleep(0)
                        if keeping.due:
                            keeping.keep(last, known.seen, known.rows())
        except (asyncio.CancelledError, ReadError):
            keeping.keep(last, known.seen, known.rows())
            raise
        if keeping.due_at_end:
            keeping.keep(last, known.seen, known.rows())

    async def _known(self, partition: int, keeping: Keeping) -> Known:
        """What is known where the reading begins."""
        if keeping.bookmark is not None:
            try:
                return Known.of(keeping.rows())
            except (DamagedBookmark, OSError) as error:
                raise unreadable(partition, error) from None
        known = Known(end=self.ends[AUDIT, partition], last=self.since)
        checkpoint = await beginning(self.options, partition)
        if checkpoint is not None:
            if self.since < checkpoint.at:
                raise ReadError(f"{begins(partition, checkpoint)}; give --since a later time")
            known.rebuilder.begin(checkpoint.documents[incidents.AGENT])
        return known


def _before(known: Known, raw: InputRecord, since: int) -> None:
    """A record of the first reading: what the state at the draft's instant is made of, or a due time that passed since."""
    record = _loaded(raw.value or b"", f"audit[{raw.partition}]@{raw.offset}")
    if record["agent"] != incidents.AGENT:
        return
    if known.start is None and record["recorded_at"] < since:
        if not known.rebuilder.has(record):
            known.rebuilder.feed(record)
        return
    known.start = raw.offset if known.start is None else known.start
    if record["fact"]["headers"].get("ce_type", "").startswith(_TIMER_FIRED):
        fact = event_of(AuditedFact.model_construct(**record["fact"])).data
        assert isinstance(fact, TimerFired)
        known.passed.add((fact.key, fact.timer, fact.due_at))


def _since(known: Known, raw: InputRecord) -> None:
    """A record of the second reading: all those of one fact are decided together."""
    if known.start is None or raw.offset < known.start:
        return
    record = AuditRecord.from_json(raw.value or b"")
    if record.agent != incidents.AGENT:
        return
    known.last = max(known.last, record.recorded_at)
    if known.gathered and not same_place(known.gathered[0].fact, record.fact):
        _feed(known)
    known.gathered.append(record)


def _feed(known: Known) -> None:
    for simulation in known.simulations or ():
        simulation.feed(known.gathered)
    known.gathered = []


def _loaded(value: bytes, where: str) -> dict[str, Any]:
    """A record as JSON data. Whoever reads it a second time may rely on its being a record."""
    try:
        record: dict[str, Any] = orjson.loads(value)
        if record["recorded_at"] and record["fact"]["value"] and record["agent"]:
            return record
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise ReadError(f"{where} is not an audit record: `lockstep audit verify` says what is wrong")
