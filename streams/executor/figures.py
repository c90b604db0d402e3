"""What an executor tells about itself, for ``lockstep status``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Counts since the start of the process. ``closed_since`` (epoch ms) is set while no call may go out, ``held_since``
    while the hour's budget holds some lanes back."""

    settled: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    look_ups: int = 0
    attempts: int = 0
    doubled_tickets: int = 0
    dead_letters: int = 0
    closed_since: int | None = None
    closed_why: str = ""
    held_since: int | None = None
    last_error: str = ""
    last_error_at: int | None = None

    def closed(self, why: str | None, now: int) -> None:
        """Whether the connection is closed at the moment, and why."""
        if why is None:
            self.closed_since, self.closed_why = None, ""
        else:
            self.closed_since = self.closed_since or now
            self.closed_why = why

    def held(self, why: str, now: int) -> None:
        """Whether some lanes may not call at the moment."""
        self.held_since = (self.held_since or now) if why else None

    def error(self, line: str, now: int) -> None:
        """Keep the last thing that went wrong."""
        self.last_error, self.last_error_at = line, now
