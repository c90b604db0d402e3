"""``audit verify``: every recorded fact decided again, per agent and partition, and compared with the live state."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.topics import AUDIT
from streams.core.differing import Difference
from streams.core.ranges import Range
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError, end_offsets, first_offsets
from streams.replay.going_on import Ledger, left
from streams.replay.partitions import over_partitions
from streams.replay.verify_partition import WHOLE, VerifyPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What a verification found: how much was decided again, and the first difference (``None``: none).

    ``settled`` is false where slices were committed while we read, or the range ends before the log does, so that the live state
    could not be compared. ``begins``: the partitions that begin at a checkpoint. Of ``records`` all but ``passed`` were decided again; of those the chain and the changes were looked at.
    ``others`` counts the records of other versions of the core (``streams.core.version``), ``otherwise`` those among them that
    this build would decide otherwise, of which ``first_otherwise`` is one. None of that is a difference.
    All counts include what earlier runs did, where this one went on.
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
    ledger: Ledger | None = None,
) -> AuditResult:
    """Read the whole audit and decide it again; then compare with the live state, which has to stand still for it.

    ``wanted``: what is outside of it is not decided again; what comes after it is not read. ``progress`` is told how many of about how many
    records are done of those that no earlier run did; ``ledger`` keeps how far that is. Never calls a vendor. Raises ``ReadError``.
    """
    for last in (False, False, True):
        before, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
        ends = {place: end for place, end in before.items() if wanted.partition in (None, place[1])}
        if not ends:
            raise ReadError(f"the audit has no partition {wanted.partition}; its partitions are 0 to {len(before) - 1}")
        bookmarks = None if ledger is None else await ledger.bookmarks(options, begin, ends)
        job = VerifyPartition(options, wanted, bookmarks)
        total = left(ends, begin, bookmarks)
        parts = await over_partitions(
            job,
            sorted(partition for _, partition in ends),
            records=total,
            progress=lambda count, total=total: progress(count, total),  # type: ignore[misc]
            processes=processes,
        )
        if ledger is not None:
            ledger.cannot([part.trouble for part in parts])
        records, commands = sum(part.records for part in parts), sum(part.commands for part in parts)
        broken = next((part.difference for part in parts if part.difference is not None), None)
        settled = not job.ends_early and await end_offsets(options, AUDIT) == before
        if broken is None and settled:
            broken = next((part.from_live for part in parts if part.from_live is not None), None)
        if broken is not None or settled or last or job.ends_early:
            if ledger is not None:
                ledger.done()
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
