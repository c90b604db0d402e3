"""One job per partition, over the processors of this machine: partitions share nothing, so neither do the jobs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
Tell = Callable[[int], None]

#: Below so many records the work is done before other processes have started (about 0.7 s for each).
FEW = 50_000
#: When the collector of cycles looks, in a process that only goes through records. They make hundreds of short-lived objects
#: each and no cycles: at Python's defaults it went through all modules again and again for nothing, a quarter of the time
#: (193 us of processor time per record verified before, 134 after; best of four, on a busy machine). 50,000 young objects are some 10 MB.
_COLLECT = (50_000, 20, 100)
#: A reader of the log answers its heartbeats and signals in between so many records.
BREATHE = 1000
#: How often the count of the others is looked at, in seconds.
_LOOK_S = 0.2


class Job(Protocol[R_co]):
    """What is done with one partition: a value that can be pickled, and so can its result. ``tell`` takes a record count."""

    def __call__(self, partition: int, tell: Tell) -> Coroutine[Any, Any, R_co]: ...


async def over_partitions(
    job: Job[T], partitions: Iterable[int], *, records: int, progress: Tell, processes: int | None = None
) -> list[T]:
    """The results in the order of ``partitions``. ``records`` is about how many there are; ``progress`` is told a running sum.

    Raises what a job raises; the other jobs are then given up, as they are where it is interrupted: each is cancelled, and may
    put away what it has. None goes on when this process has ended, however it did.
    """
    wanted = list(partitions)
    workers = min(processes or os.cpu_count() or 1, len(wanted))
    if workers < 2 or records < FEW:
        return await _here(job, wanted, progress)
    counted: Synchronized[int] = get_context("spawn").Value("Q", 0)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_share, initargs=(counted,))
    try:
        with _deaf_to_interrupts():
            futures = [asyncio.wrap_future(pool.submit(_there, job, partition)) for partition in wanted]
        gathered = asyncio.gather(*futures)
        while not gathered.done():
            await asyncio.wait([gathered], timeout=_LOOK_S)
            progress(counted.value)
        return await gathered
    finally:
        # After an interruption or a first error nobody wants what they would still find: each puts away what it has, and ends.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started here do not hear a Ctrl-C, which a terminal sends to all: this one does, and ends them.

    A signal mask is inherited, also while a process is still importing. One that comes meanwhile is heard right after.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _here(job: Job[T], partitions: Iterable[int], progress: Tell) -> list[T]:
    results: list[T] = []
    done = 0
    for partition in partitions:
        seen = 0

        def tell(count: int, before: int = done) -> None:
            nonlocal seen
            seen = count
            progress(before + count)

        results.append(await job(partition, tell))
        done += seen
    return results


_counted: Synchronized[int]


def _share(counted: Synchronized[int]) -> None:
    global _counted
    _counted = counted
    # As on the command line: a verb's own line says what is wrong, once.
    for library in ("aiokafka", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """One that was killed takes nothing with it: its processes would go on, and then wait for ever for more to do."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _there(job: Job[T], partition: int) -> T:
    # Here, since the job has brought its modules with it.
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        with _counted.get_lock():
            _counted.value += count - told
        told = count

    return asyncio.run(_until_terminated(job(partition, tell)))


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    """The work's result; where this process is told to end, the work is cancelled first."""
    task = asyncio.ensure_future(work)
    told = False

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        return await task
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        if told:
            # At once: the pool would give this process its next job.
            os._exit(128 + signal.SIGTERM)
