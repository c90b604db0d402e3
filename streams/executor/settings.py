"""What an executor is given: how to reach Kafka, which command topic, and the times of its patience."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from schemas.topics import ATTEMPTS, COMMAND_TOPICS, DEAD_LETTERS, OUTCOMES
from streams.kafka_options import KafkaOptions
from streams.limit import DeadLetterLimit

#: A number from 0 to 1 (``random.random``): spreads over time what failed together.
Jitter = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

#: Where a crash test may end the process, in the order in which a command passes them. Nothing but a test passes such
#: a function. ``calling``: the last look was taken, the call is next. ``outcome_recorded``: the settlement is in
#: ``attempts``, not yet in ``outcomes``.
CrashPoint = Literal["attempt_written", "calling", "call_returned", "outcome_recorded", "settled"]
AtPoint = Callable[[CrashPoint], None]

#: The vendors allow three calls at once per endpoint (Autotask's thread limit); the third belongs to pollers and tools.
MOST_CALLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds.

    ``look_up_after_s``: an answer that was lost may belong to a write that is still on its way at the vendor.
    ``second_look_after_s``: when an unknown create is looked at once more. ``defer_after_s``: how much trying of its
    own a command gets before it settles as ``Deferred``; time in which the connection was closed, the vendor asked to
    wait or failed as a whole (``trying.Pace.outage``) does not count: after an outage what waited goes out at once.
    """

    look_up_after_s: float = 15.0
    second_look_after_s: float = 600.0
    defer_after_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """The surroundings of one executor. Raises ``ValueError`` in one line for what does not fit.

    ``commands`` is one of ``schemas.topics.COMMAND_TOPICS``. ``topic_prefix`` stands before every topic, group and
    transactional id (tests share a broker). ``instance_id`` makes it a static member of its group.
    """

    kafka: KafkaOptions
    commands: str
    window: int = 20_000
    calls_at_once: int = MOST_CALLS
    patience: Patience = Patience()
    #: How long calls in flight may finish when the process stops or the topic goes to another executor.
    stop_grace_s: float = 20.0
    session_timeout_s: float = 10.0
    instance_id: str | None = None
    topic_prefix: str = ""
    #: More unreadable commands than this end the process: the records that cross it stay where they are.
    dead_letter_limit: DeadLetterLimit = field(default_factory=lambda: DeadLetterLimit(setting="executor.dead_letters"))
    #: Readable work that does not arrive for this long: the consumer has stalled (design section 5, rule 6).
    stalled_after_s: float = 60.0

    def __post_init__(self) -> None:
        if self.commands not in COMMAND_TOPICS:
            raise ValueError(f"'{self.commands}' is no command topic; there are {', '.join(COMMAND_TOPICS)}")
        if not 1 <= self.calls_at_once <= MOST_CALLS:
            raise ValueError(f"an executor makes 1 to {MOST_CALLS} calls at once, not {self.calls_at_once}")
        if self.window < 1:
            raise ValueError(f"an executor's window holds at least 1 command, not {self.window}")

    @property
    def topic(self) -> str:
        """The Kafka topic with the commands."""
        return self.topic_prefix + self.commands

    @property
    def attempts(self) -> str:
        """The compacted topic with the attempts."""
        return self.topic_prefix + ATTEMPTS

    @property
    def outcomes(self) -> str:
        """The topic that takes the settlements."""
        return self.topic_prefix + OUTCOMES

    @property
    def dead_letters(self) -> str:
        """The topic that keeps what cannot be decoded."""
        return self.topic_prefix + DEAD_LETTERS

    @property
    def name(self) -> str:
        """Consumer group and transactional id: one executor owns the topic, whichever process that is."""
        return f"{self.topic_prefix}lockstep.executor.{self.commands}"
