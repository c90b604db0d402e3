"""What the log says, for people: dispositions, parked work, dead letters. Reads committed records; changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.envelope import rfc3339
from schemas.topics import AGENT_STATE, DEAD_LETTERS, OPERATIONS
from streams.core.documents import CONTEXT_KEY, read
from streams.core.views import ParkedItem, parked_in
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import read_all

#: Headers that a dead letter has beside its original ones.
DEAD_HEADERS = ("dead_topic", "dead_partition", "dead_offset", "dead_stage", "dead_error", "dead_time")
#: Where an operator's word on a dead letter stands in topic ``operations``.
DEAD_KEY = "dead-letter."


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be understood, and whether somebody has dealt with it."""

    id: str
    record: InputRecord
    about: dict[str, str]
    handled: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON output; the bytes as text where they are text."""
        value = self.record.value or b""
        about = {name.removeprefix("dead_"): text for name, text in self.about.items()}
        return {"id": self.id, **about, "value": value.decode("utf-8", "replace")[:2000], "handled": self.handled}

    def original_headers(self) -> list[tuple[str, bytes]]:
        """The headers that the record came with."""
        return [(name, value) for name, value in self.record.headers if name not in DEAD_HEADERS]


async def states(options: KafkaOptions, agent: str) -> dict[str, dict[str, Any]]:
    """The body of every state document of an agent, by key; without the partitions' contexts and positions."""
    documents = await state_documents(options, agent)
    bodies: dict[str, dict[str, Any]] = {}
    for partition in documents.values():
        for key, value in partition.items():
            if key.decode() != CONTEXT_KEY:
                bodies[key.decode()] = read(value)[0]
    return bodies


async def state_documents(options: KafkaOptions, agent: str) -> dict[int, dict[bytes, bytes]]:
    """The live state documents of an agent as they stand in its changelog, by partition and key."""
    found: dict[int, dict[bytes, bytes]] = {}
    async for record in read_all(options, AGENT_STATE[agent]):
        key = record.key or b""
        partition = found.setdefault(record.partition, {})
        if record.value is None:
            partition.pop(key, None)
        elif is_document_key(key):
            partition[key] = record.value
    return found


def is_document_key(key: bytes) -> bool:
    """Whether a changelog record holds a state document, and not the position of its partition."""
    return key[:1].isalnum() or key == CONTEXT_KEY.encode()


async def parked(options: KafkaOptions) -> list[ParkedItem]:
    """All parked work of both agents."""
    found: list[ParkedItem] = []
    for agent in AGENT_STATE:
        for documents in (await state_documents(options, agent)).values():
            for key, document in documents.items():
                found += parked_in(agent, key.decode(), document)
    return sorted(found, key=lambda item: (item.agent != "incidents", item.key, item.id))


async def dead_letters(options: KafkaOptions) -> list[DeadLetter]:
    """All dead letters that are still kept, oldest first."""
    handled: dict[str, dict[str, Any]] = {}
    async for record in read_all(options, OPERATIONS):
        key = (record.key or b"").decode()
        if key.startswith(DEAD_KEY) and record.value is not None:
            handled[key.removeprefix(DEAD_KEY)] = orjson.loads(record.value)
    found: list[DeadLetter] = []
    async for record in read_all(options, DEAD_LETTERS):
        identity = f"dead-{record.offset}"
        raw = dict(record.headers)
        about = {name: raw[name].decode("utf-8", "replace") for name in DEAD_HEADERS if name in raw}
        about.setdefault("dead_time", rfc3339(record.timestamp))
        found.append(DeadLetter(identity, record, about, handled.get(identity)))
    return found


def dispositions(bodies: dict[str, dict[str, Any]]) -> Counter[str]:
    """How many alerts have which disposition, over the documents of the agent ``incidents``."""
    return Counter(
        alert["disposition"]
        for body in bodies.values()
        for alert in body.get("alerts", {}).values()
        if "disposition" in alert
    )
