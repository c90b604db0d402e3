"""The delivery module as it is, with test hooks that live here: dying at a checkpoint, losing a slice."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from typing import Any

from bench.contenders.common import RateMeter, arguments, hold_back, interruption, job_of, say
from streams.delivery.fatal import StartRefused
from streams.delivery.lane import Batch, Lane
from streams.delivery.settings import PartitionsHeld, Progress, WorkerSettings
from streams.delivery.transport import Consumer
from streams.delivery.worker import run_worker


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


async def main() -> None:
    args = arguments()
    job = job_of(args)
    meter = RateMeter(args.until)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def progress(report: Progress) -> None:
        if isinstance(report, PartitionsHeld):
            say(event="held", partitions=report.partitions, loaded=report.loaded, seconds=report.seconds)
        else:
            meter.add(report.records)

    settings = WorkerSettings(
        bootstrap_servers=args.servers,
        partitions=args.partitions,
        data_dir=args.data_dir,
        instance_id=args.instance,
        session_timeout_s=args.session,
        slice_records=args.slice,
        prefix=args.own_prefix.rstrip("."),
        timers_topic=args.timers_topic,
        stuck_after_s=args.stuck_after,
    )
    hold_back(job.audit_topic)
    lose_batch(os.environ.get("LOCKSTEP_TEST_LOSE_BATCH"))
    fetch_late(os.environ.get("LOCKSTEP_TEST_FETCH_LATE"))
    await run_worker([meter.timed(job.stage)], settings, wall_clock, stop, progress, at_checkpoint=interruption())


def lose_batch(setting: str | None) -> None:
    """``LOCKSTEP_TEST_LOSE_BATCH=n``: the n-th batch vanishes between the fetch and its lane; ``n-``: all from it on."""
    if not setting:
        return
    left = [int(setting.rstrip("-"))]
    offer = Lane.offer

    def losing(self: Lane, batch: Batch) -> None:
        left[0] -= 1
        if left[0] > 0 or (left[0] < 0 and not setting.endswith("-")):
            offer(self, batch)

    Lane.offer = losing  # type: ignore[method-assign]


def fetch_late(setting: str | None) -> None:
    """``LOCKSTEP_TEST_FETCH_LATE=seconds``: so much passes between the decision to fetch and the fetch."""
    if not setting:
        return
    getmany = Consumer._getmany

    async def late(self: Consumer, *args: Any) -> Any:
        await asyncio.sleep(float(setting))
        return await getmany(self, *args)

    Consumer._getmany = late


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(main())
    except StartRefused as refused:
        sys.stderr.write(f"{refused}\n")
        sys.exit(refused.exit_code)
