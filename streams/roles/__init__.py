"""The composition root of each role: connectors, worker, executor. Everything is built here and nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streams.settings import Settings


async def run(
    role: str, settings: Settings, *, config: Path | None, name: str, static: bool, stop: asyncio.Event
) -> None:
    """Run one role until ``stop``. ``static``: its name is stable, so a quick restart costs no rebalance."""
    from streams.roles.surroundings import Surroundings

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
