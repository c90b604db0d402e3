"""How far a long verb has come: one line on a terminal, rewritten; nothing where standard error is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from streams.cli.base import say_error, width
from streams.wording import cut

#: A person reads no faster, and a terminal costs time.
_EVERY_S = 0.2


class Progress:
    """``with Progress("records") as progress: ... progress(done, total)``. The line is taken away at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            say_error("\r" + " " * self._width + "\r", end="")

    def __call__(self, done: int, total: int) -> None:
        """So many of about so many are done."""
        now = time.monotonic()
        if not self._shown or now - self._last < _EVERY_S:
            return
        self._last = now
        self._show(told(self._what, done, total, now - self._began))

    def step(self, what: str) -> None:
        """What is being done now, where it cannot be counted."""
        if self._shown:
            self._show(what)

    def _show(self, line: str) -> None:
        columns = width(sys.stderr)
        # A line that reaches the last column goes on below, where the next one does not rewrite it.
        shown = line if columns is None else cut(line, max(columns - 1, 1))
        say_error("\r" + shown.ljust(self._width), end="")
        self._width = max(self._width, len(shown))


def told(what: str, done: int, total: int, seconds: float) -> str:
    """The line: how many, the share, and how long it will still take at this pace (``total`` may be an overestimate)."""
    if not 0 < done <= total or seconds <= 0:
        return f"{done} {what}"
    left = round(seconds * (total - done) / done)
    return f"{done} of about {total} {what} ({done / total * 100:.0f} %), {left // 60}:{left % 60:02d} left"
