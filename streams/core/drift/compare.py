"""The comparison as a whole: alerts, tickets and items, and organizations that nothing can be done for yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from schemas.drift import DriftObserved
from streams.core.drift.alerts import compare_alerts
from streams.core.drift.findings import CLASSES, Comparison, Drift, DriftClass, LogSide, VendorSide
from streams.core.drift.items import compare_items
from streams.core.drift.tickets import compare_tickets

#: Up to so many may well have been deleted by somebody.
MANY = 20
_DOUBTFUL = (
    "so many are missing at once that the API user may no longer see them: look at its security level in Autotask; "
    "nothing is made anew"
)


def compare(log: LogSide, seen: VendorSide) -> Comparison:
    """Log, NinjaOne and Autotask against each other. Pure; what it finds is apart or explained, and never both."""
    found = Comparison()
    compare_alerts(log, seen, found)
    compare_tickets(log, seen, found)
    compare_items(log, seen, found)
    _unmapped(log, seen, found)
    found.drifts = _believable(log, found.drifts)
    found.drifts.sort(key=lambda drift: (CLASSES.index(drift.drift), drift.key, drift.ticket_id or 0))
    return found


def _believable(log: LogSide, drifts: list[Drift]) -> list[Drift]:
    """Nobody deletes most of the tickets or items: rather the API user no longer sees them. New ones would be doubles.

    Such drifts are told and left.
    """
    tickets = sum(
        "ticket" in incident and "ended" not in incident
        for body in log.incidents.values()
        for incident in body.get("incidents", {}).values()
    )
    items = sum("item" in body for body in log.devices.values())
    doubtful: set[DriftClass] = set()
    for name, known in (("MissingTicket", tickets), ("MissingItem", items)):
        missing = sum(drift.drift == name and _lost(drift) for drift in drifts)
        if missing > MANY and missing * 2 > known:
            doubtful.add("MissingTicket" if name == "MissingTicket" else "MissingItem")
    return [
        replace(drift, repairs=(), left=_DOUBTFUL) if drift.drift in doubtful and _lost(drift) else drift
        for drift in drifts
    ]


def _lost(drift: Drift) -> bool:
    """Whether something that was there is no longer seen, other than what the log never had."""
    return any(isinstance(repair, DriftObserved) for repair in drift.repairs)


def _unmapped(log: LogSide, seen: VendorSide, found: Comparison) -> None:
    """Organizations without a company behind which something waits. Only a person can decide whose they are."""
    alerts = Counter(alert.organization_id for alert in seen.alerts.values())
    devices = Counter(device.organization_id for device in seen.devices.values())
    for number, line in sorted(log.unmapped.items()):
        if alerts[number] or devices[number]:
            found.drifts.append(
                Drift(
                    drift="Unmapped",
                    key=f"o{number}",
                    organization_id=number,
                    what=f"organization {number} has no company; {devices[number]} devices and {alerts[number]} active alerts "
                    "wait behind it",
                    left=line,
                )
            )
