"""What a look found: a line each, with its level and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

#: ``unseen``: it could not be looked at, and the line says why.
Level = Literal["ok", "warning", "wrong", "unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked at: ``what`` in a word or two, what was ``found``, and what to ``do``."""

    what: str
    level: Level
    found: str
    do: str = ""

    def __str__(self) -> str:
        level = {"ok": "ok", "warning": "warning", "wrong": "WRONG", "unseen": "not seen"}[self.level]
        return f"{level:<9} {self.what}: {self.found}" + (f"; {self.do}" if self.do else "")

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def ok(what: str, found: str) -> Line:
    """All is well."""
    return Line(what=what, level="ok", found=found)


def warning(what: str, found: str, do: str = "") -> Line:
    """Worth knowing; work goes on."""
    return Line(what=what, level="warning", found=found, do=do)


def wrong(what: str, found: str, do: str = "") -> Line:
    """Work does not go on, or not safely, until somebody does something."""
    return Line(what=what, level="wrong", found=found, do=do)


def unseen(what: str, why: str, do: str = "") -> Line:
    """Not looked at, and why."""
    return Line(what=what, level="unseen", found=why, do=do)


def counts(lines: Iterable[Line]) -> dict[str, int]:
    """How many lines of each level."""
    found = dict.fromkeys(("ok", "warning", "wrong", "unseen"), 0)
    for line in lines:
        found[line.level] += 1
    return found


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a line, the first of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
