"""Webhook to ticket, through the whole line: simulators, receiver, Kafka, worker, executor, all as real processes.

Both instants come from the simulators' own journals, which share one clock: NinjaOne's row "alert triggered" and
Autotask's row "ticket created". Every vendor call takes 50 ms, so the create itself is 50 ms of what is measured.

A fleet has a few conditions and many devices: each alert is of another pair of them, so that each opens a ticket. The
warm-up has shown every condition once (a condition never seen before costs one read in NinjaOne, for its source type).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.demo.tally import our_items, our_tickets
from streams.demo.theatre import Theatre, until

LATENCY_MS = 50
DEVICES = 120
CONDITIONS = 8
#: Ten seconds of the same load first: Kafka's Java compiles what it has seen often, each process makes its first
#: connections, and a Monday morning does not begin with the first alert of the installation's life.
WARM_UP = 200
#: The goal of the design, for half the load that two calls at once of 50 ms can carry.
GOAL_P50_MS, GOAL_P99_MS = 250, 1000

Row = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """One measurement: how many workers, how many alerts a second in all, for how many seconds."""

    workers: int
    per_second: int
    seconds: int


@dataclass
class Latency:
    """What came out, in milliseconds. ``missing``: alerts without a ticket when the waiting ended."""

    load: Load
    spans: list[float] = field(default_factory=list)
    #: Until the create reached Autotask, and the parts of that: until the webhook was acknowledged, and from there on.
    arrivals: list[float] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    raised_per_second: float = 0.0
    alerts: int = 0
    doubled: int = 0
    #: Of the machine, at the end: beyond the number of its processors the figures are about waiting for one.
    load_average: float = 0.0

    @property
    def missing(self) -> int:
        return self.alerts - len(self.spans)

    def as_dict(self) -> dict[str, object]:
        """For the JSON line; milliseconds."""
        return {
            "workers": self.load.workers,
            "alerts_per_second": round(self.raised_per_second, 1),
            "alerts": self.alerts,
            "without_ticket": self.missing,
            "doubled_tickets": self.doubled,
            "p50_ms": _at(self.spans, 0.5),
            "p99_ms": _at(self.spans, 0.99),
            "max_ms": _at(self.spans, 1.0),
            "over_the_sandbox_p50_ms": _at(self.spans, 0.5, less=LATENCY_MS),
            "over_the_sandbox_p99_ms": _at(self.spans, 0.99, less=LATENCY_MS),
            "webhook_acknowledged_p50_ms": _at(self.acknowledged, 0.5),
            "webhook_acknowledged_p99_ms": _at(self.acknowledged, 0.99),
            "create_arrives_p50_ms": _at(self.arrivals, 0.5),
            "create_arrives_p99_ms": _at(self.arrivals, 0.99),
            "p50_by_5_s_ms": [_at(part, 0.5) for part in self._parts()],
            "max_by_5_s_ms": [_at(part, 1.0) for part in self._parts()],
            "load_average": round(self.load_average, 1),
        }

    def _parts(self) -> list[list[float]]:
        # Alerts come at a steady rate, so so many of them are five seconds: a tail that is all in one part is an event
        # (a pause, a poll), one in every part is the system.
        size = 5 * self.load.per_second
        return [self.spans[first : first + size] for first in range(0, len(self.spans), size)]


def _at(values: list[float], share: float, *, less: float = 0) -> int | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] - less) if ordered else None


async def measure(load: Load, say: Callable[[str], None]) -> Latency:
    """Bring the line up, let it settle, raise alerts at a steady rate, and read the journals."""
    # The pollers run as seldom as by default, so that what is measured is the webhook's way.
    changes = {
        "worker": {"processes": load.workers},
        "ninjaone": {"poll_seconds": 30, "inventory_seconds": 900},
        "autotask": {"poll_seconds": 30, "companies_seconds": 900},
    }
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        theatre = Theatre(seed=3, tell=say, folder=Path(folder) / "line", devices=DEVICES, changes=changes)
        async with theatre:
            return await _measured(theatre, load, say)


async def _measured(theatre: Theatre, load: Load, say: Callable[[str], None]) -> Latency:
    await theatre.psa.patch("settings", hourly_limit=10_000_000, latency_tiers=False)
    await theatre.lockstep("setup")
    devices: list[Row] = (await theatre.ninja.get("state"))["devices"]
    approved = [device for device in devices if device.get("approvalStatus", "APPROVED") == "APPROVED"]

    async def settled() -> bool:
        return len(our_items(await theatre.psa.get("state"))) >= len(approved)

    await until("every device has a configuration item", settled, seconds=90)
    alerting = approved[: len(approved) // CONDITIONS * CONDITIONS]
    for vendor in (theatre.ninja, theatre.psa):
        await vendor.patch("settings", latency_ms=LATENCY_MS)
    await _raise(theatre, alerting, count=WARM_UP, per_second=load.per_second, begin=0)
    await _tickets(theatre, WARM_UP, seconds=60)
    say(
        f"  {load.workers} worker(s): {load.per_second} alerts a second for {load.seconds} s over {len(alerting)} devices"
    )
    began = time.monotonic()
    count = load.per_second * load.seconds
    uids = await _raise(theatre, alerting, count=count, per_second=load.per_second, begin=WARM_UP)
    latency = Latency(load, alerts=len(uids), raised_per_second=len(uids) / (time.monotonic() - began))
    await _tickets(theatre, WARM_UP + len(uids), seconds=60)
    latency.load_average = os.getloadavg()[0]
    await _read(theatre, latency, uids)
    return latency


async def _raise(theatre: Theatre, devices: list[Row], *, count: int, per_second: int, begin: int) -> list[str]:
    """Alerts at a steady rate, from the ``begin``-th pair of condition and device on."""
    if begin + count > CONDITIONS * len(devices):
        raise ValueError(f"{begin + count} alerts need more than {len(devices)} devices with {CONDITIONS} conditions")
    began = time.monotonic()
    pending: list[asyncio.Task[Any]] = []
    for number in range(begin, begin + count):
        # The number of devices is a multiple of the number of conditions, so no pair comes twice.
        condition = (number + number // len(devices)) % CONDITIONS
        post = theatre.ninja.post(
            "alerts",
            deviceId=devices[number % len(devices)]["id"],
            sourceType="CONDITION_AGENT_CPU",
            sourceConfigUid=f"0b5d0f0a-0000-4000-8000-{condition:012d}",
            message=f"CPU above {90 + condition} %",
            severity="MAJOR",
        )
        pending.append(asyncio.create_task(post))
        await asyncio.sleep(max(0.0, began + (number - begin + 1) / per_second - time.monotonic()))
    return [str(answer["uid"]) for answer in await asyncio.gather(*pending)]


async def _tickets(theatre: Theatre, count: int, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # The call log is shorter than the state: watching must not cost what is watched.
        if len(_creates(await theatre.psa.get("calls"))) >= count:
            await asyncio.sleep(0.5)
            return
        await asyncio.sleep(1)


def _creates(calls: list[Row]) -> list[Row]:
    return [
        call
        for call in calls
        if call["method"] == "POST" and call["entity"] == "Tickets" and call["status"] == 200 and call["itemId"]
    ]


async def _read(theatre: Theatre, latency: Latency, uids: list[str]) -> None:
    ninja, psa = await theatre.ninja.get("state"), await theatre.psa.get("state")
    raised = {r["id"]: r["t"] for r in ninja["history"] if r["entity"] == "alert" and r["what"] == "triggered"}
    created = {r["id"]: r["t"] for r in psa["history"] if r["entity"] == "Tickets" and r["what"] == "Created"}
    arrived = {call["itemId"]: call["t"] for call in _creates(await theatre.psa.get("calls"))}
    tickets: dict[str, list[Row]] = {}
    for ticket in our_tickets(psa):
        tickets.setdefault(ticket["externalID"].split(".")[2], []).append(ticket)
    for uid in uids:
        mine = tickets.get(uid.replace("-", ""), [])
        latency.doubled += max(0, len(mine) - 1)
        if mine:
            latency.spans.append((created[mine[0]["id"]] - raised[uid]) * 1000)
            latency.arrivals.append((arrived[mine[0]["id"]] - raised[uid]) * 1000)
    latency.acknowledged = [
        (delivery["attempts"][-1]["t"] - delivery["t"]) * 1000
        for delivery in ninja["deliveries"][-len(uids) :]
        if delivery["outcome"] == "delivered"
    ]


def table(latencies: list[Latency]) -> str:
    """The figures for people."""
    rows = [
        f"{'webhook to ticket':30}{'alerts/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'over 50 ms':>12}{'missing':>9}{'load avg':>10}"
    ]
    for one in latencies:
        shown = one.as_dict()
        name = f"{one.load.workers} worker{'s' if one.load.workers > 1 else ''}"
        over = f"{shown['over_the_sandbox_p50_ms']}/{shown['over_the_sandbox_p99_ms']}"
        rows.append(
            f"{name:30}{shown['alerts_per_second']:>9}{shown['p50_ms']:>8}{shown['p99_ms']:>8}{shown['max_ms']:>8}"
            f"{over:>12}{one.missing:>9}{shown['load_average']:>10}"
        )
    return "\n".join(rows)
