"""Whether one rule's matchers take every alert that another's take: decided matcher by matcher, never guessed.

A "no" may be wrong (two patterns can mean the same), a "yes" is certain: a linter must not call a living rule dead.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core.policy.parts import PRIORITIES, SEVERITIES
from streams.core.policy.when import TimeMatch, When
from streams.core.week import DAY_MINUTES

_TEXTS = ("source_type", "node_class", "tags", "severity", "priority", "condition", "subject", "organization", "location", "role")  # fmt: skip
#: Patterns that any message has in it.
_ANY_MESSAGE = ("", ".*", "^", "$", "^.*", ".*$", "^.*$")
_WEEK = 7 * DAY_MINUTES


def everything(when: When) -> bool:
    """Whether these matchers hold for every alert."""
    return broader(when, When())


def broader(wide: When, narrow: When) -> bool:
    """Whether every alert that ``narrow`` takes is one that ``wide`` takes."""
    return (
        all(_entries(field, getattr(wide, field), getattr(narrow, field)) for field in _TEXTS)
        and _prefixes(wide, narrow)
        and _messages(wide, narrow)
        and _times(wide.time, narrow.time)
    )


def _entries(field: str, wide: Sequence[int | str] | None, narrow: Sequence[int | str] | None) -> bool:
    if wide is None:
        return True
    complete = {"severity": SEVERITIES, "priority": PRIORITIES}.get(field)
    have = _plain(wide)
    if complete is not None and have.issuperset(_plain(complete)):
        return True
    return narrow is not None and _plain(narrow) <= have


def _plain(entries: Sequence[int | str]) -> set[int | str]:
    return {entry.casefold() if isinstance(entry, str) else entry for entry in entries}


def _prefixes(wide: When, narrow: When) -> bool:
    if wide.node_class_prefix is None:
        return True
    # What the device's class begins with follows from either of its two matchers.
    for known in (narrow.node_class, narrow.node_class_prefix):
        if known is not None and all(
            any(entry.upper().startswith(prefix.upper()) for prefix in wide.node_class_prefix) for entry in known
        ):
            return True
    return False


def _messages(wide: When, narrow: When) -> bool:
    if wide.message is None or wide.message.matches in _ANY_MESSAGE:
        return True
    return narrow.message is not None and narrow.message.matches == wide.message.matches


def _times(wide: TimeMatch | None, narrow: TimeMatch | None) -> bool:
    if wide is None:
        return True
    hours = wide.minutes()
    if len(hours) == _WEEK:
        return True
    return narrow is not None and narrow.timezone == wide.timezone and narrow.minutes() <= hours
