"""What the reader of the format refuses, in a person's words: one sentence per kind of refusal, and what to write instead."""

from __future__ import annotations

import re
from typing import Any

#: How much of what was written is shown again.
_SHOWN = 40
_QUOTED = re.compile(r"'([^']*)'")
_SECTIONS = frozenset({"model_type", "model_attributes_type", "dict_type", "mapping_type"})
_LISTS = frozenset({"tuple_type", "list_type"})
_WHOLE_NUMBERS = frozenset({"int_type", "int_parsing", "int_from_float", "int_parsing_size"})
_TRUTHS = frozenset({"bool_type", "bool_parsing"})


def in_words(kind: str, written: Any, context: dict[str, Any], known: list[str]) -> tuple[str, str] | None:
    """Reason and suggestion for a refusal of this ``kind``; ``None`` where it has words of its own.

    ``known`` are the keys that may stand below the place, where any may.
    """
    if kind in _SECTIONS:
        shown = f"{shown_value(written)} stands where keys belong"
        return shown, f"write a key and its value below it; there are {', '.join(known)}" if known else _PAIRS
    if kind in _LISTS:
        return f"{shown_value(written)} stands where a list belongs", "write its entries in brackets or with dashes"
    if kind in _WHOLE_NUMBERS:
        return f"{shown_value(written)} is no whole number", "write digits only, such as 17"
    if kind in _TRUTHS:
        return f"{shown_value(written)} is neither true nor false", "write true or false"
    if kind == "string_type":
        return f"{shown_value(written)} is no text", "write it in quotes"
    if kind == "string_too_short":
        return "is empty", "write a text"
    if kind == "literal_error":
        allowed = _QUOTED.findall(str(context.get("expected", ""))) or [str(context.get("expected", ""))]
        return f"{shown_value(written)} is not possible here", "write " + " or ".join(
            [", ".join(allowed[:-1]), allowed[-1]][len(allowed) == 1 :]
        )
    return None


_PAIRS = "write pairs of a key and its value below it, such as link: NinjaOne Link"


def shown_value(value: Any) -> str:
    """What somebody wrote, short, as it stands in the file rather than as a program sees it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a section with keys"
    if isinstance(value, list | tuple):
        return "a list"
    text = " ".join(str(value).split())
    return f"'{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}'"
