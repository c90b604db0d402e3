"""Keeps the roles of one machine running: starts them, restarts what ended, ends them all on request.

A role that ends is started again, 1 s later at first and at most 30 s apart, for ever: an MSP's Monday morning must not
hinge on somebody noticing that a process gave up. The count and the last reason are kept for ``lockstep status``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Restart delays double from the first to the last; a role that ran for a minute starts over with the first.
FIRST_DELAY_S, LAST_DELAY_S, STEADY_AFTER_S = 1.0, 30.0, 60.0
#: Roles finish what is in flight: an executor's call may take 20 s, Faust's hand-over a few more.
STOP_WITHIN_S = 30.0
#: A fatal line is at most this long in ``status``, and stands within the last part of the log.
_LAST_WORDS, _LAST_WORDS_WITHIN = 600, 64 * 1024


@dataclass(slots=True)
class Child:
    """One supervised role: its command line, its current process and its history."""

    name: str
    argv: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    last_reason: str = ""
    delay: float = FIRST_DELAY_S
    started: asyncio.Event = field(default_factory=asyncio.Event)
    dismissed: bool = False
    keeper: asyncio.Task[None] | None = None

    def figures(self) -> dict[str, object]:
        """What ``status`` shows of this role."""
        running = self.process is not None and self.process.returncode is None
        return {
            "pid": self.process.pid if running and self.process else None,
            "running": running,
            "restarts": self.restarts,
            "last_reason": self.last_reason,
        }


def die_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, even by SIGKILL; other systems have no such request."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # 1 = PR_SET_PDEATHSIG


def reason_of(returncode: int) -> str:
    """An exit code in words."""
    if returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    meanings = {0: "ended by itself", 70: "stopped itself rather than lose work (exit 70)"}
    return meanings.get(returncode, f"failed (exit {returncode})")


def last_words(log: Path, start: int) -> str:
    """What a role said about its end in what it wrote from byte ``start`` on: its fatal line, or its line as a command.

    "" where there is none: killed, or ended on request.
    """
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _LAST_WORDS_WITHIN))
        lines = file.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        _, fatal, said = line.partition(" CRITICAL ")
        if fatal:
            return said.partition(": ")[2][:_LAST_WORDS]
        if line.startswith("lockstep: "):
            return line.removeprefix("lockstep: ")[:_LAST_WORDS]
    return ""


class Supervisor:
    """Runs children until ``stop`` is set. ``on_change`` is awaited after every start and end."""

    def __init__(
        self,
        children: Mapping[str, Sequence[str]],
        *,
        logs: Path,
        environment: Mapping[str, str],
        on_change: Callable[[dict[str, dict[str, object]]], Awaitable[None]],
        tell: Callable[[str], None],
    ) -> None:
        self.children = {name: Child(name, argv) for name, argv in children.items()}
        self._logs = logs
        self._environment = dict(environment)
        self._on_change = on_change
        self._tell = tell
        self._stop: asyncio.Event | None = None

    def figures(self) -> dict[str, dict[str, object]]:
        """Restart counts and last reasons by role."""
        return {name: child.figures() for name, child in self.children.items()}

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every child running; on ``stop`` end them all with SIGTERM, and with SIGKILL what lingers."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._stop = stop
        for child in self.children.values():
            child.keeper = asyncio.create_task(self._keep(child, stop))
        await stop.wait()
        await asyncio.gather(*(self._end(child) for child in self.children.values()))
        keepers = [child.keeper for child in self.children.values() if child.keeper is not None]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    async def engage(self, name: str, argv: Sequence[str]) -> None:
        """One more child while running, or a dismissed one again; does nothing where it is kept already."""
        present = self.children.get(name)
        if self._stop is None or self._stop.is_set() or (present is not None and not present.dismissed):
            return
        child = self.children[name] = Child(name, argv)
        child.keeper = asyncio.create_task(self._keep(child, self._stop))
        await child.started.wait()

    async def dismiss(self, name: str) -> None:
        """End a child with SIGTERM and do not start it again."""
        child = self.children[name]
        child.dismissed = True
        if child.keeper is not None:
            child.keeper.cancel()
            await asyncio.gather(child.keeper, return_exceptions=True)
        await self._end(child)

    async def _keep(self, child: Child, stop: asyncio.Event) -> None:
        path = self._logs / f"{child.name}.log"
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            begun, before = loop.time(), 0
            try:
                before = await self._start(child, path)
            except OSError as error:
                # No memory or no process left, a full disk: this passes, and nobody else would try again.
                child.process, reason = None, f"could not be started ({error.strerror or error})"
            else:
                assert child.process is not None
                child.started.set()
                await self._changed()
                reason = self._reason(await child.process.wait(), path, before)
            if stop.is_set():
                return
            if loop.time() - begun >= STEADY_AFTER_S:
                child.delay = FIRST_DELAY_S
            child.restarts += 1
            child.last_reason = reason
            # Nor may a terminal that is gone.
            with contextlib.suppress(OSError, ValueError):
                self._tell(f"{child.name} {reason}; starting it again in {child.delay:g} s (restart {child.restarts})")
            await self._changed()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), child.delay)
            child.delay = min(child.delay * 2, LAST_DELAY_S)

    async def _start(self, child: Child, path: Path) -> int:
        """Start a role's process; returns where in its log it begins to write. Raises ``OSError``."""
        with path.open("ab") as log:
            before = log.tell()
            child.process = await asyncio.create_subprocess_exec(
                *child.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                preexec_fn=die_with_parent,
            )
        return before

    def _reason(self, code: int, path: Path, before: int) -> str:
        said = ""
        if code > 0:
            with contextlib.suppress(OSError):
                said = last_words(path, before)
        return reason_of(code) + (f": {said}" if said else "")

    async def _changed(self) -> None:
        # A figure that could not be published must not keep a role from being restarted.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._on_change(self.figures()), 5)

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
