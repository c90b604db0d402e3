"""A long verb that is interrupted ends with one line that says what is kept of it, and the exit code of the signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli.base import Failure
from streams.cli.keeping import run_kept
from streams.replay.going_on import Ledger


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C; the verbs of a person do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Kept(Ledger):
    """A ledger in which so many records are kept."""

    count = 0

    def kept(self) -> int:
        return self.count


async def signalled(number: signal.Signals) -> None:
    signal.raise_signal(number)
    await asyncio.Event().wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "interrupted; nothing is kept, so the next run begins at the beginning"),
        (4000, "interrupted; 4000 records are gone through and kept: run it again to go on"),
    ],
)
def test_what_is_kept_is_said(tmp_path: Path, number: signal.Signals, code: int, count: int, words: str) -> None:
    ledger = Kept(tmp_path, "verify", {})
    ledger.count = count
    with pytest.raises(Failure) as ended:
        run_kept(signalled(number), ledger)
    assert (str(ended.value), ended.value.code) == (words, code)


def test_what_ends_by_itself_gives_its_result(tmp_path: Path) -> None:
    async def work() -> int:
        return 7

    assert run_kept(work(), Kept(tmp_path, "verify", {})) == 7
