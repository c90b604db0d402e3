"""What the agent ``incidents`` decides about a drift of a ticket or an alert (``schemas.drift``).

A repair is one command, decided by what the state says now: where the drift is gone meanwhile, or a command of the incident is
under way, nothing is issued. Its settlement changes nothing of the incident (it is awaited as ``MendTicket``); what the ticket then
looks like is observed like any other change.
"""

from __future__ import annotations

from schemas.commands import CompleteTicket, RestoreTicket
from schemas.drift import DriftObserved
from streams.core.alerts import alive, extent, restored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.incident import Incident, find_command, send, speaker_of
from streams.core.placing import clear, place
from streams.core.reconcile import NEVER_COMPLETED, completion, rule_of
from streams.core.ticketing import reset_alert

MEND = "MendTicket"
#: Fields of an incident that tell of its ticket; without them it has none.
_OF_TICKET = (
    "ticket", "number", "open_seen", "completed_seen", "ours", "reopen", "owes", "note", "settling", "left", "left_at",
    "touched", "by_us", "completed_at", "reopening", "back", "wants", "adopts",
)  # fmt: skip


def ticket_drift(draft: Draft, context: Context, fact: DriftObserved) -> None:
    """Issue what mends it, or say why not."""
    if context.policy is None:
        return draft.reason("NoPolicy")
    external_id = fact.external_id or ""
    incident: Incident | None = draft.body.get("incidents", {}).get(external_id)
    if any(entry.get("incident") == external_id for entry in draft.body.get("pending", {}).values()):
        return draft.reason("CommandUnderWay", external_id)
    if fact.drift == "OrphanTicket":
        if incident is None and fact.ticket_id is not None:
            return _complete_other(draft, context, fact, "orphan", _ORPHAN)
        return draft.reason("IncidentKnown", external_id)
    if incident is None:
        return draft.reason("UnknownIncident", external_id)
    if fact.drift == "DoubledTicket":
        if fact.ticket_id is None or incident.get("ticket") == fact.ticket_id:
            return draft.reason("TicketOfIncident", external_id)
        kept = incident.get("number") or incident.get("ticket", "another one")
        return _complete_other(draft, context, fact, "double", _DOUBLE.format(kept))
    if fact.ticket_id is None or incident.get("ticket") != fact.ticket_id:
        return draft.reason("OtherTicket", external_id)
    match fact.drift:
        case "MissedClose":
            _close(draft, context, external_id, incident)
        case "MissedChange":
            _reopened(draft, context, external_id, incident, fact)
        case "MissedReset":
            _reset(draft, external_id, incident, fact)
        case "MissingTicket":
            _without_ticket(draft, context, external_id, incident)
        case "ForeignEdit":
            _restore(draft, external_id, incident, fact)
        case _:
            draft.reason("NotForIncidents", external_id, fact.drift)
    return None


_ORPHAN = "This ticket carries Lockstep's mark, but no incident that Lockstep knows has it. It is completed."
_DOUBLE = "This ticket is a double of {}. Work goes on there; this one is completed."


def _complete_other(draft: Draft, context: Context, fact: DriftObserved, what: str, why: str) -> None:
    """Complete a ticket that is not the incident's own."""
    organization = fact.organization_id
    policy = context.policy_of(organization) if organization is not None else context.policy
    assert policy is not None
    assert fact.ticket_id is not None
    external_id = fact.external_id or ""
    command = CompleteTicket(
        key=draft.key,
        effect_key=f"{external_id}#{what}.{fact.ticket_id}",
        incident=external_id,
        organization_id=organization,
        ticket_id=fact.ticket_id,
        status=policy.defaults.complete_status,
        resolution=why,
    )
    send(draft, command, external_id, ordinal=1, type=MEND)


def _close(draft: Draft, context: Context, external_id: str, incident: Incident) -> None:
    """The incident is over and its ticket is open again, although nobody was seen to reopen it."""
    if "ended" not in incident or "parked" in incident:
        return draft.reason("IncidentIsOpen", external_id)
    if incident["ended"] == "Dismissed":
        return draft.reason("Dismissed", external_id)
    rule = rule_of(draft, context, speaker_of(incident))
    if rule.close_if == "never":
        return draft.reason(NEVER_COMPLETED, external_id)
    return send(draft, completion(draft, external_id, incident, rule), external_id, ordinal=1, type=MEND)


def _reopened(draft: Draft, context: Context, external_id: str, incident: Incident, fact: DriftObserved) -> None:
    """Somebody completed its ticket and reopened it, and its alerts are over: they leave it, and it stays open, the technician's."""
    if "ended" in incident or "parked" in incident:
        return draft.reason("IncidentEnded" if "ended" in incident else "IncidentParked", external_id)
    for uid in incident["active"]:
        draft.change("DisappearanceSeen", {"gone": fact.observed_at}, "alerts", uid)
    if any(alive(draft.body["alerts"][uid]) for uid in incident["active"]):
        return draft.reason("Superseded", external_id, "an alert of it was raised again since")
    if "back" in incident:
        draft.change("TicketReopened", {"back": None}, "incidents", external_id)
    for uid in list(incident["active"]):
        clear(draft, context, uid, "Gone", by_us=True)
    return None


def _reset(draft: Draft, external_id: str, incident: Incident, fact: DriftObserved) -> None:
    """Its ticket is complete and the alert is active in NinjaOne, although it was reset or thought to be."""
    uid = fact.uid or ""
    alert = draft.body.get("alerts", {}).get(uid, {})
    if alert.get("incident") != external_id or "ended" not in incident:
        return draft.reason("AlertMovedOn", uid)
    if find_command(draft, "ResetAlert", external_id, uid) is not None:
        return draft.reason("CommandUnderWay", uid)
    command = reset_alert(
        key=draft.key,
        external_id=external_id,
        uid=uid,
        organization_id=incident["organization"],
        number=incident.get("number"),
    )
    return send(draft, command, external_id, ordinal=1, uid=uid, covers=extent(alert))


def _without_ticket(draft: Draft, context: Context, external_id: str, incident: Incident) -> None:
    """Its ticket was deleted: the incident is over, and its active alerts look for another place (a new ticket)."""
    if "ended" in incident:
        return draft.reason("IncidentEnded", external_id)
    fields = incident.get("fact")
    alerts = draft.body["alerts"]
    moving = [uid for uid in incident["active"] if alerts[uid]["disposition"] in ("ticketed", "appended")]
    patch = {field: None for field in _OF_TICKET if field in incident}
    draft.change(
        "TicketDeleted",
        {
            **patch,
            "ended": "TicketDeleted",
            "ended_at": draft.now,
            "active": [uid for uid in incident["active"] if uid not in moving],
        },
        "incidents",
        external_id,
    )
    for uid in moving if fields is not None else []:
        # Its hold is behind it, if it had one.
        draft.change("AlertActive", {"incident": None, "ordered": None, "held": draft.now}, "alerts", uid)
        place(draft, context, restored({**(fields or {}), "uid": uid}))
    return None


def _restore(draft: Draft, external_id: str, incident: Incident, fact: DriftObserved) -> None:
    """Write back what is ours of the ticket and was changed. The item is the device's of today, if it is that company's."""
    company = incident.get("company", fact.company_id)
    item = draft.body.get("item")
    item_id = item["id"] if item and item["company"] == company else fact.item_id
    command = RestoreTicket(
        key=draft.key,
        effect_key=f"{external_id}#restore",
        incident=external_id,
        organization_id=incident["organization"],
        ticket_id=incident["ticket"],
        external_id=external_id if "externalID" in fact.fields else None,
        company_id=company if "companyID" in fact.fields else None,
        configuration_item_id=item_id if "configurationItemID" in fact.fields else None,
    )
    send(draft, command, external_id, ordinal=1, type=MEND)
