"""How it was at a moment: connections, policy, mapping, alerts and parked work, from the log. Calls no vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.facts import ConnectionName
from streams.core import devices
from streams.core.connection import Connection, evolve
from streams.core.context import parse_context
from streams.core.documents import CONTEXT_KEY
from streams.core.mapping import MappingView
from streams.core.revisions import Standing, standing
from streams.core.views import parked_in
from streams.health import history, initial
from streams.kafka_options import KafkaOptions
from streams.mapping_report import merged
from streams.policy_log import policy_revisions
from streams.replay.rebuild import Documents, alerts_in, rebuild


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A moment. ``alerts``: how many had which disposition; ``parked``: how much waited for an operator."""

    connections: Mapping[ConnectionName, Connection]
    policy: Standing
    mapping: list[MappingView]
    alerts: dict[str, int]
    parked: int


async def connections_at(options: KafkaOptions, moment: int) -> dict[ConnectionName, Connection]:
    """Where every connection stood at a moment (epoch ms). Raises ``ReadError``."""
    states = initial()
    async for change, accepted in history(options):
        if accepted and change.changed_at <= moment:
            states[change.connection] = evolve(states[change.connection], change)
    return states


async def as_it_was(
    options: KafkaOptions, moment: int, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Then:
    """What the log says about a moment (epoch ms). Raises ``ReadError``."""
    rebuilt = await rebuild(options, as_of=moment, progress=progress)
    return Then(
        connections=await connections_at(options, moment),
        policy=standing(each.fact for each in await policy_revisions(options) if each.at <= moment),
        mapping=mapping_in(rebuilt.documents),
        alerts=alerts_in(rebuilt.documents),
        parked=sum(
            len(parked_in(agent, key.decode(), document))
            for agent, partitions in rebuilt.documents.items()
            for documents in partitions.values()
            for key, document in documents.items()
        ),
    )


def mapping_in(documents: Documents) -> list[MappingView]:
    """How every organization stood, by the partitions' contexts."""
    contexts = [found.get(CONTEXT_KEY.encode()) for found in documents[devices.AGENT].values()]
    return merged([parse_context(context).mapping() for context in contexts if context is not None])
