"""The rhythm of a poller: round after round, back-off while the vendor is in trouble, silence while the gate is closed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping

from connectors.errors import CallFailed
from connectors.ports import CallsSuspended, Gate
from connectors.transport import Jitter, Sleep

log = logging.getLogger(__name__)

#: While the gate is closed it is asked this often (seconds); asking makes no call. Reopened connections are to be
#: noticed within a second by all processes.
GATE_SECONDS = 0.5

#: A list that failed this often in a row is told of: one refused round mends itself, and is only a line in the log.
LASTING = 3

#: The longest pause after failures in a row, in seconds.
LONGEST = 60.0


def back_off(failures: int, *, first: float, jitter: float) -> float:
    """Seconds to wait after so many failures in a row: doubling from ``first``, spread over 50 to 100 %."""
    whole: float = min(LONGEST, first * 2.0 ** min(failures - 1, 10))
    return whole * (0.5 + 0.5 * jitter)


async def until_open(gate: Gate, sleep: Sleep) -> None:
    """Return when calls may go out again; at the earliest after one pause, so that nobody spins at the gate."""
    while True:
        await sleep(GATE_SECONDS)
        try:
            gate.enter()
        except CallsSuspended:
            continue
        return


async def keep_polling(
    name: str,
    work: Callable[[], Awaitable[None]],
    pause: Callable[[], Awaitable[None]],
    *,
    gate: Gate,
    sleep: Sleep,
    jitter: Jitter,
    failing: MutableMapping[str, str] | None = None,
) -> None:
    """Do a round of work, pause, and so on until cancelled. A round that fails is made again, sooner than the next.

    Nothing that a round raises ends the poller: Kafka or the vendor being away is what it waits out. Each failure is
    one line in the log; one that lasts stands in ``failing`` under ``name`` until a round succeeds, for ``status``: a list
    that is refused for good (a missing permission) must not look like one that has nothing new.
    """

    def failed(why: str) -> None:
        if failing is not None and failures >= LASTING:
            failing[name] = f"{name}: {failures} times in a row: {why}"

    failures = 0
    while True:
        try:
            await work()
        except CallsSuspended:
            await until_open(gate, sleep)
            continue
        except CallFailed as failure:
            failures += 1
            log.warning("%s: %s", name, failure.detail)
            failed(failure.detail)
            wait = back_off(failures, first=1.0, jitter=jitter())
            await sleep(max(wait, min(failure.retry_after or 0.0, 300.0)))
        except Exception as error:
            failures += 1
            log.error("%s: %s: %s", name, type(error).__name__, error, exc_info=log.isEnabledFor(logging.DEBUG))
            failed(f"{type(error).__name__}: {error}")
            await sleep(back_off(failures, first=1.0, jitter=jitter()))
        else:
            failures = 0
            if failing is not None:
                failing.pop(name, None)
            await pause()
