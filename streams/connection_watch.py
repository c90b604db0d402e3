"""Keeps the gates of one process right: follows the topics of health and switches, and the file with the secrets.

All of it within a second (design section 6): the topics are pushed, the file is looked at four times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from connectors.ports import Log, Now
from connectors.probing import ProbeResult
from schemas.envelope import rfc3339
from schemas.facts import ConnectionChanged, ConnectionName
from schemas.topics import OPERATIONS
from streams.core import connection as machine
from streams.core.connection import DISPLAY, Connection, evolve
from streams.credentials import Credentials, Holding
from streams.delivery.fatal import described
from streams.gates import ConnectionGate
from streams.health import TOPICS, Decide, HealthError, HealthTopics, change, change_in, initial, record_test
from streams.kafka_options import KafkaOptions
from streams.log import LogError
from streams.operations import Pause, pause_of
from streams.ports import InputRecord
from streams.readers import ReadError, Remembered, end_offsets, read_all, tail
from streams.refusal_notes import Refusal, RefusalNotes, folder_beside

#: How long a caller waits for its refusal to be published; the gate is closed already, and publishing goes on.
PUBLISH_SECONDS = 5.0
LOOK_SECONDS = 0.25
#: Pauses between tests that came to no answer: a vendor in trouble is asked ever less often.
TEST_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)

Load = Callable[[], Mapping[ConnectionName, Credentials | None]]
Test = Callable[[ConnectionName], Awaitable[ProbeResult]]
OnCredentials = Callable[[ConnectionName], Awaitable[None]]

logger = logging.getLogger("lockstep.health")


class WatchError(RuntimeError):
    """A process no longer hears of refusals and switches; one line."""


class ConnectionWatch:
    """``async with ConnectionWatch(...) as watch``, then ``watch.gate("autotask")``.

    ``load`` gives the credentials in force for this process; it is asked at the start and whenever ``secrets_file``
    changes, and then ``on_credentials`` lets the process take them up before the gate opens. One role of the system
    gets ``test``: it tests, once, credentials that nobody tested yet. ``by`` names the process in the log.
    """

    def __init__(
        self,
        options: KafkaOptions,
        log: Log,
        *,
        now: Now,
        by: str,
        load: Load,
        secrets_file: Path | None = None,
        test: Test | None = None,
        on_credentials: OnCredentials | None = None,
        topics: HealthTopics = TOPICS,
        operations: str = OPERATIONS,
    ) -> None:
        self.now = now
        self.by = by
        self.connections: dict[ConnectionName, Connection] = initial()
        self._options = options
        self._log = log
        self._holding = Holding(load, secrets_file)
        self._notes = RefusalNotes(folder_beside(secrets_file) if secrets_file is not None else None)
        self._test = test
        self._on_credentials = on_credentials
        self._topics = topics
        self._switches = Remembered(options, operations, on_change=lambda key, value: self._wake())
        self._gates = {name: ConnectionGate(self, name) for name in machine.CONNECTIONS}
        self._tested: dict[ConnectionName, Credentials] = {}
        self._refusals: dict[ConnectionName, tuple[int, str, int]] = {}  # epoch, reason, since
        self._turns = {name: asyncio.Lock() for name in machine.CONNECTIONS}
        self._woken = asyncio.Event()
        self._places: dict[tuple[str, int], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: str | None = None
        self._failed = asyncio.Event()

    async def start(self) -> None:
        """Know everything as it is now, then follow. Raises ``ReadError``."""
        self._places = dict(await end_offsets(self._options, self._topics.connections))
        async for record in read_all(self._options, self._topics.connections):
            self._take(record)
        await self._switches.start()
        await self._compare()
        self._take_notes()
        for work in (self._follow(), self._follow_file(), self._test_untested()):
            self._spawn(work, essential=True)

    async def stop(self) -> None:
        """Stop following; what is being published is given up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._switches.stop()

    async def __aenter__(self) -> ConnectionWatch:
        await self.start()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.stop()

    async def failed(self) -> NoReturn:
        """Wait until health is no longer followed, and raise ``WatchError``: only a new process may call again.

        Cancelled otherwise.
        """
        following = asyncio.create_task(self._switches.ended())
        broken = asyncio.create_task(self._failed.wait())
        try:
            await asyncio.wait({following, broken}, return_when=asyncio.FIRST_COMPLETED)
            raise WatchError(f"connection health is not followed any more: {self._failure or following.result()}")
        finally:
            following.cancel()
            broken.cancel()

    def gate(self, name: ConnectionName) -> ConnectionGate:
        """The gate of a connection: the same one every time."""
        return self._gates[name]

    def connection(self, name: ConnectionName) -> Connection:
        """Where a connection stands."""
        return self.connections[name]

    def pause(self, name: ConnectionName) -> Pause | None:
        """The operator's switch that holds this connection back, if one is set."""
        return pause_of(self._switches, name)

    async def changed(self) -> None:
        """Wait for the next change of anything that opens or closes a gate."""
        await self._woken.wait()

    def closed(self, name: ConnectionName) -> str | None:
        """Why no call of this connection may go out; ``None`` while calls may."""
        connection, shown = self.connections[name], DISPLAY[name]
        if self._failure is not None:
            return f"{shown} is not called because its health is no longer known here: {self._failure}"
        switch = self.pause(name)
        if switch is not None:
            reason = f": {switch.reason}" if switch.reason else ""
            return f"{shown} is paused by {switch.by} since {rfc3339(switch.since)}{reason}"
        if name in self._refusals:
            _, reason, since = self._refusals[name]
            return f"{shown} is Unhealthy since {rfc3339(since)}: {reason}"
        if not connection.open:
            word = "not connected" if connection.state == "NotConnected" else connection.state
            begun = f" since {rfc3339(connection.since)}" if connection.since else ""
            return f"{shown} is {word}{begun}: {connection.reason}"
        if not self._holding.match(name, connection.credentials):
            return f"{shown} was tested with other credentials than this process holds"
        return None

    def close_here(self, name: ConnectionName, reason: str, epoch: int) -> None:
        """Close the gate for this process, before anybody else knows. A refusal of an older epoch changes nothing."""
        connection = self.connections[name]
        if epoch == connection.epoch and connection.open and name not in self._refusals:
            since = self.now()
            self._refusals[name] = (epoch, reason, since)
            self._notes.write(
                name, Refusal(epoch=epoch, credentials=connection.credentials, reason=reason, since=since)
            )
            self._wake()

    async def publish(self, name: ConnectionName, decide: Decide) -> None:
        """Bring a change about; goes on in the background where Kafka takes longer than ``PUBLISH_SECONDS``."""
        task = self._spawn(self._publish(name, decide))
        await asyncio.wait({task}, timeout=PUBLISH_SECONDS)

    async def _publish(self, name: ConnectionName, decide: Decide) -> None:
        async with self._turns[name]:
            while True:
                try:
                    known = self.connections[name]
                    after = await change(self._options, self._log, name, decide, known=known, topics=self._topics)
                    break
                except (LogError, ReadError, HealthError) as error:
                    logger.warning("health of %s is not published yet: %s", name, error)
                    await asyncio.sleep(1)
            # Whoever comes next decides on what this brought about, so wait until the topic told us too.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while self.connections[name] != after:
                        await self.changed()

    async def _follow(self) -> None:
        while True:
            try:
                places = dict(self._places)
                async for record in tail(self._options, self._topics.connections, start=places, from_beginning=True):
                    self._take(record)
                    await self._compare()
                    self._wake()
            except ReadError as error:
                logger.warning("connection health is not followed at the moment: %s", error)
                await asyncio.sleep(1)

    def _take(self, record: InputRecord) -> None:
        self._places[record.topic, record.partition] = record.offset + 1
        found = change_in(record)
        if found is None:
            return
        name = found[1].connection
        after = self.connections[name] = evolve(self.connections[name], found[1])
        if name in self._refusals and (after.epoch > self._refusals[name][0] or not after.open):
            # Either a newer test counts, or everybody knows by now.
            del self._refusals[name]

    def _take_notes(self) -> None:
        """Stop for what another process of this machine was refused, and tell of it: that one may have died before it could."""
        for name, connection in self.connections.items():
            noted = self._notes.read(name)
            # A note of an epoch that this process has not heard of yet is looked at again.
            if noted is None or noted.epoch > connection.epoch:
                continue
            if not connection.open or (noted.epoch, noted.credentials) != (connection.epoch, connection.credentials):
                self._notes.remove(name)
            elif name not in self._refusals:
                self._refusals[name] = (noted.epoch, noted.reason, noted.since)
                self._wake()
                self._spawn(self._publish(name, partial(self._refused, noted)))

    def _refused(self, noted: Refusal, connection: Connection) -> ConnectionChanged | None:
        return machine.refused(connection, reason=noted.reason, epoch=noted.epoch, at=noted.since, by=self.by)

    async def _compare(self) -> None:
        for name, connection in self.connections.items():
            held, before = self._holding.of(name), self._holding.match(name, connection.credentials)
            if held is not None and await self._holding.compare(name, connection.credentials):
                # Whoever tested them: once is enough.
                self._tested[name] = held
            if self._holding.match(name, connection.credentials) != before:
                self._wake()

    async def _follow_file(self) -> None:
        said = ""
        while True:
            self._take_notes()
            try:
                names, said = self._holding.refresh(), ""
            except (ValueError, OSError) as error:
                names = []
                if str(error) != said:
                    said = str(error)
                    logger.warning("new credentials cannot be read yet: %s", said)
            for name in names:
                if self._on_credentials is not None and name in self._gates:
                    await self._on_credentials(name)
            self._holding.settle(names)
            # Every time, and free where the answer is known: what was compared in an unlucky moment must not keep a gate closed.
            await self._compare()
            if names:
                self._wake()
            await asyncio.sleep(LOOK_SECONDS)

    async def _test_untested(self) -> None:
        undecided = 0
        while self._test is not None:
            settled = [await self._test_once(name, self._test) for name in machine.CONNECTIONS]
            undecided = 0 if all(settled) else undecided + 1
            pause = TEST_AGAIN_SECONDS[min(undecided, len(TEST_AGAIN_SECONDS)) - 1] if undecided else LOOK_SECONDS
            await asyncio.sleep(pause)

    async def _test_once(self, name: ConnectionName, test: Test) -> bool:
        """Test credentials that nobody tested yet. Returns whether there is nothing left to find out."""
        held = self._holding.of(name)
        if held is None or self._tested.get(name) == held or self.pause(name) is not None:
            return True
        result = await test(name)
        if self._holding.of(name) is not held:
            return True  # replaced meanwhile: the new set has its own test
        if not result.ok and not result.reachable:
            logger.warning("%s could not be tested: %s", DISPLAY[name], result.line)
            return False
        refusal = None if result.failed is None else result.failed.line
        try:
            await record_test(
                self._options, self._log, name, held, refusal=refusal, at=self.now(), by=self.by, topics=self._topics
            )
        except (LogError, ReadError, HealthError) as error:
            logger.warning("the test of %s could not be recorded: %s", DISPLAY[name], error)
            return False
        self._tested[name] = held
        return True

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    def _spawn(self, work: Coroutine[Any, Any, None], *, essential: bool = False) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, essential))
        return task

    def _ended(self, task: asyncio.Task[None], essential: bool) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("connection health: %s: %s", type(error).__name__, error)
            if essential:
                # Fail closed: a process that no longer hears of refusals must not call.
                self._failure = described(error)
                self._failed.set()
                self._wake()
