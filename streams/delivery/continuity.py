"""No gap unseen: every input topic must go on exactly where the last batch of it ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.delivery.fatal import die
from streams.ports import InputRecord

#: A gap that is still there after going back this often is not a race with a seek but a hole in the log itself.
GO_BACK_LIMIT = 3

log = logging.getLogger("lockstep.delivery")


class Place(NamedTuple):
    """Where an agent goes on in one input partition; ``None`` where it has never read it."""

    topic: str
    partition: int
    next_offset: int | None


class Continuity:
    """The next expected offset of every input partition of one agent, since the last seek.

    The offset of an input is what tells done from not done, so a hole would become silent loss. Input topics are
    written without transactions and never compacted: their offsets have no holes of their own.
    """

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._next: dict[tuple[str, int], int] = {}
        self._gone_back: dict[tuple[str, int], int] = {}
        self._left_at: dict[tuple[str, int], int] = {}

    def start(self, places: Mapping[tuple[str, int], int]) -> None:
        """Begin anew with the offsets that were just sought."""
        self._next = dict(places)
        self._gone_back.clear()
        self._left_at.clear()

    def checked(self, place: Place, beginning: int, end: int) -> int:
        """The offset to seek to. Ends the process where the log is shorter than what was already decided."""
        topic, partition, wanted = place
        if wanted is None:
            return beginning
        if wanted > end:
            die(
                f"agent {self._agent}: {topic} partition {partition} ends at {end}, but offset {wanted} is next: the "
                f"topic was deleted or truncated; restore it, or delete the agent's state topic to begin anew"
            )
        return self._not_before(place, beginning, wanted)

    def expected(self, topic: str, partition: int) -> int | None:
        """The next offset of a partition, ``None`` where it is none of those that were sought."""
        return self._next.get((topic, partition))

    def take(self, topic: str, partition: int, records: Sequence[InputRecord]) -> Sequence[InputRecord] | None:
        """The records not yet seen (a fetch around a seek repeats some), or ``None`` where something is missing."""
        where = (topic, partition)
        expected = self._next.get(where)
        if expected is None:
            return []
        if records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
            if not records:
                return []
        if records[0].offset > expected:
            return None
        after = records[-1].offset + 1
        if after - expected != len(records):
            die(
                f"agent {self._agent}: {topic} partition {partition} has holes between offsets {expected} and {after}: "
                f"it must have cleanup.policy=delete and be written without transactions"
            )
        self._next[where] = after
        self._gone_back.pop(where, None)
        return records

    def after_gap(self, topic: str, partition: int, beginning: int) -> int:
        """Where to go back to after ``take`` said ``None``; past the hole only if retention made it."""
        where = (topic, partition)
        expected = self._next[where]
        offset = self._not_before(Place(topic, partition, expected), beginning, expected)
        times = self._gone_back[where] = self._gone_back.get(where, 0) + 1
        if offset == expected and times > GO_BACK_LIMIT:
            die(
                f"agent {self._agent}: {topic} partition {partition} has no offset {expected}: it must have "
                f"cleanup.policy=delete and be written without transactions"
            )
        if offset != expected:
            self._left_at.setdefault(where, expected)
        self._next[where] = offset
        return offset

    def follows(self, topic: str, partition: int, first: int) -> int:
        """The place that a batch from ``first`` on continues: ``first``, or where retention made us leave off."""
        return self._left_at.pop((topic, partition), first)

    def _not_before(self, place: Place, beginning: int, wanted: int) -> int:
        if wanted >= beginning:
            return wanted
        log.error(
            "agent %s: %s partition %d: offsets %d to %d were deleted by retention before they were decided; "
            "they are lost, going on at %d. Raise the topic's retention, then resync.",
            self._agent, place.topic, place.partition, wanted, beginning - 1, beginning,
        )  # fmt: skip
        return beginning
