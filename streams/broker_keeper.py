"""Runs one Java process and ends it with its owner: a script of its own, which needs the standard library only.

The owner holds the other end of our standard input. When that end closes (the owner stops us, exits or is killed with
SIGKILL), or when our parent changes, the broker gets SIGTERM, and SIGKILL after a grace. Should this process itself be
killed, Linux ends the broker at once (PR_SET_PDEATHSIG); elsewhere the next owner finds and ends it.

What the broker says goes through here to our standard error, its log; where that cannot be written because the disk is
full, the owner still learns the end of it.

Without room in its folder the broker is not started at all: a Kafka that cannot write while it recovers its log after a
kill (a transaction index, a snapshot) empties the segment it is at, says so as a warning, and goes on without those
records (read in the byte code of 4.0.2 to 4.4.0, ``LogLoader.recoverLog``; seen in a drill).

Usage: ``broker_keeper.py GRACE_SECONDS FOLDER COMMAND...``; the first line on standard output is the broker's process id,
empty where it was not started; the rest, once it ended, the last that it said.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

#: Upper bound for noticing a change of parent where the closed pipe does not tell (a forked child still holds it).
POLL_SECONDS = 0.5
#: What a start needs: recovering 80 partitions writes less than one, the rest is for what others write meanwhile.
ROOM_BYTES = 64 * 1024 * 1024
#: Looked at twice: whatever fills the disk may be at it right now.
LOOK_AGAIN_SECONDS = 0.25
#: From linux/prctl.h.
PR_SET_PDEATHSIG = 1
#: A stack trace or two; a pipe that nobody reads yet takes twice as much.
LAST_WORDS = 32 * 1024
#: Of which those are, without mere information: a start and a stop tell some hundred lines.
KEPT_WORDS = 512 * 1024


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the owner does. Returns the command's exit code."""
    grace, folder, command = float(arguments[0]), arguments[1], arguments[2:]
    parent = os.getppid()
    lack = _lack_of_room(folder)
    if not lack:
        time.sleep(LOOK_AGAIN_SECONDS)
        lack = _lack_of_room(folder)
    if lack:
        _write(1, b"\n" + f"a start needs {ROOM_BYTES // 1024**2} MiB in {folder}: {lack}\n".encode())
        return 1
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    dies_with_us = _death_signal()
    # preexec_fn is safe here: this process has one thread, and it is the thread the death signal is bound to.
    broker = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=dies_with_us
    )
    _write(1, b"%d\n" % broker.pid)
    assert broker.stdout is not None
    voice, owner = broker.stdout.fileno(), 0
    watched, words, kill_at = {voice, owner}, b"", math.inf
    # Until it ended and all it said was read.
    while broker.poll() is None or voice in watched:
        readable, _, _ = select.select(watched, [], [], POLL_SECONDS)
        if voice in readable:
            said = os.read(voice, LAST_WORDS)
            words = (words + said)[-KEPT_WORDS:]
            _write(2, said)
            if not said:
                watched.discard(voice)
        if (owner in readable and os.read(owner, 64) == b"") or os.getppid() != parent or asked:
            watched.discard(owner)
            if kill_at == math.inf:
                broker.terminate()
                kill_at = time.monotonic() + grace
        if time.monotonic() >= kill_at:
            broker.kill()
    telling = [line for line in words.splitlines(keepends=True) if b"] INFO " not in line]
    _write(1, b"".join(telling)[-LAST_WORDS:])
    return broker.returncode


def _lack_of_room(folder: str) -> str:
    """Why the broker cannot be given its room, in the system's words, "" where it can."""
    path = os.path.join(folder, "room")
    try:
        file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, ROOM_BYTES)
            elif shutil.disk_usage(folder).free < ROOM_BYTES:
                return os.strerror(errno.ENOSPC)
        finally:
            os.close(file)
            os.unlink(path)
    except OSError as error:
        # A folder that cannot be tried for another reason is not full: what is wrong with it the broker says itself.
        return os.strerror(error.errno) if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
    return ""


def _write(file: int, said: bytes) -> None:
    # A full disk, or an owner that is gone.
    with contextlib.suppress(OSError):
        os.write(file, said)


def _death_signal() -> Callable[[], object] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) & 0xFF)
