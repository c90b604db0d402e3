"""Dead letters: how a record that could not be understood is kept, and what can be told of it. No I/O.

Value, key and headers stay as they were; headers beside them say where the record stood, who could not read it and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from schemas.envelope import DecodeError, rfc3339
from schemas.topics import BY_NAME
from streams.ports import InputRecord

#: Headers of a dead letter beside its original ones.
DEAD_TOPIC, DEAD_PARTITION, DEAD_OFFSET = "dead_topic", "dead_partition", "dead_offset"
DEAD_STAGE, DEAD_ERROR, DEAD_REASON, DEAD_TIME = "dead_stage", "dead_error", "dead_reason", "dead_time"
DEAD_HEADERS = (DEAD_TOPIC, DEAD_PARTITION, DEAD_OFFSET, DEAD_STAGE, DEAD_ERROR, DEAD_REASON, DEAD_TIME)

#: Where an operator's word on a dead letter stands in topic ``operations``.
DEAD_KEY = "dead-letter."


class Place(NamedTuple):
    """Where a record stands or stood."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be understood, and whether somebody has dealt with it.

    ``id`` is ``dead-`` and its offset in topic ``dead-letters``. Two agents that read one topic each keep the record, and
    an executor that was killed keeps it once more: those are one letter with ``other_ids`` and all their stages.
    ``place`` is ``None`` for what never was a record (a webhook's body, a row of a list). ``came_back`` names the letter
    whose retry this one is.
    """

    id: str
    record: InputRecord
    about: Mapping[str, str]
    handled: Mapping[str, Any] | None = None
    other_ids: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    came_back: str | None = None

    @property
    def place(self) -> Place | None:
        """Where the record stood in its topic."""
        try:
            return Place(self.about[DEAD_TOPIC], int(self.about[DEAD_PARTITION]), int(self.about[DEAD_OFFSET]))
        except (KeyError, ValueError):
            return None

    @property
    def reason(self) -> str:
        """The kind of error as a noun: ``Unreadable``, ``UnknownType``, ``NewerVersion``."""
        return self.about.get(DEAD_REASON, DecodeError.reason)

    @property
    def retryable(self) -> bool:
        """Whether there is a topic to write it to once more."""
        return self.place is not None and self.place.topic in BY_NAME

    @property
    def organization_id(self) -> int | None:
        """The NinjaOne organization as far as key and value tell it without being understood."""
        try:
            document = orjson.loads(self.record.value or b"")
        except orjson.JSONDecodeError:
            document = None
        if isinstance(document, dict):
            subject = document.get("subject")
            for holder in (document, subject if isinstance(subject, dict) else {}):
                found = holder.get("organization_id")
                if isinstance(found, int) and not isinstance(found, bool):
                    return found
        key = (self.record.key or b"").decode("utf-8", "replace")
        return int(key[1:]) if key[:1] == "o" and key[1:].isascii() and key[1:].isdigit() else None

    def original_headers(self) -> list[tuple[str, bytes]]:
        """The headers that the record came with."""
        return [(name, value) for name, value in self.record.headers if name not in DEAD_HEADERS]

    def as_dict(self) -> dict[str, Any]:
        """For JSON output; the bytes as text where they are text."""
        value = self.record.value or b""
        about = {name.removeprefix("dead_"): text for name, text in self.about.items()}
        return {
            "id": self.id,
            **about,
            "reason": self.reason,
            "stages": list(self.stages),
            "organization_id": self.organization_id,
            "retryable": self.retryable,
            "came_back": self.came_back,
            "value": value.decode("utf-8", "replace")[:2000],
            "handled": self.handled,
        }


def dead_letter_headers(record: Any, *, stage: str, error: ValueError, at: int) -> list[tuple[str, bytes]]:
    """The original headers and ours, for a record (``InputRecord`` or aiokafka's) that ``stage`` could not read.

    ``at`` is epoch milliseconds. A record that was a dead letter itself keeps only its newest story.
    """
    about = {
        DEAD_TOPIC: record.topic,
        DEAD_PARTITION: str(record.partition),
        DEAD_OFFSET: str(record.offset),
        DEAD_STAGE: stage,
        DEAD_ERROR: str(error)[:1000],
        DEAD_REASON: error.reason if isinstance(error, DecodeError) else DecodeError.reason,
        DEAD_TIME: rfc3339(at),
    }
    # A header may be there without a value (Kafka's null), which a producer of ours cannot write: empty, then.
    original = [(name, value or b"") for name, value in record.headers if name not in DEAD_HEADERS]
    return [*original, *((name, text.encode("utf-8", "replace")) for name, text in about.items())]


def letters_of(records: Iterable[InputRecord], words: Mapping[str, Mapping[str, Any]]) -> list[DeadLetter]:
    """The letters in records of topic ``dead-letters``, oldest first.

    ``words``: what operators said, by letter's id (``what``, ``reason``, ``actor``, ``at`` and, for a retry, ``to``: the
    place at which the record was written again).
    """
    found: dict[str, DeadLetter] = {}
    by_place: dict[Place, str] = {}
    for record in records:
        letter = _letter(record)
        place = letter.place
        first = found.get(by_place.get(place, "")) if place is not None else None
        if first is not None:
            stages = tuple(dict.fromkeys((*first.stages, *letter.stages)))
            found[first.id] = replace(first, other_ids=(*first.other_ids, letter.id), stages=stages)
            continue
        found[letter.id] = letter
        if place is not None:
            by_place[place] = letter.id
    spoken: dict[str, Mapping[str, Any]] = {}
    retried: dict[Place, str] = {}
    for letter in found.values():
        for name in (letter.id, *letter.other_ids):
            if name in words:
                spoken[letter.id] = words[name]
        to = spoken.get(letter.id, {}).get("to")
        if isinstance(to, list) and len(to) == 3:
            retried[Place(*to)] = letter.id
    return [
        replace(letter, handled=spoken.get(letter.id), came_back=retried.get(letter.place) if letter.place else None)
        for letter in found.values()
    ]


def _letter(record: InputRecord) -> DeadLetter:
    raw = dict(record.headers)
    about = {name: (raw[name] or b"").decode("utf-8", "replace") for name in DEAD_HEADERS if name in raw}
    about.setdefault(DEAD_TIME, rfc3339(record.timestamp))
    stages = (about[DEAD_STAGE],) if about.get(DEAD_STAGE) else ()
    return DeadLetter(id=f"dead-{record.offset}", record=record, about=about, stages=stages)
