"""The composition root of each role: connectors, worker, executor. Everything is built here and nowhere else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from streams.settings import Settings

#: Executors let calls in flight end for 20 s; the supervisor uses force after 30.
LEAVE_WITHIN_S = 25.0


async def run(
    role: str, settings: Settings, *, config: Path | None, name: str, static: bool, stop: asyncio.Event
) -> None:
    """Run one role until ``stop``. ``static``: its name is stable, so a quick restart costs no rebalance."""
    from streams.roles.surroundings import Surroundings

    leaving = asyncio.create_task(_leave_in_time(stop))
    async with Surroundings.of(settings, config=config, role=role, name=name, static=static) as here:
        if role == "worker":
            from streams.roles.worker import run_worker_role

            await run_worker_role(here, stop)
        elif role == "executor":
            from streams.roles.executor import run_executor_role

            await run_executor_role(here, stop)
        else:
            from streams.roles.connectors import run_connectors_role

            await run_connectors_role(here, stop)
    leaving.cancel()


async def _leave_in_time(stop: asyncio.Event) -> None:
    """A role that was asked to stop ends, even where Kafka no longer answers: what it had to say would be said again."""
    await stop.wait()
    await asyncio.sleep(LEAVE_WITHIN_S)
    os._exit(1)
