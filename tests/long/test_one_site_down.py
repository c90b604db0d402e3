"""400 devices of one site are offline within a minute: one ticket, 400 dispositions; all back, and it is completed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import load_settings
from streams.views import dispositions, states
from streams.wiring import kafka_options
from tests.line.system import Row, System, until

DEVICES, SECONDS = 400, 60
RULE: Row = {
    "name": "offline",
    "when": {"source_type": ["AGENT_OFFLINE"]},
    "storm": {"devices": 10, "within": "2m"},
    "lifecycle": {"note_every": "2m"},
}


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path / "line", devices=12, organizations=1)
    try:
        yield running.start()
    finally:
        running.close()


def counted(system: System) -> Counter[str]:
    async def count() -> Counter[str]:
        return dispositions(await states(await kafka_options(load_settings(system.config)), "incidents"))

    return asyncio.run(count())


def test_four_hundred_devices_of_one_site_offline_within_a_minute_are_one_ticket(system: System, scale: float) -> None:
    count = round(DEVICES * scale)
    policy = system.policy()
    policy["rules"] = [RULE, policy["rules"][-1]]
    system.publish(policy)
    home = system.fleet()[0]
    where = {"organizationId": home["organizationId"], "locationId": home["locationId"]}
    devices = [system.add(**where) for _ in range(count)]
    began, uids = time.monotonic(), []
    for number, device in enumerate(devices):
        uids.append(system.alert(device, "Device is offline", sourceType="AGENT_OFFLINE", severity="CRITICAL"))
        time.sleep(max(0.0, began + (number + 1) * SECONDS * scale / count - time.monotonic()))
    raised_in = time.monotonic() - began
    until(f"{count} alerts are part of the storm", lambda: counted(system) == {"appended": count}, seconds=120)
    (parent,) = system.tickets()
    print(f"{count} alerts raised in {raised_in:.0f} s, all disposed after {time.monotonic() - began:.0f} s")
    assert parent["externalID"].startswith(f"ls.l{home['locationId']}.")

    def listed() -> bool:
        notes = [n["description"] for n in system.psa.state()["ticketNotes"] if n["ticketID"] == parent["id"]]
        return any(f"Devices of this storm: {count}" in note for note in notes)

    until("a note names them all", listed, seconds=300)
    for uid in uids:
        system.clear(uid)
    system.completed(parent, seconds=180)
    until("every alert is closed", lambda: counted(system) == {"closed": count}, seconds=60)
    assert [ticket["id"] for ticket in system.tickets()] == [parent["id"]]
    assert all(system.resets(uid) == [] for uid in uids[:: max(1, count // 20)])
    assert system.lockstep("audit", "verify").code == 0
