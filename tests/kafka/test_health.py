"""Connection health across processes: whoever sees a refusal stops at once, everybody else within a second."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from connectors.ports import CallsSuspended, Gate
from connectors.probing import ProbeResult, ProbeStep
from schemas.events import decode_fact
from schemas.topics import CATALOGUE
from streams import health, operations
from streams.broker import EmbeddedBroker
from streams.connection_watch import ConnectionWatch, WatchError
from streams.credentials import digest_of, same
from streams.health import HealthTopics
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.readers import read_all
from streams.refusal_notes import Refusal, RefusalNotes
from streams.topics import TopicSettings, create_topics

SECRET = {"username": "api@example.org", "secret": "hush-hush"}
OTHER = {"username": "api@example.org", "secret": "other"}
PASSED = ProbeResult(steps=(ProbeStep(step="credentials", ok=True, line="ok"),))
REFUSED = ProbeResult(steps=(ProbeStep(step="credentials", ok=False, line="the secret is wrong"),))
SILENT = ProbeResult(steps=(ProbeStep(step="zone", ok=False, line="no answer in 20 s"),), reachable=False)


class Stage:
    """Topics of one test, and the processes that use them."""

    def __init__(self, options: KafkaOptions, prefix: str, log: KafkaLog, file: Path) -> None:
        self.options, self.log, self.file = options, log, file
        self.topics = HealthTopics(connections=prefix + "connections", control=prefix + "control")
        self.operations = prefix + "operations"
        self.time = 1_000_000
        self.watches: list[ConnectionWatch] = []

    def save(self, credentials: dict[str, str] | None) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_bytes(orjson.dumps({"autotask": credentials}))
        draft.replace(self.file)

    async def process(self, name: str, log: KafkaLog | None = None, **more) -> ConnectionWatch:
        watch = ConnectionWatch(
            self.options,
            log or self.log,
            now=lambda: self.time,
            by=name,
            load=lambda: orjson.loads(self.file.read_bytes()),
            secrets_file=self.file,
            topics=self.topics,
            operations=self.operations,
            **more,
        )
        await watch.start()
        self.watches.append(watch)
        return watch

    async def test_succeeds(self, credentials: dict[str, str] = SECRET) -> None:
        await health.record_test(
            self.options, self.log, "autotask", credentials, refusal=None, at=self.time, by="cli", topics=self.topics
        )

    async def state(self) -> str:
        return (await health.connections(self.options, topics=self.topics))["autotask"].state

    async def pause(self, what: operations.Paused, reason: str) -> None:
        await operations.pause(self.log, what, by="ann", reason=reason, at=self.time, topic=self.operations)


@pytest.fixture
async def stage(broker: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Stage]:
    options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
    used = [t for t in CATALOGUE if t.name in ("connections", "control", "operations")]
    await create_topics(
        options, TopicSettings(partitions=3), catalogue=[replace(t, name=topic_prefix + t.name) for t in used]
    )
    async with KafkaLog(options, now=lambda: 1_000_000, control=topic_prefix + "control") as log:
        built = Stage(options, topic_prefix, log, tmp_path / "secrets.json")
        built.save(SECRET)
        yield built
        for watch in built.watches:
            await watch.stop()


async def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def is_open(watch: ConnectionWatch) -> bool:
    return watch.gate("autotask").closed() is None


async def test_before_any_test_no_call_goes_out(stage: Stage) -> None:
    gate: Gate = (await stage.process("executor")).gate("autotask")
    with pytest.raises(CallsSuspended, match="Autotask is not connected: never tested"):
        gate.enter()


async def test_a_successful_test_opens_every_gate_within_a_second(stage: Stage) -> None:
    one, two = await stage.process("one"), await stage.process("two")
    waiting = asyncio.create_task(two.gate("autotask").opened())
    await stage.test_succeeds()
    assert await within(1, lambda: is_open(one) and is_open(two))
    assert one.gate("autotask").enter() == 1
    async with asyncio.timeout(1):
        await waiting


async def test_a_refusal_closes_the_own_gate_before_anything_else_happens(stage: Stage) -> None:
    await stage.test_succeeds()
    gate = (await stage.process("executor")).gate("autotask")
    refusing = gate.refused("401 Unauthorized", gate.enter())
    refusing.send(None)  # runs to its first wait, and no further
    with pytest.raises(CallsSuspended, match=r"Autotask is Unhealthy since .*: 401 Unauthorized"):
        gate.enter()
    refusing.close()


async def test_all_other_processes_stop_within_a_second_of_a_refusal(stage: Stage) -> None:
    await stage.test_succeeds()
    one, two = await stage.process("one"), await stage.process("two")
    began = time.monotonic()
    await one.gate("autotask").refused("401 Unauthorized", one.gate("autotask").enter())
    assert await within(1 - (time.monotonic() - began), lambda: not is_open(two))
    with pytest.raises(CallsSuspended, match=r"Autotask is Unhealthy since .*: 401 Unauthorized"):
        two.gate("autotask").enter()
    assert two.gate("ninjaone").closed().startswith("NinjaOne is not connected")


async def test_a_refusal_from_before_the_last_test_no_longer_counts(stage: Stage) -> None:
    await stage.test_succeeds()
    watch = await stage.process("executor")
    old = watch.gate("autotask").enter()
    await stage.test_succeeds(SECRET)
    assert await within(1, lambda: is_open(watch) and watch.gate("autotask").enter() == old + 1)
    await watch.gate("autotask").refused("401 Unauthorized", old)
    assert is_open(watch)
    assert await stage.state() == "Healthy"


async def test_a_note_of_an_epoch_that_is_over_or_of_other_credentials_closes_nothing_and_is_removed(
    stage: Stage,
) -> None:
    await stage.test_succeeds()
    standing = (await health.connections(stage.options, topics=stage.topics))["autotask"]
    notes = RefusalNotes(stage.file.parent / "refusals")
    for epoch, digest in ((standing.epoch - 1, standing.credentials), (standing.epoch, digest_of(OTHER))):
        notes.write("autotask", Refusal(epoch=epoch, credentials=digest, reason="401", since=1))
        watch = await stage.process("one")
        assert is_open(watch)
        assert notes.read("autotask") is None
        await watch.stop()


async def test_each_change_reaches_every_partition_of_control_once_and_keeps_its_id(stage: Stage) -> None:
    await stage.test_succeeds()
    watch = await stage.process("executor")
    epoch = watch.gate("autotask").enter()
    await asyncio.gather(*(watch.gate("autotask").refused("401", epoch) for _ in range(3)))
    control = [decode_fact(r.headers, r.value) async for r in read_all(stage.options, stage.topics.control)]
    assert sorted((event.data.previous, event.data.state) for event in control) == [
        *[("Healthy", "Unhealthy")] * 3,
        *[("NotConnected", "Healthy")] * 3,
    ]
    assert len({event.envelope.id for event in control}) == 2


async def test_credentials_that_nobody_tested_are_tested_once_and_a_restart_does_not_test_again(stage: Stage) -> None:
    calls: list[str] = []

    async def test(name):
        calls.append(name)
        return PASSED

    watch = await stage.process("connectors", test=test)
    assert await within(2, lambda: is_open(watch))
    await watch.stop()
    again = await stage.process("connectors", test=test)
    assert is_open(again)
    await asyncio.sleep(0.6)  # two looks at the file
    assert calls == ["autotask"]


async def test_a_refused_test_is_not_repeated_until_other_credentials_are_saved_which_are_taken_up(
    stage: Stage,
) -> None:
    calls: list[str] = []
    taken: list[str] = []

    async def test(name):
        calls.append(name)
        return PASSED if len(calls) > 1 else REFUSED

    async def take(name):
        taken.append(name)

    watch = await stage.process("connectors", test=test, on_credentials=take)
    assert await within(2, lambda: "the secret is wrong" in (watch.gate("autotask").closed() or ""))
    await asyncio.sleep(0.6)
    assert (calls, taken) == (["autotask"], [])
    stage.save(OTHER)
    assert await within(1.5, lambda: is_open(watch))
    assert (len(calls), taken) == (2, ["autotask"])


async def test_a_test_without_an_answer_says_nothing_about_the_credentials_and_is_repeated(stage: Stage) -> None:
    answers = [SILENT, PASSED]

    async def test(name):
        return answers.pop(0)

    watch = await stage.process("connectors", test=test)
    assert await within(4, lambda: is_open(watch))
    assert watch.connections["autotask"].epoch == 1


async def test_a_process_with_other_credentials_than_those_tested_makes_no_call_until_it_has_them(stage: Stage) -> None:
    taking, taken = asyncio.Event(), asyncio.Event()

    async def take(name):
        taking.set()
        await taken.wait()

    await stage.test_succeeds()
    watch = await stage.process("executor", on_credentials=take)
    await stage.test_succeeds(OTHER)
    assert await within(1, lambda: not is_open(watch))
    assert watch.gate("autotask").closed() == "Autotask was tested with other credentials than this process holds"
    stage.save(OTHER)
    async with asyncio.timeout(1):
        await taking.wait()
    await stage.test_succeeds(OTHER)  # whatever arrives meanwhile must not open it
    assert await within(1, lambda: watch.connections["autotask"].epoch == 3)
    assert not await within(1, lambda: is_open(watch))
    taken.set()
    assert await within(1, lambda: is_open(watch))


async def test_a_secrets_file_that_cannot_be_read_changes_nothing(stage: Stage) -> None:
    await stage.test_succeeds()
    watch = await stage.process("executor")
    stage.file.write_text("{")
    await asyncio.sleep(0.6)
    assert is_open(watch)


async def test_trouble_makes_it_degraded_everywhere_calls_go_on_and_it_comes_back(stage: Stage) -> None:
    await stage.test_succeeds()
    one, two = await stage.process("one"), await stage.process("two")
    for _ in range(3):
        await one.gate("autotask").troubled("no answer in 20 s")
    assert await within(1, lambda: two.connections["autotask"].state == "Degraded")
    assert is_open(one)
    assert is_open(two)
    for _ in range(3):
        await two.gate("autotask").worked()
    assert two.connections["autotask"].state == "Degraded"  # not within ten seconds
    stage.time += 10_000
    await two.gate("autotask").worked()
    assert await within(1, lambda: one.connections["autotask"].state == "Healthy")
    assert two.gate("autotask").enter() == 1


async def test_pause_closes_and_resume_opens_with_who_why_and_since_when(stage: Stage) -> None:
    await stage.test_succeeds()
    watch = await stage.process("executor")
    await stage.pause("autotask", "tenant migration")
    await stage.pause("all", "")
    assert await within(1, lambda: "paused" in (watch.gate("autotask").closed() or ""))
    with pytest.raises(
        CallsSuspended, match=r"Autotask is paused by ann since 1970-01-01T00:16:40\.000Z: tenant migration"
    ):
        watch.gate("autotask").enter()
    assert set(await operations.resume(stage.log, "autotask", topic=stage.operations)) == {"all"}
    assert await within(1, lambda: watch.pause("autotask") is not None and watch.pause("autotask").what == "all")
    assert await operations.resume(stage.log, "all", topic=stage.operations) == {}
    assert await within(1, lambda: is_open(watch))


async def test_no_test_is_made_while_paused(stage: Stage) -> None:
    calls: list[str] = []

    async def test(name):
        calls.append(name)
        return PASSED

    await stage.pause("all", "quiet")
    watch = await stage.process("connectors", test=test)
    await asyncio.sleep(0.6)
    assert calls == []
    await operations.resume(stage.log, "all", topic=stage.operations)
    assert await within(2, lambda: is_open(watch))


async def test_disconnecting_closes_every_gate_and_the_same_credentials_are_not_tested_by_themselves(
    stage: Stage,
) -> None:
    async def test(name):
        return PASSED

    watch = await stage.process("connectors", test=test)
    assert await within(2, lambda: is_open(watch))
    await health.disconnected(
        stage.options, stage.log, "autotask", reason="disconnected by ann", at=5, by="cli", topics=stage.topics
    )
    assert await within(1, lambda: not is_open(watch))
    await asyncio.sleep(0.6)
    assert await stage.state() == "NotConnected"


async def test_operators_change_wins_also_when_another_change_comes_in_between(stage: Stage) -> None:
    stale = (await health.connections(stage.options, topics=stage.topics))["autotask"]
    await stage.test_succeeds()
    after = await health.change(
        stage.options,
        stage.log,
        "autotask",
        lambda c: health.machine.passed(c, credentials="B", at=7, by="cli") if c.credentials != "B" else None,
        known=stale,
        topics=stage.topics,
    )
    assert (after.epoch, after.credentials) == (2, "B")
    changes = [effective async for _, effective in health.history(stage.options, topics=stage.topics)]
    assert changes == [True, False, True]


async def test_status_shows_state_since_and_reason(stage: Stage) -> None:
    await stage.test_succeeds()
    shown = health.as_status(await health.connections(stage.options, topics=stage.topics))
    assert shown["autotask"] == {
        "state": "Healthy",
        "since": 1_000_000,
        "reason": "Connection succeeded with provided credentials.",
    }
    assert shown["ninjaone"] == {"state": "NotConnected", "since": 0, "reason": "never tested"}


async def test_without_kafka_a_refusal_still_closes_the_gate_and_is_published_later(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(options, TopicSettings(partitions=1))
        async with KafkaLog(options, now=lambda: 1, ack_seconds=2) as log:
            stage = Stage(options, "", log, tmp_path / "secrets.json")
            stage.save(SECRET)
            await stage.test_succeeds()
            watch = await stage.process("executor")
            gate = watch.gate("autotask")
            epoch = gate.enter()
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(8):
                    await gate.refused("401", epoch)
                assert gate.closed() is not None
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            assert await within(30, lambda: watch.connections["autotask"].state == "Unhealthy")
            await watch.stop()


async def test_while_kafka_cannot_be_told_of_a_refusal_no_other_process_of_the_machine_calls_and_none_that_starts_then(
    stage: Stage,
) -> None:
    await stage.test_succeeds()
    # A listener that answers nothing: what this process writes never arrives.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = KafkaOptions(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}")
        cut_off = KafkaLog(nowhere, now=lambda: 1, ack_seconds=2)
        saw, other = await stage.process("saw it", log=cut_off), await stage.process("other", log=cut_off)
        gate = saw.gate("autotask")
        refusing = asyncio.create_task(gate.refused("401", gate.enter()))
        assert await within(1, lambda: not is_open(other))
        # The one who saw it dies before it could tell Kafka, and so does the other.
        for watch in (saw, other):
            await watch.stop()
        await refusing
    assert await stage.state() == "Healthy"
    new = await stage.process("new")
    closed = new.gate("autotask").closed()
    assert closed is not None
    assert closed.endswith("401")
    assert await within(10, lambda: new.connections["autotask"].state == "Unhealthy")
    assert await within(2, lambda: RefusalNotes(stage.file.parent / "refusals").read("autotask") is None)
    await stage.test_succeeds()
    assert await within(5, lambda: is_open(new))


def test_a_digest_tells_sets_apart_and_reveals_none() -> None:
    digest = digest_of(SECRET)
    assert same(digest, dict(reversed(SECRET.items())))
    assert not same(digest, OTHER)
    assert not same("", SECRET)
    assert not same("zz.zz", SECRET)
    assert digest != digest_of(SECRET)
    assert "hush" not in digest
    assert len(digest) == 16 + 1 + 32


async def test_a_process_that_no_longer_follows_health_is_told_to_end(stage: Stage) -> None:
    stage.save(SECRET)
    await stage.test_succeeds()
    watch = await stage.process("one")
    failed = asyncio.create_task(watch.failed())
    await asyncio.sleep(0.1)
    assert not failed.done()

    def broken() -> None:
        raise LookupError("nobody thought of this")

    watch._holding.refresh = broken  # type: ignore[method-assign]
    with pytest.raises(WatchError, match=r"not followed any more: .*nobody thought of this"):
        await asyncio.wait_for(failed, 10)
    assert watch.closed("autotask") is not None
