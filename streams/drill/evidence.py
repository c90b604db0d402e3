"""What a run left behind, as the checker takes it: both sandboxes' own records, and every topic. Kept as a file, too.

A file is gzip over JSON lines: one line per sandbox document (``{"part": name, "document": ...}``), one per record of a
topic (``{"topic", "partition", "offset", "key", "value", "headers", "timestamp"}``). Bytes are text where they are
UTF-8, else base64 in a list of one.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from streams.ports import InputRecord

_PARTS = ("ninjaone", "autotask", "ninjaone_calls", "autotask_calls", "tests", "poison")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One run. ``ninjaone`` and ``autotask`` are ``GET /_sandbox/state`` with its ``history``, the ``_calls`` are ``GET
    /_sandbox/calls``; ``topics`` holds every committed record by topic, each partition in order.

    ``poison`` names the records (topic, partition, offset) that were planted so that nobody can decode them. ``tests``
    is how many connection tests were asked for per connection while it was closed; ``None`` leaves that unjudged.
    """

    ninjaone: Mapping[str, Any]
    autotask: Mapping[str, Any]
    ninjaone_calls: Sequence[Mapping[str, Any]]
    autotask_calls: Sequence[Mapping[str, Any]]
    topics: Mapping[str, Sequence[InputRecord]]
    poison: frozenset[tuple[str, int, int]] = frozenset()
    tests: Mapping[str, int] | None = None


def keep(evidence: Evidence, path: Path) -> None:
    """Write evidence to a file: the same evidence gives the same bytes."""
    lines = b"\n".join(orjson.dumps(line, option=orjson.OPT_NON_STR_KEYS) for line in _lines(evidence))
    path.write_bytes(gzip.compress(lines, mtime=0))


def kept(path: Path) -> Evidence:
    """Read evidence from a file that ``keep`` wrote. Raises ``OSError``, ``ValueError`` where it is no such file."""
    parts: dict[str, Any] = {}
    topics: dict[str, list[InputRecord]] = {}
    for line in gzip.decompress(path.read_bytes()).splitlines():
        row = orjson.loads(line)
        if "part" in row:
            parts[row["part"]] = row["document"]
        elif row.get("offset") is None:
            topics.setdefault(row["topic"], [])
        else:
            topics.setdefault(row["topic"], []).append(_record(row))
    missing = [name for name in _PARTS if name not in parts]
    if missing:
        raise ValueError(f"{path} is no evidence of a run: it has no part '{missing[0]}'")
    poison = frozenset((str(topic), int(partition), int(offset)) for topic, partition, offset in parts.pop("poison"))
    return Evidence(**parts, topics=topics, poison=poison)


def _lines(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for name in _PARTS[:-1]:
        yield {"part": name, "document": getattr(evidence, name)}
    yield {"part": "poison", "document": sorted(evidence.poison)}
    for topic, records in evidence.topics.items():
        # A topic without records was read all the same.
        yield {"topic": topic}
        for record in records:
            yield {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "key": _text(record.key),
                "value": _text(record.value),
                "headers": [[name, _text(value)] for name, value in record.headers],
                "timestamp": record.timestamp,
            }


def _record(row: dict[str, Any]) -> InputRecord:
    return InputRecord(
        row["topic"],
        row["partition"],
        row["offset"],
        _bytes(row["key"]),
        _bytes(row["value"]),
        tuple((name, _bytes(value) or b"") for name, value in row["headers"]),
        row["timestamp"],
    )


def _text(raw: bytes | None) -> str | list[str] | None:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return [base64.b64encode(raw).decode()]


def _bytes(shown: str | list[str] | None) -> bytes | None:
    if shown is None:
        return None
    return shown.encode() if isinstance(shown, str) else base64.b64decode(shown[0])
