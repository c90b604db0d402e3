"""The composition root of each role: connectors, worker, executor. Everything is built here and nowhere else."""

from __future__ import annotations

import asyncio
import os
import threading
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
    end_within(LEAVE_WITHIN_S)


def end_within(seconds: float) -> None:
    """End this process with 1 if it has not ended by then, also where the role has left and something else has not.

    A thread, since asyncio waits for every task that is left, and one that swallows its cancellation would keep the process, and
    with it its place in the consumer groups. A worker that was told to end while its broker was away stayed so; that it was this is
    inferred from its log (a drill, 1 December 2026).
    """
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
