"""``audit verify``: every recorded fact decided again, per agent and partition, and compared with the live state."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from schemas.audit import AuditRecord
from schemas.topics import AGENT_STATE, AUDIT
from streams.checkpoints import beginning, begins
from streams.core.ranges import Chooser, Range
from streams.core.verify import Difference, Verifier
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import ReadError, end_offsets, first_offsets, read_all
from streams.replay.partitions import Tell, over_partitions
from streams.views import state_documents

#: A reader of the log answers its heartbeats and signals in between so many records.
BREATHE = 1000
#: All of the audit.
WHOLE = Range()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What a verification found: how much was decided again, and the first difference (``None``: none).

    ``settled`` is false where slices were committed while we read, or the range ends before the log does, so that the live state
    could not be compared. ``begins``: the partitions that begin at a checkpoint. Of ``records`` all but ``passed`` were decided again; of those the chain and the changes were looked at.
    ``others`` counts the records of other versions of the core (``streams.core.version``), ``otherwise`` those among them that
    this build would decide otherwise, of which ``first_otherwise`` is one. None of that is a difference.
    """

    records: int
    passed: int = 0
    commands: int
    difference: Difference | str | None
    settled: bool
    begins: list[str] = field(default_factory=list)
    others: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    first_otherwise: Difference | None = None


async def verify_audit(
    options: KafkaOptions,
    *,
    wanted: Range = WHOLE,
    progress: Callable[[int, int], None] = lambda count, total: None,
    processes: int | None = None,
) -> AuditResult:
    """Read the whole audit and decide it again; then compare with the live state, which has to stand still for it.

    ``wanted``: what is outside of it is not decided again; what comes after it is not read. ``progress`` is told how many of about how many records are done. Never calls a vendor. Raises ``ReadError``.
    """
    for last in (False, False, True):
        before, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
        partitions = sorted(number for _, number in before if wanted.partition in (None, number))
        if not partitions:
            raise ReadError(f"the audit has no partition {wanted.partition}; its partitions are 0 to {len(before) - 1}")
        total = sum(end - begin[place] for place, end in before.items() if place[1] in partitions)
        parts = await over_partitions(
            VerifyPartition(options, wanted),
            partitions,
            records=total,
            progress=lambda count, total=total: progress(count, total),  # type: ignore[misc]
            processes=processes,
        )
        records, commands = sum(part.records for part in parts), sum(part.commands for part in parts)
        broken = next((part.difference for part in parts if part.difference is not None), None)
        ends = VerifyPartition(options, wanted).ends_early
        settled = not ends and await end_offsets(options, AUDIT) == before
        if broken is None and settled:
            broken = next((part.from_live for part in parts if part.from_live is not None), None)
        if broken is not None or settled or last or ends:
            return AuditResult(
                records=records,
                passed=sum(part.passed for part in parts),
                commands=commands,
                difference=broken,
                settled=settled or broken is not None,
                begins=[line for part in parts for line in part.begins],
                others=sum((Counter(part.others) for part in parts), Counter[int]()),
                otherwise=sum(part.otherwise for part in parts),
                first_otherwise=next((part.first_otherwise for part in parts if part.first_otherwise), None),
            )
        await asyncio.sleep(1)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPartition:
    """One partition decided again: ``difference`` within its audit, ``from_live`` against the state (which may move)."""

    records: int
    passed: int = 0
    commands: int
    difference: Difference | str | None
    from_live: Difference | None = None
    begins: list[str] = field(default_factory=list)
    others: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    first_otherwise: Difference | None = None


@dataclass(frozen=True, slots=True)
class VerifyPartition:
    """The job of one partition (``streams.replay.partitions``)."""

    options: KafkaOptions
    wanted: Range = WHOLE

    async def __call__(self, partition: int, tell: Tell) -> VerifiedPartition:
        """Decide the partition's audit again, then compare with its live state."""
        checkpoint = await beginning(self.options, partition)
        states = checkpoint.documents if checkpoint is not None else {}
        verifiers = {agent: Verifier(agent=agent, state=states.get(agent)) for agent in AGENT_STATE}
        records, difference = 0, None
        chooser = None if self.wanted.whole else Chooser(self.wanted)
        async for raw in read_all(self.options, AUDIT, partitions=[partition]):
            where = f"audit[{raw.partition}]@{raw.offset}"
            if chooser is not None and self._over(verifiers, raw):
                break
            records += 1
            difference = _fed(verifiers, raw.value or b"", where, chooser, raw.offset)
            if difference is not None:
                break
            if records % BREATHE == 0:
                tell(records)
                await asyncio.sleep(0)
        tell(records)
        commands = sum(verifier.commands for verifier in verifiers.values())
        passed = sum(verifier.passed for verifier in verifiers.values())
        told = [] if checkpoint is None else [begins(partition, checkpoint)]
        if difference is not None:
            return VerifiedPartition(
                begins=told, records=records, passed=passed, commands=commands, difference=difference
            )
        return VerifiedPartition(
            begins=told,
            records=records,
            passed=passed,
            commands=commands,
            difference=None,
            from_live=None if self.ends_early else _compared(verifiers, await self._live(partition)),
            others=sum((verifier.others for verifier in verifiers.values()), Counter[int]()),
            otherwise=sum(verifier.otherwise for verifier in verifiers.values()),
            first_otherwise=next((v.first_otherwise for v in verifiers.values() if v.first_otherwise), None),
        )

    @property
    def ends_early(self) -> bool:
        """Whether what is read ends before the log does."""
        return self.wanted.until is not None or self.wanted.last is not None

    def _over(self, verifiers: Mapping[str, Verifier], raw: InputRecord) -> bool:
        """Whether the range is over. Never within the records of one fact."""
        if any(verifier.within for verifier in verifiers.values()):
            return False
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return self.wanted.over(raw.offset, orjson.loads(raw.value or b"")["recorded_at"])
        return False

    async def _live(self, partition: int) -> dict[str, Mapping[bytes, bytes]]:
        documents = {agent: await state_documents(self.options, agent, partition) for agent in AGENT_STATE}
        return {agent: found.get(partition, {}) for agent, found in documents.items()}


def _fed(
    verifiers: Mapping[str, Verifier], value: bytes, where: str, chooser: Chooser | None, offset: int
) -> Difference | str | None:
    decides = True
    # What is decided again byte for byte needs no second look; all else is taken apart to say where it differs.
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        document = orjson.loads(value)
        verifier = verifiers[document["agent"]]
        if verifier.has(document):
            return verifier.link(AuditRecord.from_json(value))
        if chooser is not None and not verifier.within:
            # A fact with one decision for each of many keys is decided as a whole, from its first record on.
            decides = chooser.decides(document, offset) and not verifier.goes_on(document)
        if decides and verifier.agrees(document, value):
            return None
    try:
        record = AuditRecord.from_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{where}: this is not an audit record ({first['msg']})"
    if record.agent not in verifiers:
        return f"{where}: there is no agent '{record.agent}'"
    verifier = verifiers[record.agent]
    return verifier.feed(record) if decides else verifier.pass_over(record)


def _compared(verifiers: Mapping[str, Verifier], live: Mapping[str, Mapping[bytes, bytes]]) -> Difference | None:
    for agent, verifier in verifiers.items():
        difference = verifier.finish(live[agent])
        if difference is not None:
            return difference
    return None
