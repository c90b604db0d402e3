"""The record in which an agent keeps its place: the next input offset of every topic, one record per partition.

It lives in the agent's compacted state topic and commits with the slice that moved it, so that state and place never
disagree. Readers of a state topic (rebuild, replay) skip the key ``POSITIONS_KEY``.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from schemas.model import canonical

#: No key of a fact looks like this (``schemas.identity``), so it cannot meet a state document.
POSITIONS_KEY = b"_positions"


def encode_positions(next_offsets: Mapping[str, int]) -> bytes:
    """``{"next": {topic: offset}}`` as canonical JSON."""
    return canonical({"next": dict(next_offsets)})


def decode_positions(value: bytes) -> dict[str, int]:
    """The next offset of each topic. Raises ``ValueError`` where the record is not one of ours."""
    try:
        return {str(topic): int(offset) for topic, offset in orjson.loads(value)["next"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"record {POSITIONS_KEY.decode()} is not readable: {error}") from None
