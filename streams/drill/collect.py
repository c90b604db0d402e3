"""Gathers the evidence of a run that has come to rest: asks both sandboxes, then reads every topic of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.sandbox.remote import Remote
from schemas.topics import CATALOGUE
from streams.drill.evidence import Evidence
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import read_all


async def collect(
    options: KafkaOptions,
    ninjaone: Remote,
    autotask: Remote,
    *,
    poison: frozenset[tuple[str, int, int]] = frozenset(),
    tests: Mapping[str, int] | None = None,
) -> Evidence:
    """What there is now. The sandboxes come first: what they recorded by then, the topics must account for.

    Stop raising alerts and wait until nothing is under way, or work that is merely not done yet is found as lost.
    Raises ``ReadError``, and what ``Remote`` raises.
    """
    states = [await vendor.get("state") for vendor in (ninjaone, autotask)]
    calls = [await vendor.get("calls") for vendor in (ninjaone, autotask)]
    topics: dict[str, list[InputRecord]] = {topic.name: [] for topic in CATALOGUE}
    async for record in read_all(options, *topics):
        topics[record.topic].append(record)
    return Evidence(
        ninjaone=states[0],
        autotask=states[1],
        ninjaone_calls=calls[0],
        autotask_calls=calls[1],
        topics=topics,
        poison=poison,
        tests=tests,
    )
