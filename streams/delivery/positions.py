"""The record in which an agent keeps its place: the next input offset of every topic, one record per partition.

With it stands what is counted against the limit on dead letters (``streams.limit``), where there is anything to count:
a restart must not begin to count anew, or a supervisor would drain a topic slice by slice. It lives in the agent's compacted state topic and commits with the slice that moved it, so that state and place never
disagree. Readers of a state topic (rebuild, replay) skip the key ``POSITIONS_KEY``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from schemas.model import canonical
from streams.limit import Tally

#: No key of a fact looks like this (``schemas.identity``), so it cannot meet a state document.
POSITIONS_KEY = b"_positions"


def encode_positions(next_offsets: Mapping[str, int], tallies: Mapping[str, Tally] | None = None) -> bytes:
    """``{"next": {topic: offset}, "dead": {topic: [in a row, seen, dead]}}`` as canonical JSON."""
    document: dict[str, Any] = {"next": dict(next_offsets)}
    if tallies:
        document["dead"] = {topic: list(tally) for topic, tally in tallies.items()}
    return canonical(document)


def decode_positions(value: bytes) -> tuple[dict[str, int], dict[str, Tally]]:
    """The next offset and the tally of each topic. Raises ``ValueError`` where the record is not one of ours."""
    try:
        document = orjson.loads(value)
        places = {str(topic): int(offset) for topic, offset in document["next"].items()}
        tallies = {str(topic): Tally(*map(int, numbers)) for topic, numbers in document.get("dead", {}).items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"record {POSITIONS_KEY.decode()} is not readable: {error}") from None
    return places, tallies
