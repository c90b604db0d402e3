"""Where an alert belongs: a newly active one opens an incident, joins one, or waits; a cleared one leaves its incident."""

from __future__ import annotations

from typing import Any

from schemas.facts import AlertFact
from schemas.identity import IdentityError, external_id
from streams.core.alerts import raised_order, restored, stored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.escalation import weigh
from streams.core.incident import dispose, leave, speaker_of, status_of
from streams.core.mapping import Unmapped
from streams.core.policy.policy import Rule
from streams.core.reconcile import create, reconcile, repeat, rule_of
from streams.core.reopening import bring_back, former_incident
from streams.core.storms.watch import leave_storm, watched
from streams.core.takeover import incident_of_ticket, left_alone, ticket_to_take_over
from streams.core.waiting import ended_while_waiting, held, suppressed

#: How many commands of one key may be unsettled before further alerts of it wait for their tickets. Only a device that
#: flaps while no call can go out gets there; without an end, its document would outgrow what Kafka takes as one record
#: (1 MiB): an alert that comes and goes with all its commands waiting is about 1.4 kB.
MOST_IN_FLIGHT = 100
_CROWDED = "ManyCommandsWaiting"


def condition_of(fact: AlertFact) -> list[str]:
    """What makes two alerts of one key the same condition: its configuration (else its type), its name, its subject."""
    return [fact.source_config_uid or fact.source_type or "", fact.source_name, fact.alert_subject]


def place(draft: Draft, context: Context, fact: AlertFact) -> None:
    """Find the place of an alert that has become active. It ends ticketed, appended, parked or rejected."""
    uid = fact.uid
    alert = draft.body["alerts"][uid]
    ordinal = alert.get("incidents", 0) + 1
    leave_storm(draft, uid, "PlacedElsewhere")
    try:
        external_id(draft.key, uid)
    except IdentityError as error:
        return dispose(draft, uid, "rejected", "UnusableUid", detail=str(error), fact=None)
    if context.policy is None:
        return park_alert(draft, context, fact)
    if "wait" in alert:
        draft.change("WaitOver", {"wait": None}, "alerts", uid)
    rule = rule_of(draft, context, fact)
    if suppressed(draft, context, fact):
        return None
    named = ticket_to_take_over(draft, uid)
    if named is None:
        host = _open_incident(draft, condition_of(fact), uid if rule.repeat == "ticket" else None)
    elif left_alone(draft, rule, fact, named):
        return None
    else:
        host = incident_of_ticket(draft, named)
    if host is not None:
        return _join(draft, context, host, fact)
    # What has its ticket already is neither held back from one nor brought back to another.
    if named is None and (
        watched(draft, context.in_force(fact.subject.organization_id), rule, fact) or held(draft, rule, fact)
    ):
        return None
    former = former_incident(draft, rule, condition_of(fact), uid) if named is None else None
    if former is not None:
        return _come_back(draft, context, former, fact, rule)
    if isinstance(context.company_of(fact.subject.organization_id, fact.subject.organization_name), Unmapped):
        return park_alert(draft, context, fact)
    try:
        identity = external_id(draft.key, uid, ordinal)
    except IdentityError as error:
        return dispose(draft, uid, "rejected", "ExternalIdTooLong", detail=str(error), fact=None)
    if len(draft.body.get("pending", ())) >= MOST_IN_FLIGHT:
        detail = f"{MOST_IN_FLIGHT} commands of this key are waiting; its ticket is opened when they are done"
        dispose(draft, uid, "parked", _CROWDED, detail=detail, fact=stored(fact))
        if "crowded" not in draft.body:
            draft.change("KeyCrowded", {"crowded": True})
        return None
    return _open(draft, context, identity, fact, rule, ordinal, named)


def waiting_alerts(draft: Draft) -> list[str]:
    """Parked alerts without an incident, the first raised first."""
    alerts = draft.body.get("alerts", {})
    found = [uid for uid, alert in alerts.items() if alert.get("disposition") == "parked" and "fact" in alert]
    return sorted(found, key=lambda uid: raised_order(uid, alerts[uid]))


def place_crowded(draft: Draft, context: Context) -> None:
    """Commands have settled: alerts that waited for that get their tickets."""
    if "crowded" not in draft.body or len(draft.body.get("pending", ())) >= MOST_IN_FLIGHT:
        return
    draft.change("KeyClear", {"crowded": None})
    for uid in waiting_alerts(draft):
        if draft.body["alerts"][uid]["reason"] == _CROWDED:
            place(draft, context, restored(draft.body["alerts"][uid]["fact"]))


def park_alert(draft: Draft, context: Context, fact: AlertFact) -> None:
    """An alert whose organization has no company waits, visible, with its latest text, until there is one."""
    found = context.company_of(fact.subject.organization_id, fact.subject.organization_name)
    if isinstance(found, Unmapped):
        dispose(draft, fact.uid, "parked", found.reason, detail=found.detail, fact=stored(fact))


def _open_incident(draft: Draft, condition: list[str], only: str | None) -> str | None:
    """The open incident of a condition; where a reopened one stands beside another, the one opened last.

    ``only``: where every alert has a ticket of its own, the alert whose own incident still stands open after it.
    """
    best: tuple[int, str] | None = None
    for identity, incident in draft.body.get("incidents", {}).items():
        if only is not None and (incident["opened_by"] != only or not _STANDING & incident.keys()):
            continue
        if "ended" not in incident and incident["condition"] == condition:
            best = max(best or (-1, ""), (incident["opened_at"], identity))
    return best[1] if best else None


_STANDING = {"settling", "left"}


def _open(
    draft: Draft, context: Context, identity: str, fact: AlertFact, rule: Rule, ordinal: int, adopts: str | None
) -> None:
    entry: dict[str, Any] = {
        "opened_by": fact.uid,
        "condition": condition_of(fact),
        "opened_at": draft.now,
        "organization": fact.subject.organization_id,
        "active": [fact.uid],
        "fact": stored(fact),
    }
    reason = "Opened"
    if adopts is not None:
        entry["adopts"], reason = adopts, "TakenOver"
    draft.change("IncidentOpened", entry, "incidents", identity)
    dispose(
        draft, fact.uid, "ticketed", reason, incident=identity, incidents=ordinal, fact=None, ordered=None, held=None
    )
    create(draft, context, identity, fact=fact, rule=rule)


def _join(draft: Draft, context: Context, identity: str, fact: AlertFact) -> None:
    incident = draft.body["incidents"][identity]
    patch: dict[str, Any] = {"active": [*incident["active"], fact.uid], "settling": None, "left": None}
    if "fact" not in incident:
        # The incident was done and a technician reopened its ticket; the alert that joins it speaks for it now.
        patch["fact"] = stored(fact)
    draft.change("AlertJoined", patch, "incidents", identity)
    parked = incident.get("parked")
    if parked is not None and parked["command"] == "CreateTicket":
        place, reason, detail = "parked", parked["reason"], parked["detail"]
    elif fact.uid == incident["opened_by"]:
        place, reason, detail = "ticketed", "RaisedAgain", None
    elif incident["condition"] != condition_of(fact):
        place, reason, detail = "appended", "SameTicket", None
    else:
        place, reason, detail = "appended", "SameCondition", None
    dispose(draft, fact.uid, place, reason, detail=detail, incident=identity, fact=None, ordered=None, held=None)
    repeat(draft, context, identity, fact)
    reconcile(draft, context, identity)


def _come_back(draft: Draft, context: Context, identity: str, fact: AlertFact, rule: Rule) -> None:
    """The alert's condition had a ticket that may be opened again."""
    bring_back(draft, identity, rule, fact.uid, stored(fact))
    opener = fact.uid == draft.body["incidents"][identity]["opened_by"]
    place = "ticketed" if opener else "appended"
    dispose(draft, fact.uid, place, "Reopened", incident=identity, fact=None, ordered=None, held=None)
    if status_of(draft.body["incidents"][identity]) != "completed":
        # Its completion may yet be taken back in time; of a reopening the reopening's own note tells.
        repeat(draft, context, identity, fact)
    else:
        weigh(draft, context, identity, fact, rule)
    reconcile(draft, context, identity)


def place_elsewhere(draft: Draft, context: Context, external_id: str) -> None:
    """A ticket cannot be opened again: its incident is over for good, and its alerts look for another place."""
    incident = draft.body["incidents"][external_id]
    fields = incident["fact"]
    moving = [uid for uid in incident["active"] if draft.body["alerts"][uid]["disposition"] in ("ticketed", "appended")]
    patch = {
        "reopening": None,
        "final": True,
        "ended": "AlertsCleared" if "by_us" in incident else "TicketCompleted",
        "ended_at": draft.now,
        "active": [uid for uid in incident["active"] if uid not in moving],
    }
    draft.change("ReopeningRefused", patch, "incidents", external_id)
    for uid in moving:
        # Its hold is behind it, if it had one.
        draft.change("AlertActive", {"incident": None, "ordered": None, "held": draft.now}, "alerts", uid)
        place(draft, context, restored({**fields, "uid": uid}))


def clear(draft: Draft, context: Context, uid: str, reason: str, *, by_us: bool = False) -> None:
    """An active alert is over: it is closed and leaves its incident, which completes its ticket with the last one.

    ``by_us``: it was our own reset that cleared it, after its ticket was completed.
    """
    alert = draft.body["alerts"][uid]
    identity = alert.get("incident")
    ended: dict[str, Any] = {"active": None, "closed_at": draft.now, "fact": None, "ordered": None}
    ended |= {"wait": None, "held": None}
    if "psa" in alert:
        ended["psa"] = {**alert["psa"], "over": True}
    if "acks" in alert:
        ended["acks"] = None
    leave_storm(draft, uid, reason)
    if "wait" in alert:
        reason, ended["detail"] = ended_while_waiting(alert)
    elif by_us:
        reason = "TicketCompleted"
    elif alert["disposition"] == "parked" and "ordered" not in alert:
        reason = "ResetWhileParked"
    dispose(draft, uid, "closed", reason, **ended)
    if identity is not None:
        leave(draft, identity, uid, by_us=by_us, settle_ms=_settle_ms(draft, context, identity))
        reconcile(draft, context, identity)


def _settle_ms(draft: Draft, context: Context, external_id: str) -> int:
    incident = draft.body.get("incidents", {}).get(external_id)
    if incident is None or "ended" in incident:
        return 0
    fact = speaker_of(incident)
    return context.rule_for(fact).settle_ms


def move_on(draft: Draft, uid: str) -> None:
    """An alert that is raised anew leaves the incident that has ended without it: its reset there is under way."""
    identity = draft.body["alerts"][uid].get("incident", "")
    incident = draft.body.get("incidents", {}).get(identity)
    if incident is not None:
        rest = [other for other in incident["active"] if other != uid]
        draft.change("AlertMovedOn", {"active": rest}, "incidents", identity)
