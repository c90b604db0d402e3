"""In what a recorded decision and a second one differ, for the line that is shown."""

from __future__ import annotations

from schemas.audit import AuditRecord
from schemas.model import canonical

#: How much of a differing value a line shows.
_SHOWN = 80


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
