"""``rebuild``: the state of every agent from the audit's recorded decisions, now or as of an instant, beside the live state."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from schemas.topics import AGENT_STATE, AUDIT
from streams.checkpoints import Checkpoint, beginning, begins
from streams.core.documents import CONTEXT_KEY
from streams.core.rebuild import Rebuilder
from streams.core.views import dispositions
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import ReadError, end_offsets, first_offsets, read_all
from streams.replay.bookmarks import Bookmarks, DamagedBookmark, Keeping, Row, unreadable
from streams.replay.going_on import Ledger, left
from streams.replay.partitions import BREATHE, Tell, over_partitions
from streams.views import state_documents

Documents = dict[str, dict[int, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it: ``documents`` by agent, partition and key; ``differences``, one line per key that is not as it should be.

    ``begins``: the partitions that begin at a checkpoint. ``compared``: whether there was a live state to compare with, standing still (never so as of an instant).
    """

    records: int
    documents: Documents
    differences: list[str] = field(default_factory=list)
    compared: bool = False
    begins: list[str] = field(default_factory=list)


def rows_of(documents: Documents) -> Iterator[dict[str, object]]:
    """Every document as JSON data, for ``--output``."""
    for agent, partitions in documents.items():
        for partition, found in sorted(partitions.items()):
            for key, document in sorted(found.items()):
                yield {"agent": agent, "partition": partition, "key": key.decode(), **orjson.loads(document)}


def alerts_in(documents: Documents) -> dict[str, int]:
    """How many alerts have which disposition, the most frequent first."""
    total: Counter[str] = Counter()
    for partition in documents["incidents"].values():
        for key, document in partition.items():
            if key.decode() != CONTEXT_KEY:
                total += dispositions(document)
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


async def rebuild(
    options: KafkaOptions,
    *,
    as_of: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
    ledger: Ledger | None = None,
) -> Rebuilt:
    """Apply every recorded decision in its order. ``as_of`` (epoch ms): only what was recorded until then.

    ``ledger`` keeps how far that is. Never calls a vendor, decides nothing. Raises ``ReadError``, also where a record of the audit is none.
    """
    for last in (False, False, True):
        before, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
        partitions = sorted(partition for _, partition in before)
        bookmarks = None if ledger is None else await ledger.bookmarks(options, begin, before)
        total = left(before, begin, bookmarks)
        parts = await over_partitions(
            RebuildPartition(options, as_of, bookmarks),
            partitions,
            records=total,
            progress=lambda done, total=total: progress(done, total),  # type: ignore[misc]
            processes=processes,
        )
        if ledger is not None:
            ledger.cannot([part.trouble for part in parts])
        compared = as_of is None and await end_offsets(options, AUDIT) == before
        if compared or last or as_of is not None:
            if ledger is not None:
                ledger.done()
            broken = [line for part in parts for line in (*part.broken, *(part.from_live if compared else ()))]
            by_agent: Documents = {agent: {} for agent in AGENT_STATE}
            for partition, part in zip(partitions, parts, strict=True):
                for agent, documents in part.documents.items():
                    by_agent[agent][partition] = documents
            return Rebuilt(
                records=sum(part.records for part in parts),
                documents=by_agent,
                differences=broken,
                compared=compared,
                begins=[line for part in parts for line in part.begins],
            )
        await asyncio.sleep(1)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltPartition:
    """One partition: documents by agent; what does not add up in itself; what differs from the live state."""

    records: int
    documents: dict[str, dict[bytes, bytes]]
    broken: list[str]
    from_live: list[str]
    begins: list[str]
    trouble: str | None = None


class NoAudit(ReadError):
    """A record of the audit is none."""


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of a partition at some record of it; ``seen``: how many led there."""

    rebuilders: dict[str, Rebuilder]
    begins: list[str]
    seen: int = 0

    def rows(self) -> Iterator[Row]:
        """All of it, for a bookmark."""
        yield {"seen": self.seen, "begins": self.begins}
        for agent, rebuilder in self.rebuilders.items():
            yield {"agent": agent, "records": rebuilder.records}
            digests = rebuilder.digests
            for key, document in rebuilder.documents().items():
                name = key.decode()
                yield {"agent": agent, "key": name, "document": document.decode(), "state": digests[name]}

    @classmethod
    def of(cls, rows: Iterator[Row]) -> Known:
        """What ``rows`` gave. Raises ``DamagedBookmark``, ``OSError``."""
        try:
            head = next(rows)
            records: dict[str, int] = {}
            states: dict[str, dict[bytes, bytes]] = {agent: {} for agent in AGENT_STATE}
            digests: dict[str, dict[str, str]] = {agent: {} for agent in AGENT_STATE}
            for row in rows:
                agent = row["agent"]
                if "records" in row:
                    records[agent] = row["records"]
                else:
                    states[agent][row["key"].encode()] = row["document"].encode()
                    digests[agent][row["key"]] = row["state"]
            rebuilders = {
                agent: Rebuilder.resumed(states[agent], digests=digests[agent], records=records[agent])
                for agent in AGENT_STATE
            }
            return cls(rebuilders=rebuilders, begins=head["begins"], seen=head["seen"])
        except (StopIteration, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedBookmark(str(error)) from None


@dataclass(frozen=True, slots=True)
class RebuildPartition:
    """The job of one partition (``streams.replay.partitions``)."""

    options: KafkaOptions
    as_of: int | None
    bookmarks: Bookmarks | None = None

    async def __call__(self, partition: int, tell: Tell) -> RebuiltPartition:
        """Apply the partition's decisions; compare with its live state unless it is about an earlier instant."""
        keeping = Keeping(self.bookmarks, partition)
        known = await self._known(partition, keeping)
        rebuilders = known.rebuilders
        before = known.seen
        last: InputRecord | None = None
        try:
            async for raw in read_all(self.options, AUDIT, partitions=[partition], start=keeping.start(AUDIT)):
                try:
                    record = orjson.loads(raw.value or b"")
                    rebuilder = rebuilders[record["agent"]]
                    if (self.as_of is None or record["recorded_at"] <= self.as_of) and not rebuilder.has(record):
                        rebuilder.feed(record)
                except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                    raise NoAudit(
                        f"audit[{raw.partition}]@{raw.offset} is not an audit record: `lockstep audit verify` says what is wrong"
                    ) from None
                known.seen += 1
                last = raw
                if known.seen % BREATHE == 0:
                    tell(known.seen - before)
                    await asyncio.sleep(0)
                    if keeping.due:
                        keeping.keep(last, known.seen, known.rows())
        except NoAudit:
            raise
        except (asyncio.CancelledError, ReadError):
            keeping.keep(last, known.seen, known.rows())
            raise
        if keeping.due_at_end:
            keeping.keep(last, known.seen, known.rows())
        tell(known.seen - before)
        documents = {agent: rebuilder.documents() for agent, rebuilder in rebuilders.items()}
        broken = [
            f"{agent} {key}: the changes do not lead to the state that its last record names"
            for agent, rebuilder in rebuilders.items()
            if (key := rebuilder.broken()) is not None
        ]
        live = {} if self.as_of is not None else await self._live(partition)
        return RebuiltPartition(
            records=sum(rebuilder.records for rebuilder in rebuilders.values()),
            begins=known.begins,
            documents=documents,
            broken=broken,
            from_live=[line for agent in live for line in differing(agent, documents[agent], live[agent])],
            trouble=keeping.trouble,
        )

    async def _known(self, partition: int, keeping: Keeping) -> Known:
        """What is known where the reading begins."""
        if keeping.bookmark is not None:
            try:
                return Known.of(keeping.rows())
            except (DamagedBookmark, OSError) as error:
                raise unreadable(partition, error) from None
        rebuilders = {agent: Rebuilder() for agent in AGENT_STATE}
        checkpoint = await beginning(self.options, partition)
        if checkpoint is not None:
            self._knows(partition, checkpoint)
            for agent, rebuilder in rebuilders.items():
                rebuilder.begin(checkpoint.documents[agent])
        return Known(rebuilders=rebuilders, begins=[] if checkpoint is None else [begins(partition, checkpoint)])

    def _knows(self, partition: int, checkpoint: Checkpoint) -> None:
        if self.as_of is not None and self.as_of < checkpoint.at:
            raise ReadError(
                f"{begins(partition, checkpoint)}; what was before is not known any more: ask for a later moment"
            )

    async def _live(self, partition: int) -> dict[str, Mapping[bytes, bytes]]:
        found = {agent: await state_documents(self.options, agent, partition) for agent in AGENT_STATE}
        return {agent: documents.get(partition, {}) for agent, documents in found.items()}


def differing(agent: str, rebuilt: Mapping[bytes, bytes], live: Mapping[bytes, bytes]) -> list[str]:
    """A line for every key whose documents are not the same bytes."""
    lines = []
    for key in sorted({*rebuilt, *live}):
        if rebuilt.get(key) == live.get(key):
            continue
        if key not in rebuilt:
            why = "the live state has it, the audit does not"
        elif key not in live:
            why = "the audit has it, the live state does not"
        else:
            why = "rebuilt and live state are not the same"
        lines.append(f"{agent} {key.decode()}: {why}")
    return lines
