"""Parked alerts and incidents: they go out when their organization is mapped, when retried, or are given up."""

from __future__ import annotations

from schemas.facts import ControlFact, ParkedDismissed, ParkedRetried, Selection
from streams.core.alerts import restored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.erasure import OF_INCIDENTS, erased
from streams.core.incident import dispose, unpark
from streams.core.placing import place, waiting_alerts
from streams.core.reconcile import reconcile
from streams.core.settlements import again
from streams.core.takeover import LEFT
from streams.core.waiting import maintenance_of


def mapping_changed(draft: Draft, context: Context) -> None:
    """Policy, companies or organizations changed: alerts that waited for a company look for their place again."""
    for uid in waiting_alerts(draft):
        place(draft, context, restored(draft.body["alerts"][uid]["fact"]))
    for alert in list(draft.body.get("alerts", {}).values()):
        if alert.get("disposition") == "suppressed" and "wait" in alert:
            fact = restored(alert["fact"])
            if maintenance_of(draft, context, fact) is None:
                # Its window is no longer in the policy.
                place(draft, context, fact)
        elif alert.get("reason") == LEFT and alert["disposition"] == "suppressed":
            place(draft, context, restored(alert["fact"]))


def asked_by_operator(draft: Draft, context: Context, fact: ControlFact) -> bool:
    """Retry or dismiss what is selected, or record an erasure. Returns whether anything here was meant."""
    if not isinstance(fact, ParkedRetried | ParkedDismissed):
        return erased(draft, fact, OF_INCIDENTS)
    alerts = [
        uid
        for uid in waiting_alerts(draft)
        if _selects(fact.selection, draft.key, _organization(draft, uid), (uid,), draft.body["alerts"][uid]["reason"])
    ]
    incidents = [
        external_id
        for external_id, incident in sorted(draft.body.get("incidents", {}).items())
        if "parked" in incident
        and _selects(
            fact.selection,
            draft.key,
            incident["organization"],
            (external_id, incident["opened_by"]),
            incident["parked"]["reason"],
        )
    ]
    resets = [
        uid
        for uid, alert in sorted(draft.body.get("alerts", {}).items())
        if alert["disposition"] == "parked"
        and "ordered" in alert
        and _selects(
            fact.selection,
            draft.key,
            draft.body["incidents"][alert["incident"]]["organization"],
            (uid, alert["incident"]),
            alert["reason"],
        )
    ]
    if isinstance(fact, ParkedRetried):
        _retry(draft, context, alerts, incidents, resets)
    else:
        _dismiss(draft, alerts, incidents, resets, detail=f"{fact.actor}: {fact.note}")
    return bool(alerts or incidents or resets)


def _retry(draft: Draft, context: Context, alerts: list[str], incidents: list[str], resets: list[str]) -> None:
    for uid in alerts:
        place(draft, context, restored(draft.body["alerts"][uid]["fact"]))
        if draft.body["alerts"][uid]["disposition"] == "parked":
            draft.reason("StillParked", uid, draft.body["alerts"][uid]["reason"])
    for external_id in incidents:
        parked = draft.body["incidents"][external_id]["parked"]
        unpark(draft, external_id)
        again(draft, context, {"type": parked["command"], "incident": external_id, "n": parked["n"]})
    for uid in resets:
        alert = draft.body["alerts"][uid]
        opener = draft.body["incidents"][alert["incident"]]["opened_by"] == uid
        dispose(draft, uid, "ticketed" if opener else "appended", "Opened" if opener else "SameCondition")
        reconcile(draft, context, alert["incident"], ordinal=2)


def _dismiss(draft: Draft, alerts: list[str], incidents: list[str], resets: list[str], *, detail: str) -> None:
    for uid in alerts + resets:
        dispose(draft, uid, "rejected", "Dismissed", detail=detail, fact=None)
    for external_id in incidents:
        incident = draft.body["incidents"][external_id]
        completion = incident["parked"]["command"] == "CompleteTicket"
        unpark(draft, external_id)
        for uid in incident["active"]:
            dispose(draft, uid, "rejected", "Dismissed", detail=detail)
        patch = {"ended": "Dismissed", "ended_at": draft.now, "owes": None}
        draft.change("IncidentDismissed", patch, "incidents", external_id)
        if completion:
            draft.reason("CompletionDismissed", external_id, detail)


def _organization(draft: Draft, uid: str) -> int:
    return int(draft.body["alerts"][uid]["fact"]["subject"]["organization_id"])


def _selects(selection: Selection, key: str, organization: int, names: tuple[str, ...], reason: str) -> bool:
    if selection.because not in (None, reason):
        return False
    if selection.everything or selection.organization_id == organization:
        return True
    return key in selection.ids or any(name in selection.ids for name in names)
