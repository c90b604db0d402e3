"""Notes both ways: acknowledgements in NinjaOne go to the ticket, what others write on the ticket goes to the audit.

Fields of an alert's entry: ``acks`` [[activity id, at, user id]] that wait for their note, ``acked`` the latest activity
seen. Of an incident's entry: ``noted`` the latest note of somebody else.
"""

from __future__ import annotations

from schemas.commands import Name
from schemas.facts import AlertAcknowledged, TicketNoteObserved
from streams.core.alerts import Alert
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.incident import Incident, dispose, send
from streams.core.ticketing import acknowledgement_note, append_note

#: So many acknowledgements of one alert wait for its ticket, the latest; a ticket need not know of more.
_WAITING = 10
_NEVER = -1


def acknowledged(draft: Draft, context: Context, fact: AlertAcknowledged) -> str | None:
    """An alert was acknowledged: keep it for its ticket's note. Returns the incident that has something to say now."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    known = alert.get("acked", _NEVER)
    if fact.activity_id <= known:
        draft.reason("Duplicate" if fact.activity_id == known else "Superseded", fact.uid)
        return None
    policy = context.policy_of(fact.subject.organization_id)
    if policy is not None and policy.notes.acknowledgements == "ignore":
        draft.reason("AcknowledgementsIgnored", fact.uid)
        return None
    if _is_over(alert, fact):
        draft.reason("AlreadyCleared", fact.uid)
        return None
    waiting = [*alert.get("acks", ()), [fact.activity_id, fact.acknowledged_at, fact.user_id]]
    draft.change("Acknowledged", {"acked": fact.activity_id, "acks": waiting[-_WAITING:]}, "alerts", fact.uid)
    if not alert:
        draft.reason("NoTriggerSeen", fact.uid)
        dispose(draft, fact.uid, "superseded", "NoTriggerSeen", closed_at=draft.now)
        return None
    external_id: str | None = alert.get("incident")
    if external_id is None:
        draft.reason("TicketNotOpenYet", fact.uid, "its note is written when there is a ticket")
    return external_id


def _is_over(alert: Alert, fact: AlertAcknowledged) -> bool:
    cleared = not alert.get("active") and alert.get("disposition") == "closed"
    return cleared or fact.activity_id < alert.get("reset", (_NEVER,))[0]


def acknowledgements_wait(draft: Draft, incident: Incident) -> bool:
    """Whether an alert in this incident was acknowledged and its ticket does not say so yet."""
    return "ticket" in incident and any("acks" in draft.body["alerts"][uid] for uid in incident["active"])


def tell_acknowledgements(draft: Draft, external_id: str, incident: Incident, note_type: Name) -> None:
    """A note for each acknowledgement that waited; the ticket is there and open."""
    for uid in incident["active"]:
        waiting = draft.body["alerts"][uid].get("acks", ())
        if not waiting:
            continue
        draft.change("AcknowledgementTold", {"acks": None}, "alerts", uid)
        for activity_id, at, user_id in waiting:
            note = acknowledgement_note(
                external_id=external_id, uid=uid, activity_id=activity_id, at=at, user_id=user_id, note_type=note_type
            )
            command = append_note(
                key=draft.key,
                external_id=external_id,
                ticket_id=incident["ticket"],
                organization_id=incident["organization"],
                note=note,
            )
            send(draft, command, external_id, ordinal=1, note=note)


def note_observed(draft: Draft, external_id: str | None, fact: TicketNoteObserved) -> None:
    """Somebody else wrote on the ticket: the record holds it, and the ticket counts as touched."""
    if external_id is None:
        return draft.reason("UnknownIncident", fact.external_id or str(fact.ticket_id))
    incident = draft.body["incidents"][external_id]
    if fact.note_id == incident.get("noted"):
        return draft.reason("Duplicate", external_id)
    patch: dict[str, int | bool] = {}
    if fact.note_id > incident.get("noted", _NEVER):
        patch["noted"] = fact.note_id
    if incident.get("ticket", fact.ticket_id) == fact.ticket_id and "touched" not in incident:
        patch["touched"] = True
    if patch:
        draft.change("NoteSeen", patch, "incidents", external_id)
    who = "a contact" if fact.by_contact else f"resource {fact.creator_resource_id}"
    kind = "internal" if fact.internal else "shown to the customer"
    reason = "CustomerNoteRecorded" if fact.by_contact else "TechnicianNoteRecorded"
    return draft.reason(reason, external_id, f"note {fact.note_id} by {who}, {kind}")
