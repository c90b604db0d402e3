"""Both sides of a comparison in small: the log by the agents' scenes, the vendors by rows as Autotask and NinjaOne show them."""

from __future__ import annotations

from typing import Any

from schemas.autotask import ConfigurationItem, Ticket
from schemas.commands import CreateTicket
from streams.core.documents import CONTEXT_KEY, read
from streams.core.drift.compare import compare
from streams.core.drift.findings import Comparison, Drift, LogSide, SeenAlert, SeenDevice, VendorSide
from tests.core.spec import EXTERNAL_A, START, UID_A, Scene

COMPANY = 29683
ASKED_AT = START + 3_600_000


def bodies(scene: Scene | None) -> dict[str, dict[str, Any]]:
    """The bodies of a scene's keys."""
    state = scene.state if scene is not None else {}
    return {key.decode(): read(value)[0] for key, value in state.items() if key.decode() != CONTEXT_KEY}


def log_of(incidents: Scene | None = None, devices: Scene | None = None, **more: Any) -> LogSide:
    """The log's side as the scenes left it; every ticket was asked for as its command said."""
    issued = [one.command for one in incidents.commands] if incidents is not None else []
    asked = {command.external_id: command for command in issued if isinstance(command, CreateTicket)}
    return LogSide(incidents=bodies(incidents), devices=bodies(devices), **{"asked": asked, **more})


def open_ticket(number: int = 5001, **fields: Any) -> Ticket:
    """An open ticket as Autotask shows it."""
    row = {"id": number, "status": 1, "ticketNumber": f"T{number}", "externalID": EXTERNAL_A, "companyID": COMPANY}
    return Ticket.model_validate({**row, "lastActivityDate": "2026-11-24T03:00:20Z", **fields})


def complete_ticket(number: int = 5001, **fields: Any) -> Ticket:
    """The same, complete."""
    at = "2026-11-24T03:30:00Z"
    return open_ticket(number, **{"status": 5, "completedDate": at, "lastActivityDate": at, **fields})


def item_row(number: int = 700, **fields: Any) -> ConfigurationItem:
    """The active item of device 407."""
    row = {"id": number, "companyID": COMPANY, "isActive": True, "referenceNumber": "ls.407"}
    return ConfigurationItem.model_validate({**row, **fields})


def alert_row(uid: str = UID_A, *, key: str = "407", at: int = START + 10_000, organization: int = 17) -> SeenAlert:
    """An alert in NinjaOne's list."""
    return SeenAlert(uid, key, organization, at)


def seen(
    *alerts: SeenAlert,
    tickets: tuple[Ticket, ...] = (),
    items: tuple[ConfigurationItem, ...] = (),
    devices: tuple[SeenDevice, ...] = (),
    **more: Any,
) -> VendorSide:
    """The vendors' side."""
    return VendorSide(
        asked_at=ASKED_AT,
        alerts={alert.uid: alert for alert in alerts},
        tickets={ticket.id: ticket for ticket in tickets},
        items={item.id: item for item in items},
        devices={device.key: device for device in devices},
        **more,
    )


def device_row(log: LogSide | None = None, key: str = "407", **fields: Any) -> SeenDevice:
    """Device 407 in NinjaOne, looking as the log knows it."""
    known = log.devices.get(key, {}).get("observed", {}).get("digest", "") if log is not None else ""
    return SeenDevice(key, 17, **{"digest": known, "name": "NW-FS01", **fields})


def one(found: Comparison) -> Drift:
    """The only drift of a comparison, whose alerts add up."""
    adds_up(found)
    (drift,) = found.drifts
    return drift


def adds_up(found: Comparison) -> None:
    """As many active alerts as open tickets, explained ones and those that are apart."""
    explained = sum(found.reasons("alert").values())
    assert found.active == len(found.with_ticket) + explained + len(found.apart)


def explained(log: LogSide, side: VendorSide) -> dict[str, str]:
    """Nothing is apart; by which reason each thing is explained: ``alert``, ``ticket``, ``item``."""
    found = compare(log, side)
    adds_up(found)
    assert found.drifts == []
    return {entry.of: entry.reason for entry in found.explained}
