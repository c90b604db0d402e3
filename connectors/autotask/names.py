"""From a name as the policy has it (a label or an id) to the tenant's id. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.autotask import NamedRow, PicklistValue
from schemas.commands import Name

_NUMBER = re.compile(r"-?[0-9]{1,18}")
#: So many existing names make a helpful line; more would bury it.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a name can stand for. ``parent``: the one entry of the parent field's list that it goes with."""

    id: int
    label: str
    active: bool = True
    parent: int | None = None


class NameRefused(ValueError):
    """A name that stands for nothing usable. ``reason`` is a noun; the message names what exists instead.

    ``suggestion`` is what to write instead, in short: the nearest name there is, else all of them.
    """

    def __init__(self, reason: str, line: str, suggestion: str = "") -> None:
        super().__init__(line)
        self.reason = reason
        self.suggestion = suggestion or line.partition("; ")[2]


def choices_of_picklist(values: Iterable[PicklistValue]) -> tuple[Choice, ...]:
    """A picklist's entries; metadata writes the numbers as text, and an entry without a number cannot be chosen."""
    return tuple(
        Choice(int(entry.value), entry.label, entry.is_active, _parent(entry))
        for entry in values
        if _NUMBER.fullmatch(entry.value)
    )


def _parent(entry: PicklistValue) -> int | None:
    return int(entry.parent_value) if _NUMBER.fullmatch(entry.parent_value) else None


def choices_of_rows(rows: Iterable[NamedRow]) -> tuple[Choice, ...]:
    """Products, categories or types."""
    return tuple(Choice(row.id, row.name, row.is_active) for row in rows)


def resolve(name: Name, choices: Sequence[Choice], *, what: str) -> int:
    """The id of a name: by exact label, then without regard to case and spaces at the ends, then a text of digits as id.

    ``what`` says in a word what is looked for ("queue"). Raises ``NameRefused``.
    """
    found = _found(name, choices)
    active = [choice for choice in found if choice.active]
    shown = f"{what} {_quoted(name)}"
    if len(active) == 1:
        return active[0].id
    if active:
        ids = ", ".join(str(choice.id) for choice in active)
        raise NameRefused("AmbiguousName", f"{shown} stands for several entries in Autotask (ids {ids}); give the id")
    if found:
        raise NameRefused(
            "InactiveName", f"{shown} is inactive in Autotask; make it active there, or choose from: {_listed(choices)}"
        )
    listed = _listed(choices)
    raise NameRefused("UnknownName", f"{shown} does not exist in Autotask; there are: {listed}", _near(name, choices))


def _near(name: Name, choices: Sequence[Choice]) -> str:
    labels = {choice.label.strip().casefold(): choice.label for choice in choices if choice.active}
    found = get_close_matches(str(name).strip().casefold(), labels, 1)
    return f"did you mean '{labels[found[0]]}'?" if found else ""


def _found(name: Name, choices: Sequence[Choice]) -> list[Choice]:
    if isinstance(name, int):
        return [choice for choice in choices if choice.id == name]
    wanted = name.strip()
    exact = [choice for choice in choices if choice.label == wanted]
    # An exact label that is inactive still yields to an active one that differs in case only.
    alike = [choice for choice in choices if choice.label.strip().casefold() == wanted.casefold()]
    if exact and (any(choice.active for choice in exact) or not any(choice.active for choice in alike)):
        return exact
    if alike:
        return alike
    return [choice for choice in choices if str(choice.id) == wanted]


def _quoted(name: Name) -> str:
    return str(name) if isinstance(name, int) else f"'{name}'"


def _listed(choices: Sequence[Choice]) -> str:
    labels = sorted({choice.label for choice in choices if choice.active and choice.label}, key=str.casefold)
    if not labels:
        return "none"
    more = len(labels) - _SHOWN
    return ", ".join(label[:60] for label in labels[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
