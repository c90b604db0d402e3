"""What two policies say differently, key by key: what somebody wants to see before one replaces the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.model import canonical

#: What tells the entries of a list apart, where each has one of its own; other lists are compared as a whole.
_NAMED_BY = ("name", "organization")


@dataclass(frozen=True, slots=True)
class Difference:
    """One key. ``was`` and ``now`` are JSON values; ``absent`` says which of the two does not have the key."""

    key: str
    was: Any = None
    now: Any = None
    absent: str = ""

    @property
    def line(self) -> str:
        """For people: ``+`` is new, ``-`` is gone, ``~`` has another value."""
        if self.absent == "was":
            return f"+ {self.key}: {_shown(self.now)}"
        if self.absent == "now":
            return f"- {self.key}: {_shown(self.was)}"
        return f"~ {self.key}: {_shown(self.was)} -> {_shown(self.now)}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Every difference between two policy documents (parsed JSON), in the order of the keys.

    Rules are matched by name, mapped organizations by organization, so that an inserted rule is one line and not a
    change of all below it. As the first match wins, another order is a difference of its own (``rules: order``).
    """
    return list(_between("", old, new))


def _between(key: str, old: Any, new: Any) -> Iterator[Difference]:
    if canonical(old) == canonical(new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mappings(key, old, new)
        return
    was, now = _named(old), _named(new)
    if was is None or now is None:
        yield Difference(key, old, new)
        return
    yield from _mappings(key, was, now, entry=True)
    kept_was = [name for name in was if name in now]
    kept_now = [name for name in now if name in was]
    if kept_was != kept_now:
        yield Difference(f"{key}: order", kept_was, kept_now)


def _mappings(key: str, old: Mapping[Any, Any], new: Mapping[Any, Any], *, entry: bool = False) -> Iterator[Difference]:
    for name in [*old, *(name for name in new if name not in old)]:
        below = f"{key}[{name}]" if entry else f"{key}.{name}".removeprefix(".")
        if name not in new:
            yield Difference(below, was=old[name], absent="now")
        elif name not in old:
            yield Difference(below, now=new[name], absent="was")
        else:
            yield from _between(below, old[name], new[name])


def _named(value: Any) -> dict[Any, Any] | None:
    """A list by what its entries are called, or ``None`` where they are not, or two are called the same."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        return None
    for by in _NAMED_BY:
        names = [entry.get(by) for entry in value]
        if all(isinstance(name, str | int) for name in names) and len(set(names)) == len(names):
            return dict(zip(names, value, strict=True))
    return None
