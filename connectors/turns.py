"""One call at a time per endpoint over all processes of this machine, for those that share a vendor's last free place.

Autotask allows three calls at once per endpoint: two belong to the executor, the third to pollers, webhook reads and
tools, which are several processes. They take turns by a locked file per endpoint; the system frees it when one dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

#: A call takes 50 ms and more, so this is little beside it; nothing wakes a process when a file is unlocked.
LOOK_S = 0.02
#: The longest that a call may take (``calls.Timeouts.total``) and a little: who holds the turn longer is asleep, and one
#: call too many is only flow control, while a poller that waits for a stopped tool would be silent.
LONGEST_S = 35.0


class Turns:
    """The turns of one vendor on this machine, as files in ``folder`` (made when first needed)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.asynccontextmanager
    async def turn(self, endpoint: str) -> AsyncIterator[None]:
        """Hold the endpoint's turn. Where files cannot be locked, or for too long, it goes without."""
        file = self._open(endpoint)
        try:
            if file is not None:
                await _locked(file)
            yield
        finally:
            if file is not None:
                os.close(file)

    def _open(self, endpoint: str) -> int | None:
        name = "".join(letter if letter.isalnum() else "-" for letter in endpoint)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return None


async def _locked(file: int) -> None:
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(LOOK_S)
        except OSError:
            return
        else:
            return
