"""What a parent ticket says of the devices of its storm: in its description, and in notes as more of them join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.identity import derived_id
from schemas.storms import StormListed
from streams.core.policy.policy import Rule

#: How much of a description (Autotask: 8000 characters) the names may take, and of a note (32,000).
LISTING_LIMIT, NOTE_LISTING_LIMIT = 4000, 31000


def listing(names: Sequence[str], devices: int, limit: int) -> str:
    """The devices' names, one a line, within so many characters; how many there are beside those named."""
    lines = [f"Devices of this storm: {devices}"]
    left = limit - len(lines[0]) - len("\nand 1000 more")
    shown = 0
    for name in names:
        left -= len(name) + 3
        if left < 0:
            break
        lines.append(f"- {name}")
        shown += 1
    if shown < devices:
        lines.append(f"and {devices - shown} more")
    return "\n".join(lines)


def storm_note(*, external_id: str, cause: str, rule: Rule, fact: StormListed) -> dict[str, Any]:
    """The note that names who is in a storm now, as ``ticketing.note_for`` makes notes."""
    mark = f"ls-{derived_id(external_id, cause, 'storm')[:10]}"
    text = listing(fact.names, fact.devices, NOTE_LISTING_LIMIT)
    if fact.back:
        text = f"{text}\nBack already: {fact.back}"
    return {"mark": mark, "title": f"Storm: {fact.devices} devices [{mark}]", "text": text, "note_type": rule.note_type}
