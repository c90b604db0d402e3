"""What the log says, for people: dispositions, parked work. Reads committed records; changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.topics import AGENT_STATE
from streams.core.documents import CONTEXT_KEY, read
from streams.core.views import ParkedItem, WaitingAlert, parked_in, waiting_in
from streams.kafka_options import KafkaOptions
from streams.readers import read_all


async def states(options: KafkaOptions, agent: str) -> dict[str, dict[str, Any]]:
    """The body of every state document of an agent, by key; without the partitions' contexts and positions."""
    documents = await state_documents(options, agent)
    bodies: dict[str, dict[str, Any]] = {}
    for partition in documents.values():
        for key, value in partition.items():
            if key.decode() != CONTEXT_KEY:
                bodies[key.decode()] = read(value)[0]
    return bodies


async def state_documents(options: KafkaOptions, agent: str, *partitions: int) -> dict[int, dict[bytes, bytes]]:
    """The live state documents of an agent as they stand in its changelog, by partition and key; of all partitions, or these."""
    found: dict[int, dict[bytes, bytes]] = {}
    async for record in read_all(options, AGENT_STATE[agent], partitions=partitions or None):
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


async def waiting(options: KafkaOptions) -> list[WaitingAlert]:
    """All held and suppressed alerts, the one that is decided next first."""
    found: list[WaitingAlert] = []
    for documents in (await state_documents(options, "incidents")).values():
        for key, document in documents.items():
            found += waiting_in(key.decode(), document)
    return sorted(found, key=lambda alert: (alert.until is None, alert.until or 0, alert.key, alert.uid))


def dispositions(bodies: dict[str, dict[str, Any]]) -> Counter[str]:
    """How many alerts have which disposition, over the documents of the agent ``incidents``; a storm's own do not count."""
    return Counter(
        alert["disposition"]
        for body in bodies.values()
        for alert in body.get("alerts", {}).values()
        if "disposition" in alert and "storms_own" not in alert
    )
