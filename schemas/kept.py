"""Which topic keeps what for how long, as the table of docs/privacy.md: made from the catalogue, so that it cannot be wrong.

``python -m schemas.kept`` prints it; a test compares it with the page.
"""

from __future__ import annotations

import sys

from schemas.topics import CATALOGUE, Topic

_SETTINGS = {"facts": "`kafka.retention_days` (400)", "audit": "`kafka.audit_retention_days` (as the facts)"}


def table() -> str:
    """The table in Markdown, a line per topic in the catalogue's order."""
    head = ["| topic | holds | kept | may be about a person |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, CATALOGUE)])


def _row(topic: Topic) -> str:
    kept = _SETTINGS.get(topic.kept, topic.kept)
    if topic.cleanup == "compact":
        kept = "the last per key"
    elif topic.cleanup == "compact,delete":
        kept = f"the last per key, {kept}"
    return f"| `{topic.name}` | {topic.holds} | {kept} | {topic.personal or 'nothing'} |"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
