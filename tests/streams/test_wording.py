"""Lines for people: cut at a word and marked, one line whatever is in them, and singular where there is one."""

from __future__ import annotations

import pytest

from streams.wording import ago, counted, cut, cut_between, one_line, quoted


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("disk is full", 12, "disk is full"),
        ("disk is full now", 12, "disk is…"),
        ("disk is full now", 13, "disk is full…"),
        ("message: disk, full", 15, "message: disk…"),
        ("c2d6c9d10a8f4a779a543f4d7f0b1c11", 10, "c2d6c9d10…"),
        ("a c2d6c9d10a8f4a779a543f4d7f0b1c11", 10, "a c2d6c9d…"),
        ("", 5, ""),
    ],
)
def test_a_text_is_cut_at_a_word_and_says_so(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown
    assert len(shown) <= width


@pytest.mark.parametrize("width", range(1, 60))
def test_no_cut_is_wider_than_asked_or_ends_within_a_word_that_would_have_fitted(width: int) -> None:
    text = "the quick brown fox jumps over the lazy dog and goes home"
    shown = cut(text, width)
    assert len(shown) <= max(width, 1)
    if shown != text:
        assert shown[-1] == "…"
        kept = shown[:-1]
        assert text.startswith(kept)
        assert text[len(kept)] == " " or " " not in kept or len(kept) > kept.rfind(" ") + 1


def test_what_stands_behind_a_cut_text_stays_whole() -> None:
    assert cut_between("12:00  ", "disk C is nearly full", "; rule all", 30) == "12:00  disk C is…; rule all"
    assert cut_between("12:00  ", "disk C is nearly full", "; rule all", None).endswith("nearly full; rule all")


def test_what_would_break_a_line_or_speak_to_the_terminal_is_shown_by_its_escape() -> None:
    assert one_line("a\nb\x1b[31m\u2028c\x9b") == "a\\nb\\x1b[31m\\u2028c\\x9b"
    assert quoted("x" * 100) == f"'{'x' * 60}…'"
    assert quoted("caf\udce9") == "'caf\\udce9'"


def test_one_is_singular_and_a_time_has_the_largest_unit_that_fits() -> None:
    assert [counted(n, "alert") for n in (0, 1, 2)] == ["0 alerts", "1 alert", "2 alerts"]
    assert counted(2, "company", "companies") == "2 companies"
    assert [ago(s) for s in (-1, 2.4, 119, 120, 7199, 7200, 172_800)] == [
        *("0 s ago", "2 s ago", "119 s ago", "2 min ago", "119 min ago", "2 h ago", "2 d ago"),
    ]
