"""The stuck detector: a partition with work that moves nothing ends the process, so that a supervisor restarts it.

Faust consumers are known to stall after a rebalance or after days (see the issues named in the reference pages); the
end of the log is therefore asked of the broker anew and not taken from the consumer's own, possibly stalled, fetches.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka.errors import KafkaError

from streams.delivery.assignment import Assignment
from streams.delivery.fatal import die
from streams.stillness import Stillness

#: A look costs one ListOffsets request per agent.
LOOK_EVERY_S = 5.0


async def watch(assignment: Assignment, consumer: Any) -> None:
    """Look at one agent's partitions until cancelled."""
    limit = assignment.settings.stuck_after_s
    look_every_s = min(LOOK_EVERY_S, limit / 4)
    stillness = Stillness(longest_look_s=2 * look_every_s)
    last = time.monotonic()
    idle = unanswered = 0.0
    while True:
        await asyncio.sleep(look_every_s)
        now = time.monotonic()
        passed, last = now - last, now
        doing = _not_at_work(assignment, consumer)
        idle = idle + min(passed, 2 * look_every_s) if doing else 0.0
        if idle > 2 * limit:
            die(f"agent {assignment.stage.name}: {doing} for {2 * limit:.0f} s")
        places = await _look(assignment, consumer)
        unanswered = unanswered + min(passed, 2 * look_every_s) if places is None else 0.0
        if unanswered > 2 * limit:
            die(f"agent {assignment.stage.name}: Kafka did not say where its topics end for {2 * limit:.0f} s")
        for (topic, partition), seconds in stillness.seen(places or {}, passed).items():
            if seconds >= limit:
                offset, end = (places or {})[(topic, partition)]
                die(
                    f"agent {assignment.stage.name}: {topic} partition {partition} stands at offset {offset} of {end} "
                    f"for {seconds:.0f} s although it may move"
                )


def _not_at_work(assignment: Assignment, consumer: Any) -> str:
    """Why the agent does not work on what it was given, "" where it does: nothing would stand still then, nor move.

    A rebalance and a take-over may each take up to a minute, hence twice the limit.
    """
    if consumer.app.rebalancing:
        return "a rebalance did not end"
    waiting = assignment.assigned - {number for number, lane in assignment.lanes.items() if lane.running}
    return f"partitions {sorted(waiting)} were assigned and not taken up" if waiting else ""


async def _look(assignment: Assignment, consumer: Any) -> dict[tuple[str, int], tuple[int, int]] | None:
    """Next offset and end of every partition that is being worked on; ``None`` where the broker does not answer."""
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
        return None
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
