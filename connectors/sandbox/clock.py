"""The virtual clock that both vendor sandboxes of one process share."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Wall clock plus an offset that only grows: ``advance`` makes hours pass at once."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self._advanced = asyncio.Event()

    def now(self) -> float:
        """Epoch seconds."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once and wake everybody who sleeps by this clock."""
        self.offset += seconds
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep by this clock: ``advance`` shortens the wait."""
        due = self.now() + seconds
        while (left := due - self.now()) > 0:
            advanced = self._advanced
            try:
                await asyncio.wait_for(advanced.wait(), left)
            except TimeoutError:
                return

    def reading(self) -> dict[str, float]:
        """The answer of ``/_sandbox/clock``."""
        return {"now": self.now(), "offset": self.offset}
