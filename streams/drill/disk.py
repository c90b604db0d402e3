"""A full disk without privileges: no file of a process can grow any more, as if no block were left.

The limit is RLIMIT_FSIZE, lowered from outside (``prlimit``, Linux) and lifted at any time. A write that would make a file
longer fails with EFBIG where a full disk says ENOSPC; Java ignores the signal that goes with it (SIGXFSZ), and Kafka
takes both for an I/O error of the log directory.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from streams.broker_folder import brokers_on, running

#: A new Java needs several times as long before it opens its first file of the log.
LOOK_SECONDS = 0.1


@contextlib.contextmanager
def disk_full(pid: int) -> Iterator[None]:
    """The disk is full for one process, while inside. Raises ``psutil.Error`` for a process that is not there or not ours."""
    process = psutil.Process(pid)
    _fill(process)
    try:
        yield
    finally:
        _free(process)


@contextlib.contextmanager
def disk_full_on(data_dir: Path) -> Iterator[None]:
    """The disk is full for every broker on a folder, while inside: also for those that would be started meanwhile.

    A broker that is being started is left alone until it answers: it was started because there was room, and no real disk
    fills up by as much within those seconds. Its keeper is not, so that the next start finds none.
    """
    filled: set[psutil.Process] = set()
    freed = threading.Event()

    def fill() -> None:
        for process in brokers_on(data_dir):
            if process not in filled and _is_due(process, data_dir):
                # It may end between the look and the limit.
                with contextlib.suppress(psutil.NoSuchProcess):
                    _fill(process)
                    filled.add(process)

    def go_on_filling() -> None:
        while not freed.wait(LOOK_SECONDS):
            fill()

    fill()
    thread = threading.Thread(target=go_on_filling, name="disk-full", daemon=True)
    thread.start()
    try:
        yield
    finally:
        freed.set()
        thread.join()
        for process in filled:
            _free(process)


def _is_due(process: psutil.Process, data_dir: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        keeper = any("broker_keeper" in word for word in process.cmdline())
        return keeper or (running(data_dir) or {}).get("pid") == process.pid
    return False


def _fill(process: psutil.Process) -> None:
    _, most = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, most))


def _free(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        _, most = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (most, most))
