"""``whatif``: the log since an instant, decided under a draft policy, partition by partition; no vendor is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from schemas.topics import AUDIT
from streams.core.whatif import Comparison, Side
from streams.kafka_options import KafkaOptions
from streams.readers import end_offsets, first_offsets
from streams.replay.going_on import Ledger
from streams.replay.partitions import over_partitions
from streams.replay.whatif_partition import WhatIfPartition


async def what_if(
    options: KafkaOptions,
    document: str,
    *,
    since: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
    ledger: Ledger | None = None,
) -> Comparison:
    """What the policy in ``document`` (canonical JSON) would have come to since then (epoch ms). Raises ``ReadError``.

    One that goes on where an earlier run was is about the log as it was when that one began. ``ledger`` keeps how far that is.
    """
    [found] = await what_ifs(options, [document], since=since, progress=progress, processes=processes, ledger=ledger)
    return found


async def what_ifs(
    options: KafkaOptions,
    documents: Sequence[str],
    *,
    since: int,
    beyond_ms: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
    ledger: Ledger | None = None,
) -> list[Comparison]:
    """``what_if`` for several drafts side by side, with one reading of the log; in their order.

    ``beyond_ms``: how long nothing more happens after the log's end but due times that pass, so that what is held there is
    decided as if its alert went on.
    """
    ends, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
    bookmarks = None if ledger is None else await ledger.bookmarks(options, begin, ends)
    # The log is read twice: first for the due times that really passed.
    total = 2 * sum(end - begin[place] for place, end in ends.items())
    if bookmarks is not None:
        total = max(0, total - sum(bookmark.records for bookmark in bookmarks.known.values()))
    parts = await over_partitions(
        WhatIfPartition(options, tuple(documents), since, beyond_ms, ends, bookmarks),
        sorted(partition for _, partition in ends),
        records=total,
        progress=lambda done: progress(done, total),
        processes=processes,
    )
    if ledger is not None:
        ledger.cannot([part.trouble for part in parts])
        ledger.done()
    return [together([part.comparisons[place] for part in parts]) for place in range(len(documents))]


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
