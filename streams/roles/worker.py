"""The worker role: the agents, decided by Faust apps over the delivery module, the forwarder between them, and the daily checkpoint."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from streams.checkpoints import Checkpointer
from streams.core.storms import agent as storms
from streams.delivery.fatal import described, die
from streams.delivery.settings import PartitionsHeld, Progress, WorkerSettings
from streams.delivery.worker import run_worker
from streams.forwarding import Forwarder
from streams.roles.surroundings import Surroundings
from streams.stage import stages


async def run_worker_role(here: Surroundings, stop: asyncio.Event) -> None:
    """Decide until ``stop``. Raises ``StartRefused``; later trouble ends the process with 70."""
    settings = here.settings
    forwarder = Forwarder(here.options, here.kafka)
    checkpointer = Checkpointer(here.options, here.kafka, here.clock.now)
    figures = Figures(forwarder, checkpointer)
    worker = WorkerSettings(
        bootstrap_servers=here.options.bootstrap_servers,
        partitions=settings.kafka.partitions,
        data_dir=settings.data_dir.parent / "workers" / here.name,
        client_options=here.options.security(),
        instance_id=here.instance_id,
        session_timeout_s=settings.worker.session_timeout_seconds,
        dead_letters=settings.worker.dead_letters.limit("worker.dead_letters"),
    )
    reporting = asyncio.create_task(here.reporter(figures.as_dict).run(stop))
    forwarding = asyncio.create_task(_or_die(forwarder.run(), "forwarder"))
    checkpointing = asyncio.create_task(_or_die(checkpointer.run(), "checkpoints"))
    try:
        await run_worker(stages(), worker, here.clock.now, stop, figures.take)
    finally:
        stop.set()
        forwarding.cancel()
        checkpointing.cancel()
        await asyncio.gather(reporting, forwarding, checkpointing, return_exceptions=True)


async def _or_die(lasting: Coroutine[Any, Any, None], what: str) -> None:
    """What ends by itself would be missing for good, the agents' word to each other say: the process ends instead."""
    try:
        await lasting
    except Exception as error:
        die(f"{what}: {described(error)}")


class Figures:
    """What the delivery module tells, added up."""

    def __init__(self, forwarder: Forwarder, checkpointer: Checkpointer) -> None:
        self._forwarder = forwarder
        #: What one worker does for all: the one that holds the first partition of the agent ``storms``.
        self._for_all = (forwarder.active, checkpointer.active)
        self._facts: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self._held: dict[str, list[int]] = {}

    def take(self, progress: Progress) -> None:
        """Called after each slice and take-over, on the event loop."""
        if isinstance(progress, PartitionsHeld):
            self._held[progress.agent] = list(progress.partitions)
            if progress.agent == storms.AGENT:
                for active in self._for_all:
                    (active.set if 0 in progress.partitions else active.clear)()
        else:
            self._facts[progress.agent] += progress.records
            self._dead[progress.agent] += progress.dead_letters

    def as_dict(self) -> dict[str, Any]:
        """For ``status``."""
        decided = {
            agent: {
                "partitions": self._held.get(agent, []),
                "facts": self._facts[agent],
                "dead_letters": self._dead[agent],
            }
            for agent in sorted({*self._held, *self._facts})
        }
        return {**decided, "handoffs": self._forwarder.figures()} if self._forwarder.active.is_set() else decided
