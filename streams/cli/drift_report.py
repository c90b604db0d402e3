"""What ``lockstep reconcile`` found, for people and as JSON: the drifts, and sums that add up."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.envelope import rfc3339
from streams.cli.base import say
from streams.core.drift.findings import Comparison, told
from streams.reconciling.reconcile import Judged, Reconciled
from streams.wording import counted

#: How many lines a person is shown; ``--json`` has all.
_SHOWN = 60


def tell(found: Reconciled) -> None:
    """Every drift in a line, then the sums."""
    for one in found.judged[:_SHOWN]:
        state = "" if one.state == "found" else f" -> {one.state}" + (f": {one.why}" if one.why else "")
        say(f"{told(one.drift.drift)}: {one.drift.what}{state}" + _remedy(one))
    if len(found.judged) > _SHOWN:
        say(f"and {len(found.judged) - _SHOWN} more (--json has all)")
    say(_alerts_line(found.last))
    say(_tickets_line(found.last))
    say(_items_line(found.last))
    counts = Counter(one.state for one in found.judged)
    if not found.judged:
        say("log, NinjaOne and Autotask agree")
    elif counts["found"]:
        say(f"{counts['found']} apart; 'lockstep reconcile --repair' mends what can be mended")
    else:
        say(f"{counts['mended']} mended, {counts['left']} left")


def _remedy(one: Judged) -> str:
    return f" ({one.drift.left})" if one.state == "found" and one.drift.left else ""


def _listed(reasons: dict[str, int]) -> str:
    return f" ({', '.join(f'{count} {reason}' for reason, count in reasons.items())})" if reasons else ""


def _alerts_line(last: Comparison) -> str:
    reasons = last.reasons("alert")
    return (
        f"{counted(last.active, 'active alert')} = {counted(len(last.with_ticket), 'open ticket')} + {sum(reasons.values())} explained"
        f"{_listed(reasons)} + {len(last.apart)} apart"
    )


def _tickets_line(last: Comparison) -> str:
    reasons = last.reasons("ticket")
    apart = last.open_tickets - len(last.with_ticket) - sum(reasons.values())
    return (
        f"{counted(last.open_tickets, 'open ticket')} = {len(last.with_ticket)} with active alerts + {sum(reasons.values())} explained"
        f"{_listed(reasons)} + {apart} apart"
    )


def _items_line(last: Comparison) -> str:
    reasons = last.reasons("item")
    return f"devices and items: {sum(reasons.values())} explained{_listed(reasons)}"


def document(found: Reconciled, at: int, *, repaired: bool) -> dict[str, Any]:
    """The report as JSON data; ``at`` (epoch ms) is when it was made."""
    last = found.last
    alerts, tickets = last.reasons("alert"), last.reasons("ticket")
    return {
        "compared_at": rfc3339(at),
        "repaired": repaired,
        "clean": not found.left,
        "classes": dict(Counter(told(one.drift.drift) for one in found.judged)),
        "mended": sum(one.state == "mended" for one in found.judged),
        "left": found.left,
        "alerts": {
            "active": last.active,
            "open_tickets": len(last.with_ticket),
            "explained": alerts,
            "apart": len(last.apart),
        },
        "tickets": {
            "open": last.open_tickets,
            "with_active_alerts": len(last.with_ticket),
            "explained": tickets,
            "apart": last.open_tickets - len(last.with_ticket) - sum(tickets.values()),
        },
        "items": {"explained": last.reasons("item")},
        "drifts": [_drift(one) for one in found.judged],
        "explained": [
            {"of": entry.of, "name": entry.name, "key": entry.key, "reason": entry.reason} for entry in last.explained
        ],
    }


def _drift(one: Judged) -> dict[str, Any]:
    drift = one.drift
    return {
        "class": told(drift.drift),
        "key": drift.key,
        "organization": drift.organization_id,
        "what": drift.what,
        "uids": list(drift.uids),
        "external_id": drift.external_id,
        "ticket_id": drift.ticket_id,
        "ticket_number": drift.ticket_number,
        "item_ids": list(drift.item_ids),
        "fields": list(drift.fields),
        "state": one.state,
        "why": one.why or drift.left,
    }
