"""Texts for tickets and notes: ``{{ device.name }}`` and the like replaced by values, nothing else.

Alert texts come from machines that an attacker may own, so a template is no language here: names are looked up in a
fixed table, values are inserted once and never read as templates, and control characters are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What a template may name, with what each group is about.
VARIABLES: dict[str, tuple[str, ...]] = {
    "device": ("name", "id", "link", "class", "role"),
    "organization": ("name", "id"),
    "location": ("name",),
    "alert": ("message", "subject", "severity", "source_type", "uid", "condition"),
    "incident": ("external_id",),
}

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\.([a-z_]+)\s*\}\}")
_BRACES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{\{|\{%")
# Everything below the space but tab and line feed, and DEL: nothing a ticket wants, and CR/LF tricks end here.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def render(template: str, values: Mapping[str, Mapping[str, str]], limit: int) -> str:
    """The template with its placeholders filled, at most ``limit`` characters (cut with an ellipsis).

    A name that is not among ``values`` becomes empty text; ``unknown_names`` finds those when a policy is checked.
    """

    def value(match: re.Match[str]) -> str:
        return values.get(match[1], {}).get(match[2], "")

    text = _CONTROL.sub("", _PLACEHOLDER.sub(value, template)).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def unknown_names(template: str) -> list[str]:
    """Placeholders that no value exists for, and braces that are no placeholder, as they stand in the template."""
    wrong = [match[0] for match in _PLACEHOLDER.finditer(template) if match[2] not in VARIABLES.get(match[1], ())]
    wrong += [match[0] for match in _BRACES.finditer(template) if not _PLACEHOLDER.fullmatch(match[0])]
    return wrong
