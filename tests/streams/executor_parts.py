"""What executor tests share: commands, a clock that runs while the engine waits, and records kept in memory.

The store and the outcomes are lists here so that ten minutes of trying take no time; the same engine runs over the real
broker in ``tests/kafka``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.ports import Allowance, CallsSuspended, Effect, Verdict
from schemas.commands import (
    AppendTicketNote,
    Command,
    CompleteTicket,
    CreateTicket,
    ResetAlert,
    UpsertConfigurationItem,
    WithdrawCommand,
)
from schemas.facts import CommandSettled
from schemas.topics import TICKET_COMMANDS
from streams.executor.attempt import Attempt, Remembered, key_of
from streams.executor.attempts import Record
from streams.executor.engine import Engine
from streams.executor.figures import Figures
from streams.executor.ledger import Ledger, Telling
from streams.executor.settings import ExecutorSettings
from streams.executor.window import Entry, Window
from streams.kafka_options import KafkaOptions

START = 1_795_000_000_000
DONE = Effect(verdict=Verdict.SUCCEEDED, ticket_id=7, written=True, calls=1)
UNKNOWN = Effect(verdict=Verdict.UNKNOWN, reason="TimedOut", detail="no answer within 30 s", calls=1)
TRANSIENT = Effect(verdict=Verdict.TRANSIENT, reason="ConnectionRefused", calls=1)
THROTTLED = Effect(verdict=Verdict.THROTTLED, reason="ThreadLimit", calls=1)
SUSPENDED = Effect(verdict=Verdict.SUSPENDED, reason="Suspended")
REJECTED = Effect(verdict=Verdict.REJECTED, reason="InvalidValue", detail="queue 'NOC' is unknown", calls=1)
FOUND = Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", ticket_id=7, ticket_number="T1", written=True, calls=1)


def create(number: int, *, key: str | None = None, organization: int | None = 1) -> CreateTicket:
    external_id = f"ls.{key or number}.{number:032x}"
    return CreateTicket(
        key=key or str(number),
        effect_key=external_id,
        incident=external_id,
        organization_id=organization,
        external_id=external_id,
        company_id=1,
        title="t",
        description="d",
        queue="NOC",
        status="New",
        priority="High",
        due_at=START,
    )


def complete(number: int, *, key: str | None = None, organization: int | None = 1) -> CompleteTicket:
    incident = f"ls.{key or number}.{number:032x}"
    return CompleteTicket(
        key=key or str(number),
        effect_key=f"{incident}#complete",
        incident=incident,
        organization_id=organization,
        ticket_id=number,
        status="Complete",
        resolution="r",
    )


def note(number: int, *, key: str | None = None, organization: int | None = 1) -> AppendTicketNote:
    incident = f"ls.{key or number}.{number:032x}"
    return AppendTicketNote(
        key=key or str(number),
        effect_key=f"{incident}#note",
        mark="ls-1",
        incident=incident,
        organization_id=organization,
        ticket_id=number,
        title="t",
        text="x",
        note_type="n",
    )


def item(key: str, *, company: int = 1, serial: str = "", organization: int | None = 1) -> UpsertConfigurationItem:
    return UpsertConfigurationItem(
        key=key,
        effect_key=key,
        organization_id=organization,
        company_id=company,
        reference_number=f"ls.{key}",
        title="t",
        product="p",
        serial=serial,
    )


def reset(key: str, uid: str) -> ResetAlert:
    return ResetAlert(key=key, effect_key=uid, organization_id=1, uid=uid)


def withdraw(command_id: str, *, key: str = "1", topic: str = TICKET_COMMANDS) -> WithdrawCommand:
    return WithdrawCommand(
        key=key, effect_key=f"withdraw:{command_id}", command_id=command_id, command_topic=topic, reason="AlertReset"
    )


def entry(offset: int, command: Command, *, command_id: str | None = None) -> Entry:
    return Entry(
        offset=offset,
        command_id=command_id or f"c{offset}",
        command=command,
        correlation_id=command.incident,
        issued_at=START,
    )


class Time:
    """A clock that stands still while something happens and runs on while somebody sleeps."""

    def __init__(self) -> None:
        self.ms = START
        self.busy: Callable[[], bool] = lambda: True

    def now(self) -> int:
        return self.ms

    @property
    def seconds(self) -> float:
        return (self.ms - START) / 1000

    async def sleep(self, seconds: float) -> None:
        # Whatever can go on at this instant goes first.
        await asyncio.sleep(0)
        for _ in range(20):
            if not self.busy():
                break
            await asyncio.sleep(0)
        self.ms += round(seconds * 1000)


class SwitchedGate:
    """A connection that a test opens and closes."""

    connection: Any = "autotask"

    def __init__(self) -> None:
        self.why: str | None = None

    def enter(self) -> int:
        if self.why is not None:
            raise CallsSuspended(self.why)
        return 0

    async def refused(self, reason: str, epoch: int) -> None: ...
    async def troubled(self, reason: str) -> None: ...
    async def worked(self) -> None: ...


Answer = Effect | None | Exception
Answers = Callable[[Command, int], Awaitable[Answer] | Answer]


@dataclass
class Vendor:
    """Effects whose answers a test writes down; it keeps each call with its time."""

    time: Time
    performing: Answers = lambda command, count: DONE
    looking: Answers = lambda command, count: None
    calls: list[tuple[str, str, float]] = field(default_factory=list)
    doubles: list[tuple[int, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def perform(self, command: Command) -> Effect:
        answer = await self._answer("perform", command, self.performing)
        assert answer is not None
        return answer

    async def look_up(self, command: Command) -> Effect | None:
        return await self._answer("look_up", command, self.looking)

    async def complete_as_double(self, ticket_id: int, kept_number: str) -> Effect:
        self.doubles.append((ticket_id, kept_number))
        return DONE

    def made(self, kind: str) -> list[str]:
        return [effect_key for made, effect_key, _ in self.calls if made == kind]

    async def _answer(self, kind: str, command: Command, answers: Answers) -> Effect | None:
        self.calls.append((kind, command.effect_key, self.time.seconds))
        count = len([1 for made, effect_key, _ in self.calls if (made, effect_key) == (kind, command.effect_key)])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = answers(command, count)
            if isinstance(answer, Awaitable):
                answer = await answer
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1


class MemoryStore:
    """``Store``: what ``write`` acknowledged is there at once, what was noted with the next write."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.attempts: list[Attempt] = []
        self.fenced = False
        self._noted: list[tuple[str, bytes | None]] = []

    async def write(self, records: Sequence[Record]) -> None:
        self.note(records)
        if self.fenced:
            raise RuntimeError("ProducerFenced")
        await asyncio.sleep(0)
        self.flush()

    def note(self, records: Sequence[Record], forget: Sequence[str] = ()) -> None:
        self.attempts += [record for record in records if isinstance(record, Attempt)]
        self._noted += [(key_of(record), record.to_json()) for record in records]
        self._noted += [(key, None) for key in forget]

    def flush(self) -> None:
        for key, value in self._noted:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        self._noted.clear()

    def remembered(self, topic: str) -> Remembered:
        remembered = Remembered()
        for key, value in self.kept.items():
            remembered.take(topic, key, value)
        return remembered


class MemoryOutcomes:
    """``Outcomes`` as a list."""

    def __init__(self) -> None:
        self.tellings: list[Telling] = []

    @property
    def facts(self) -> list[CommandSettled]:
        return [telling.fact for telling in self.tellings]

    async def publish(self, tellings: Sequence[Telling]) -> None:
        await asyncio.sleep(0)
        self.tellings += tellings


class Crash(BaseException):
    """The process ends here."""


class Bench:
    """An engine with everything around it; ``restart`` gives the topic to a fresh one that knows only the store."""

    def __init__(self, *, commands: str = TICKET_COMMANDS, window: int = 1000, doubtful_before: int = 0) -> None:
        self.doubtful_before = doubtful_before
        self.time = Time()
        self.gate = SwitchedGate()
        self.vendor = Vendor(self.time)
        self.store = MemoryStore()
        self.outcomes = MemoryOutcomes()
        self.figures = Figures()
        self.topic: list[Entry] = []
        self.crash_at: str | None = None
        self.allowance = Allowance()
        self.settings = ExecutorSettings(
            kafka=KafkaOptions(bootstrap_servers="127.0.0.1:1"), commands=commands, window=window
        )
        self.engine = self._engine()

    def _engine(self) -> Engine:
        remembered = self.store.remembered(self.settings.commands)
        ledger = Ledger(
            topic=self.settings.commands,
            remembered=remembered,
            now=self.time.now(),
            store=self.store,
            outcomes=self.outcomes,
            at=self._at,
            doubtful_before=self.doubtful_before,
        )
        engine = Engine(
            settings=self.settings,
            window=Window(position=remembered.position or 0, capacity=self.settings.window),
            ledger=ledger,
            effects=self.vendor,
            gate=self.gate,
            now=self.time.now,
            sleep=self.time.sleep,
            jitter=lambda: 1.0,
            at=self._at,
            figures=self.figures,
            allowance=lambda: self.allowance,
        )
        self.time.busy = lambda: bool(engine._calls or engine._others)
        return engine

    def _at(self, point: str) -> None:
        if point == self.crash_at:
            self.crash_at = None
            raise Crash(point)

    def restart(self) -> None:
        self.engine = self._engine()
        for known in self.topic:
            if known.offset >= self.engine.window.position:
                self.engine.take(known)
        self.engine.ready()

    def send(self, command: Command, *, command_id: str | None = None) -> Entry:
        sent = entry(len(self.topic), command, command_id=command_id)
        self.topic.append(sent)
        self.engine.take(sent)
        return sent

    async def run(self, seconds: float) -> None:
        """Let the engine work for so many seconds of its clock."""
        self.engine.ready()
        until = self.time.ms + round(seconds * 1000)
        running = asyncio.ensure_future(self.engine.run())
        while self.time.ms < until and not running.done():
            await asyncio.sleep(0)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for task in [*self.engine._calls, *self.engine._others]:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.store.flush()

    async def run_into_crash(self, point: str) -> None:
        self.crash_at = point
        try:
            await self.run(1000)
        except Crash:
            await self._bury()
            return
        raise AssertionError(f"it never came to {point}")

    async def _bury(self) -> None:
        for task in [*self.engine._calls, *self.engine._others]:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        # What nobody awaited is lost with the process.
        self.store._noted.clear()

    def outcome_of(self, command_id: str) -> CommandSettled:
        """The one settlement of a command; repetitions must be the same."""
        facts = [telling for telling in self.outcomes.tellings if telling.fact.command_id == command_id]
        assert facts, f"{command_id} was never settled"
        assert len({(telling.identity, telling.fact.to_json()) for telling in facts}) == 1
        return facts[0].fact


def seconds_of(bench: Bench, kind: str) -> list[float]:
    return [at for made, _, at in bench.vendor.calls if made == kind]


async def passed(bench: Bench, seconds: float) -> None:
    while bench.time.seconds < seconds:
        await asyncio.sleep(0)
