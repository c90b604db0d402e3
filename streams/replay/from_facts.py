"""``rebuild --from-facts``: the fact topics merged by recorded time and decided anew, beside the recorded state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.envelope import DecodeError
from schemas.events import Event, decode_fact
from schemas.facts import ControlFact, Fact
from schemas.topics import AGENT_INPUTS, AGENT_STATE, AUDIT
from streams.core.documents import CONTEXT_KEY
from streams.core.engine import concerns
from streams.core.from_facts import TOPICS, Compared, FromFacts, Place, Standing, cause_of, compared
from streams.core.rebuild import Rebuilder
from streams.delivery.changelog import LoadedPartition
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import end_offsets, first_offsets, read_all
from streams.replay.partitions import BREATHE, Tell, over_partitions
from streams.replay.rebuild import Documents
from streams.views import is_document_key

State = dict[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsDecided:
    """What came of it. ``differences``: a ticket or an item that is not the same, each with its cause; ``otherwise``: how many documents
    differ in nothing that a vendor has. ``unreadable`` facts are dead letters; ``begins``: topics that retention has shortened.
    """

    facts: int
    unreadable: int
    same: int
    differences: list[tuple[Standing, str]]
    otherwise: int
    documents: Documents
    begins: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsOfPartition:
    """One partition: the state that the facts lead to by agent, and what differs from the recorded one."""

    facts: int
    unreadable: int
    documents: dict[str, State]
    compared: dict[str, Compared]
    causes: list[str]


async def rebuild_from_facts(
    options: KafkaOptions,
    *,
    as_of: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> FactsDecided:
    """Decide every fact anew that the agents have decided, or with ``as_of`` (epoch ms) what was recorded until then.

    Beside it stands the live state, which may move meanwhile: its own record says which facts are in it. Raises ``ReadError``.
    """
    ends, begin = await end_offsets(options, *TOPICS), await first_offsets(options, *TOPICS)
    total = sum(end - begin[place] for place, end in ends.items())
    partitions = sorted({partition for _, partition in ends})
    parts = await over_partitions(
        FactsPartition(options, as_of, begin),
        partitions,
        records=total,
        progress=lambda done: progress(done, total),
        processes=processes,
    )
    all_compared = [each for part in parts for each in part.compared.values()]
    found = [
        pair
        for part in parts
        for pair in zip((one for each in part.compared.values() for one in each.different), part.causes, strict=True)
    ]
    return FactsDecided(
        facts=sum(part.facts for part in parts),
        unreadable=sum(part.unreadable for part in parts),
        same=sum(each.same for each in all_compared),
        differences=found,
        otherwise=sum(each.otherwise for each in all_compared),
        documents={
            agent: {number: part.documents[agent] for number, part in zip(partitions, parts, strict=True)}
            for agent in AGENT_STATE
        },
        begins=[f"{topic}[{partition}] begins at {at}" for (topic, partition), at in sorted(begin.items()) if at],
    )


@dataclass(frozen=True, slots=True)
class FactsPartition:
    """The job of one partition (``streams.replay.partitions``). ``begin``: where each topic begins."""

    options: KafkaOptions
    as_of: int | None
    begin: Mapping[tuple[str, int], int]

    async def __call__(self, partition: int, tell: Tell) -> FactsOfPartition:
        """Decide the partition's facts, compare, and look for the cause of each difference."""
        kept = {agent: await self._kept(agent, partition) for agent in AGENT_STATE}
        limits = {agent: loaded.next_offsets for agent, loaded in kept.items()}
        decided = {agent: FromFacts(agent) for agent in AGENT_STATE}
        facts = unreadable = 0
        async for record, event in self._merged(partition):
            facts += 1
            if facts % BREATHE == 0:
                tell(facts)
                await asyncio.sleep(0)
            if event is None:
                unreadable += 1
                continue
            for agent, one in decided.items():
                if self._decided(limits[agent], record):
                    one.feed(event, record.topic, partition, record.offset)
        tell(facts)
        recorded = {agent: dict(loaded.state) for agent, loaded in kept.items()}
        if self.as_of is not None:
            recorded = await self._then(partition)
        both = {agent: compared(agent, recorded[agent], decided[agent].state) for agent in AGENT_STATE}
        different = [one for each in both.values() for one in each.different]
        causes = await self._causes(partition, different, limits) if different else []
        documents = {agent: one.state for agent, one in decided.items()}
        return FactsOfPartition(facts=facts, unreadable=unreadable, documents=documents, compared=both, causes=causes)

    @staticmethod
    def _decided(limits: Mapping[str, int], record: InputRecord) -> bool:
        """Whether an agent has decided about it: what is still to be decided is no difference."""
        return record.offset < limits.get(record.topic, 0)

    async def _kept(self, agent: str, partition: int) -> LoadedPartition:
        loaded = LoadedPartition()
        async for raw in read_all(self.options, AGENT_STATE[agent], partitions=[partition]):
            loaded.take(raw.key or b"", raw.value)
        loaded.state = {key: document for key, document in loaded.state.items() if is_document_key(key)}
        return loaded

    async def _then(self, partition: int) -> dict[str, State]:
        rebuilders = {agent: Rebuilder() for agent in AGENT_STATE}
        async for record in self._audit(partition):
            rebuilders[record["agent"]].feed(record)
        return {agent: rebuilder.documents() for agent, rebuilder in rebuilders.items()}

    async def _audit(self, partition: int) -> AsyncIterator[dict[str, Any]]:
        async for raw in read_all(self.options, AUDIT, partitions=[partition]):
            record: dict[str, Any] = orjson.loads(raw.value or b"")
            if self.as_of is None or record["recorded_at"] <= self.as_of:
                yield record

    async def _merged(self, partition: int) -> AsyncIterator[tuple[InputRecord, Event[Fact] | None]]:
        """The facts of all topics by recorded time; each topic in its own order. What cannot be read comes without an event."""
        heads: dict[int, tuple[InputRecord, Event[Fact] | None]] = {}
        times: dict[int, int] = {}
        async with AsyncExitStack() as stack:
            topics = [
                await stack.enter_async_context(aclosing(read_all(self.options, topic, partitions=[partition])))
                for topic in TOPICS
            ]

            async def advance(number: int) -> None:
                heads.pop(number, None)
                raw = await anext(topics[number], None)
                if raw is not None:
                    event = _event(raw)
                    heads[number] = raw, event
                    times[number] = event.envelope.recorded if event is not None else times.get(number, 0)

            for number in range(len(topics)):
                await advance(number)
            while heads:
                number = min(heads, key=lambda one: (times[one], one))
                record, event = heads[number]
                if self.as_of is None or times[number] <= self.as_of:
                    yield record, event
                await advance(number)

    async def _causes(
        self, partition: int, different: list[Standing], limits: Mapping[str, Mapping[str, int]]
    ) -> list[str]:
        """The log once more, for the order of what concerns the differing keys only."""
        wanted = {(one.agent, one.key) for one in different}
        recorded: dict[tuple[str, str], list[Place]] = {name: [] for name in wanted}
        async for record in self._audit(partition):
            place = record["fact"]["topic"], record["fact"]["offset"]
            for agent, key in wanted:
                if record["agent"] == agent and record["key"] in (key, CONTEXT_KEY):
                    recorded[agent, key].append(place)
        kept: dict[tuple[str, str], list[Place]] = {name: [] for name in wanted}
        async for raw, event in self._merged(partition):
            if event is None:
                continue
            for agent, key in wanted:
                decided = raw.topic in AGENT_INPUTS[agent] and self._decided(limits[agent], raw)
                if not decided or not concerns(agent, event.data):
                    continue
                if isinstance(event.data, ControlFact) or event.envelope.key == key:
                    kept[agent, key].append((raw.topic, raw.offset))
        first = {topic: at for (topic, number), at in self.begin.items() if number == partition}
        return [cause_of(recorded[one.agent, one.key], kept[one.agent, one.key], first) for one in different]


def _event(raw: InputRecord) -> Event[Fact] | None:
    try:
        return decode_fact(raw.headers, raw.value)
    except DecodeError:
        return None
