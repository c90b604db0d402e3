"""When to stop rather than fill the dead letters: too many unreadable records in a row, or among the last ones.

One damaged record is a dead letter and holds nobody up. A hundred in a row are no damage any more: a newer version
writes what this one cannot read, or something foreign writes to the topic. Going on would empty the topic into the
dead letters, out of its order; stopping keeps it where it is until somebody has looked.

Pure: a tally follows from the records of one topic and partition in their order, however they were cut into slices and
whichever process read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterLimit:
    """How many dead letters one partition of one topic may give before its reader stops.

    ``consecutive`` in a row; or more than ``ratio`` of ``window`` records, counted from the first dead letter on.
    ``consecutive=-1``: neither of the two, and what was counted is forgotten. The defaults: a single damaged record is
    1 in a row, a run of 100 is a person's hour of reading, retried within a second; 500 of 1,000 means that one of two
    writers is not understood. ``setting`` names the section of the settings, for the line that says what to do.
    """

    consecutive: int = 100
    ratio: float = 0.5
    window: int = 1000
    setting: str = "worker.dead_letters"


class Tally(NamedTuple):
    """One topic and partition: dead letters in a row up to now; records and dead letters of the open window."""

    in_a_row: int = 0
    seen: int = 0
    dead: int = 0

    def after(self, dead: bool, limit: DeadLetterLimit) -> Tally:
        """With one more record. A window that was full is followed by a new one, which the next dead letter opens."""
        full = self.seen >= limit.window
        seen, deads = (0, 0) if full else (self.seen, self.dead)
        if deads or dead:
            seen, deads = seen + 1, deads + dead
        return Tally(self.in_a_row + 1 if dead else 0, seen, deads)

    def exceeds(self, limit: DeadLetterLimit) -> bool:
        """Whether the limit is reached."""
        return self.in_a_row >= limit.consecutive or self.dead > limit.ratio * limit.window


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The record at ``offset`` is one dead letter too many; ``first_error`` is the first of those read just now."""

    topic: str
    partition: int
    offset: int
    tally: Tally
    first_offset: int
    first_error: str
    limit: DeadLetterLimit

    def __str__(self) -> str:
        limit, tally = self.limit, self.tally
        run = tally.in_a_row >= limit.consecutive
        many = f"{tally.in_a_row} records in a row" if run else f"{tally.dead} of {tally.seen} records"
        variable = f"LOCKSTEP_{limit.setting.upper().replace('.', '__')}__CONSECUTIVE"
        return (
            f"{many} of {self.topic} partition {self.partition} cannot be read, up to offset {self.offset} (first here: "
            f"offset {self.first_offset}: {self.first_error[:300]}); stopped before they all become dead letters, nothing is "
            f"lost: update Lockstep or stop what writes them, or let them become dead letters with {variable}=-1"
        )


def counted(
    tallies: Mapping[str, Tally],
    partition: int,
    records: Iterable[tuple[str, int]],
    unreadable: Mapping[tuple[str, int], str],
    limit: DeadLetterLimit,
) -> tuple[dict[str, Tally], Exceeded | None]:
    """The tallies by topic after these records (topic and offset, in order), and whether one of them exceeds the limit.

    Topics without a recent dead letter have no tally, so that the usual slice costs nothing.
    """
    if limit.consecutive < 0 or not (tallies or unreadable):
        return {}, None
    after = dict(tallies)
    first: dict[str, tuple[int, str]] = {}
    for topic, offset in records:
        error = unreadable.get((topic, offset))
        if error is None and topic not in after:
            continue
        if error is not None:
            first.setdefault(topic, (offset, error))
        tally = after.get(topic, Tally()).after(error is not None, limit)
        if error is not None and tally.exceeds(limit):
            return after, Exceeded(topic, partition, offset, tally, *first[topic], limit)
        if tally == Tally():
            del after[topic]
        else:
            after[topic] = tally
    return after, None
