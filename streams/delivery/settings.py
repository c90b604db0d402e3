"""What a worker is given, and what it reports while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from schemas.topics import TIMERS
from streams.limit import DeadLetterLimit

#: Where a crash test may end the process, in the order in which a slice passes them. The argument beside it is the
#: partition number. Nothing but a test passes such a function.
Checkpoint = Literal["before_transaction", "inside_transaction", "after_commit_before_memory"]
AtCheckpoint = Callable[[Checkpoint, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The surroundings of a worker.

    ``client_options`` go to every aiokafka client as they are (``security_protocol``, ``ssl_context``,
    ``sasl_mechanism``, ``sasl_plain_username``, ``sasl_plain_password``); they hold secrets and stay out of the repr.
    ``instance_id`` makes the worker a static member of its groups: a quick restart then costs no rebalance, but a
    worker that goes away leaves its partitions idle for the whole session time-out. ``prefix`` names groups
    (``<prefix>.<agent>``) and transactional ids (``<prefix>.<agent>.<partition>``).
    """

    bootstrap_servers: str
    partitions: int
    data_dir: Path
    client_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    instance_id: str | None = None
    session_timeout_s: float = 10.0
    slice_records: int = 1000
    prefix: str = "lockstep"
    timers_topic: str = TIMERS
    #: A partition that has work and moves nothing for this long ends the process (Faust consumers are known to stall).
    stuck_after_s: float = 60.0
    #: More dead letters than this in one partition end the process instead: the slice that crosses it is undone.
    dead_letters: DeadLetterLimit = field(default_factory=DeadLetterLimit)

    def group(self, agent: str) -> str:
        """The consumer group of an agent."""
        return f"{self.prefix}.{agent}"

    def transactional_id(self, agent: str, partition: int) -> str:
        """The one writer of an agent's partition, whichever process that is."""
        return f"{self.prefix}.{agent}.{partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCommitted:
    """One slice is on the broker and in memory. ``waiting`` counts records of this partition already fetched."""

    agent: str
    partition: int
    records: int
    outputs: int
    states: int
    dead_letters: int
    waiting: int
    next_offsets: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsHeld:
    """The partitions that an agent of this process works on from now on; ``loaded`` of them were read just now."""

    agent: str
    partitions: tuple[int, ...]
    loaded: tuple[int, ...]
    states: int
    seconds: float


Progress = SliceCommitted | PartitionsHeld
OnProgress = Callable[[Progress], None]
Now = Callable[[], int]
