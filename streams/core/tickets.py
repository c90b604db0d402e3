"""What Autotask shows of a ticket of ours: adopted where its create has not settled yet, then taken as the latest known."""

from __future__ import annotations

from typing import Any

from schemas.facts import TicketNoteObserved, TicketObserved
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.incident import Incident, find_command, status_of, unpark
from streams.core.reconcile import reconcile


def ticket_observed(draft: Draft, context: Context, fact: TicketObserved) -> None:
    """A ticket changed. Only the latest change counts; what it asks for, ``reconcile`` issues."""
    external_id = incident_of(draft, fact)
    if external_id is None:
        return draft.reason("UnknownIncident", fact.external_id or str(fact.ticket_id))
    incident = draft.body["incidents"][external_id]
    if "ticket" not in incident or incident["ticket"] != fact.ticket_id:
        if not _adopt(draft, external_id, incident, fact):
            return draft.reason("DoubledTicket", external_id, f"ticket {fact.ticket_number}")
    before = status_of(incident)
    field = "completed_seen" if fact.completed else "open_seen"
    latest = max(incident.get("completed_seen", 0), incident.get("open_seen", 0))
    if fact.last_activity_at <= incident.get(field, 0):
        # The same change again, or an older one of the same kind.
        same = fact.last_activity_at == incident.get(field)
        draft.reason("Duplicate" if same else "Superseded", external_id)
        if not draft.idle:
            reconcile(draft, context, external_id)
        return None
    patch: dict[str, Any] = {field: fact.last_activity_at}
    ours = incident.get("ours")
    if fact.completed and ours is not None and fact.last_activity_at > ours["covers"]:
        patch["ours"] = None
    if fact.assigned_resource_id is not None:
        patch["touched"] = True
    draft.change("TicketSeen", patch, "incidents", external_id)
    _explain(draft, external_id, incident, fact, before=before, latest=latest)
    reconcile(draft, context, external_id)
    return None


def _explain(
    draft: Draft, external_id: str, incident: Incident, fact: TicketObserved, *, before: str, latest: int
) -> None:
    """Say what the sight of the ticket means where it asks for nothing."""
    after = status_of(incident)
    if fact.last_activity_at < latest:
        draft.reason("Superseded", external_id)
    elif fact.completed and incident.get("ended") == "AlertsCleared":
        # We asked for it, or a technician was faster: either way both sides are done.
        draft.reason("EchoOfOurWrite", external_id)
    elif after == before:
        draft.reason("NothingNew", external_id)
    elif not fact.completed and after == "open":
        draft.reason("EchoOfOurWrite" if before == "unknown" else "NothingNew", external_id)


def incident_of(draft: Draft, fact: TicketObserved | TicketNoteObserved) -> str | None:
    """The incident whose ticket this is about."""
    incidents = draft.body.get("incidents", {})
    if fact.external_id in incidents:
        return fact.external_id
    # Somebody may have emptied or changed the external id; the ticket is ours all the same.
    return next((name for name, incident in incidents.items() if incident.get("ticket") == fact.ticket_id), None)


def _adopt(draft: Draft, external_id: str, incident: Incident, fact: TicketObserved) -> bool:
    """Take the ticket as the incident's, unless another is known. Of two seen before the create settled, the older."""
    unsettled = find_command(draft, "CreateTicket", external_id)
    if "ticket" in incident and (unsettled is None or fact.ticket_id > incident["ticket"]):
        return False
    take_ticket(draft, external_id, fact.ticket_id, fact.ticket_number)
    if unsettled is not None and "due" in unsettled[1]:
        draft.change("CommandNeedless", None, "pending", unsettled[0])
    if incident.get("parked", {}).get("command") == "CreateTicket":
        unpark(draft, external_id)
    return True


def take_ticket(draft: Draft, external_id: str, ticket_id: int, number: str | None) -> None:
    """The incident has this ticket. What was seen of another one does not count for it."""
    incident = draft.body["incidents"][external_id]
    patch: dict[str, Any] = {"ticket": ticket_id, "number": number}
    if "ticket" in incident and incident["ticket"] != ticket_id:
        patch |= {"open_seen": None, "completed_seen": None, "ours": None, "reopen": None}
        patch |= {"by_us": None, "completed_at": None, "back": None, "touched": None}
        if incident.get("ended") == "TicketCompleted":
            patch |= {"ended": None, "ended_at": None} if incident["active"] else {"ended": "AlertsCleared"}
        if incident.get("ended") and not incident["active"]:
            patch["owes"] = True
    if any(incident.get(field) != value for field, value in patch.items()):
        draft.change("TicketKnown", patch, "incidents", external_id)
