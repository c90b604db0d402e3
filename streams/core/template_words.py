"""Why a template cannot be read, in words that need no knowledge of the language it is written in."""

from __future__ import annotations

import re

_TAG = re.compile(r"unknown tag '([^']*)'")
_CHARACTER = re.compile(r"unexpected char (['\"])(.)\1")
_WORDS = "{% if %}, {% elif %}, {% else %} and {% endif %}"
_NAMES = "write names as {{ device.name }}"


def unreadable(template: str, said: str) -> tuple[str, str]:
    """Reason and suggestion for a template that the reader refused, given what it ``said`` in its own words."""
    for begin, end, example in (
        ("{{", "}}", "{{ device.name }}"),
        ("{%", "%}", "{% if device.name %}...{% endif %}"),
        ("{#", "#}", "{# a remark #}"),
    ):
        if template.count(begin) > template.count(end):
            return f"'{begin}' is not closed with '{end}'", f"write {example}"
    tag = _TAG.search(said)
    if tag is not None and tag[1] in ("else", "elif", "endif"):
        return f"{{% {tag[1]} %}} has no {{% if %}} before it", "begin the condition with {% if device.name %}"
    if tag is not None:
        return f"templates have no {{% {tag[1]} %}}", f"they have {_WORDS}"
    if "endif" in said:
        return "a condition is not ended", "write {% endif %} after it"
    character = _CHARACTER.search(said)
    if character is not None and character[2] in "'\"":
        return "a text in it has only one quote", "close it, as in {{ device.name | default('unknown') }}"
    if character is not None:
        return f"the sign '{character[2]}' means nothing in it", _NAMES
    if "got 'end of print statement'" in said and "Expected an expression" in said:
        return "{{ }} names nothing", _NAMES
    if "got 'end of statement block'" in said:
        return "a condition says nothing", "write what it asks, as in {% if device.name %}"
    return (
        "something between its braces cannot be read",
        f"{_NAMES}, with at most a filter: {{{{ device.name | upper }}}}",
    )
