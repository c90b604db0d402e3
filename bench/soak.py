"""A long run at a steady rate, to see what grows: resident memory of every role, warnings, exceptions nobody awaited.

``python -m bench.soak --minutes 60 --per-second 100``. The whole line runs as real processes over the simulators. Every
device has one alert that stays open; beside it the same condition is raised and cleared again and again, so that every
event is a webhook, a fact, a decision and an audit record, while the vendors see few calls (a note an hour at most).

The slope is a least-squares fit over the samples after ``--settle`` minutes, in MiB an hour, per process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from streams.demo.tally import doubled, our_items
from streams.demo.theatre import Theatre, until

DEVICES = 120
SAMPLE_S = 10.0
MIB = 1024 * 1024
#: The goal of a soak: less than this after the first quarter of an hour.
GOAL_MIB_PER_HOUR = 1.0
#: What must not stand in any role's log.
BAD_WORDS = ("not committed", "never retrieved", "Traceback", "was never awaited")


@dataclass
class Process:
    """What was seen of one role: its process id (a restart changes it) and (seconds, bytes resident) samples."""

    pid: int = 0
    restarts: int = 0
    samples: list[tuple[float, int]] = field(default_factory=list)

    def take(self, pid: int, at: float, resident: int) -> None:
        """One sample; a new process id begins anew, since its memory is another process's."""
        if self.pid and pid != self.pid:
            self.restarts += 1
            self.samples.clear()
        self.pid = pid
        self.samples.append((at, resident))

    def slope(self, after: float) -> float | None:
        """MiB an hour over the samples after so many seconds; ``None`` with fewer than ten."""
        points = [(at / 3600, size / MIB) for at, size in self.samples if at >= after]
        if len(points) < 10:
            return None
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


class Soak:
    """Raises and clears at a steady rate, and looks at the processes meanwhile."""

    def __init__(self, theatre: Theatre, say: Callable[[str], None]) -> None:
        self._theatre = theatre
        self._say = say
        self.processes: dict[str, Process] = {}
        self.events = 0

    async def run(self, *, minutes: float, per_second: float) -> float:
        """Returns the events a second that were reached."""
        began = time.monotonic()
        watching = asyncio.create_task(self._watch(began))
        try:
            await self._load(began, minutes * 60, per_second)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return self.events / (time.monotonic() - began)

    async def open_one_each(self) -> list[dict[str, Any]]:
        """Every device's own alert, which stays; returns the devices."""
        devices = (await self._theatre.ninja.get("state"))["devices"]
        approved = [device for device in devices if device.get("approvalStatus", "APPROVED") == "APPROVED"]

        async def settled() -> bool:
            return len(our_items(await self._theatre.psa.get("state"))) >= len(approved)

        await until("every device has a configuration item", settled, seconds=120)
        for device in approved:
            await self._theatre.ninja.post("alerts", **_alert(device, "opens the incident"))
            await asyncio.sleep(0.05)
        return approved

    async def _load(self, began: float, seconds: float, per_second: float) -> None:
        devices = await self.open_one_each()
        # Two events a round: an alert more of the condition, and its end a second of rounds later.
        active: list[str] = []
        pending: set[asyncio.Task[Any]] = set()
        number = 0
        started = time.monotonic()
        while time.monotonic() - began < seconds:
            device = devices[number % len(devices)]
            raising = asyncio.create_task(self._raise(device, number, active))
            pending.add(raising)
            raising.add_done_callback(pending.discard)
            if len(active) > per_second:
                clearing = asyncio.create_task(self._clear(active.pop(0)))
                pending.add(clearing)
                clearing.add_done_callback(pending.discard)
            number += 1
            # No more than a second's worth under way: a simulator that falls behind slows the load, and it shows.
            while len(pending) > per_second:
                await asyncio.sleep(0.01)
            await asyncio.sleep(max(0.0, started + number * 2 / per_second - time.monotonic()))
        await asyncio.gather(*pending)
        for uid in active:
            await self._clear(uid)

    async def _raise(self, device: dict[str, Any], number: int, active: list[str]) -> None:
        answer = await self._theatre.ninja.post("alerts", **_alert(device, f"again, number {number}"))
        active.append(answer["uid"])
        self.events += 1

    async def _clear(self, uid: str) -> None:
        await self._theatre.ninja.post(f"alerts/{uid}/clear")
        self.events += 1

    async def _watch(self, began: float) -> None:
        told = 0.0
        while True:
            at = time.monotonic() - began
            supervisor = self._theatre.installation.supervisor
            for name, child in (supervisor.children if supervisor else {}).items():
                if child.process is not None:
                    try:
                        resident = psutil.Process(child.process.pid).memory_info().rss
                    except psutil.NoSuchProcess:
                        continue
                    self.processes.setdefault(name, Process()).take(child.process.pid, at, resident)
            if at - told >= 60:
                told = at
                sizes = {name: round(one.samples[-1][1] / MIB, 1) for name, one in self.processes.items()}
                self._say(f"  {at / 60:5.1f} min  {self.events} events  MiB {sizes}")
            await asyncio.sleep(SAMPLE_S)


def _alert(device: dict[str, Any], message: str) -> dict[str, Any]:
    return {
        "deviceId": device["id"],
        "sourceType": "CONDITION_AGENT_CPU",
        "sourceConfigUid": "0b5d0f0a-0000-4000-8000-000000000001",
        "message": message,
        "severity": "MAJOR",
    }


def bad_lines(logs: Path) -> list[str]:
    """Lines in the roles' logs that must not be there, each with its file."""
    return [
        f"{log.name}: {line.strip()[:200]}"
        for log in sorted(logs.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if any(word in line for word in BAD_WORDS)
    ]


async def soak(arguments: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it; the figures as plain values."""
    changes = {
        "ninjaone": {"poll_seconds": 30, "inventory_seconds": 900},
        "autotask": {"poll_seconds": 30, "companies_seconds": 900},
    }
    with tempfile.TemporaryDirectory(prefix="lockstep-soak-") as folder:
        theatre = Theatre(seed=7, tell=say, folder=Path(folder) / "line", devices=DEVICES, changes=changes)
        async with theatre:
            await theatre.lockstep("setup")
            running = Soak(theatre, say)
            rate = await running.run(minutes=arguments.minutes, per_second=arguments.per_second)
            code, verified = await theatre.lockstep("audit", "verify")
            psa = await theatre.psa.get("state")
            bad = bad_lines(theatre.folder / "logs")
        processes = {
            name: {
                "first_mib": round(one.samples[0][1] / MIB, 1),
                "last_mib": round(one.samples[-1][1] / MIB, 1),
                "slope_mib_per_hour": _rounded(one.slope(arguments.settle * 60)),
                "restarts": one.restarts,
            }
            for name, one in running.processes.items()
        }
        return {
            "bench": "soak",
            "machine": {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()},
            "minutes": arguments.minutes,
            "wanted_per_second": arguments.per_second,
            "events": running.events,
            "events_per_second": round(rate, 1),
            "processes": processes,
            "goal_mib_per_hour": GOAL_MIB_PER_HOUR,
            "bad_lines": bad,
            "duplicate_tickets": doubled(psa),
            "audit_verified": code == 0,
            "audit": verified.splitlines()[-1] if verified else "",
            "load_average": round(os.getloadavg()[2], 1),
        }


def _rounded(slope: float | None) -> float | None:
    return None if slope is None else round(slope, 2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--settle", type=float, default=15, help="minutes at the beginning that do not count")
    parser.add_argument("--per-second", type=float, default=100)
    arguments = parser.parse_args()

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    done = asyncio.run(soak(arguments, say))
    sys.stdout.write(orjson.dumps(done, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
