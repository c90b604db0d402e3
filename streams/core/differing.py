"""Where a recorded decision and a second one part, and the line that says so."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.audit import AuditRecord
from schemas.model import canonical

#: How much of a differing value a line shows.
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place where the audit and a second decision part. ``str()`` is the line to show."""

    agent: str
    key: str
    count: int
    field: str
    topic: str
    partition: int
    offset: int
    recorded: str
    decided: str

    def __str__(self) -> str:
        where = f"{self.agent} {self.key} #{self.count} ({self.topic}[{self.partition}]@{self.offset})"
        recorded, decided = window(self.recorded, self.decided)
        return f"{where}: {self.field}: recorded {recorded}, decided {decided}"


def parts_of(record: AuditRecord, again: AuditRecord) -> list[tuple[str, str, str]]:
    """What is compared, from the name of the thing to the last link, so that the first difference tells most."""
    parts = [
        ("key", record.key, again.key),
        ("count", str(record.count), str(again.count)),
        ("sequence", str(record.sequence), str(again.sequence)),
        ("previous", record.previous, again.previous),
        ("revision", str(record.revision), str(again.revision)),
        ("recorded_at", str(record.recorded_at), str(again.recorded_at)),
    ]
    names = sorted({*record.decision, *again.decision})
    for name in names:
        mine, theirs = record.decision.get(name), again.decision.get(name)
        parts.append((f"decision.{name}", canonical(mine).decode(), canonical(theirs).decode()))
    for place in range(max(len(record.commands), len(again.commands))):
        sides = [c[place].model_dump_json() if place < len(c) else "none" for c in (record.commands, again.commands)]
        parts.append((f"commands[{place}]", sides[0], sides[1]))
    return [*parts, ("state", record.state, again.state), ("hash", record.hash, again.hash)]


def window(recorded: str, decided: str) -> tuple[str, str]:
    """Both texts, and of long ones the part where they begin to differ."""
    if max(len(recorded), len(decided)) <= _SHOWN:
        return recorded, decided
    same = next((i for i, (a, b) in enumerate(zip(recorded, decided, strict=False)) if a != b), 0)
    start = max(0, same - _SHOWN // 4)
    shown = [text[start : start + _SHOWN] for text in (recorded, decided)]
    return f"…{shown[0]}…", f"…{shown[1]}…"
