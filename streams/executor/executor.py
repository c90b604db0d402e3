"""The executor of one command topic as a role: member of a group of which one owns the topic and the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from connectors.ports import Allowance, Effects, Gate, Now
from streams.assignors import METADATA_AGE_MS, knowing
from streams.delivery.fatal import StartRefused, described, die
from streams.executor.attempts import AttemptLog
from streams.executor.engine import Engine
from streams.executor.figures import Figures
from streams.executor.ledger import Ledger
from streams.executor.outcomes import OutcomeLog
from streams.executor.reading import Reading, TooManyDeadLetters, start_position
from streams.executor.settings import AtPoint, ExecutorSettings, Jitter, Sleep
from streams.executor.window import Window
from streams.log import KafkaLog, LogError
from streams.stillness import Stillness

#: How long a poll may wait for records; also how soon a stop is noticed.
POLL_MS = 200
#: Kafka's own committed offset is for lag tools only (the position in ``attempts`` counts), so it may be a second old.
COMMIT_EVERY_S = 1.0
#: How often a consumer that gets nothing asks the broker whether there is something to get.
LOOK_EVERY_S = 5.0

log = logging.getLogger("lockstep.executor")


@dataclass(slots=True)
class _Tenure:
    """What exists while this process owns the topic."""

    attempts: AttemptLog
    engine: Engine
    reading: Reading
    running: asyncio.Task[None]


class Executor:
    """Carries out the commands of one topic.

    ``await Executor(settings, effects=..., gate=..., now=clock.now).run()`` returns after ``stop()``. Raises
    ``StartRefused`` where it cannot start; afterwards everything that forbids going on (fenced by another executor,
    Kafka gone, a programming error) ends the process with 70, and whoever owns the topic next takes over.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        *,
        effects: Effects,
        gate: Gate,
        now: Now,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
        at: AtPoint = lambda point: None,
        end_process: Callable[[str], NoReturn] = die,
        allowance: Callable[[], Allowance] = Allowance,
    ) -> None:
        self._settings = settings
        self._effects = effects
        self._gate = gate
        self._now = now
        self._sleep = sleep
        self._jitter = jitter
        self._at = at
        self._end_process = end_process
        self._allowance = allowance
        self._tp = TopicPartition(settings.topic, 0)
        self._log = KafkaLog(settings.kafka, now=now, dead_letters=settings.dead_letters)
        self._figures = Figures()
        self._consumer: Any = None
        self._tenure: _Tenure | None = None
        self._changing = asyncio.Lock()
        self._assigned = False
        self._stopping = asyncio.Event()
        self._committed: int | None = None
        self._commit_due = 0.0
        self._look_every_s = min(LOOK_EVERY_S, settings.stalled_after_s / 4)
        self._stillness = Stillness(longest_look_s=2 * self._look_every_s)
        self._looked_at = 0.0
        # Polls since the group began to decide who owns the topic (``None``: it has decided), and seconds in a row without an answer about the end.
        self._undecided_polls: int | None = 0
        self._unanswered_s = 0.0

    def stop(self) -> None:
        """Finish the calls in flight and leave; ``run`` then returns."""
        self._stopping.set()

    @property
    def owner(self) -> bool:
        """Whether the topic is ours at the moment."""
        return self._tenure is not None

    def figures(self) -> dict[str, Any]:
        """What it does and what waits, as plain values for ``lockstep status``."""
        figures, tenure = self._figures, self._tenure
        about = {
            "topic": self._settings.commands,
            "owner": tenure is not None,
            "settled": dict(figures.settled),
            "calls": figures.calls,
            "attempts": figures.attempts,
            "look_ups": figures.look_ups,
            "doubled_tickets": figures.doubled_tickets,
            "dead_letters": figures.dead_letters,
            "last_error": figures.last_error or None,
            "last_error_at": figures.last_error_at,
        }
        return about | (tenure.engine.figures() if tenure else {"waiting": 0, "in_flight": 0})

    async def run(self) -> None:
        """Stand by, and carry out the commands while the topic is ours."""
        try:
            await self._open()
            while not self._stopping.is_set():
                await self._poll()
        except StartRefused:
            raise
        except (KafkaError, LogError) as error:
            self._end_process(f"executor of {self._settings.commands}: Kafka does not go on: {described(error)}")
        except TooManyDeadLetters as error:
            self._end_process(f"executor of {self._settings.commands}: {error}")
        except Exception as error:
            self._end_process(f"executor of {self._settings.commands} cannot go on: {described(error)}")
        finally:
            await self._close()

    async def _open(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.kafka.client(),
            client_id=self._settings.name,
            group_id=self._settings.name,
            group_instance_id=self._settings.instance_id,
            partition_assignment_strategy=[knowing(RoundRobinPartitionAssignor, 1)],
            metadata_max_age_ms=METADATA_AGE_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=round(self._settings.session_timeout_s * 1000),
            # Three may be missed before the group gives the topic to another.
            heartbeat_interval_ms=round(self._settings.session_timeout_s * 1000 / 4),
            # A member that hands over may first finish its calls in flight.
            rebalance_timeout_ms=round((self._settings.stop_grace_s + 10) * 1000),
        )
        try:
            await self._log.start()
            for topic in (self._settings.topic, self._settings.attempts):
                partitions = await self._log.partitions(topic)
                if partitions != 1:
                    raise StartRefused(f"topic {topic} has {partitions} partitions; an executor needs it to have 1")
            await self._log.partitions(self._settings.outcomes)
            await consumer.start()
        except (LogError, KafkaError, OSError) as error:
            with contextlib.suppress(Exception):
                await consumer.stop()
            raise StartRefused(f"executor of {self._settings.commands} cannot start: {error}") from None
        self._consumer = consumer
        consumer.subscribe([self._settings.topic], listener=_Listener(self))

    async def _poll(self) -> None:
        tenure = self._tenure
        if tenure is None:
            if self._assigned:
                async with self._changing:
                    # It may have been taken away again while we waited for the lock.
                    if self._assigned and self._tenure is None:
                        self._tenure = await self._begin()
                return
            await self._consumer.getmany(timeout_ms=POLL_MS)
            self._wait_for_group()
            return
        if tenure.running.done():
            tenure.running.result()
        room = tenure.engine.window.room
        self._hold(not room)
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=max(1, min(room, 500)))
        if tenure is not self._tenure:
            return
        records = fetched.get(self._tp, [])
        await tenure.reading.take(records)
        tenure.reading.arrived(await self._position())
        await self._watch(bool(records) or not room)
        if time.monotonic() >= self._commit_due:
            await self._commit(tenure)

    async def _begin(self) -> _Tenure:
        """Take the topic over: fence the former owner, read what it left, go to where it was."""
        attempts = AttemptLog(self._settings)
        try:
            remembered = await attempts.open()
            start = await start_position(self._consumer, self._tp, remembered.position)
            end = (await self._consumer.end_offsets([self._tp]))[self._tp]
            committed = await self._consumer.committed(self._tp)
        except BaseException:
            await attempts.abandon()
            raise
        partitions = await self._log.partitions(self._settings.outcomes)
        # Every call is recorded before it is made, so work that was done and left nothing there means that the broker has
        # lost it: seen where its disk was full while it recovered from a kill.
        lost = bool(committed) and remembered.nothing
        if lost:
            log.error(
                "topic %s has lost what was recorded of %s: commands before offset %d are looked for before they are made",
                self._settings.attempts,
                self._settings.commands,
                end,
            )
        ledger = Ledger(
            topic=self._settings.commands,
            remembered=remembered,
            now=self._now(),
            store=attempts,
            outcomes=OutcomeLog(self._log, self._settings, partitions=partitions),
            at=self._at,
            doubtful_before=end if lost else 0,
        )
        engine = Engine(
            settings=self._settings,
            window=Window(position=start, capacity=self._settings.window),
            ledger=ledger,
            effects=self._effects,
            gate=self._gate,
            now=self._now,
            sleep=self._sleep,
            jitter=self._jitter,
            at=self._at,
            figures=self._figures,
            allowance=self._allowance,
        )
        self._consumer.seek(self._tp, start)
        self._consumer.resume(self._tp)
        self._looked_at = time.monotonic()
        log.info(
            "executor of %s begins at offset %d of %d; %d attempts known, %d of unknown outcome",
            self._settings.commands,
            start,
            end,
            len(remembered.attempts),
            sum(attempt.uncertain for attempt in remembered.attempts.values()),
        )
        running = asyncio.create_task(engine.run(), name=f"{self._settings.name}.engine")
        running.add_done_callback(self._engine_ended)
        reading = Reading(engine, self._log, self._settings, self._figures, now=self._now, start=start, end=end)
        return _Tenure(attempts, engine, reading, running)

    async def end_tenure(self) -> None:
        """Give the topic up: calls in flight end (within the grace), what they came to is written, the place is kept."""
        async with self._changing:
            tenure, self._tenure = self._tenure, None
            self._assigned = False
            if tenure is None:
                return
            await tenure.engine.stop(self._settings.stop_grace_s)
            await tenure.running
            await tenure.attempts.close()
            await self._commit(tenure)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """The group gave us these. Nothing is fetched before the former owner is fenced and its place is known."""
        self._undecided_polls = None
        if self._tp in partitions:
            self._consumer.pause(self._tp)
            self._assigned = True
        elif not self._assigned:
            log.info("executor of %s stands by", self._settings.commands)

    async def revoked(self) -> None:
        """The group takes back what we have."""
        try:
            await self.end_tenure()
            self._undecided_polls = 0
        except Exception as error:
            self._end_process(f"executor of {self._settings.commands} ends at handing over: {described(error)}")

    def _engine_ended(self, running: asyncio.Task[None]) -> None:
        # At once, not at the next poll: another call could begin until then.
        if not running.cancelled() and (error := running.exception()) is not None:
            self._end_process(f"executor of {self._settings.commands} cannot go on: {described(error)}")

    def _wait_for_group(self) -> None:
        """A rebalance lasts for the grace of the former owner and a few seconds; one that does not end leaves no owner.

        Polls are counted and not seconds: a process that was stopped for a while did not wait for anybody.
        """
        if self._undecided_polls is None:
            return
        self._undecided_polls += 1
        seconds = self._undecided_polls * POLL_MS / 1000
        if seconds > 2 * self._settings.stalled_after_s:
            self._end_process(
                f"executor of {self._settings.commands}: its group has not said for {seconds:.0f} s who owns the topic"
            )

    def _hold(self, full: bool) -> None:
        held = self._tp in self._consumer.paused()
        if full and not held:
            self._consumer.pause(self._tp)
        elif held and not full:
            self._consumer.resume(self._tp)

    async def _position(self) -> int:
        position: int = await self._consumer.position(self._tp)
        return position

    async def _watch(self, moving: bool) -> None:
        """A consumer that gets nothing although there is something to get does not recover by itself.

        The end is asked of the broker: the consumer's own idea of it comes with its fetches, and stalls with them.
        """
        now = time.monotonic()
        passed = now - self._looked_at
        if not moving and passed < self._look_every_s:
            return
        self._looked_at = now
        seen = {} if moving else await self._look()
        self._unanswered_s = self._unanswered_s + min(passed, 2 * self._look_every_s) if seen is None else 0.0
        if seen is None:
            if self._unanswered_s > 2 * self._settings.stalled_after_s:
                self._end_process(
                    f"executor of {self._settings.commands}: Kafka has not said for {self._unanswered_s:.0f} s where "
                    f"the topic ends"
                )
            return
        for where, seconds in self._stillness.seen(seen, passed).items():
            if seconds >= self._settings.stalled_after_s:
                position, end = seen[where]
                self._end_process(
                    f"executor of {self._settings.commands} has stalled: {seconds:.0f} s without a record at offset "
                    f"{position} of {end}"
                )

    async def _look(self) -> dict[tuple[str, int], tuple[int, int]] | None:
        """Position and end of the topic; ``None`` where the broker does not answer."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                end = (await self._consumer.end_offsets([self._tp]))[self._tp]
                return {(self._tp.topic, self._tp.partition): (await self._position(), end)}
        except (KafkaError, TimeoutError):
            return None

    async def _commit(self, tenure: _Tenure) -> None:
        self._commit_due = time.monotonic() + COMMIT_EVERY_S
        position = tenure.engine.window.position
        if position == self._committed:
            return
        with contextlib.suppress(KafkaError):
            await self._consumer.commit({self._tp: position})
            self._committed = position

    async def _close(self) -> None:
        try:
            await self.end_tenure()
        except Exception as error:
            self._end_process(f"executor of {self._settings.commands} did not end well: {described(error)}")
        finally:
            if self._consumer is not None:
                with contextlib.suppress(KafkaError):
                    await self._consumer.stop()
            await self._log.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes on what the group decides."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Also at the first join, with nothing."""
        await self._executor.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """After every rebalance."""
        self._executor.assigned(assigned)
