"""A storm: one organization raises thousands of alerts in a minute while the others go on as always.

    python -m bench.storm [--alerts 5000] [--seconds 60] [--neighbour 6000]

The whole line as processes, every vendor call 50 ms, the vendor's own slow-down from half of the hour on, a neighbour that
takes its part of the tenant's hour. All that is judged stands in the simulators' own journals, which share one clock:
tickets by external id, calls side by side per endpoint, refusals, and the hour's count at each single call.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streams.demo.tally import our_items, our_tickets
from streams.demo.theatre import Theatre, until

Row = dict[str, Any]
Say = Callable[[str], None]

LATENCY_MS = 50
DEVICES = 120
#: What the vendor does is not known (its page promises no order); a vendor that waits for each answer delivers at most
#: as many as we acknowledge one after another.
DELIVERIES_AT_ONCE = 16
CONDITIONS = 8
#: Autotask's own numbers: 10,000 requests in a rolling hour, slower from half of it on, three calls at once per endpoint.
HOURLY_LIMIT, SLOW_FROM, CALLS_AT_ONCE = 10_000, 0.5, 3
HOUR = 3600.0


@dataclass(frozen=True)
class Storm:
    """What is raised: ``alerts`` of one organization in ``seconds``, and ``quiet`` a second of all others together."""

    alerts: int = 5_000
    seconds: float = 60.0
    quiet_per_second: float = 1.0
    #: Devices of the quiet organizations that change in mid-storm: bulk work, which must not add to the hour beyond half.
    renamed: int = 20
    neighbour_per_hour: int = 600
    #: Requests that the neighbours made in the hour before the storm: 6,000 are 60 %, and bulk work must stand still.
    neighbour: int = 0
    #: How long to wait for the last ticket. 5,000 creates at 50 ms, two at once, take 125 s; those beyond half of the hour
    #: take 550 ms each by the vendor's slow-down.
    patience: float = 900.0


@dataclass
class Outcome:
    """What came out; times in milliseconds unless named otherwise."""

    alerts: int = 0
    raised_in_s: float = 0.0
    quiet_alerts: int = 0
    without_ticket: int = 0
    doubled_tickets: int = 0
    all_ticketed_after_s: float = 0.0
    quiet_p50_ms: int | None = None
    quiet_p99_ms: int | None = None
    quiet_max_ms: int | None = None
    storm_p50_ms: int | None = None
    storm_max_ms: int | None = None
    most_at_once: dict[str, int] = field(default_factory=dict)
    refused_by_limits: int = 0
    #: The largest share of the hour that the simulator counted at any call, the neighbour's included.
    most_of_the_hour: float = 0.0
    #: Writes to configuration items that began when half of the hour was used: bulk work that slows everybody down.
    bulk_beyond_half: int = 0
    calls: int = 0
    #: When the storm began, by the simulators' clock (epoch seconds): items of the set-up before it are not judged.
    began_at: float = 0.0
    load_average: float = 0.0

    def faults(self) -> list[str]:
        """What must not be, in words; empty for a run that holds. The time of the quiet ones is judged by the caller."""
        found = []
        if self.without_ticket:
            found.append(f"{self.without_ticket} alerts have no ticket")
        if self.doubled_tickets:
            found.append(f"{self.doubled_tickets} tickets too many")
        found += [
            f"{count} calls at once for {entity}"
            for entity, count in self.most_at_once.items()
            if count > CALLS_AT_ONCE
        ]
        if self.refused_by_limits:
            found.append(f"{self.refused_by_limits} calls were refused for the hour's or the threads' limit")
        if self.most_of_the_hour >= 1:
            found.append(f"{self.most_of_the_hour:.0%} of the hour's budget were used")
        if self.bulk_beyond_half:
            found.append(f"{self.bulk_beyond_half} items were written beyond half of the hour's budget")
        return found


async def measure(storm: Storm, say: Say) -> Outcome:
    """Bring the line up, raise the storm, wait for the last ticket, read the journals."""
    # Polls at their defaults: what is measured is the webhook's way, and the hour's budget is that of a usual tenant.
    changes = {
        "ninjaone": {"poll_seconds": 30, "inventory_seconds": 60},
        "autotask": {"poll_seconds": 30, "companies_seconds": 900},
    }
    with tempfile.TemporaryDirectory(prefix="lockstep-storm-") as folder:
        theatre = Theatre(seed=4, tell=say, folder=Path(folder) / "line", devices=DEVICES, changes=changes)
        async with theatre:
            return await _measured(theatre, storm, say)


async def _measured(theatre: Theatre, storm: Storm, say: Say) -> Outcome:
    await theatre.lockstep("setup")
    devices: list[Row] = (await theatre.ninja.get("state"))["devices"]
    approved = [device for device in devices if device.get("approvalStatus", "APPROVED") == "APPROVED"]

    async def settled() -> bool:
        return len(our_items(await theatre.psa.get("state"))) >= len(approved)

    await until("every device has a configuration item", settled, seconds=180)
    for vendor in (theatre.ninja, theatre.psa):
        await vendor.patch("settings", latency_ms=LATENCY_MS)
    # One delivery after the other would make the simulator's queue the thing that is measured.
    await theatre.ninja.patch("settings", webhook_at_once=DELIVERIES_AT_ONCE)
    await theatre.psa.patch("settings", neighbour_requests_per_hour=storm.neighbour_per_hour, neighbour=storm.neighbour)
    if storm.neighbour:
        # A reading is up to three minutes old; what is judged is what follows from it, not its age.
        await until("the executor has read the hour", lambda: _has_read(theatre, storm.neighbour), seconds=240)
    loud, _ = Counter(device["organizationId"] for device in approved).most_common(1)[0]
    stormy = [device for device in approved if device["organizationId"] == loud]
    quiet = [device for device in approved if device["organizationId"] != loud]
    # Every condition is shown once before: a new one costs one read in NinjaOne, for its source type.
    warm = await _raise(theatre, quiet, begin=0, count=CONDITIONS, per_second=2)
    await _wait(theatre, len(warm), 120)
    say(
        f"  {storm.alerts} alerts in {storm.seconds:g} s from organization {loud}, {storm.quiet_per_second:g}/s from others"
    )
    began, began_at = time.monotonic(), float((await theatre.psa.get("clock"))["now"])
    quiet_count = round(storm.quiet_per_second * storm.seconds)
    storm_uids, quiet_uids, _ = await asyncio.gather(
        _raise(theatre, stormy, begin=0, count=storm.alerts, per_second=storm.alerts / storm.seconds),
        _raise(theatre, quiet, begin=CONDITIONS, count=quiet_count, per_second=storm.quiet_per_second),
        _rename(theatre, quiet[: storm.renamed], after=storm.seconds / 2),
    )
    outcome = Outcome(alerts=len(storm_uids), quiet_alerts=len(quiet_uids), began_at=began_at)
    outcome.raised_in_s = round(time.monotonic() - began, 1)
    await _wait(theatre, len(warm) + len(storm_uids) + len(quiet_uids), storm.patience)
    outcome.all_ticketed_after_s = round(time.monotonic() - began, 1)
    outcome.load_average = round(os.getloadavg()[0], 1)
    await _read(theatre, outcome, storm, storm_uids, quiet_uids)
    return outcome


async def _raise(theatre: Theatre, devices: list[Row], *, begin: int, count: int, per_second: float) -> list[str]:
    """Alerts at a steady rate, each a pair of device and condition of its own, so that each opens a ticket.

    Beyond the pairs of the known conditions the message's subject tells them apart, as several disks of a device do.
    """
    began = time.monotonic()
    pending: list[asyncio.Task[Any]] = []
    for number in range(begin, begin + count):
        condition = (number // len(devices)) % CONDITIONS
        pending.append(
            asyncio.create_task(
                theatre.ninja.post(
                    "alerts",
                    deviceId=devices[number % len(devices)]["id"],
                    sourceType="CONDITION_DISK_USAGE",
                    sourceConfigUid=f"0b5d0f0a-0000-4000-8000-{condition:012d}",
                    subject=f"volume {number // (len(devices) * CONDITIONS)}",
                    message=f"disk usage of volume {number} above 90 %",
                    severity="MAJOR",
                )
            )
        )
        await asyncio.sleep(max(0.0, began + (number - begin + 1) / per_second - time.monotonic()))
    return [str(answer["uid"]) for answer in await asyncio.gather(*pending)]


async def _has_read(theatre: Theatre, used: int) -> bool:
    code, said = await theatre.lockstep("status", "--json")
    if code != 0:
        return False
    figures = [role["figures"] for role in orjson.loads(said)["roles"] if role["role"] == "executor"]
    readings = [part["budget"]["used"] for topics in figures for part in topics.values() if part.get("budget")]
    return any(reading >= used for reading in readings)


async def _rename(theatre: Theatre, devices: list[Row], *, after: float) -> None:
    await asyncio.sleep(after)
    for device in devices:
        await theatre.ninja.patch(f"devices/{device['id']}", displayName=f"renamed {device['id']}")


async def _wait(theatre: Theatre, tickets: int, seconds: float) -> None:
    """Until so many tickets of ours were created; looks at the new calls only, so that watching costs little."""
    deadline, seen, made = time.monotonic() + seconds, 0, 0
    while made < tickets and time.monotonic() < deadline:
        calls = await theatre.psa.get("calls", since=seen)
        # A call under way has no status yet: it is looked at again.
        open_at = next((index for index, call in enumerate(calls) if call["status"] is None), len(calls))
        made += sum(_is_create(call) for call in calls[:open_at])
        seen = calls[open_at - 1]["seq"] if open_at else seen
        await asyncio.sleep(1)


def _is_create(call: Row) -> bool:
    return bool(call["method"] == "POST" and call["path"].endswith("/Tickets") and call["status"] == 200)


async def _read(theatre: Theatre, outcome: Outcome, storm: Storm, storm_uids: list[str], quiet_uids: list[str]) -> None:
    ninja, psa = await theatre.ninja.get("state"), await theatre.psa.get("state")
    raised = {r["id"]: r["t"] for r in ninja["history"] if r["entity"] == "alert" and r["what"] == "triggered"}
    created = {r["id"]: r["t"] for r in psa["history"] if r["entity"] == "Tickets" and r["what"] == "Created"}
    tickets: dict[str, list[Row]] = {}
    for ticket in our_tickets(psa):
        tickets.setdefault(ticket["externalID"].split(".")[2], []).append(ticket)
    spans: dict[str, float] = {}
    for uid in [*storm_uids, *quiet_uids]:
        mine = tickets.get(uid.replace("-", ""), [])
        outcome.doubled_tickets += max(0, len(mine) - 1)
        outcome.without_ticket += not mine
        if mine:
            spans[uid] = (created[mine[0]["id"]] - raised[uid]) * 1000
    quiet = sorted(spans[uid] for uid in quiet_uids if uid in spans)
    loud = sorted(spans[uid] for uid in storm_uids if uid in spans)
    outcome.quiet_p50_ms, outcome.quiet_p99_ms, outcome.quiet_max_ms = _at(quiet, 0.5), _at(quiet, 0.99), _at(quiet, 1)
    outcome.storm_p50_ms, outcome.storm_max_ms = _at(loud, 0.5), _at(loud, 1)
    _count(outcome, await theatre.psa.get("calls"), storm)


def _count(outcome: Outcome, calls: list[Row], storm: Storm) -> None:
    """What the simulator counted: calls at once, refusals, and the hour at each call (discovery is exempt)."""
    outcome.calls = len(calls)
    times: list[float] = []
    for call in calls:
        entity = call["entity"]
        outcome.most_at_once[entity] = max(outcome.most_at_once.get(entity, 0), call["inflight"])
        why = call["refusedWhy"] or ""
        outcome.refused_by_limits += why.startswith(("hourly limit", "thread limit"))
        used = len(times) - bisect.bisect_right(times, call["t"] - HOUR)
        share = (used + storm.neighbour_per_hour + storm.neighbour) / HOURLY_LIMIT
        outcome.most_of_the_hour = round(max(outcome.most_of_the_hour, share), 4)
        renamed_at = outcome.began_at + storm.seconds / 2
        item = (
            call["t"] >= renamed_at
            and call["method"] in ("POST", "PATCH")
            and call["path"].endswith("/ConfigurationItems")
        )
        outcome.bulk_beyond_half += item and share >= SLOW_FROM
        times.append(call["t"])


def _at(ordered: list[float], share: float) -> int | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else None


def main() -> int:
    """The command line: one JSON line, exit 0 where it held, 2 where not."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.storm", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--alerts", type=int, default=Storm.alerts)
    parser.add_argument("--seconds", type=float, default=Storm.seconds)
    parser.add_argument("--neighbour", type=int, default=0, help="requests of others in the hour before")
    args = parser.parse_args()
    storm = Storm(alerts=args.alerts, seconds=args.seconds, neighbour=args.neighbour)
    outcome = asyncio.run(measure(storm, lambda line: print(line, file=sys.stderr)))
    sys.stdout.write(orjson.dumps({**asdict(storm), **asdict(outcome), "faults": outcome.faults()}).decode() + "\n")
    return 2 if outcome.faults() else 0


if __name__ == "__main__":
    raise SystemExit(main())
