"""The comparison as a whole: alerts, tickets and items, and organizations that nothing can be done for yet."""

from __future__ import annotations

from collections import Counter

from streams.core.drift.alerts import compare_alerts
from streams.core.drift.caution import cautious
from streams.core.drift.findings import CLASSES, Comparison, Drift, LogSide, VendorSide
from streams.core.drift.items import compare_items
from streams.core.drift.tickets import compare_tickets


def compare(log: LogSide, seen: VendorSide) -> Comparison:
    """Log, NinjaOne and Autotask against each other. Pure; what it finds is apart or explained, and never both."""
    found = Comparison()
    compare_alerts(log, seen, found)
    compare_tickets(log, seen, found)
    compare_items(log, seen, found)
    _unmapped(log, seen, found)
    found.drifts = cautious(log, seen, found.drifts)
    found.drifts.sort(key=lambda drift: (CLASSES.index(drift.drift), drift.key, drift.ticket_id or 0))
    return found


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
