"""Makes ``recorded/healthy.jsonl.gz``: the evidence of one short, undisturbed run of a whole Lockstep.

    python -m tests.faults.record

Run it anew after a change of a schema, of the audit or of what the sandboxes record. Takes about a minute.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from connectors.sandbox.remote import Remote
from schemas.topics import ATTEMPTS, CURSORS, DEVICE_DIGESTS, NINJAONE_ALERTS, ROLES, TICKETS
from streams.broker import attach
from streams.drill.collect import collect
from streams.drill.evidence import Evidence, keep
from streams.drill.policy import HELD, SETTLES, UNTOUCHED, rules
from streams.kafka_options import KafkaOptions
from tests.line.system import System, is_complete, until

HEALTHY = Path(__file__).parent / "recorded" / "healthy.jsonl.gz"
#: Nothing here measures speed, so a busy machine may take its time.
PATIENCE_S = 180.0
#: Of the sandboxes' states only what the checker reads; the rest is most of the size.
_NINJAONE = ("simulator", "now", "alerts")
_AUTOTASK = ("simulator", "tickets", "configurationItems", "apiUser")
_HISTORY = ("alert", "Tickets", "TicketNotes", "TimeEntries")
#: Not judged by anything here; ``roles`` also names the machine.
_LEFT_OUT = (ROLES, CURSORS, ATTEMPTS, TICKETS, DEVICE_DIGESTS)


def story(system: System) -> None:
    """One of everything that a healthy run has: both ways of closing, repeats, duplicates, a locked API user."""
    devices = system.take(5)
    system.ninja.ask("POST", "faults", kind="webhook_double", count=3)
    cleared, finished, lasting = (system.alert(device) for device in devices[:3])
    tickets = system.opened(cleared, finished, lasting, seconds=PATIENCE_S)
    # The same condition once more on the same device: it joins the open incident with a note.
    joined = system.alert(devices[2], "CPU above 99 %")
    about = tickets[2]["id"]
    until("the note is written", lambda: any(n["ticketID"] == about for n in notes(system)), seconds=PATIENCE_S)
    system.clear(cleared)
    system.complete(tickets[1])
    system.completed(tickets[0], seconds=PATIENCE_S)
    until("the alert is reset", lambda: finished not in system.active(), seconds=PATIENCE_S)
    system.psa.ask("PATCH", "api-user", locked=True)
    waiting = system.alert(devices[3])
    system.reaches("autotask", "Unhealthy")
    until("a command waits", lambda: system.status()["waiting"], seconds=PATIENCE_S)
    system.psa.ask("PATCH", "api-user", locked=False)
    assert system.lockstep("test", "autotask").code == 0
    ticket = system.opened(waiting, seconds=PATIENCE_S)[0]
    system.clear(joined)
    system.clear(waiting)
    system.completed(ticket, seconds=PATIENCE_S)
    # One whose alert is still active at the end, and so its ticket open; that of devices[2] is open for its first alert.
    system.opened(system.alert(devices[4]), seconds=PATIENCE_S)
    lives(system)
    # A process that has just begun remembers no delivery: what comes once more is a fact once more.
    killed = system.kill("connectors")
    until("others receive", lambda: system.pids().get("connectors", killed) != killed, seconds=PATIENCE_S)
    system.reaches("ninjaone", "Healthy")
    system.ninja.ask("POST", "webhooks/redeliver", last=10, order="same")
    system.silence(3)


def lives(system: System) -> None:
    """One of every life that a rule of the drill gives a ticket: held, reopened, left to its technician, suppressed."""
    held, reopened, touched, maintained = system.take(4)
    moment = system.alert(held, "offline for a moment", sourceType=HELD)
    # While it is there its source type is read, which the rule goes by; that takes some of the three seconds.
    time.sleep(1)
    system.clear(moment)
    back = [system.alert(reopened, "memory", sourceType=SETTLES)]
    worked_on = system.alert(touched, "disk", sourceType=UNTOUCHED)
    again, left = system.opened(back[0], worked_on, seconds=PATIENCE_S)
    system.psa.ask("POST", f"tickets/{left['id']}/note")
    system.clear(worked_on)
    system.clear(back[0])
    system.completed(again, seconds=PATIENCE_S)
    # Its settlement, which the ticket itself does not show.
    says(system, back[0], "complete-ticket.v1")
    back.append(system.alert(reopened, "memory", sourceType=SETTLES))
    until("it is open again", lambda: not is_complete(ticket_of(system, again["id"])), seconds=PATIENCE_S)
    now = time.time()
    system.ninja.ask("PATCH", f"devices/{maintained['id']}", maintenance={"start": now, "end": now + 3600})
    suppressed = system.alert(maintained, "disk", sourceType=UNTOUCHED)
    for uid, word in (
        (moment, "ResetWithinHold"),
        (worked_on, "TouchedByTechnician"),
        (suppressed, "Maintenance:NinjaOne"),
    ):
        says(system, uid, word)


def says(system: System, uid: str, word: str) -> None:
    """Wait until ``explain`` has a word about an alert."""
    until(f"{word} is said of {uid}", lambda: word in system.lockstep("explain", uid).out, seconds=PATIENCE_S)


def ticket_of(system: System, number: int) -> dict[str, Any]:
    """A ticket as it is now."""
    return next(ticket for ticket in system.tickets() if ticket["id"] == number)


def notes(system: System) -> list[dict[str, Any]]:
    """All notes of tickets."""
    rows: list[dict[str, Any]] = system.psa.state()["ticketNotes"]
    return rows


async def poison(servers: str) -> frozenset[tuple[str, int, int]]:
    """One record that nobody can decode."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True)
    await producer.start()
    try:
        sent = await producer.send_and_wait(NINJAONE_ALERTS, b"\xff not JSON", key=b"4711", partition=0)
    finally:
        await producer.stop()
    return frozenset({(sent.topic, sent.partition, sent.offset)})


async def gather(system: System, planted: frozenset[tuple[str, int, int]]) -> Evidence:
    """The evidence, without what the checker does not read."""
    options = KafkaOptions(bootstrap_servers=attach(system.folder / "kafka"))
    async with Remote(system.ninja.base) as ninja, Remote(system.psa.base) as psa:
        whole = await collect(options, ninja, psa, poison=planted)
    return replace(
        whole,
        ninjaone={**_trimmed(whole.ninjaone, _NINJAONE), "devices": _maintained(whole.ninjaone)},
        autotask=_trimmed(whole.autotask, _AUTOTASK),
        topics={name: records for name, records in whole.topics.items() if name not in _LEFT_OUT},
    )


def _trimmed(state: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    history = [row for row in state["history"] if row["entity"] in _HISTORY]
    return {**{name: state[name] for name in names}, "history": history}


def _maintained(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The devices in maintenance; nothing else of a device is judged."""
    rows = [row for row in state["devices"] if "maintenance" in row]
    return [{name: row[name] for name in ("id", "maintenance")} for row in rows]


def main() -> None:
    """Run, judge nothing, keep."""
    with tempfile.TemporaryDirectory(prefix="lockstep-record-") as folder:
        system = System(Path(folder), devices=20, organizations=2)
        try:
            system.start_sandbox()
            system.start_up()
            until("every device has an item", system._all_items, seconds=PATIENCE_S)
            system.publish({**system.policy(), "rules": rules()})
            planted = asyncio.run(poison(attach(system.folder / "kafka")))
            story(system)
            evidence = asyncio.run(gather(system, planted))
        finally:
            system.close()
    HEALTHY.parent.mkdir(exist_ok=True)
    keep(evidence, HEALTHY)
    print(f"{HEALTHY.name}: {HEALTHY.stat().st_size} bytes")


if __name__ == "__main__":
    main()
