"""How a line is made for people: cut to a width at a word, counted in the singular too, and never more than one line."""

from __future__ import annotations

import re
import textwrap

#: What stands where a text was cut.
ELLIPSIS = "…"
#: Less of a text than this tells nothing.
_LEAST = 12
#: Control characters, and the separators at which a terminal or an editor breaks a line too.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` characters, cut at a word and marked; a single long word is cut where it has to be."""
    if len(text) <= width:
        return text
    kept = text[: max(width, 1) - 1]
    at = kept.rfind(" ")
    # A word that begins early is longer than what would be left of the text without it.
    if not text[len(kept)].isspace() and at > len(kept) // 2:
        kept = kept[:at]
    return kept.rstrip(" ,;:") + ELLIPSIS


def cut_between(before: str, text: str, after: str, width: int | None) -> str:
    """``before``, as much of the text as fits, and ``after`` whole; everything where no width is given."""
    if width is None:
        return before + text + after
    return before + cut(text, max(width - len(before) - len(after), _LEAST)) + after


def wrapped(text: str, width: int | None) -> str:
    """Each line of the text in lines of at most ``width`` characters, broken between words, those that follow further in."""
    if width is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= width:
            lines.append(line)
            continue
        inner = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(
            line, width, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )
    return "\n".join(lines)


def one_line(text: str) -> str:
    """The text without what would break its line or speak to the terminal; such a character is shown by its escape."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def quoted(text: str, *, limit: int = 60) -> str:
    """What somebody wrote, in quotes, with its end left out where it is long."""
    shown = one_line(text.encode("utf-8", "backslashreplace").decode())
    return f"'{shown if len(shown) <= limit else shown[:limit] + ELLIPSIS}'"


def counted(count: int, one: str, more: str = "") -> str:
    """``1 alert``, ``2 alerts``; ``more`` where the plural takes more than an s."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits: ``4 s ago``, ``12 min ago``, ``3 h ago``, ``2 d ago``."""
    whole = max(0, round(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit} ago"
    return f"{whole} s ago"
