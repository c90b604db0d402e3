"""``lockstep up``: the broker where it is embedded, the topics, and every role of one machine under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from connectors.ports import Now
from schemas.topics import ROLES
from streams.broker import BrokerError, EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.mode import claim
from streams.policy_file import read_policy
from streams.policy_log import policy_standing
from streams.receiver_port import free_port
from streams.reporter import EVERY_S
from streams.settings import Settings
from streams.supervisor import Supervisor
from streams.wiring import kafka_options, prepare_topics

#: As far apart as the restarts of a role become.
BROKER_AGAIN_S = 30.0


class Installation:
    """Everything that runs on this machine. ``start``, then ``run`` until ``stop`` is set, then ``close``.

    ``tell`` gets a line for people when something begins, ends or is found. Raises ``BrokerError``, ``TopicsError``,
    ``ModeError``.
    """

    def __init__(self, settings: Settings, *, config: Path | None, now: Now, tell: Callable[[str], None]) -> None:
        self.settings = settings
        self.options: KafkaOptions | None = None
        self.supervisor: Supervisor | None = None
        self.broker: EmbeddedBroker | None = None
        self._config = config
        self._now = now
        self._tell = tell
        self._log: KafkaLog | None = None
        self._receiver: dict[str, str] = {}

    @property
    def logs(self) -> Path:
        """Where the roles write what they have to say, one file each."""
        return self.settings.data_dir.parent / "logs"

    def roles(self) -> dict[str, Sequence[str]]:
        """The command line of every role, by name."""
        config = ["--config", str(self._config)] if self._config else []
        lockstep = [sys.executable, "-m", "streams.main", "run"]
        workers = [f"worker-{number + 1}" for number in range(self.settings.worker.processes)]
        return {
            "connectors": [*lockstep, "connectors", *config],
            **{name: [*lockstep, "worker", "--name", name, "--static", *config] for name in workers},
            "executor": [*lockstep, "executor", "--static", *config],
        }

    async def start(self) -> None:
        """Bring up Kafka and the topics.

        Raises ``ReceiverError`` before that where webhooks could not be received, ``PolicyFileError`` where no policy is in force and the
        file is none.
        """
        # Unless the configuration names one, a shadow beside a live installation listens where there is room.
        self._receiver = await asyncio.to_thread(free_port, self.settings, self._config, self._tell)
        if self.settings.kafka.embedded:
            self.broker = EmbeddedBroker(
                self.settings.data_dir, heap_mb=self.settings.kafka.heap_mb, progress=self._tell
            )
            await self.broker.start()
        try:
            self.options = await kafka_options(self.settings)
            prepared = await prepare_topics(self.settings, self.options)
            for finding in prepared.findings:
                self._tell(str(finding))
            self._log = KafkaLog(self.options, now=self._now)
            await self._log.start()
            await claim(self.options, self._log, self.settings.mode)
            if (await policy_standing(self.options)).in_force is None:
                # The connectors publish it; without one they would be started again for ever.
                read_policy(self.settings.policy_path)
        except BaseException:
            await self.close()
            raise

    async def run(self, stop: asyncio.Event, *, environment: Mapping[str, str] | None = None) -> None:
        """Keep the roles running until ``stop`` is set."""
        self.supervisor = Supervisor(
            self.roles(),
            logs=self.logs,
            # What one start was told (``up --shadow``) counts for every role of it.
            environment={**(environment or os.environ), "LOCKSTEP_MODE": self.settings.mode, **self._receiver},
            on_change=self._report,
            tell=self._tell,
        )
        beside = [asyncio.create_task(self._keep_broker()), asyncio.create_task(self._report_again())]
        try:
            await self.supervisor.run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _keep_broker(self) -> None:
        """The broker restarts itself; where it gave up (a full disk, say) it is tried anew every half minute, for ever."""
        while self.broker is not None:
            await asyncio.sleep(1)
            if self.broker.failure is None:
                continue
            with contextlib.suppress(OSError, ValueError):  # a terminal that is gone
                self._tell(f"{self.broker.failure}; trying again in {BROKER_AGAIN_S:g} s")
            # Whatever it is this time, the next try may find it gone.
            with contextlib.suppress(Exception):
                await self.broker.stop()
            await asyncio.sleep(BROKER_AGAIN_S)
            with contextlib.suppress(BrokerError, OSError):
                await self.broker.start()

    async def _report_again(self) -> None:
        """Also where nothing changes: a supervisor that fell silent must not pass for one that runs."""
        while True:
            await asyncio.sleep(2 * EVERY_S)
            # A broker that is away is no reason to end anything.
            with contextlib.suppress(Exception):
                if self.supervisor is not None:
                    await asyncio.wait_for(self._report(self.supervisor.figures()), 2 * EVERY_S)

    async def close(self) -> None:
        """Stop Kafka, after everything that uses it."""
        if self._log is not None:
            await self._log.stop()
            self._log = None
        if self.broker is not None:
            with contextlib.suppress(Exception):
                await self.broker.stop()
            self.broker = None

    async def _report(self, figures: dict[str, dict[str, object]]) -> None:
        if self._log is not None:
            report = {
                "role": "supervisor",
                "name": "supervisor",
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "at": self._now(),
                "roles": figures,
            }
            await self._log.remember(ROLES, f"supervisor@{report['host']}", orjson.dumps(report))
