"""The one clock of a role: the machine's, or the sandbox's where ``LOCKSTEP_CLOCK`` names one on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import orjson

from streams.kafka_options import is_loopback

VARIABLE = "LOCKSTEP_CLOCK"
POLL_SECONDS = 0.5
#: The sandbox answers from memory on this machine; a slower one is busy, and the last offset still holds.
ANSWER_SECONDS = 5.0


class ClockError(ValueError):
    """The clock cannot be followed; one line."""


def machine_now() -> int:
    """This machine's own time in epoch milliseconds: for what is about processes, whatever clock the work follows."""
    return time.time_ns() // 1_000_000


class Clock:
    """``now()`` in epoch milliseconds. ``url`` is a sandbox whose clock is followed; ``None`` is the machine's own.

    Raises ``ClockError`` for an address that is not on this machine: a foreign clock could fire every timer at once.
    """

    def __init__(self, url: str | None = None) -> None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
                raise ClockError(f"{VARIABLE}: '{url}' is not a sandbox on this machine (http://127.0.0.1:PORT)")
        self._url = url.rstrip("/") if url else None
        # The sandbox's clock is this machine's plus what was advanced, so the offset alone makes both agree exactly.
        self._offset_ms = 0
        self._advanced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def now(self) -> int:
        """Epoch milliseconds, UTC."""
        return machine_now() + self._offset_ms

    async def start(self) -> None:
        """Read the sandbox's clock and follow it. Raises ``ClockError`` where it does not answer."""
        if self._url is None or self._task is not None:
            return
        try:
            await self._look()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClockError(f"{VARIABLE}: the sandbox at {self._url} does not tell its time ({error})") from None
        self._task = asyncio.create_task(self._follow(), name="clock")

    async def stop(self) -> None:
        """Stop following; the last offset stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def __aenter__(self) -> Clock:
        await self.start()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.stop()

    async def sleep(self, seconds: float) -> None:
        """Wait this long by this clock: an advance of the sandbox's clock shortens the wait."""
        due = self.now() + round(seconds * 1000)
        while (left := due - self.now()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._advanced.wait(), left / 1000)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                # A sandbox that is just restarting: keep the offset, ask again.
                await self._look()

    async def _look(self) -> None:
        offset = round(await asyncio.to_thread(self._ask) * 1000)
        if offset != self._offset_ms:
            self._offset_ms = offset
            self._advanced.set()
            self._advanced = asyncio.Event()

    def _ask(self) -> float:
        # No proxy, whatever the environment says: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
        with opener.open(f"{self._url}/_sandbox/clock", timeout=ANSWER_SECONDS) as answer:
            return float(orjson.loads(answer.read(4096))["offset"])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead off this machine."""

    def redirect_request(self, *arguments: object, **more: object) -> None:
        return None


def clock_of(environment: Mapping[str, str] | None = None) -> Clock:
    """The clock that ``LOCKSTEP_CLOCK`` asks for, else the machine's; still to be started. Raises ``ClockError``."""
    return Clock((os.environ if environment is None else environment).get(VARIABLE) or None)
