"""Ctrl-C in the middle of a verb that takes long: one line, exit 130, at once, also before a Kafka that never answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from streams.cli.base import run
from streams.policy_file import STARTER
from tests.cli.terminal import LOCKSTEP, Terminal

VERBS = ("audit tail --follow", "reconcile", "advise", "export --to out --follow", "doctor")


def test_ctrl_c_ends_a_long_verb_with_one_line_and_130(terminal: Terminal) -> None:
    terminal.write(STARTER, "policy.yaml")
    with contextlib.ExitStack() as closing:
        started: dict[socket.socket, tuple[str, subprocess.Popen[str]]] = {}
        for verb in VERBS:
            silent = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            process = subprocess.Popen(
                [LOCKSTEP, *verb.split()],
                cwd=terminal.folder,
                env=terminal.environment(LOCKSTEP_KAFKA__BOOTSTRAP_SERVERS=address),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # What a shell starts in the background ignores Ctrl-C, and so would this.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            closing.callback(process.kill)
            started[silent] = verb, process
        waiting = dict(started)
        while waiting:
            # Whichever asks first: none may have given up by itself before.
            for silent in select.select([*waiting], [], [], 60)[0]:
                closing.enter_context(silent.accept()[0])
                os.kill(waiting.pop(silent)[1].pid, signal.SIGINT)
        asked = time.monotonic()
        for verb, process in started.values():
            _, said = process.communicate(timeout=30)
            # The empty line ends the one in which a terminal shows ^C.
            assert (process.returncode, said) == (130, "\nlockstep: interrupted\n"), verb
        assert time.monotonic() - asked < 15


def test_a_ctrl_c_that_something_swallows_is_not_lost() -> None:
    async def stubborn() -> int:
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        return 0

    with pytest.raises(KeyboardInterrupt):
        run(stubborn())


def test_a_verb_takes_back_what_it_did_before_an_interruption_ends_it() -> None:
    taken_back = []

    async def tidy() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.05)
            taken_back.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        run(tidy())
    assert taken_back == ["all of it"]
