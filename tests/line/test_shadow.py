"""A shadow beside another integration: it predicts, compares, writes nothing, and the live start after it doubles nothing.

The other integration is played through the sandboxes' control calls: another resource opens, doubles, misplaces and forgets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import yaml

from connectors.sandbox.autotask_seed import MONITORING, SERVICE_DESK, TECHNICIANS
from schemas.contract import document
from streams.kafka_options import KafkaOptions
from streams.readers import read_all
from tests.line.system import Row, System, name_of, until, writes
from tests.schemas.stranger import Stranger

OTHER = TECHNICIANS[1]
HIGH = 1


@dataclass
class Beside:
    """A shadow that has started, and what its test planted: uids by what the other integration does with them."""

    system: System
    company: int
    devices: list[Row]
    ninja_mark: int
    psa_mark: int

    def item(self, device: Row) -> int:
        """A configuration item of the device that the other integration made."""
        made = self.system.psa.ask(
            "POST",
            "configuration-items",
            companyID=self.company,
            referenceTitle=name_of(device),
            serialNumber=device["system"]["biosSerialNumber"],
            resourceID=OTHER,
        )
        return int(made["itemId"])

    def native(self, device: Row, uid: str, about: str, **more: object) -> Row:
        """The other integration opens a ticket; NinjaOne names it at the alert, unless ``uid`` is empty."""
        values = {"queueID": MONITORING, "priority": HIGH, "companyID": self.company, **more}
        title = f"{name_of(device)}: {about}"
        ticket = self.system.psa.ask("POST", "tickets", title=title, resourceID=OTHER, **values)["item"]
        if uid:
            self.system.ninja.ask("POST", f"alerts/{uid}/psa-ticket", psaTicketId=ticket["id"])
        return ticket

    def writes(self) -> list[Row]:
        """The calls since the start that change something, webhooks included."""
        psa, ninja = self.system.psa.calls(self.psa_mark), self.system.ninja.calls(self.ninja_mark)
        hooks = [c for c in (*psa, *ninja) if c["method"] != "GET" and "webhook" in c["path"].lower()]
        return [*writes(psa), *writes(ninja), *hooks]


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """A small tenant and ``lockstep up --shadow`` on it."""
    system = System(tmp_path_factory.mktemp("shadow"), workers=1, devices=6, organizations=1)
    try:
        system.start_sandbox()
        system.ninja.ask("PATCH", "settings", activity_severity="present")
        companies = [row for row in system.psa.state()["companies"] if row["id"]]
        devices = [device for device in system.fleet() if device["approvalStatus"] == "APPROVED"]
        company = next(row for row in companies if row["companyName"].startswith(_organization(system)))
        found = Beside(system, company["id"], devices, system.ninja.mark(), system.psa.mark())
        found.system.up = system._spawn("up", "--shadow", "--config", str(system.config), stdout=-3, log="up")
        yield found
    finally:
        system.close()


def _organization(system: System) -> str:
    return str(system.ninja.state()["organizations"][0]["name"]).split()[0]


def shadow(system: System) -> Row:
    said = system.lockstep("shadow", "--json", "--grace", "0s")
    assert said.code in (0, 2), said
    return said.json()


def healthy(system: System) -> bool:
    with contextlib.suppress(httpx.TransportError):
        shown = httpx.get(f"{system.receiver}/healthz", trust_env=False).json()
        return bool(shown["ninjaone"] == shown["autotask"] == "Healthy")
    return False


def both_opened(found: Row) -> int:
    return sum(rule["both_opened"] for rule in found["rules"]) if found["tickets_of_other"] == 6 else 0


def differing(system: System, planted: list[tuple[str, str]]) -> Row | None:
    """The report, once its differences are these."""
    found = shadow(system)
    return found if sorted((row["kind"], row["alert"]) for row in found["differences"]) == planted else None


def test_a_shadow_names_what_the_other_integration_does_otherwise_and_writes_nothing(beside: Beside) -> None:
    system = beside.system
    alike, unopened, misplaced, forgotten, doubled, still = beside.devices[:6]
    item = beside.item(alike)
    until("both connections are healthy", lambda: healthy(system), seconds=120)
    until("the item was found", lambda: str(item) in system.lockstep("explain", str(alike["id"]), "--json").out)

    uids = {device["id"]: system.alert(device) for device in (alike, unopened, misplaced, forgotten, doubled, still)}
    about = "CPU above 95 %"
    good = beside.native(alike, uids[alike["id"]], about, configurationItemID=item)
    wrong = beside.native(misplaced, uids[misplaced["id"]], about, queueID=SERVICE_DESK)
    left = beside.native(forgotten, uids[forgotten["id"]], about)
    twice = [beside.native(doubled, uids[doubled["id"]], about), beside.native(doubled, "", about)]
    open_yet = beside.native(still, uids[still["id"]], about)
    until("every alert and ticket was seen", lambda: both_opened(shadow(system)) == 5)

    for device in (alike, misplaced, forgotten, doubled):
        system.clear(uids[device["id"]])
    for ticket in (good, wrong, *twice):
        system.complete(ticket, resourceID=OTHER)
    planted = sorted(
        [
            ("OnlyLockstep", uids[unopened["id"]]),
            ("OtherQueue", uids[misplaced["id"]]),
            ("NeverClosed", uids[forgotten["id"]]),
            ("Doubled", uids[doubled["id"]]),
        ]
    )
    found = until("exactly what was planted is named", lambda: differing(system, planted))
    (rule,) = found["rules"]
    assert (rule["rule"], rule["alerts"], rule["agreement"]) == ("everything-else", 6, 33.3)
    assert (rule["both_opened"], rule["only_lockstep"], rule["only_other"]) == (5, 1, 0)
    assert (rule["both_closed"], rule["never_closed_by_other"], rule["doubled_by_other"]) == (3, 1, 1)
    assert rule["same"] == {"queue": 80.0, "priority": 100.0, "company": 100.0, "item": 100.0}
    assert found["tickets_of_other_without_alert"] == 0

    said = system.lockstep("shadow", "--grace", "0s")
    assert said.code == 2
    assert left["ticketNumber"] in said.out
    assert "33.3 % agreement: of the alerts compared" in said.out
    assert beside.writes() == []
    assert "shadow" in system.lockstep("status").out

    assert asyncio.run(_read_by_a_stranger(system)) == {uids[device["id"]] for device in beside.devices[:6]} - {
        uids[unopened["id"]]
    }
    _never_mixed(system)
    _switched_over(beside, open_yet, uids[still["id"]], uids[unopened["id"]])


async def _read_by_a_stranger(system: System) -> set[str]:
    """The alerts that name a ticket, as a consumer reads the watch over the other integration who knows the document only."""
    stranger, named = Stranger(document()), set()
    servers = json.loads((system.folder / "kafka" / "broker.json").read_text())["bootstrap_servers"]
    async for record in read_all(KafkaOptions(bootstrap_servers=servers), "shadow"):
        named.add(stranger.read("shadow", record.headers, record.key, record.value).get("uid"))
    return named - {None}


def _never_mixed(system: System) -> None:
    """A live role on a shadow's log refuses with one line, and so does what could only wait in vain there."""
    said = system.lockstep("send-test-alert", "--organization", "1")
    assert (said.code, "this is a shadow" in said.err) == (1, True)
    said = system.lockstep("run", "connectors", LOCKSTEP_MODE="live")
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("lockstep: mode is live, but the log at 127.0.0.1:")


def _switched_over(beside: Beside, adopted: Row, of: str, unopened: str) -> None:
    """The other integration is off, Lockstep starts live with a log of its own: what is open is taken over."""
    system = beside.system
    assert system.up is not None
    system.up.send_signal(signal.SIGTERM)
    assert system.up.wait(40) == 0
    before = len(system.psa.state()["tickets"])
    document = yaml.safe_load(system.config.read_text())
    document["kafka"]["data_dir"] = "live"
    system.config.write_text(yaml.safe_dump(document, sort_keys=False))
    system.start_up()
    taken, _ = system.opened(of, unopened, seconds=120)
    assert taken["id"] == adopted["id"]
    system.silence(2)
    assert len(system.psa.state()["tickets"]) == before + 1
    assert system.doubled() == 0
    assert writes(system.psa.calls(beside.psa_mark)) != [], (
        "the live one writes, so the count of the shadow was not blind"
    )
