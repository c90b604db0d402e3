"""What every role stands on: settings, clock, Kafka, topics, a log to write to, and a report for ``status``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.facts import ConnectionName
from streams import heap
from streams.clock import Clock, clock_of
from streams.credentials import Credentials
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.mode import claim
from streams.reporter import Reporter
from streams.settings import Settings, load_settings
from streams.vendors import credentials
from streams.wiring import BROKER_WITHIN_S, kafka_options, prepare_topics

log = logging.getLogger("lockstep")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One role's surroundings. ``async with Surroundings.of(...) as here``."""

    settings: Settings
    config: Path | None
    role: str
    name: str
    static: bool
    clock: Clock
    options: KafkaOptions
    kafka: KafkaLog

    @classmethod
    @contextlib.asynccontextmanager
    async def of(
        cls, settings: Settings, *, config: Path | None, role: str, name: str, static: bool
    ) -> AsyncIterator[Surroundings]:
        """Connect, make sure that the topics exist and that the log is of this mode. Raises one-line errors."""
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s"
        )
        for library in ("httpx", "aiokafka", "faust", "mode"):
            logging.getLogger(library).setLevel(logging.WARNING)
        heap.settle()
        async with clock_of() as clock, _beside(heap.give_back()):
            options = await kafka_options(settings, wait=BROKER_WITHIN_S)
            for finding in (await prepare_topics(settings, options)).findings:
                log.warning("%s", finding)
            async with KafkaLog(options, now=clock.now) as kafka:
                await claim(options, kafka, settings.mode)
                yield cls(settings, config, role, name, static, clock, options, kafka)

    @property
    def instance_id(self) -> str | None:
        """The name under which Kafka's groups know this member over restarts, if it is to be known."""
        if self.settings.worker.instance_id:
            return self.settings.worker.instance_id
        return f"{socket.gethostname()}.{self.name}" if self.static else None

    def fresh_settings(self) -> Settings:
        """The settings as they are on disk now; secrets may have changed since the start. The mode stays what it was."""
        fresh = load_settings(self.config) if self.config is not None else load_settings()
        return fresh.model_copy(update={"mode": self.settings.mode})

    def credentials(self) -> Mapping[ConnectionName, Credentials | None]:
        """The credentials in force now, for the watch of connections."""
        return credentials(self.fresh_settings())

    def reporter(self, figures: Callable[[], Mapping[str, Any]]) -> Reporter:
        """Tells ``lockstep status`` how this role is."""
        return Reporter(self.kafka, role=self.role, name=self.name, now=self.clock.now, figures=figures)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the block, until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_stopped(stop: asyncio.Event, *works: Coroutine[Any, Any, None]) -> None:
    """Run beside each other until ``stop``; then cancel and await them. What one raises ends all and is raised."""
    stopping = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        stopping.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
