"""One executor as a process of its own, for tests that kill it: ``python -m tests.kafka.executor_host <JSON>``.

A file in ``folder`` named ``closed`` closes the gate; one named ``stall`` ends the fetching of its consumer, silently.
``crash``: ``[point, n]`` sends SIGKILL to itself when the point is passed for the n-th time, ``sleep``: SIGSTOP.
``times.<name>.json`` tells when attempts were written and calls began.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from connectors.autotask.client import Access, AutotaskClient
from connectors.autotask.effects import AutotaskEffects
from connectors.ports import CallsSuspended
from connectors.transport import Retries, Timeouts
from streams.executor.executor import Executor
from streams.executor.settings import ExecutorSettings, Patience
from streams.kafka_options import KafkaOptions
from streams.limit import DeadLetterLimit


class FileGate:
    connection: Any = "autotask"

    def __init__(self, file: Path) -> None:
        self._file = file

    def enter(self) -> int:
        if self._file.exists():
            raise CallsSuspended("the test closed the gate")
        return 0

    async def refused(self, reason: str, epoch: int) -> None:
        self._file.write_text(reason)

    async def troubled(self, reason: str) -> None: ...
    async def worked(self) -> None: ...


def now() -> int:
    return time.time_ns() // 1_000_000


def hurting(crash: list[Any] | None, sleep: list[Any] | None, passed: list[tuple[str, float]]):
    left = {signal.SIGKILL: [*(crash or ["", 0])], signal.SIGSTOP: [*(sleep or ["", 0])]}

    def at(point: str) -> None:
        passed.append((point, time.time()))
        for number, plan in left.items():
            if point == plan[0]:
                plan[1] -= 1
                if plan[1] == 0:
                    os.kill(os.getpid(), number)

    return at


async def host(given: dict[str, Any]) -> None:
    folder = Path(given["folder"])
    gate = FileGate(folder / "closed")
    settings = ExecutorSettings(
        kafka=KafkaOptions(bootstrap_servers=given["servers"]),
        commands=given["commands"],
        topic_prefix=given["prefix"],
        window=given.get("window", 20_000),
        session_timeout_s=6.0,
        instance_id=given.get("instance_id"),
        stalled_after_s=given.get("stalled_after_s", 60.0),
        dead_letter_limit=DeadLetterLimit(**given.get("limit", {}), setting="executor.dead_letters"),
        patience=Patience(look_up_after_s=given.get("look_up_after_s", 1.0), second_look_after_s=3.0),
    )
    client = AutotaskClient(
        Access(in_flight=2, **given["autotask"]),
        gate=gate,
        now=now,
        sleep=asyncio.sleep,
        jitter=random.random,
        timeouts=Timeouts(connect=2.0, read=3.0, total=4.0),
        retries=Retries(attempts=1),
    )
    passed: list[tuple[str, float]] = []
    async with client:
        executor = Executor(
            settings,
            effects=AutotaskEffects(client),
            gate=gate,
            now=now,
            at=hurting(given.get("crash"), given.get("sleep"), passed),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, executor.stop)
        running = asyncio.create_task(executor.run())
        figures = folder / f"figures.{given['name']}.json"
        while not running.done():
            await asyncio.wait([running], timeout=0.1)
            if (folder / "stall").exists():
                executor._consumer._fetcher._fetch_task.cancel()
            figures.with_suffix(".new").write_text(json.dumps(executor.figures()))
            figures.with_suffix(".new").rename(figures)
            (folder / f"times.{given['name']}.json").write_text(json.dumps(passed))
        await running


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("lockstep").setLevel(logging.INFO)
    asyncio.run(host(json.loads(sys.argv[1])))
