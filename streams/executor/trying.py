"""How long to wait before trying again, and when to give up for now. Pure: time comes in as epoch milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from streams.executor.settings import Jitter, Patience

#: A command's own back-off: 1, 2, 4 ... 60 s. Ten minutes of trying are then about fifteen tries.
LONGEST_BACK_OFF_S = 60.0
#: Flow control without a hint: 1, 2, 4 ... 60 s. Autotask's thread limit frees within seconds, its hourly one slowly.
LONGEST_THROTTLE_S = 60.0
#: From the third failure in a row on it is the vendor and not the command: one call at a time, 1, 2, 4 ... 30 s apart.
FAILURES_OF_THE_VENDOR = 3
LONGEST_PROBE_S = 30.0

#: Longer than the engine's look at the gate (0.2 s), short for a command that was the first to meet the closed gate.
HOLD_S = 0.5


def doubling(count: int, longest_s: float) -> float:
    """1 s for the first, twice as much for each further one, up to ``longest_s``."""
    return min(longest_s, 2.0 ** min(count - 1, 20))


def spread(seconds: float, jitter: Jitter) -> float:
    """Between half of ``seconds`` and all of it."""
    return seconds * (0.5 + 0.5 * jitter())


def later(now: int, seconds: float) -> int:
    """``seconds`` after ``now``, in epoch milliseconds."""
    return now + round(seconds * 1000)


@dataclass(slots=True)
class Trying:
    """What a command has gone through in this process. ``not_own_ms`` are the excluded milliseconds at its first failure.

    ``doubtful``: a call for it had an unknown outcome at some time. ``calls`` counts HTTP calls.
    """

    calls: int = 0
    failures: int = 0
    first_failed_at: int | None = None
    not_own_ms: int = 0
    doubtful: bool = False

    def failed(self, *, now: int, not_own_ms: int) -> None:
        """A try came to nothing and flow control was not the cause."""
        self.failures += 1
        if self.first_failed_at is None:
            self.first_failed_at, self.not_own_ms = now, not_own_ms

    def own_ms(self, *, now: int, not_own_ms: int) -> int:
        """How long it has been trying, without the time in which it could not."""
        if self.first_failed_at is None:
            return 0
        return now - self.first_failed_at - (not_own_ms - self.not_own_ms)

    def next_try(self, *, now: int, not_own_ms: int, patience: Patience, jitter: Jitter) -> int | None:
        """When to try again; ``None`` when its time is used up. The last try is right at the end of it."""
        left_ms = round(patience.defer_after_s * 1000) - self.own_ms(now=now, not_own_ms=not_own_ms)
        if left_ms <= 0:
            return None
        return min(now + left_ms, later(now, spread(doubling(self.failures, LONGEST_BACK_OFF_S), jitter)))


class Pace:
    """How fast the executor as a whole may call: flow control, and caution while the vendor is in trouble."""

    def __init__(self, jitter: Jitter) -> None:
        self._jitter = jitter
        self._failures = 0
        self._failing: set[str] = set()
        self._throttles = 0
        self.not_before = 0
        self.why = ""
        #: Since when it is slowed down (epoch ms), for people.
        self.since: int | None = None

    @property
    def throttled(self) -> bool:
        """Whether the current wait is flow control, which is nobody's failure."""
        return self._throttles > 0

    @property
    def outage(self) -> bool:
        """Whether the vendor as a whole fails: several in a row, of more than one effect. That is no command's own failure.

        One that fails alone is taken for the cause and is deferred after its time, or it would stay for ever.
        """
        return self._failures >= FAILURES_OF_THE_VENDOR and len(self._failing) > 1

    def worked(self) -> None:
        """A call got a usable answer."""
        self._failures = self._throttles = 0
        self._failing.clear()
        self.why, self.since = "", None

    def throttle(self, now: int, retry_after: float | None, why: str) -> int:
        """The vendor asked to wait; returns until when."""
        self._throttles += 1
        # A named time is obeyed to the letter; one of our own is spread, as all who were throttled come back.
        seconds = retry_after
        if seconds is None:
            seconds = spread(doubling(self._throttles, LONGEST_THROTTLE_S), self._jitter)
        self.not_before = max(self.not_before, later(now, seconds))
        self.why, self.since = f"flow control: {why}" if why else "flow control", self.since or now
        return self.not_before

    def hold(self, now: int) -> int:
        """A call met a closed gate: a moment of rest, until it is seen to be closed. Returns until when."""
        self.not_before = max(self.not_before, later(now, HOLD_S))
        return self.not_before

    def failed(self, now: int, why: str, *, effect_key: str) -> None:
        """A call failed in a way that another command's call may fail in too."""
        self._failures += 1
        if len(self._failing) < 2:
            self._failing.add(effect_key)
        if self._failures >= FAILURES_OF_THE_VENDOR:
            seconds = spread(doubling(self._failures - FAILURES_OF_THE_VENDOR + 1, LONGEST_PROBE_S), self._jitter)
            self.not_before = max(self.not_before, later(now, seconds))
            self.why, self.since = f"{self._failures} failures in a row: {why}", self.since or now

    @property
    def careful(self) -> bool:
        """Whether one call at a time is to show first that the vendor can be called again."""
        return self._throttles > 0 or self._failures >= FAILURES_OF_THE_VENDOR


class NotOwn:
    """Adds up the time in which no command could be tried, whatever its own merits."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._total = 0

    def update(self, *, blocked: bool, now: int) -> None:
        """Say whether nothing can be tried at the moment."""
        if blocked and self._since is None:
            self._since = now
        elif not blocked and self._since is not None:
            self._total += now - self._since
            self._since = None

    def total(self, now: int) -> int:
        """Milliseconds so far."""
        return self._total + (now - self._since if self._since is not None else 0)
