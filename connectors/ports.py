"""What connectors need from the process that hosts them. The shell (``streams``) satisfies these by shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from schemas.commands import Command, Lane
from schemas.facts import ConnectionName, Fact

#: Epoch milliseconds, UTC, from the role's one clock (``streams.clock``).
Now = Callable[[], int]


class CallsSuspended(Exception):
    """No call may go out: the connection is NotConnected or Unhealthy, or an operator paused it. One line says why."""


class Gate(Protocol):
    """The health of one connection, as the code that makes the calls sees it (design section 6).

    Every HTTP call is made as: ``epoch = gate.enter()`` (raises ``CallsSuspended``), the call, then one of
    ``refused`` (these credentials do not work: closes the gate for this process before it returns), ``troubled``
    (time-out, 5xx, overload page) or ``worked``.
    """

    connection: ConnectionName

    def enter(self) -> int: ...

    async def refused(self, reason: str, epoch: int) -> None: ...

    async def troubled(self, reason: str) -> None: ...

    async def worked(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Which lanes of work may call at the moment; ``why`` says in one line what holds the others back."""

    lanes: frozenset[Lane] = frozenset(Lane)
    why: str = ""


class OpenGate:
    """A gate that is always open and keeps what it was told: for one-off tools (``test``, ``check``, ``setup``)."""

    def __init__(self, connection: ConnectionName) -> None:
        self.connection: ConnectionName = connection
        self.refusals: list[str] = []

    def enter(self) -> int:
        if self.refusals:
            raise CallsSuspended(self.refusals[-1])
        return 0

    async def refused(self, reason: str, epoch: int) -> None:
        self.refusals.append(reason)

    async def troubled(self, reason: str) -> None:
        return None

    async def worked(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A fact on its way to Kafka. ``id`` is derived; ``time`` is the vendor's (epoch ms).

    ``topic`` is one of the fact topics. For ``control`` the publisher writes one copy for every partition.
    """

    topic: str
    key: str
    id: str
    source: str
    time: int
    fact: Fact
    correlation_id: str | None = None


class Log(Protocol):
    """Kafka, as connectors see it. Every method returns only after the broker has acknowledged (acks=all)."""

    async def publish(self, publications: Sequence[Publication]) -> None: ...

    async def publish_dead_letter(self, *, stage: str, error: str, value: bytes, headers: Mapping[str, str]) -> None:
        """Keep bytes that could not be understood (an unreadable webhook) where an operator finds them."""
        ...

    async def remembered(self, topic: str) -> Mapping[str, bytes]:
        """The last value per key of a compacted topic (``cursors``, ``device-digests``, ``tickets``), read to its end."""
        ...

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        """Write the value of a key to a compacted topic (``None`` forgets it)."""
        ...


class Verdict(Enum):
    """What an attempt to bring about an effect came to."""

    SUCCEEDED = "Succeeded"
    REJECTED = "Rejected"  # the vendor refused it for good; the same call would be refused again
    UNKNOWN = "Unknown"  # sent, no usable answer: it may have happened (time-out, broken body, 5xx after a write)
    TRANSIENT = "Transient"  # surely not done (connection refused before sending): try again later
    THROTTLED = "Throttled"  # flow control (429, thread limit): surely not done, wait ``retry_after`` seconds
    SUSPENDED = "Suspended"  # the gate is closed: no call was made, or this call was refused as 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The result of ``Effects.perform`` or ``Effects.look_up``.

    ``how`` is ``Called``, ``FoundByLookUp``, ``NothingToDo`` or, in a shadow, ``Predicted``; ``written`` tells whether a write reached the vendor
    and was confirmed; ``calls`` counts HTTP calls made. ``reason`` is a noun, ``detail`` one redacted line.
    """

    verdict: Verdict
    how: str = "Called"
    reason: str = ""
    detail: str = ""
    retry_after: float | None = None
    ticket_id: int | None = None
    ticket_number: str | None = None
    ticket_activity_at: int | None = None
    item_id: int | None = None
    company_id: int | None = None
    written: bool = False
    calls: int = 0
    duplicates: tuple[int, ...] = field(default=())


class Effects(Protocol):
    """How commands of one vendor become calls. Stateless apart from caches of metadata."""

    async def perform(self, command: Command) -> Effect:
        """Bring the effect about, assuming it was never attempted: in the normal case one call."""
        ...

    async def look_up(self, command: Command) -> Effect | None:
        """Ask whether the effect is in place after an attempt of unknown outcome. ``None``: surely not, so perform."""
        ...
