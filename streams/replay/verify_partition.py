"""One partition of the audit decided again: from its beginning, from a checkpoint, or from where an earlier run was."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from schemas.audit import AuditRecord
from schemas.topics import AGENT_STATE, AUDIT
from streams.checkpoints import beginning, begins
from streams.core.differing import Difference
from streams.core.ranges import Chooser, Range
from streams.core.verify import Verifier
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import ReadError, read_all
from streams.replay.bookmarks import Bookmarks, DamagedBookmark, Keeping, Row, unreadable
from streams.replay.partitions import BREATHE, Tell
from streams.views import state_documents

#: All of the audit.
WHOLE = Range()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPartition:
    """One partition decided again: ``difference`` within its audit, ``from_live`` against the state (which may move).

    All counts are those of all runs that it took. ``trouble``: why no bookmark could be kept.
    """

    records: int
    passed: int = 0
    commands: int
    difference: Difference | str | None
    from_live: Difference | None = None
    begins: list[str] = field(default_factory=list)
    others: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    first_otherwise: Difference | None = None
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of a partition at some record of it."""

    verifiers: dict[str, Verifier]
    chooser: Chooser | None
    begins: list[str]
    records: int = 0

    @property
    def within(self) -> bool:
        """Whether the next records belong to the fact of the last one."""
        return any(verifier.within for verifier in self.verifiers.values())

    def rows(self) -> Iterator[Row]:
        """All of it, for a bookmark."""
        organizations = self.chooser.organizations if self.chooser is not None else {}
        yield {"records": self.records, "begins": self.begins, "organizations": organizations}
        for agent, verifier in self.verifiers.items():
            yield {"agent": agent, "verifier": verifier.saved()}
            for key, document in verifier.state.items():
                yield {"agent": agent, "key": key.decode(), "document": document.decode()}

    @classmethod
    def of(cls, rows: Iterator[Row], wanted: Range) -> Known:
        """What ``rows`` gave. Raises ``DamagedBookmark``, ``OSError``."""
        try:
            head = next(rows)
            saved: dict[str, Row] = {}
            states: dict[str, dict[bytes, bytes]] = {agent: {} for agent in AGENT_STATE}
            for row in rows:
                if "verifier" in row:
                    saved[row["agent"]] = row["verifier"]
                else:
                    states[row["agent"]][row["key"].encode()] = row["document"].encode()
            chooser = None if wanted.whole else Chooser(wanted)
            if chooser is not None:
                chooser.organizations.update(head["organizations"])
            verifiers = {
                agent: Verifier.resumed(agent=agent, state=states[agent], saved=saved[agent]) for agent in AGENT_STATE
            }
            return cls(verifiers=verifiers, chooser=chooser, begins=head["begins"], records=head["records"])
        except (StopIteration, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedBookmark(str(error)) from None


@dataclass(frozen=True, slots=True)
class VerifyPartition:
    """The job of one partition (``streams.replay.partitions``)."""

    options: KafkaOptions
    wanted: Range = WHOLE
    bookmarks: Bookmarks | None = None

    async def __call__(self, partition: int, tell: Tell) -> VerifiedPartition:
        """Decide the partition's audit again, then compare with its live state. ``tell`` is told what this run read."""
        keeping = Keeping(self.bookmarks, partition)
        known = await self._known(partition, keeping)
        verifiers, chooser = known.verifiers, known.chooser
        before, difference = known.records, None
        last: InputRecord | None = None
        try:
            async for raw in read_all(self.options, AUDIT, partitions=[partition], start=keeping.start(AUDIT)):
                if chooser is not None and self._over(known, raw):
                    break
                known.records += 1
                difference = _fed(verifiers, raw, chooser)
                if difference is not None:
                    break
                last = raw
                if known.records % BREATHE == 0:
                    tell(known.records - before)
                    await asyncio.sleep(0)
                    if keeping.due:
                        self._keep(keeping, known, last)
        except (asyncio.CancelledError, ReadError):
            self._keep(keeping, known, last)
            raise
        if difference is None and keeping.due_at_end:
            self._keep(keeping, known, last)
        tell(known.records - before)
        return VerifiedPartition(
            begins=known.begins,
            records=known.records,
            passed=sum(verifier.passed for verifier in verifiers.values()),
            commands=sum(verifier.commands for verifier in verifiers.values()),
            difference=difference,
            from_live=None
            if difference is not None or self.ends_early
            else _compared(verifiers, await self._live(partition)),
            others=sum((verifier.others for verifier in verifiers.values()), Counter[int]()),
            otherwise=sum(verifier.otherwise for verifier in verifiers.values()),
            first_otherwise=next((v.first_otherwise for v in verifiers.values() if v.first_otherwise), None),
            trouble=keeping.trouble,
        )

    @property
    def ends_early(self) -> bool:
        """Whether what is read ends before the log does."""
        return self.wanted.until is not None or self.wanted.last is not None

    async def _known(self, partition: int, keeping: Keeping) -> Known:
        """What is known where the reading begins."""
        if keeping.bookmark is not None:
            try:
                return Known.of(keeping.rows(), self.wanted)
            except (DamagedBookmark, OSError) as error:
                raise unreadable(partition, error) from None
        checkpoint = await beginning(self.options, partition)
        states = checkpoint.documents if checkpoint is not None else {}
        return Known(
            verifiers={agent: Verifier(agent=agent, state=states.get(agent)) for agent in AGENT_STATE},
            chooser=None if self.wanted.whole else Chooser(self.wanted),
            begins=[] if checkpoint is None else [begins(partition, checkpoint)],
        )

    def _keep(self, keeping: Keeping, known: Known, last: InputRecord | None) -> None:
        if not known.within:
            keeping.keep(last, known.records, known.rows())

    def _over(self, known: Known, raw: InputRecord) -> bool:
        """Whether the range is over. Never within the records of one fact."""
        if known.within:
            return False
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return self.wanted.over(raw.offset, orjson.loads(raw.value or b"")["recorded_at"])
        return False

    async def _live(self, partition: int) -> dict[str, Mapping[bytes, bytes]]:
        documents = {agent: await state_documents(self.options, agent, partition) for agent in AGENT_STATE}
        return {agent: found.get(partition, {}) for agent, found in documents.items()}


def _fed(verifiers: Mapping[str, Verifier], raw: InputRecord, chooser: Chooser | None) -> Difference | str | None:
    value, where = raw.value or b"", f"audit[{raw.partition}]@{raw.offset}"
    decides = True
    # What is decided again byte for byte needs no second look; all else is taken apart to say where it differs.
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        document = orjson.loads(value)
        if raw.key != document["key"].encode():
            # No hash covers it, and readers find a device's records by it.
            filed = "none" if raw.key is None else repr(raw.key.decode(errors="replace"))
            return f"{where}: the record's key in Kafka is {filed}, and it is about '{document['key']}'"
        verifier = verifiers[document["agent"]]
        if verifier.has(document):
            linked = AuditRecord.from_json(value)
            return _rewritten(linked, value, where) or verifier.link(linked)
        if chooser is not None and not verifier.within:
            # A fact with one decision for each of many keys is decided as a whole, from its first record on.
            decides = chooser.decides(document, raw.offset) and not verifier.goes_on(document)
        if decides and verifier.agrees(document, value):
            return None
    try:
        record = AuditRecord.from_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{where}: this is not an audit record ({first['msg']})"
    rewritten = _rewritten(record, value, where)
    if rewritten is not None:
        return rewritten
    if record.agent not in verifiers:
        return f"{where}: there is no agent '{record.agent}'"
    verifier = verifiers[record.agent]
    return verifier.feed(record) if decides else verifier.pass_over(record)


def _rewritten(record: AuditRecord, value: bytes, where: str) -> str | None:
    """Bytes that nobody wrote, although they read the same: white space, a field twice, another order. The hash is of what is read."""
    written = record.to_json()
    if written == value:
        return None
    place = next(
        (i for i, (a, b) in enumerate(zip(written, value, strict=False)) if a != b), min(len(written), len(value))
    )
    return f"{where}: the record says what was written and is not its bytes, from byte {place} on"


def _compared(verifiers: Mapping[str, Verifier], live: Mapping[str, Mapping[bytes, bytes]]) -> Difference | None:
    for agent, verifier in verifiers.items():
        difference = verifier.finish(live[agent])
        if difference is not None:
            return difference
    return None
