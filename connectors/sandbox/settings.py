"""Switches of a sandbox: declared once with their values and meaning, read by name, changed by control calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from connectors.sandbox.answers import ControlError


@dataclass(frozen=True, slots=True)
class Switch:
    """One setting. ``values`` lists what is allowed, or names a kind: ``bool``, ``int``, ``number``, ``text``,
    ``regex`` (a text that is a regular expression).

    Numbers must lie at or above ``minimum``. ``nullable`` also allows ``null``.
    """

    name: str
    default: Any
    values: tuple[Any, ...] | str
    doc: str
    minimum: float = 0
    nullable: bool = False

    def described(self) -> str:
        """The allowed values in words."""
        if isinstance(self.values, tuple):
            return ", ".join(_shown(value) for value in self.values)
        bound = f" >= {self.minimum:g}" if self.values in ("int", "number") else ""
        return f"{self.values}{bound}" + (" or null" if self.nullable else "")

    def accepts(self, value: Any) -> bool:
        """Whether the value is allowed; ``true`` is never taken for 1."""
        if value is None:
            return self.nullable
        if isinstance(self.values, tuple):
            return any(value == allowed and type(value) is type(allowed) for allowed in self.values)
        if self.values == "bool":
            return isinstance(value, bool)
        if self.values in ("text", "regex"):
            return isinstance(value, str) and (self.values == "text" or _is_regex(value))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return value >= self.minimum and (self.values == "number" or isinstance(value, int))


#: Both vendors have these.
COMMON_SWITCHES = (Switch("latency_ms", 0, "number", "Real milliseconds that every call takes before it is handled."),)


class Settings:
    """The switches of one vendor by name: ``settings["latency_ms"]``."""

    def __init__(self, switches: Iterable[Switch]) -> None:
        self._switches = {switch.name: switch for switch in (*COMMON_SWITCHES, *switches)}
        self._values: dict[str, Any] = {name: switch.default for name, switch in self._switches.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def values(self) -> dict[str, Any]:
        """All values by name."""
        return dict(self._values)

    def described(self) -> dict[str, dict[str, Any]]:
        """Value, default, allowed values and meaning of every switch."""
        return {
            name: {
                "value": self._values[name],
                "default": switch.default,
                "values": switch.described(),
                "doc": switch.doc,
            }
            for name, switch in self._switches.items()
        }

    def patch(self, changes: Mapping[str, Any]) -> None:
        """Change some switches, all or none. Raises ``ControlError`` for an unknown name or value."""
        for name, value in changes.items():
            switch = self._switches.get(name)
            if switch is None:
                near = get_close_matches(name, self._switches, n=1)
                hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(self._switches))}"
                raise ControlError(f"unknown setting '{name}'{hint}")
            if not switch.accepts(value):
                raise ControlError(f"setting '{name}' cannot be {_shown(value)}; allowed: {switch.described()}")
        self._values.update(changes)


def _shown(value: Any) -> str:
    return {True: "true", False: "false", None: "null"}.get(value, repr(value)) if _is_word(value) else repr(value)


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)
