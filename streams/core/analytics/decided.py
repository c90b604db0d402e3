"""An audit record as plain JSON data, taken apart once for all tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.envelope import epoch_ms

Row = dict[str, Any]


class NoRecord(ValueError):
    """Bytes that are not an audit record."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision. ``fact`` is the fact's value, ``kind`` its type without prefix and version (``alert.triggered``).

    ``partition`` and ``offset`` say where the record stands.
    """

    partition: int
    offset: int
    record: dict[str, Any]
    fact: dict[str, Any]
    kind: str
    at: int

    @property
    def agent(self) -> str:
        return str(self.record["agent"])

    @property
    def key(self) -> str:
        return str(self.record["key"])

    @property
    def name(self) -> str:
        """The audit record by agent, key and count: what proves a row."""
        return f"{self.record['agent']}/{self.record['key']}/{self.record['count']}"

    @property
    def changes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.record["decision"].get("changes", [])
        return found

    @property
    def rule(self) -> str | None:
        found: str | None = self.record["decision"].get("rule")
        return found

    @property
    def revision(self) -> int:
        return int(self.record["revision"])

    def changed(self, section: str) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
        """The changes of one section (``alerts``, ``incidents``, ``pending``): what, of which id, the patch."""
        for change in self.changes:
            at = change["at"]
            if len(at) == 2 and at[0] == section:
                yield change["change"], at[1], change["set"]

    def awaited(self) -> bool:
        """Whether this is the settlement of a command that the agent waited for: each is so once."""
        identity = self.fact.get("command_id")
        return any(of == identity for _, of, _ in self.changed("pending"))


def decided(partition: int, offset: int, value: bytes) -> Decided:
    """A record of the topic ``audit``. Raises ``NoRecord``."""
    try:
        record = orjson.loads(value)
        headers = record["fact"]["headers"]
        kind = headers["ce_type"].removeprefix("lockstep.").rpartition(".v")[0]
        fact = orjson.loads(record["fact"]["value"])
        found = Decided(partition, offset, record, fact, kind, int(record["recorded_at"]))
        whole = isinstance(fact, dict) and isinstance(record["decision"], dict) and isinstance(record["commands"], list)
        if whole and found.name and isinstance(found.revision, int):
            return found
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise NoRecord("this is not an audit record")


def happened_at(found: Decided) -> int | None:
    """When the fact happened by the vendor's clock, as its envelope says."""
    try:
        return epoch_ms(found.record["fact"]["headers"]["ce_time"])
    except (KeyError, ValueError):
        return None


def command_name(ce_type: str) -> str:
    """``lockstep.command.create-ticket.v1`` as ``CreateTicket``."""
    stem = ce_type.removeprefix("lockstep.command.").rpartition(".v")[0]
    return "".join(part.capitalize() for part in stem.split("-"))
