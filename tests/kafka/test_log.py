"""The log: acknowledged writes at the one right partition, and readers that end where the topic ends."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from connectors.ports import Log, Publication
from schemas.events import decode_fact
from schemas.facts import CompaniesObserved, Company, DeviceRemoved
from schemas.identity import derived_id, partition_of
from schemas.topics import CATALOGUE
from streams import readers
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.ports import OutputRecord
from streams.readers import ReadError, Remembered, end_offsets, read_all, tail
from streams.topics import TopicSettings, create_topics

NOW = 1_795_000_000_123


@pytest.fixture
def options(broker: EmbeddedBroker) -> KafkaOptions:
    return KafkaOptions(bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture
async def topics(options: KafkaOptions, topic_prefix: str) -> dict[str, str]:
    """The catalogue's names -> names of this test alone."""
    used = [t for t in CATALOGUE if t.name in ("ninjaone.devices", "control", "cursors", "dead-letters", "audit")]
    await create_topics(
        options, TopicSettings(partitions=4), catalogue=[replace(t, name=topic_prefix + t.name) for t in used]
    )
    return {t.name: topic_prefix + t.name for t in used}


@pytest.fixture
async def log(options: KafkaOptions, topics: dict[str, str]):
    opened = KafkaLog(options, now=lambda: NOW, control=topics["control"], dead_letters=topics["dead-letters"])
    async with opened:
        yield opened


def removed(topic: str, device: int) -> Publication:
    fact = DeviceRemoved(device_id=device, removed_at=1, cause="Deleted")
    return Publication(topic=topic, key=str(device), id=derived_id("t", device), source="/t", time=1000, fact=fact)


async def everything(options: KafkaOptions, topic: str, **how):
    return [record async for record in read_all(options, topic, **how)]


def test_it_has_the_shape_that_connectors_expect(options) -> None:
    log: Log = KafkaLog(options, now=lambda: NOW)
    assert log is not None


async def test_a_fact_lies_at_the_partition_of_its_key_with_its_envelope(options, topics, log) -> None:
    await log.publish([removed(topics["ninjaone.devices"], device) for device in range(20)])
    records = await everything(options, topics["ninjaone.devices"])
    assert len(records) == 20
    for record in records:
        event = decode_fact(record.headers, record.value)
        assert record.partition == partition_of(record.key, 4)
        assert record.key.decode() == event.envelope.key == str(event.data.device_id)
        assert (event.envelope.time, event.envelope.recorded, event.envelope.source) == (1000, NOW, "/t")
        assert event.envelope.id == derived_id("t", event.data.device_id)


async def test_facts_of_one_key_keep_their_order(options, topics, log) -> None:
    await log.publish([replace(removed(topics["ninjaone.devices"], 7), id=str(n)) for n in range(500)])
    records = await everything(options, topics["ninjaone.devices"])
    assert [dict(record.headers)["ce_id"] for record in records] == [str(n).encode() for n in range(500)]


async def test_a_control_fact_is_written_once_to_every_partition_with_one_id(options, topics, log) -> None:
    fact = CompaniesObserved(digest="d", companies=(Company(id=1, name="A"),))
    await log.publish([Publication(topic=topics["control"], key="companies", id="x", source="/t", time=1, fact=fact)])
    records = await everything(options, topics["control"])
    assert sorted(record.partition for record in records) == [0, 1, 2, 3]
    assert {dict(record.headers)["ce_id"] for record in records} == {b"x"}


async def test_what_is_remembered_is_the_last_value_per_key_and_can_be_forgotten(topics, log) -> None:
    for key, value in [("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4"), ("b", None)]:
        await log.remember(topics["cursors"], key, value)
    assert await log.remembered(topics["cursors"]) == {"a": b"3", "c": b"4"}


async def test_a_dead_letter_keeps_bytes_and_headers_and_says_stage_and_error(options, topics, log) -> None:
    await log.publish_dead_letter(stage="webhook", error="not JSON", value=b"\xff{", headers={"content-type": "text/x"})
    (record,) = await everything(options, topics["dead-letters"])
    headers = dict(record.headers)
    assert record.value == b"\xff{"
    assert (headers["content-type"], headers["dead_stage"], headers["dead_error"]) == (
        b"text/x",
        b"webhook",
        b"not JSON",
    )


async def test_a_topic_that_does_not_exist_is_one_line_and_is_not_created(options, log, topic_prefix) -> None:
    for _ in range(2):
        with pytest.raises(LogError, match=r"there is no topic '.*nowhere': `lockstep up` creates it"):
            await log.publish([removed(topic_prefix + "nowhere", 1)])
        with pytest.raises(ReadError, match=r"there is no topic '.*nowhere'"):
            await everything(options, topic_prefix + "nowhere")


async def test_a_record_that_is_too_large_is_one_line(topics, log) -> None:
    with pytest.raises(LogError, match=r"refused 1 record\(s\) for .*: over 8 MiB"):
        await log.write([OutputRecord(topics["audit"], 0, b"k", b"x" * 9_000_000)])
    await log.write([OutputRecord(topics["audit"], 0, b"k", b"x" * 7_000_000)])


async def test_a_broker_that_is_not_there_is_one_line_within_the_given_time() -> None:
    log = KafkaLog(KafkaOptions(bootstrap_servers="127.0.0.1:1"), now=lambda: NOW, ack_seconds=2)
    with pytest.raises(LogError, match=r"Kafka at 127\.0\.0\.1:1") as caught:
        await log.start()
    assert "\n" not in str(caught.value)


async def all_threads_stopped(pid: int) -> None:
    """SIGSTOP reaches a process at once and its threads one by one; until the last, a broker may still answer."""
    async with asyncio.timeout(10):
        while not _stopped(pid):
            await asyncio.sleep(0.01)


def _stopped(pid: int) -> bool:
    # proc(5): the state follows the command's name in brackets.
    stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)


async def test_a_silent_broker_is_an_error_in_time_and_the_log_works_on_when_it_is_back(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(options, TopicSettings(partitions=1))
        async with KafkaLog(options, now=lambda: NOW, ack_seconds=3) as log:
            await log.publish([removed("ninjaone.devices", 1)])
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                await all_threads_stopped(broker.pid)
                with pytest.raises(LogError, match="did not acknowledge 1 record"):
                    await log.publish([removed("ninjaone.devices", 2)])
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            async with asyncio.timeout(30):
                while True:
                    try:
                        await log.publish([removed("ninjaone.devices", 3)])
                        break
                    except LogError:
                        continue
        ids = [dict(record.headers)["ce_id"].decode() async for record in read_all(options, "ninjaone.devices")]
        # The middle one was given up by its caller; it may have arrived, and is then recognised by its id.
        assert ids[0] == derived_id("t", 1)
        assert ids[-1] == derived_id("t", 3)


async def test_reading_all_ends_at_the_end_and_can_begin_anywhere(options, topics, log) -> None:
    name = topics["audit"]
    assert await everything(options, name) == []
    await log.write([OutputRecord(name, n % 4, b"k", b"%d" % n) for n in range(40)])
    assert sorted(int(r.value) for r in await everything(options, name)) == list(range(40))
    assert sorted(int(r.value) for r in await everything(options, name, partitions=[1])) == list(range(1, 40, 4))
    started = await everything(options, name, partitions=[0], start={(name, 0): 8})
    assert [(r.offset, r.value) for r in started] == [(8, b"32"), (9, b"36")]
    assert await everything(options, name, since=started[-1].timestamp + 60_000) == []
    assert await end_offsets(options, name) == {(name, n): 10 for n in range(4)}


async def test_committed_reading_skips_what_was_rolled_back_and_still_ends(options, topics, topic_prefix) -> None:
    name = topics["audit"]
    producer = AIOKafkaProducer(transactional_id=topic_prefix + "p", **options.client())
    await producer.start()
    async with producer.transaction():
        await producer.send(name, b"kept", partition=0)
    await producer.begin_transaction()
    await producer.send_and_wait(name, b"rolled back", partition=0)
    await producer.abort_transaction()
    await producer.begin_transaction()
    await producer.send_and_wait(name, b"open", partition=0)
    async with asyncio.timeout(10):
        assert [r.value for r in await everything(options, name)] == [b"kept"]
        seen = [r.value for r in await everything(options, name, isolation="read_uncommitted")]
    assert seen == [b"kept", b"rolled back", b"open"]
    await producer.abort_transaction()
    await producer.stop()
    async with asyncio.timeout(10):
        assert [r.value for r in await everything(options, name)] == [b"kept"]


async def test_a_tail_begins_now_or_at_the_beginning_and_goes_on(options, topics, log) -> None:
    name = topics["audit"]
    await log.write([OutputRecord(name, 0, b"k", b"old")])
    whole, fresh = tail(options, name, from_beginning=True), tail(options, name)
    assert (await anext(whole)).value == b"old"
    waiting = asyncio.create_task(anext(fresh))
    await asyncio.sleep(0.5)
    await log.write([OutputRecord(name, 1, b"k", b"new")])
    async with asyncio.timeout(10):
        assert ((await waiting).value, (await anext(whole)).value) == (b"new", b"new")
    await whole.aclose()
    await fresh.aclose()


async def test_a_remembered_topic_follows_live(options, topics, log) -> None:
    name = topics["cursors"]
    await log.remember(name, "a", b"1")
    changed = asyncio.Queue()
    memory = Remembered(options, name, on_change=lambda key, value: changed.put_nowait((key, value)))
    await memory.start()
    assert dict(memory) == {"a": b"1"}
    await log.remember(name, "b", b"2")
    await log.remember(name, "a", None)
    async with asyncio.timeout(10):
        assert [await changed.get(), await changed.get()] == [("b", b"2"), ("a", None)]
    assert dict(memory) == {"b": b"2"}
    await memory.stop()


async def test_a_remembered_topic_survives_a_restart_of_the_broker(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(options, TopicSettings(partitions=1))
        changed = asyncio.Event()
        memory = Remembered(options, "cursors", on_change=lambda key, value: changed.set())
        await memory.start()
        assert broker.pid is not None
        async with KafkaLog(options, now=lambda: NOW, ack_seconds=40) as log, asyncio.timeout(60):
            os.kill(broker.pid, signal.SIGKILL)
            await log.remember("cursors", "a", b"after")
            await changed.wait()
        assert dict(memory) == {"a": b"after"}
        await memory.stop()


@pytest.fixture
def stalling(monkeypatch) -> list[Any]:
    """Every consumer that the readers open; ``end_fetching`` ends what fetches for one, silently, as an error does."""
    opened: list[Any] = []

    class Consumer(readers.AIOKafkaConsumer):
        async def start(self) -> None:
            opened.append(self)
            await super().start()

    monkeypatch.setattr(readers, "AIOKafkaConsumer", Consumer)
    monkeypatch.setattr(readers, "TAIL_ROUND_MS", 50)
    monkeypatch.setattr(readers, "ROUND_MS", 20)
    return opened


async def end_fetching(consumer) -> None:
    fetching = {consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks}
    for task in fetching:
        task.cancel()
    await asyncio.wait(fetching)


async def test_a_tail_whose_fetching_ended_begins_anew_where_it_stood(options, topics, log, stalling) -> None:
    name = topics["audit"]
    await log.write([OutputRecord(name, 0, b"k", b"one")])
    following = tail(options, name, from_beginning=True)
    async with asyncio.timeout(30):
        assert (await anext(following)).value == b"one"
        await end_fetching(stalling[0])
        await log.write([OutputRecord(name, 0, b"k", b"two"), OutputRecord(name, 1, b"k", b"three")])
        assert {(await anext(following)).value, (await anext(following)).value} == {b"two", b"three"}
    assert len(stalling) == 2
    await following.aclose()


async def test_a_quiet_tail_is_left_alone(options, topics, log, stalling) -> None:
    following = tail(options, topics["audit"])
    waiting = asyncio.create_task(anext(following))
    await asyncio.sleep(50 * 0.05)
    await log.write([OutputRecord(topics["audit"], 0, b"k", b"one")])
    async with asyncio.timeout(10):
        assert (await waiting).value == b"one"
    assert len(stalling) == 1
    await following.aclose()


async def test_a_read_to_the_end_whose_fetching_ended_says_so(options, topics, log, stalling, monkeypatch) -> None:
    name = topics["audit"]
    await log.write([OutputRecord(name, 0, b"k", b"one")])
    seek = readers._seek

    async def sought_and_dead(consumer, *rest) -> None:
        await seek(consumer, *rest)
        await end_fetching(consumer)
        consumer._fetcher._records.clear()

    monkeypatch.setattr(readers, "_seek", sought_and_dead)
    async with asyncio.timeout(30):
        with pytest.raises(ReadError, match="hands nothing out although there is more"):
            await everything(options, name)


async def test_a_producer_whose_sending_ended_is_replaced_after_one_write(options, topics) -> None:
    name = topics["audit"]
    async with KafkaLog(options, now=lambda: NOW, ack_seconds=2) as log:
        await log.write([OutputRecord(name, 0, b"k", b"one")])
        sending = log._producer._sender._sender_task
        sending.cancel()
        await asyncio.wait({sending})
        with pytest.raises(LogError, match="did not acknowledge"):
            await log.write([OutputRecord(name, 0, b"k", b"two")])
        await log.write([OutputRecord(name, 0, b"k", b"two")])
    assert [record.value for record in await everything(options, name)] == [b"one", b"two"]
