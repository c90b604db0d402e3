"""Contenders as real processes: started, stopped, killed and watched by a test or a benchmark."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streams.supervisor import die_with_parent

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Plan:
    """What the workers of one run have in common."""

    servers: str
    facts_prefix: str
    own_prefix: str
    folder: Path
    job: str = "bench.counting:job"
    partitions: int = 6
    session_s: float = 6.0
    extra: tuple[str, ...] = ()


@dataclass
class Worker:
    """One process. ``log`` is what it wrote to standard error."""

    plan: Plan
    name: str
    contender: str
    process: subprocess.Popen[bytes]
    out: Path
    log: Path
    _read: int = field(default=0)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; ``-9`` after SIGKILL."""
        return self.process.poll()

    def reports(self) -> list[dict[str, Any]]:
        """All JSON lines so far."""
        return [orjson.loads(line) for line in self.out.read_bytes().splitlines() if line.startswith(b"{")]

    def held(self) -> list[int]:
        """The partition numbers of the last assignment."""
        held = [report["partitions"] for report in self.reports() if report["event"] == "held"]
        return held[-1] if held else []

    async def until(self, event: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """The first report of a kind."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for report in self.reports():
                if report["event"] == event:
                    return report
            if self.exit_code is not None:
                break
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name}: no '{event}' (exit {self.exit_code}): {self.log.read_text()[-2000:]}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait for the process; its exit code."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} still runs after {timeout_s} s: {self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.02)
        return self.process.returncode

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        await self.ended()


class Fleet:
    """Starts workers, and kills what is left at the end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workers: list[Worker] = []

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for worker in self.workers:
            if worker.exit_code is None:
                await worker.kill()

    def start(
        self, *, contender: str = "ours", instance: str | None = None, extra: tuple[str, ...] = (), **environment: str
    ) -> Worker:
        """One more process; ``environment`` is added to ours. A ``contender`` with a dot is a module of its own."""
        plan, name = self.plan, f"{contender.rpartition('.')[2]}-{len(self.workers)}"
        module = contender if "." in contender else f"bench.contenders.{contender}"
        plan.folder.mkdir(parents=True, exist_ok=True)
        out, log = plan.folder / f"{name}.out", plan.folder / f"{name}.log"
        command = [sys.executable, "-m", module, "--servers", plan.servers]
        command += ["--facts-prefix", plan.facts_prefix, "--own-prefix", plan.own_prefix, "--job", plan.job]
        command += ["--partitions", str(plan.partitions), "--session", str(plan.session_s)]
        command += [
            "--data-dir",
            str(plan.folder),
            *(["--instance", instance] if instance else []),
            *plan.extra,
            *extra,
        ]
        with out.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL,
                env={**os.environ, **environment}, preexec_fn=die_with_parent,
            )  # fmt: skip
        worker = Worker(plan, name, contender, process, out, log)
        self.workers.append(worker)
        return worker
