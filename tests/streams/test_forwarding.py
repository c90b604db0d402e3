"""The forwarder: what one agent tells another arrives, byte for byte and in order, whatever Kafka does in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import pytest

from schemas.events import decode_fact
from schemas.identity import partition_of
from schemas.storms import StormCandidateLeft
from schemas.topics import CURSORS, DEAD_LETTERS, FOR_TOPIC, HANDOFFS, STORM_CANDIDATES, STORM_VERDICTS
from streams import forwarding
from streams.checkpoints import Checkpointer
from streams.core.decision import Told
from streams.delivery.settings import PartitionsHeld
from streams.forwarding import Forwarder, forwarded
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.ports import InputRecord, OutputRecord
from streams.roles.worker import Figures
from streams.stage import handoff
from tests.core.spec import START, incidents, triggered

PARTITIONS = {STORM_CANDIDATES: 6, STORM_VERDICTS: 6}


def told() -> Told:
    storm = {"devices": 10, "within": "2m"}
    scene = incidents(rules=[{"name": "all", "when": {}, "storm": storm}]).when(triggered())
    return scene.told[0]


def record(offset: int = 0, written: OutputRecord | None = None) -> InputRecord:
    out = written or handoff(told())
    return InputRecord(HANDOFFS, 0, offset, out.key, out.value, tuple(out.headers), 1)


def test_what_arrives_is_what_was_said_at_the_partition_of_its_key() -> None:
    out = forwarded(record(), PARTITIONS)
    assert (out.topic, out.partition, out.key) == (STORM_CANDIDATES, partition_of("l31", 6), b"l31")
    said = told()
    event = decode_fact(out.headers, out.value)
    assert (event.envelope, event.data) == (said.envelope, said.fact)
    assert FOR_TOPIC not in dict(out.headers)


def test_what_is_for_nobody_is_kept_as_a_dead_letter() -> None:
    stray = record(written=OutputRecord(HANDOFFS, 0, b"1", b"{}", [(FOR_TOPIC, b"autotask.ticket-commands")]))
    out = forwarded(stray, PARTITIONS)
    assert out.topic == DEAD_LETTERS
    assert b"autotask.ticket-commands" in dict(out.headers)["dead_error"]


class Kafka:
    """A log that keeps what is written to it, fails when it is told to, and lets ``handoffs`` be read from any place."""

    def __init__(self, count: int) -> None:
        self.handoffs = [record(offset) for offset in range(count)]
        self.written: list[OutputRecord] = []
        self.cursor: bytes | None = None
        self.story: list[str] = []
        self.fail: Callable[[str], bool] = lambda what: False
        self.opened_at: list[int] = []

    async def partitions(self, topic: str) -> int:
        return 6

    async def write(self, records: Sequence[OutputRecord]) -> list[int]:
        self._may_fail("write")
        self.written += records
        return []

    async def remembered(self, topic: str) -> dict[str, bytes]:
        assert topic == CURSORS
        return {} if self.cursor is None else {"handoffs": self.cursor}

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        self._may_fail("remember")
        self.cursor = value

    def _may_fail(self, what: str) -> None:
        self.story.append(what)
        if self.fail(what):
            raise LogError("Kafka is away")

    async def tail(self, options: Any, topic: str, *, start: Any, from_beginning: bool) -> AsyncIterator[InputRecord]:
        place = start[topic, 0]
        self.opened_at.append(place)
        while True:
            while place < len(self.handoffs):
                yield self.handoffs[place]
                place += 1
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def forwarding_from(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, *, active: bool = True
) -> AsyncIterator[Forwarder]:
    monkeypatch.setattr(forwarding, "tail", kafka.tail)
    monkeypatch.setattr(forwarding, "AGAIN_S", 0.01)
    monkeypatch.setattr(forwarding, "LOOK_S", 0.02)
    forwarder = Forwarder(cast(KafkaOptions, None), cast(KafkaLog, kafka))
    if active:
        forwarder.active.set()
    running = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_everything_is_forwarded_once_and_its_place_is_kept_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(1200)
    async with forwarding_from(kafka, monkeypatch) as forwarder:
        await until(lambda: kafka.cursor == b"1200")
        assert len(kafka.written) == forwarder.forwarded == 1200
        assert kafka.story[:2] == ["write", "remember"]
        kafka.handoffs.append(record(1200))
        await until(lambda: kafka.cursor == b"1201")


async def test_a_new_forwarder_goes_on_where_the_former_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(10)
    kafka.cursor = b"7"
    async with forwarding_from(kafka, monkeypatch):
        await until(lambda: kafka.cursor == b"10")
    assert len(kafka.written) == 3


@pytest.mark.parametrize("what", ["write", "remember"])
async def test_what_kafka_does_not_take_is_forwarded_again(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(10)
    kafka.fail = lambda now: now == what and kafka.story.count(what) <= 3
    async with forwarding_from(kafka, monkeypatch) as forwarder:
        await until(lambda: kafka.cursor == b"10")
        assert forwarder.figures()["last_error"] == "Kafka is away"
    assert kafka.opened_at == [0, 0, 0, 0]
    assert len(kafka.written) >= 10


async def test_who_does_not_hold_the_storms_forwards_nothing_and_stops_when_they_are_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = Kafka(3)
    async with forwarding_from(kafka, monkeypatch, active=False) as forwarder:
        await asyncio.sleep(0.05)
        assert kafka.opened_at == []
        forwarder.active.set()
        await until(lambda: kafka.cursor == b"3")
        forwarder.active.clear()
        await asyncio.sleep(0.1)
        kafka.handoffs.append(record(3))
        await asyncio.sleep(0.1)
        assert len(kafka.written) == 3


def test_a_fact_that_is_told_names_its_cause_and_its_receiver() -> None:
    said = told()
    assert (said.envelope.key, said.topic) == ("l31", STORM_CANDIDATES)
    assert said.envelope.causation_id is not None
    assert not isinstance(said.fact, StormCandidateLeft)


async def test_the_worker_that_holds_the_first_partition_of_the_storms_forwards_and_only_while_it_does() -> None:
    forwarder = Forwarder(cast(KafkaOptions, None), cast(KafkaLog, None))
    checkpointer = Checkpointer(cast(KafkaOptions, None), cast(KafkaLog, None), lambda: START)
    figures = Figures(forwarder, checkpointer)

    def holds(agent: str, *partitions: int) -> bool:
        held = PartitionsHeld(agent=agent, partitions=partitions, loaded=(), states=0, seconds=0.0)
        figures.take(held)
        # It also writes the daily checkpoint.
        assert checkpointer.active.is_set() == forwarder.active.is_set()
        return forwarder.active.is_set()

    assert not holds("incidents", 0, 1)
    assert not holds("storms", 1, 2)
    assert holds("storms", 0, 1)
    assert figures.as_dict()["handoffs"]["active"]
    assert not holds("storms")
    assert "handoffs" not in figures.as_dict()
