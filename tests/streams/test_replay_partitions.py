"""One job per partition over several processes: results in order, one running count; the first error or a Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from streams.replay.partitions import FEW, Tell, over_partitions


@dataclass(frozen=True)
class Counting:
    """Counts a partition's records in tens, and says which process did."""

    failing: int = -1

    async def __call__(self, partition: int, tell: Tell) -> tuple[int, int]:
        for done in range(10, 101, 10):
            tell(done)
            await asyncio.sleep(0)
        if partition == self.failing:
            raise ValueError(f"partition {partition} is broken")
        return partition, os.getpid()


@pytest.mark.parametrize(("records", "processes"), [(FEW, 2), (FEW - 1, 2), (FEW, 1)])
async def test_the_results_are_those_of_the_partitions_in_order_and_the_count_is_that_of_all(
    records: int, processes: int
) -> None:
    told: list[int] = []
    found = await over_partitions(Counting(), range(6), records=records, progress=told.append, processes=processes)
    assert [partition for partition, _ in found] == list(range(6))
    assert told == sorted(told)
    assert told[-1] == 600
    elsewhere = {process for _, process in found} - {os.getpid()}
    # Few records are not worth starting other processes for.
    assert (len(elsewhere) > 0) == (records >= FEW and processes > 1)


@pytest.mark.parametrize("records", [FEW, FEW - 1])
async def test_what_a_partition_raises_is_raised(records: int) -> None:
    with pytest.raises(ValueError, match="partition 3 is broken"):
        await over_partitions(Counting(failing=3), range(6), records=records, progress=lambda _: None, processes=2)


@dataclass(frozen=True)
class Endless:
    """Counts for as long as it is let, and then puts away how far it came."""

    folder: Path

    async def __call__(self, partition: int, tell: Tell) -> None:
        done = 0
        try:
            for done in itertools.count(1):
                tell(done)
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            (self.folder / str(partition)).write_text(str(done))
            raise


VERB = """
import asyncio, click, sys
from pathlib import Path
from streams.cli import main
from streams.replay.partitions import FEW, over_partitions
from tests.streams.test_replay_partitions import Endless

@click.command("count")
def count():
    job = Endless(Path(sys.argv[1]))
    asyncio.run(over_partitions(job, range(4), records=FEW, progress=lambda n: print(n, flush=True), processes=2))

main.root.add_command(count)
main.Root.get_command = lambda self, context, name: count
raise SystemExit(main.run_command_line(["count"]))
"""


def counting(folder: Path, least: int = 1) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """The verb when its jobs have counted so far, and the processes that do them: at 0 these only just start."""
    verb = subprocess.Popen(
        [sys.executable, "-c", VERB, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert verb.stdout is not None
    next(count for count in verb.stdout if int(count) >= least)
    # Those with jobs; what Python has beside them ends by itself when all others have.
    return verb, [one for one in psutil.Process(verb.pid).children() if "spawn_main" in " ".join(one.cmdline())]


@pytest.mark.parametrize("least", [0, 1])
def test_an_interruption_is_one_line_and_leaves_no_process_but_what_the_jobs_put_away(
    tmp_path: Path, least: int
) -> None:
    """A terminal sends Ctrl-C to every process of the verb, to those that only just start as well."""
    verb, children = counting(tmp_path, least)
    os.killpg(verb.pid, signal.SIGINT)
    _, said = verb.communicate(timeout=60)
    # The empty line ends the one in which a terminal shows ^C.
    assert (verb.returncode, said) == (130, "\nlockstep: interrupted\n")
    assert len(children) == 2
    assert not [child for child in children if _lives(child)]
    counts = [int(file.read_text()) for file in tmp_path.iterdir()]
    assert counts or not least
    assert all(count > 0 for count in counts)


def test_no_process_goes_on_when_the_one_that_started_it_is_killed(tmp_path: Path) -> None:
    verb, children = counting(tmp_path)
    verb.kill()
    verb.communicate(timeout=60)
    assert len(children) == 2
    _, left = psutil.wait_procs(children, timeout=20)
    alive = [child for child in left if _lives(child)]
    for child in alive:
        child.kill()
    assert not alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
