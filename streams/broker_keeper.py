"""Runs one Java process and ends it with its owner: a script of its own, which needs the standard library only.

The owner holds the other end of our standard input. When that end closes (the owner stops us, exits or is killed with
SIGKILL), or when our parent changes, the broker gets SIGTERM, and SIGKILL after a grace. Should this process itself be
killed, Linux ends the broker at once (PR_SET_PDEATHSIG); elsewhere the next owner finds and ends it.

Usage: ``broker_keeper.py GRACE_SECONDS COMMAND...``; the first line on standard output is the broker's process id.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

#: Upper bound for noticing a change of parent where the closed pipe does not tell (a forked child still holds it).
POLL_SECONDS = 0.5
#: From linux/prctl.h.
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the owner does. Returns the command's exit code."""
    grace, command = float(arguments[0]), arguments[1:]
    parent = os.getppid()
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    dies_with_us = _death_signal()
    # preexec_fn is safe here: this process has one thread, and it is the thread the death signal is bound to.
    broker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=dies_with_us)
    with contextlib.suppress(OSError):
        os.write(1, b"%d\n" % broker.pid)
    while broker.poll() is None:
        if _owner_is_gone() or os.getppid() != parent or asked:
            _end(broker, grace)
    return broker.returncode


def _owner_is_gone() -> bool:
    readable, _, _ = select.select([0], [], [], POLL_SECONDS)
    return bool(readable) and os.read(0, 64) == b""


def _end(broker: subprocess.Popen[bytes], grace: float) -> None:
    broker.terminate()
    try:
        broker.wait(grace)
    except subprocess.TimeoutExpired:
        broker.kill()
        broker.wait()


def _death_signal() -> Callable[[], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) & 0xFF)
