"""``shadow``: the audit and topic ``shadow`` read to their ends, and compared. No vendor is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from schemas.audit import AuditRecord
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.topics import AUDIT, OPERATIONS, SHADOW
from streams.core.shadow.ours import Ours
from streams.core.shadow.report import ShadowReport, report
from streams.core.shadow.theirs import Theirs
from streams.kafka_options import KafkaOptions
from streams.mode import ModeError, mode_of
from streams.readers import end_offsets, first_offsets, last_values, read_all
from streams.replay.partitions import BREATHE, Tell, over_partitions


async def shadow_report(
    options: KafkaOptions,
    *,
    now: int,
    since: int = 0,
    rule: str | None = None,
    grace_ms: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ShadowReport:
    """How Lockstep and the other connector compare. Raises ``ReadError``, and ``ModeError`` on the log of a live installation."""
    if mode_of(await last_values(options, OPERATIONS)) != "shadow":
        raise ModeError(
            f"the log at {options.bootstrap_servers} is not a shadow's, so there is nothing to compare; "
            "'lockstep up --shadow' on a log of its own starts one (docs/shadow.md)"
        )
    ends, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
    total = sum(end - begin[place] for place, end in ends.items())
    parts = await over_partitions(
        ShadowPartition(options),
        sorted(partition for _, partition in ends),
        records=total,
        progress=lambda done: progress(done, total),
    )
    ours, theirs = Ours(), Theirs()
    for part in parts:
        ours.add(part)
    async for record in read_all(options, SHADOW):
        try:
            theirs.feed(decode_fact(record.headers, record.value).data)
        except DecodeError:
            # Of a newer Lockstep; what it says is read from Autotask again when the ticket changes.
            continue
    return report(ours, theirs, now=now, since=since, rule=rule, grace_ms=grace_ms)


@dataclass(frozen=True, slots=True)
class ShadowPartition:
    """The job of one partition of the audit (``streams.replay.partitions``)."""

    options: KafkaOptions

    async def __call__(self, partition: int, tell: Tell) -> Ours:
        """Fold its decisions."""
        ours, seen = Ours(), 0
        async for record in read_all(self.options, AUDIT, partitions=[partition]):
            ours.feed(AuditRecord.from_json(record.value or b""))
            seen += 1
            if seen % BREATHE == 0:
                tell(seen)
                await asyncio.sleep(0)
        return ours
