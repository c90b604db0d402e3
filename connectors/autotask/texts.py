"""Texts and instants the way Autotask takes them. Lengths from the vendor's field metadata."""

from __future__ import annotations

import re

from schemas.envelope import rfc3339

TITLE, DESCRIPTION, RESOLUTION = 255, 8000, 32000
NOTE_TITLE, NOTE_TEXT = 250, 32000
ITEM_TITLE, SERIAL = 200, 100

#: Line breaks and tabs are text; the other control characters are refused or mangled on the way to a page.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BREAKS = re.compile(r"[\r\n\t]+")


def cut(text: str, limit: int) -> str:
    """The text within ``limit`` characters, counted as .NET and SQL Server do (UTF-16 units); ``…`` marks a cut."""
    clean = _CONTROL.sub("", text)
    if _units(clean) <= limit:
        return clean
    kept = clean[: limit - 1]
    while _units(kept) > limit - 1:
        kept = kept[:-1]
    return kept + "…"


def line(text: str, limit: int) -> str:
    """The text as one line within ``limit``: titles."""
    return cut(_BREAKS.sub(" ", text).strip(), limit)


def marked(title: str, mark: str) -> str:
    """A note's title that ends in its mark, which is never cut: the note is found again by it."""
    if carries(title, mark) and _units(title) <= NOTE_TITLE:
        return line(title, NOTE_TITLE)
    tail = f" [{mark}]"
    bare = title.replace(f"[{mark}]", "").strip()
    return line(bare, NOTE_TITLE - _units(tail)) + tail


def carries(title: str, mark: str) -> bool:
    """Whether a title carries this mark, and not a longer one that begins or ends like it."""
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(mark)}(?![0-9A-Za-z])", title) is not None


def instant(ms: int) -> str:
    """``yyyy-MM-ddTHH:mm:ssZ``: the form that every source accepts on writes."""
    return rfc3339(ms)[:19] + "Z"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
