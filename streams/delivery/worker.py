"""A worker: one Faust app per agent, all on one event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from streams.delivery.app import Agent
from streams.delivery.assignment import Assignment
from streams.delivery.fatal import described, die
from streams.delivery.firing import TimerPublisher
from streams.delivery.selfcheck import check_internals
from streams.delivery.settings import AtCheckpoint, Now, OnProgress, WorkerSettings
from streams.delivery.topic_check import check_topics
from streams.delivery.watch import watch
from streams.ports import Stage

#: Leaving takes well under a second when the broker answers. A broker that does not must not hold up the stop: what
#: is committed is committed, and the session time-out hands the partitions on.
STOP_TIMEOUT_S = 8.0

log = logging.getLogger("lockstep.delivery")


async def run_worker(
    stages: Sequence[Stage],
    settings: WorkerSettings,
    now: Now,
    stop: asyncio.Event,
    on_progress: OnProgress | None = None,
    *,
    at_checkpoint: AtCheckpoint | None = None,
) -> None:
    """Work on ``stages`` until ``stop`` is set; then finish the running slices, leave the groups and return.

    ``now`` gives epoch milliseconds (timers only). ``on_progress`` is called on the event loop after each slice and
    each take-over and must not block. ``at_checkpoint`` is for crash tests. Raises ``StartRefused`` before anything
    was joined. Whatever goes wrong later ends the process with 70 and one line: run it under a supervisor.
    """
    check_internals()
    _quieten()
    await check_topics(stages, settings)
    assignments = [
        Assignment(stage=stage, settings=settings, on_progress=on_progress, at_checkpoint=at_checkpoint)
        for stage in stages
    ]
    agents = [Agent(assignment) for assignment in assignments]
    running = [_supervised(agent.run(), f"agent {agent.name}") for agent in agents]
    beside = [_supervised(TimerPublisher(settings, assignments, now).run(), "timers")]
    beside += [_supervised(watch(agent.assignment, agent.consumer), f"watch {agent.name}") for agent in agents]
    try:
        await stop.wait()
    finally:
        await _ended(beside)
        await _left(agents)
        await _ended(running)


async def _left(agents: Sequence[Agent]) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.gather(*(agent.stop() for agent in agents))
    except TimeoutError:
        # What Faust has to say about being cut off in the middle of its goodbye helps nobody.
        _quieten(logging.CRITICAL)
        log.warning(
            "not all groups were left within %.0f s; their partitions move on after the session time-out",
            STOP_TIMEOUT_S,
        )


def _supervised(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    async def guarded() -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(f"{name}: {described(error)}")

    return asyncio.create_task(guarded(), name=name)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _quieten(level: int = logging.WARNING) -> None:
    # Six debug lines per event are formatted otherwise (measured), and the information lines say nothing to a user.
    # A mode service logs under the module of its class, so ours are among them.
    for name in ("faust", "aiokafka", "mode", "streams.delivery.app", "streams.delivery.transport"):
        logging.getLogger(name).setLevel(level)
