"""The stuck detector: a partition with work that moves nothing ends the process, so that a supervisor restarts it.

Faust consumers are known to stall after a rebalance or after days (see the issues named in the reference pages); the
end of the log is therefore asked of the broker anew and not taken from the consumer's own, possibly stalled, fetches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaError

from streams.delivery.assignment import Assignment
from streams.delivery.fatal import die

#: A look costs one ListOffsets request per agent.
LOOK_EVERY_S = 5.0


class Stillness:
    """For how long each input partition has had work and not moved. Pure: it is told what was seen, and when."""

    def __init__(self, *, longest_look_s: float) -> None:
        self._longest_look_s = longest_look_s
        self._places: dict[tuple[str, int], int] = {}
        self._still: dict[tuple[str, int], float] = {}

    def seen(self, places: Mapping[tuple[str, int], tuple[int, int]], seconds: float) -> dict[tuple[str, int], float]:
        """Take one look (``where -> (next offset, end)``), ``seconds`` after the last; answer who stands still since.

        A look counts for at most ``longest_look_s``: a process that was stopped for a minute stood still itself.
        """
        counted = min(seconds, self._longest_look_s)
        still: dict[tuple[str, int], float] = {}
        for where, (offset, end) in places.items():
            if offset < end and self._places.get(where) == offset:
                still[where] = self._still.get(where, 0.0) + counted
        self._places = {where: offset for where, (offset, _) in places.items()}
        self._still = still
        return still


async def watch(assignment: Assignment, consumer: Any) -> None:
    """Look at one agent's partitions until cancelled."""
    limit = assignment.settings.stuck_after_s
    look_every_s = min(LOOK_EVERY_S, limit / 4)
    stillness = Stillness(longest_look_s=2 * look_every_s)
    last = time.monotonic()
    rebalancing = 0.0
    while True:
        await asyncio.sleep(look_every_s)
        now = time.monotonic()
        passed, last = now - last, now
        rebalancing = rebalancing + min(passed, 2 * look_every_s) if consumer.app.rebalancing else 0.0
        if rebalancing > 2 * limit:
            die(f"agent {assignment.stage.name}: a rebalance did not end within {2 * limit:.0f} s")
        places = await _look(assignment, consumer)
        for (topic, partition), seconds in stillness.seen(places, passed).items():
            if seconds >= limit:
                offset, end = places[(topic, partition)]
                die(
                    f"agent {assignment.stage.name}: {topic} partition {partition} stands at offset {offset} of {end} "
                    f"for {seconds:.0f} s although it may move"
                )


async def _look(assignment: Assignment, consumer: Any) -> dict[tuple[str, int], tuple[int, int]]:
    """Next offset and end of every partition that is being worked on; nothing where the broker does not answer."""
    places = {
        (topic, number): offset
        for number, lane in assignment.lanes.items()
        if lane.running
        for topic, offset in lane.next_offsets.items()
        if topic in assignment.stage.topics
    }
    if not places:
        return {}
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            ends = await consumer.highwaters(*(consumer._new_topicpartition(*where) for where in places))
    except (KafkaError, TimeoutError):
        return {}
    seen: dict[tuple[str, int], tuple[int, int]] = {}
    for tp, end in ends.items():
        offset = places[(tp.topic, tp.partition)]
        if end < offset:
            die(
                f"agent {assignment.stage.name}: {tp.topic} partition {tp.partition} ends at {end}, but offset {offset} "
                f"is next: the topic was deleted or truncated"
            )
        seen[(tp.topic, tp.partition)] = (offset, end)
    return seen
