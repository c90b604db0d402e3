"""A condition that comes back soon after its ticket was completed: the same ticket again instead of a new one.

Fields of an incident's entry that this is about: ``by_us`` (our completion is the last one known), ``completed_at`` (when
it settled, recorded time), ``reopening`` (``ours`` or ``any``: the ticket shall be open again, and whose completion may be
undone), ``back`` (we reopened it last), ``final`` (Autotask does not let it be reopened).

What a technician completed stays completed, unless the rule says ``reopen: any``. Whether a completion was ours is what
our command's outcome says, so while one is under way nothing is concluded.
"""

from __future__ import annotations

from typing import Any

from streams.core.decision import Draft
from streams.core.incident import Incident, Status, dispose, unpark
from streams.core.policy.policy import Rule

REOPEN = "ReopenTicket"


def former_incident(draft: Draft, rule: Rule, condition: list[str], uid: str) -> str | None:
    """The ended incident of this condition whose ticket shall be opened again for an alert; the one opened last."""
    if not rule.reopen_within_ms:
        return None
    raised_at = draft.body["alerts"][uid].get("held", draft.now)
    best: tuple[int, str] | None = None
    for identity, incident in draft.body.get("incidents", {}).items():
        if (
            incident["condition"] == condition
            and (rule.repeat != "ticket" or incident["opened_by"] == uid)
            and _may_reopen(incident, rule)
            and raised_at - incident.get("completed_at", incident["ended_at"]) <= rule.reopen_within_ms
        ):
            best = max(best or (-1, ""), (incident["opened_at"], identity))
    return best[1] if best else None


def _may_reopen(incident: Incident, rule: Rule) -> bool:
    if "ticket" not in incident or "final" in incident or incident.get("ended") not in _UNDOABLE:
        return False
    return rule.reopen == "any" or (
        incident["ended"] == "AlertsCleared" and ("by_us" in incident or "owes" in incident)
    )


_UNDOABLE = ("AlertsCleared", "TicketCompleted")


def bring_back(draft: Draft, external_id: str, rule: Rule, uid: str, fact: dict[str, Any]) -> None:
    """An alert goes on in an ended incident, whose ticket shall be open again. ``reconcile`` does the rest."""
    unpark(draft, external_id)
    incident = draft.body["incidents"][external_id]
    patch = {
        "active": [*incident["active"], uid],
        "ended": None,
        "ended_at": None,
        "owes": None,
        "reopening": rule.reopen,
        "fact": fact,
    }
    draft.change("IncidentBroughtBack", patch, "incidents", external_id)
    back_in_their_ticket(draft, external_id)


def back_in_their_ticket(draft: Draft, external_id: str) -> None:
    """Alerts that a completed ticket left active are in their ticket again, for it is or will be open."""
    for uid in draft.body["incidents"][external_id]["active"]:
        alert = draft.body["alerts"][uid]
        if "ordered" in alert:
            draft.change("ResetTakenBack", {"ordered": None}, "alerts", uid)
        if alert.get("disposition") == "suppressed" and "wait" not in alert:
            dispose(draft, uid, "appended", "SameCondition")


def wanted(draft: Draft, external_id: str, status: Status) -> bool:
    """Whether a reopening is to be asked for. Ends the wish for one where it is pointless or not ours to make."""
    incident = draft.body["incidents"][external_id]
    if status == "completed" and ("by_us" in incident or incident["reopening"] == "any"):
        return True
    # Still open (our completion was taken back in time), open again, or completed by a technician.
    draft.change("ReopeningNeedless", {"reopening": None}, "incidents", external_id)
    return False
