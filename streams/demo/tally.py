"""What the demo counts: in the simulators' own records first, and in the audit where only Lockstep can know."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from streams.demo.theatre import Theatre
from streams.replay.verify import verify_audit
from streams.views import dispositions, states


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The figures of one demo. ``lost``: alerts raised in the simulator without a disposition, or whose ticket and alert
    do not agree at the end. ``duplicate_tickets``: tickets beyond the first of one external id.
    """

    alerts: int
    incidents: int
    tickets_opened: int
    tickets_completed: int
    alerts_reset: int
    configuration_items: int
    duplicate_tickets: int
    lost: int
    dispositions: dict[str, int]
    audit_records: int
    audit_verified: bool
    audit_difference: str
    vendor_calls: dict[str, int]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)

    @property
    def good(self) -> bool:
        """Whether the demo showed what it promises."""
        return self.lost == 0 and self.duplicate_tickets == 0 and self.audit_verified


def our_tickets(psa: dict[str, Any]) -> list[dict[str, Any]]:
    """The tickets in the Autotask simulator that carry one of our external ids."""
    return [ticket for ticket in psa["tickets"] if str(ticket.get("externalID") or "").startswith("ls.")]


def our_items(psa: dict[str, Any]) -> list[dict[str, Any]]:
    """The active configuration items in the Autotask simulator that are ours."""
    rows = psa["configurationItems"]
    return [row for row in rows if row["isActive"] and str(row.get("referenceNumber") or "").startswith("ls.")]


def doubled(psa: dict[str, Any]) -> int:
    """How many tickets there are beyond the first of each external id."""
    counts = Counter(ticket["externalID"] for ticket in our_tickets(psa))
    return sum(count - 1 for count in counts.values())


def is_complete(ticket: dict[str, Any]) -> bool:
    """Whether Autotask counts the ticket as done."""
    return ticket.get("completedDate") is not None


async def count(theatre: Theatre, *, raised: set[str], seconds: float) -> Tally:
    """Look at both simulators and at the log, now."""
    ninja, psa = await theatre.ninja.get("state"), await theatre.psa.get("state")
    calls = {
        "ninjaone": len(await theatre.ninja.get("calls")),
        "autotask": len(await theatre.psa.get("calls")),
    }
    bodies = await states(theatre.options, "incidents")
    known = {uid for body in bodies.values() for uid, alert in body.get("alerts", {}).items() if "disposition" in alert}
    tickets = our_tickets(psa)
    active = {alert["uid"] for alert in ninja["alerts"]}
    audit = await verify_audit(theatre.options)
    return Tally(
        alerts=len(raised),
        incidents=sum(len(body.get("incidents", {})) for body in bodies.values()),
        tickets_opened=len(tickets),
        tickets_completed=sum(is_complete(ticket) for ticket in tickets),
        alerts_reset=len(ninja["resets"]),
        configuration_items=len(our_items(psa)),
        duplicate_tickets=doubled(psa),
        lost=len(raised - known) + _disagreeing(bodies, tickets, active),
        dispositions=dict(sorted(dispositions(bodies).items())),
        audit_records=audit.records,
        audit_verified=audit.difference is None,
        audit_difference=str(audit.difference or ""),
        vendor_calls=calls,
        seconds=round(seconds, 1),
    )


def _disagreeing(bodies: dict[str, dict[str, Any]], tickets: list[dict[str, Any]], active: set[str]) -> int:
    """Incidents whose ticket is complete while one of their alerts is active, or open while none is (and vice versa)."""
    by_external_id = {ticket["externalID"]: ticket for ticket in tickets}
    wrong = 0
    for body in bodies.values():
        alerts = body.get("alerts", {})
        for external_id in body.get("incidents", {}):
            ticket = by_external_id.get(external_id)
            mine = [uid for uid, alert in alerts.items() if alert.get("incident") == external_id]
            if ticket is None:
                wrong += any(uid in active and alerts[uid]["disposition"] != "parked" for uid in mine)
            elif mine:
                wrong += is_complete(ticket) == any(uid in active for uid in mine)
    return wrong
