"""What long verbs share that can be interrupted and go on: their option, their folder, and the line they end with."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas.envelope import rfc3339
from streams.cli.base import Failure, run, say_error
from streams.replay.going_on import Ledger
from streams.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def anew(function: F) -> F:
    """``--anew``."""
    return click.option(
        "--anew", is_flag=True, help="From the beginning, also where an interrupted run could be gone on with."
    )(function)


def folder_of(settings: Settings) -> Path:
    """Where verbs keep how far they are: with the log that it is about, since a shadow's is another."""
    return settings.data_dir / "replay"


def run_kept(work: Coroutine[Any, Any, T], ledger: Ledger) -> T:
    """Run the work; Ctrl-C or SIGTERM ends it with one line that says what is kept of it."""
    try:
        return run(_until_terminated(work))
    except KeyboardInterrupt:
        # Ends the line in which a terminal shows ^C.
        say_error("")
        raise Failure(_interrupted(ledger), 128 + signal.SIGINT) from None
    except _Terminated:
        raise Failure(_interrupted(ledger), 128 + signal.SIGTERM) from None


def in_json(ledger: Ledger) -> dict[str, Any]:
    """What ``--json`` says of it."""
    earlier = ledger.earlier
    return {
        "in_earlier_runs": earlier.records if earlier is not None else 0,
        "earlier_runs_until": rfc3339(earlier.at) if earlier is not None else None,
        "begun_anew": ledger.begun_anew,
        "not_kept": ledger.unkept,
    }


class _Terminated(Exception):
    """SIGTERM."""


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    terminated = False
    task = asyncio.current_task()

    def end() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        return await work
    except asyncio.CancelledError:
        if terminated:
            raise _Terminated from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _interrupted(ledger: Ledger) -> str:
    kept = ledger.kept()
    if not kept:
        return "interrupted; nothing is kept, so the next run begins at the beginning"
    return f"interrupted; {kept} records are gone through and kept: run it again to go on"
