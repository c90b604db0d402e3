"""Fifty defects over both simulators: what no webhook and no poll told of, each with the class that it must be named by.

The connectors are deaf meanwhile (``deaf``): no poll for an hour, and nothing is pushed. So each stays as it is until somebody compares.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import yaml

from schemas.identity import derived_id, external_id
from tests.line.system import Row, System, until

LINK = "NinjaOne Link"


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that was planted: the class it must be found as, and the key or ids that the finding must name."""

    name: str
    drift: str
    key: str
    ticket_id: int | None = None
    item_ids: tuple[int, ...] = ()
    uids: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def is_in(self, found: Row) -> bool:
        """Whether a finding of the report is this one."""
        return (
            found["class"] == self.drift
            and found["key"] == self.key
            and self.ticket_id in (None, found["ticket_id"])
            and set(self.item_ids) <= set(found["item_ids"])
            and set(self.uids) <= set(found["uids"])
            and set(self.fields) <= set(found["fields"])
        )


@contextlib.contextmanager
def deaf(system: System) -> Iterator[None]:
    """The connectors look once, and then not for an hour."""
    before = system.config.read_text()
    document = yaml.safe_load(before)
    document["ninjaone"] |= {"poll_seconds": 3600, "inventory_seconds": 3600}
    document["autotask"] |= {"poll_seconds": 3600, "companies_seconds": 3600}
    try:
        system.config.write_text(yaml.safe_dump(document, sort_keys=False))
        _again(system)
        yield
    finally:
        system.config.write_text(before)
        _again(system)


def _again(system: System) -> None:
    """The connectors start anew and have read everything once."""
    ninja, psa = system.ninja.mark(), system.psa.mark()
    system.kill("connectors")

    def has_read() -> bool:
        paths = [call["path"] for call in system.ninja.calls(ninja)]
        psa_paths = [call["path"] for call in system.psa.calls(psa)]
        lists = any("/v2/alerts" in path for path in paths) and any("devices-detailed" in path for path in paths)
        return lists and any("Tickets/query" in path for path in psa_paths)

    until("the connectors have read everything once", has_read)
    system.silence(1.0)


@dataclass(slots=True)
class Planter:
    """Plants defects. ``prepare`` while the connectors listen, ``plant`` while they are deaf."""

    system: System
    defects: list[Defect] = field(default_factory=list)
    devices: list[Row] = field(default_factory=list)

    def device(self) -> Row:
        """A device that nothing was planted at yet."""
        return self.devices.pop()

    def prepare(self, count: int) -> None:
        """So many devices, each with its item."""
        names = [f"DRIFT-{number:02d}" for number in range(count)]
        self.devices = [self.system.add(systemName=name, displayName=name) for name in names]
        wanted = {f"ls.{device['id']}" for device in self.devices}
        until("every device has its item", lambda: wanted <= {item["referenceNumber"] for item in self.system.items()})

    def raised(self, count: int) -> list[tuple[Row, str, Row]]:
        """So many devices, each with an alert and its ticket."""
        chosen = [self.device() for _ in range(count)]
        uids = [self.system.alert(device, f"drift at {device['id']}") for device in chosen]
        tickets = self.system.opened(*uids)
        return list(zip(chosen, uids, tickets, strict=True))

    def expect(self, name: str, drift: str, device: Row | int | str, **more: Any) -> None:
        """One more defect is there."""
        key = str(device["id"]) if isinstance(device, dict) else str(device)
        self.defects.append(Defect(name, drift, key, **more))

    # --- the control calls

    def quietly(self, ticket: Row, **fields: Any) -> None:
        self.system.psa.ask("PATCH", f"tickets/{ticket['id']}", quiet=True, **fields)

    def edit(self, ticket: Row, **fields: Any) -> None:
        self.system.psa.ask("PATCH", f"tickets/{ticket['id']}", **fields)

    def edit_item(self, item: Row, **fields: Any) -> None:
        self.system.psa.ask("PATCH", f"configuration-items/{item['id']}", **fields)

    def item(self, device: Row) -> Row:
        found = self.system.item(device)
        assert found is not None
        return found

    def ticket(self, name: str, like: Row) -> Row:
        """A ticket with one of our external ids, made by somebody else."""
        fields = {"externalID": name, "companyID": like["companyID"], "title": "planted"}
        return self.system.psa.ask("POST", "tickets", **fields)["item"]

    def clear(self, uid: str, **more: Any) -> None:
        self.system.ninja.ask("POST", f"alerts/{uid}/clear", push=False, **more)


def uid_of(*parts: str | int) -> str:
    """A uid that no alert has."""
    return str(UUID(hex=derived_id("planted", *parts)))


@dataclass(frozen=True, slots=True)
class Stage:
    """What there is before anything is planted: (device, uid, ticket) of stories that are over, and of open ones."""

    over: list[tuple[Row, str, Row]]
    open: list[tuple[Row, str, Row]]
    pair: Row
    both: list[str]
    shared: Row
    #: Like the open ones; nothing is planted at them.
    spare: list[tuple[Row, str, Row]]


def set_up(planter: Planter) -> Stage:
    """Stories that went well, while everything is heard."""
    system = planter.system
    planter.prepare(60)
    over = planter.raised(4)
    mine = planter.raised(22)
    spare = planter.raised(4)
    for _, uid, _ in over[:3]:
        system.clear(uid)
    system.complete(over[3][2])
    system.completed(*(ticket for _, _, ticket in over))
    until("its alert is reset", lambda: over[3][1] not in system.active())
    pair = planter.device()
    both = [system.alert(pair, f"pair at {pair['id']}") for _ in range(2)]
    (shared,) = system.opened(both[0])
    system.silence(1.0)
    return Stage(over, mine, pair, both, shared, spare)


def plant(planter: Planter, stage: Stage) -> list[Defect]:
    """Plant all of them, while the connectors are deaf. Returns what must be found: fifty."""
    mine = stage.open
    _missed_closes(planter, stage, mine)
    _missed_resets(planter, mine)
    _missed_opens(planter, stage.over)
    _tickets(planter, mine)
    _ticket_edits(planter, mine)
    _items(planter)
    assert not mine, f"{len(mine)} tickets were not used"
    return planter.defects


def _missed_closes(planter: Planter, stage: Stage, mine: list[Any]) -> None:
    over, both = stage.over, stage.both
    for code in ("RESET", "DISABLED", "nothing"):
        device, uid, ticket = mine.pop()
        planter.clear(uid, statusCode=code)
        planter.expect(f"cleared by {code}", "missed-close", device, ticket_id=ticket["id"], uids=(uid,))
    for uid in both:
        planter.clear(uid)
    planter.expect("both cleared", "missed-close", stage.pair, ticket_id=stage.shared["id"], uids=tuple(both))
    for (device, _, ticket), status in zip(over[:2], (1, 8), strict=True):
        planter.quietly(ticket, status=status, completedDate=None)
        planter.expect("completed by us, open again", "missed-close", device, ticket_id=ticket["id"])
    device, _, ticket = over[3]
    planter.quietly(ticket, status=8, completedDate=None)
    planter.expect("completed by a technician, open again", "missed-close", device, ticket_id=ticket["id"])


def _missed_resets(planter: Planter, mine: list[Any]) -> None:
    for status in (5, 29, 5):
        device, uid, ticket = mine.pop()
        planter.system.complete(ticket, status=status)
        planter.expect(f"completed as {status}", "missed-reset", device, ticket_id=ticket["id"], uids=(uid,))
    device, uid, ticket = mine.pop()
    planter.quietly(ticket, status=5, completedDate="2026-11-30T12:00:00Z")
    planter.expect("completed without a trace", "missed-reset", device, ticket_id=ticket["id"], uids=(uid,))


def _missed_opens(planter: Planter, over: list[Any]) -> None:
    for message in ("CPU above 95 %", "disk full"):
        device = planter.device()
        uid = planter.system.alert(device, message, push=False)
        planter.expect("raised unheard", "missed-open", device, uids=(uid,))
    device, uid, _ = over[2]
    planter.system.alert(device, "raised again under its uid", uid=uid, push=False)
    planter.expect("raised again unheard", "missed-open", device, uids=(uid,))
    organization = device["organizationId"]
    body = {"organizationId": organization, "sourceType": "CONDITION_AGENT_CPU", "message": "of the organization"}
    uid = planter.system.ninja.ask("POST", "alerts", push=False, **body)["uid"]
    planter.expect("of an organization", "missed-open", f"o{organization}", uids=(uid,))


def _tickets(planter: Planter, mine: list[Any]) -> None:
    for _ in range(3):
        device, uid, ticket = mine.pop()
        planter.system.psa.ask("DELETE", f"tickets/{ticket['id']}")
        planter.expect("deleted", "missing-ticket", device, ticket_id=ticket["id"], uids=(uid,))
    for number in range(3):
        device = planter.device()
        row = planter.ticket(external_id(str(device["id"]), uid_of("orphan", number)), planter.item(device))
        planter.expect("of no incident", "orphan-ticket", device, ticket_id=row["id"])
    device = planter.device()
    uid = planter.system.alert(device, "its ticket is there", push=False)
    row = planter.ticket(external_id(str(device["id"]), uid), planter.item(device))
    planter.expect("of an unheard alert", "orphan-ticket", device, ticket_id=row["id"], uids=(uid,))
    for _ in range(3):
        device, _, ticket = mine.pop()
        row = planter.ticket(ticket["externalID"], ticket)
        planter.expect("beside its ticket", "doubled-ticket", device, ticket_id=row["id"])


def _ticket_edits(planter: Planter, mine: list[Any]) -> None:
    others = [row for row in planter.system.psa.state()["companies"] if row["isActive"]]

    def expect(name: str, field_: str, change: Any) -> None:
        device, _, ticket = mine.pop()
        planter.edit(ticket, **change(device, ticket))
        planter.expect(name, "foreign-edit", device, ticket_id=ticket["id"], fields=(field_,))

    expect("external id emptied", "externalID", lambda device, ticket: {"externalID": None})
    expect("external id emptied", "externalID", lambda device, ticket: {"externalID": ""})
    expect("external id of somebody", "externalID", lambda device, ticket: {"externalID": "CRM-4711"})
    expect("item taken away", "configurationItemID", lambda device, ticket: {"configurationItemID": None})

    def other(device: Row, ticket: Row) -> Row:
        neighbour = next(
            item
            for item in planter.system.items()
            if item["companyID"] == ticket["companyID"] and item["id"] != ticket["configurationItemID"]
        )
        return {"configurationItemID": neighbour["id"]}

    expect("another device's item", "configurationItemID", other)

    def moved(device: Row, ticket: Row) -> Row:
        company = next(row for row in others if row["id"] not in (0, ticket["companyID"]))
        return {"companyID": company["id"], "configurationItemID": None, "quiet": True}

    expect("moved to another company", "companyID", moved)
    for _ in range(2):
        # A technician's own fields are nobody's drift.
        device, _, ticket = mine.pop()
        planter.edit(ticket, priority=3, title="renamed by a technician", status=8)
    # Both of a pair: what stands beside is told apart.
    while mine:
        device, _, ticket = mine.pop()
        row = planter.ticket(ticket["externalID"], ticket)
        planter.expect("beside its ticket", "doubled-ticket", device, ticket_id=row["id"])


def _items(planter: Planter) -> None:
    system = planter.system
    companies = [row["id"] for row in system.psa.state()["companies"] if row["isActive"] and row["id"]]

    def edited(field_: str, **fields: Any) -> None:
        device = planter.device()
        item = planter.item(device)
        planter.edit_item(item, **fields)
        planter.expect(f"{field_} changed", "foreign-edit", device, item_ids=(item["id"],), fields=(field_,))

    edited("referenceTitle", referenceTitle="somebody's name")
    edited("serialNumber", serialNumber="0000-FOREIGN")
    edited("referenceNumber", referenceNumber=None)
    edited("referenceNumber", referenceNumber="INV-77")
    edited(LINK, userDefinedFields=[{"name": LINK, "value": None}])
    edited(LINK, userDefinedFields=[{"name": LINK, "value": "https://example.com"}])
    device = planter.device()
    item = planter.item(device)
    other = next(number for number in companies if number != item["companyID"])
    planter.edit_item(item, companyID=other, quiet=True)
    planter.expect("moved", "foreign-edit", device, item_ids=(item["id"],), fields=("companyID",))
    for number in range(3):
        device = planter.device()
        item = planter.item(device)
        company = item["companyID"] if number else other
        fields = {"referenceNumber": item["referenceNumber"], "referenceTitle": "twin", "companyID": company}
        twin = system.psa.ask("POST", "configuration-items", **fields)["item"]
        planter.expect("a second one", "item-twin", device, item_ids=(item["id"], twin["id"]))
    for _ in range(2):
        device = planter.device()
        item = planter.item(device)
        system.ninja.ask("DELETE", f"devices/{device['id']}", {"push": "false"})
        planter.expect("device deleted", "stale-item", device, item_ids=(item["id"],))
    for _ in range(2):
        device = planter.device()
        item = planter.item(device)
        planter.edit_item(item, isActive=False)
        planter.expect("inactive", "stale-item", device, item_ids=(item["id"],))
    fields = {"referenceNumber": "ls.987654", "referenceTitle": "of no device", "companyID": companies[0]}
    row = system.psa.ask("POST", "configuration-items", **fields)["item"]
    planter.expect("of no device", "stale-item", 987654, item_ids=(row["id"],))
    device = planter.device()
    system.psa.ask("DELETE", f"configuration-items/{planter.item(device)['id']}")
    planter.expect("deleted", "missing-item", device)
    added = system.ninja.ask("POST", "devices", nodeClass="WINDOWS_WORKSTATION", systemName="UNHEARD", push=False)
    planter.expect("device unheard", "missing-item", added)
    device = planter.device()
    system.ninja.ask("PATCH", f"devices/{device['id']}", displayName="RENAMED", push=False)
    planter.expect("renamed", "missed-change", device)
