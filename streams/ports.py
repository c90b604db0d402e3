"""The interface of the delivery module: what it carries in and out, and what an agent's stage gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

RecordHeaders = Sequence[tuple[str, bytes]]


class InputRecord(NamedTuple):
    """A record as it was fetched. ``timestamp`` is Kafka's, in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: RecordHeaders
    timestamp: int


class OutputRecord(NamedTuple):
    """A record that a slice publishes, at an explicit partition."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: RecordHeaders = ()


class Due(NamedTuple):
    """A timer that a state document asks for: fires once at or after ``at`` (epoch ms)."""

    at: int
    timer: str


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What one slice decided: goes out in one transaction together with the next input offsets, then into memory.

    ``states`` holds the changed state documents (``None`` deletes one); ``timers`` the complete set of pending
    timers of each changed key (empty: none any more). ``unreadable`` says why for every record, by topic and offset,
    that became a dead letter among the outputs. ``decisions`` is how many decisions were made.
    """

    outputs: Sequence[OutputRecord]
    states: Mapping[bytes, bytes | None]
    timers: Mapping[bytes, Sequence[Due]] = field(default_factory=dict)
    unreadable: Mapping[tuple[str, int], str] = field(default_factory=dict)
    decisions: int = 0


class Stage(Protocol):
    """An agent's work, as the delivery module drives it. Pure apart from what it is given; must never do I/O.

    ``decide`` gets consecutive records of one partition number (of any of ``topics``) and the partition's committed
    state documents by key, and how many decisions led to them in all; it never raises for a bad record (that becomes a dead letter among the outputs). An
    exception from it is a programming error and ends the process (exit 70), so that nothing is skipped.
    """

    name: str
    topics: tuple[str, ...]
    state_topic: str

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult: ...

    def decisions(self, state: bytes) -> int:
        """How many decisions led to a state document, for a partition that was just loaded."""
        ...

    def timers(self, key: bytes, state: bytes) -> Sequence[Due]:
        """The pending timers of a state document, for a partition that was just loaded."""
        ...
