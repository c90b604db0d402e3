"""What a call is made of: the request, the answer, who it is made as, and how long and how often it may be tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Sleep = Callable[[float], Awaitable[None]]
#: A number in [0, 1), for spreading retries.
Jitter = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. ``total`` bounds a call from the first byte to the last, whatever the parts do.

    connect 5: a lost SYN is repeated after 1 s and again after 2 s more (RFC 6298), so two losses fit with TLS behind.
    read 20: the longest silence. Autotask adds at most 1 s a request when it slows a tenant down, and gateways give
    up after 30 s or more; who is silent for 20 s will be asked again, or looked up, rather than waited for.
    total 30: connect 5 + silence 20 + 5 for a body that trickles. Two of them stay below the 60 s after which a
    partition that moves nothing ends its process.
    """

    connect: float = 5.0
    read: float = 20.0
    total: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How reads are repeated: ``attempts`` in all, waits of ``first`` x2 each up to ``longest`` seconds.

    Each wait is spread over 50 to 100 % of its length, so that processes that failed together do not return together.
    A vendor's Retry-After is obeyed up to ``patience`` seconds; a longer one is handed to the caller.
    """

    attempts: int = 3
    first: float = 0.5
    longest: float = 8.0
    patience: float = 10.0

    def wait(self, tried: int, jitter: float) -> float:
        """Seconds to wait after the ``tried``-th attempt (from 1)."""
        whole = min(self.longest, self.first * 2.0 ** (tried - 1))
        return whole * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this process allows itself: calls side by side per endpoint, and the size of an answer in bytes.

    Autotask allows three calls at once per endpoint: two for the executor, one for pollers and tools (the default).
    64 MiB: an unpaged list of 50,000 alerts at about 1 KiB each.
    """

    in_flight: int = 1
    body_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. ``path`` is relative to the base address (an absolute address must be of the same host).

    ``endpoint`` names whose limit it counts against; ``write`` says whether it changes anything, which the method does
    not tell (an Autotask query is a POST). ``json`` or ``form`` is the body. ``attempts`` overrides how often a read is
    tried, ``timeouts`` how long it may take.
    """

    method: str
    path: str
    endpoint: str
    write: bool = False
    params: Sequence[tuple[str, str]] = ()
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    authenticated: bool = True
    attempts: int | None = None
    timeouts: Timeouts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success. ``data`` is the decoded JSON (``None`` for an empty body); ``calls`` what it took to get it."""

    status: int
    data: Any
    headers: Mapping[str, str]
    calls: int = 1


class Credentials(Protocol):
    """What makes a call authenticated."""

    async def headers(self) -> Mapping[str, str]:
        """The headers of a call, asking for a token if there is none. Raises ``CallFailed``, ``CallsSuspended``."""
        ...

    async def renewed(self, refused: Mapping[str, str]) -> bool:
        """After a 401 to a call with these headers: whether there are others now. ``False`` means: refused for good."""
        ...


class FixedHeaders:
    """Credentials that do not expire: the same headers on each call, nothing to renew."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    async def renewed(self, refused: Mapping[str, str]) -> bool:
        return False
