"""A role that has left ends, also where something that is left on its event loop does not let itself be cancelled."""

from __future__ import annotations

import subprocess
import sys

STUBBORN = """
import asyncio, contextlib
from streams.roles import end_within

async def stubborn():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

async def main():
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    end_within(0.2)
    return task

asyncio.run(main())
"""


def test_a_task_that_swallows_its_cancellation_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", STUBBORN], timeout=30, check=False).returncode == 1
