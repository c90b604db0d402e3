"""What an incident owes, and the commands for it.

Facts only move what is known; ``reconcile`` then asks what is owed and issues what is missing. It is called after every
fact that touched the incident and does nothing when nothing is owed, so duplicates and odd orders end in silence.
"""

from __future__ import annotations

from typing import Any

from schemas.commands import CompleteTicket, WithdrawCommand
from schemas.facts import AlertFact
from streams.core.alerts import Alert, extent, restored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.escalation import level_of, raise_what_is_wanted, weigh
from streams.core.incident import (
    Incident,
    dispose,
    find_command,
    owing_alert,
    park,
    send,
    speaker_of,
    status_of,
    supersede,
    unpark,
)
from streams.core.mapping import Unmapped
from streams.core.notes import acknowledgements_wait, tell_acknowledgements
from streams.core.policy.policy import Rule
from streams.core.reopening import REOPEN, back_in_their_ticket, wanted
from streams.core.storms.parent import is_storms_own, ticket_completed
from streams.core.takeover import ask_for_it, create_in_the_way
from streams.core.ticketing import (
    append_note,
    cleared_note,
    complete_ticket,
    create_ticket,
    note_for,
    reopen_ticket,
    reset_alert,
)
from streams.core.waiting import maintenance_of

#: Reasons of an alert that is cleared while its ticket stays open (``close_if``).
TOUCHED, NEVER_COMPLETED = "TouchedByTechnician", "NeverCompleted"
_WHY_OPEN = {
    TOUCHED: "The ticket stays open, because somebody has worked on it.",
    NEVER_COMPLETED: "The ticket stays open until somebody completes it.",
}


def create(
    draft: Draft,
    context: Context,
    external_id: str,
    *,
    fact: AlertFact | None = None,
    rule: Rule | None = None,
    ordinal: int = 1,
) -> None:
    """Ask for the incident's ticket, by the rule and mapping in force now; without a company it is parked."""
    incident = draft.body["incidents"][external_id]
    fact = fact or restored(incident["fact"])
    found = context.company_of(fact.subject.organization_id, fact.subject.organization_name)
    if isinstance(found, Unmapped):
        return park(draft, external_id, "CreateTicket", found.reason, found.detail, ordinal)
    if "adopts" in incident:
        return ask_for_it(draft, external_id, company_id=found.company_id, ordinal=ordinal)
    item = draft.body.get("item")
    command_rule = rule or rule_of(draft, context, fact)
    command = create_ticket(
        key=draft.key,
        external_id=external_id,
        company_id=found.company_id,
        # An item of another company (the device has just moved) would be refused.
        item_id=item["id"] if item and item["company"] == found.company_id else None,
        rule=command_rule,
        fact=fact,
        now=draft.now,
    )
    if incident.get("company") != found.company_id:
        draft.change("CompanyChosen", {"company": found.company_id}, "incidents", external_id)
    if command_rule.escalate:
        draft.change("PriorityChosen", {"level": level_of(command_rule, fact)}, "incidents", external_id)
    send(draft, command, external_id, ordinal=ordinal)
    return None


def rule_of(draft: Draft, context: Context, fact: AlertFact) -> Rule:
    """The rule for an alert; named in the decision. An incident exists only after a policy was published."""
    rule = context.rule_for(fact)
    draft.rule, draft.revision = rule.name, context.revision_of(fact.subject.organization_id)
    return rule


def repeat(draft: Draft, context: Context, external_id: str, fact: AlertFact) -> None:
    """The condition was raised again in an open incident: a note, at most one every ``note_every``; perhaps worse."""
    incident = draft.body["incidents"][external_id]
    rule = rule_of(draft, context, fact)
    weigh(draft, context, external_id, fact, rule)
    quiet = _no_note(draft, context, incident, rule, fact)
    if quiet is not None:
        draft.change("RepeatCounted", {"repeats": incident.get("repeats", 0) + 1}, "incidents", external_id)
        return draft.reason(quiet, fact.uid)
    note = note_for(
        external_id=external_id,
        cause=draft.envelope.id,
        rule=rule,
        fact=fact,
        repeats=incident.get("repeats", 0),
    )
    draft.change("NoteDue", {"note": note, "note_at": draft.now, "repeats": None}, "incidents", external_id)
    return None


def _no_note(draft: Draft, context: Context, incident: Incident, rule: Rule, fact: AlertFact) -> str | None:
    """Why a repeat is counted and gets no note of its own."""
    if rule.repeat == "count":
        return "RepeatsAreCounted"
    window = maintenance_of(draft, context, fact)
    if window is not None:
        return f"Maintenance:{window[0]}"
    last = incident.get("note_at")
    return "NoteNotDue" if last is not None and draft.now - last < rule.note_every_ms else None


def reconcile(draft: Draft, context: Context, external_id: str, *, ordinal: int = 1) -> None:
    """Issue what the incident still owes. ``ordinal`` is where the numbering of a command that comes again goes on."""
    incident = draft.body["incidents"].get(external_id)
    if incident is None:
        return
    status = status_of(incident)
    if _is_being_reopened(draft, context, external_id, ordinal):
        return
    if status == "reopened":
        _recognise_reopening(draft, external_id, incident)
    if status == "completed":
        _ticket_is_completed(draft, context, external_id, incident, ordinal)
        return
    mistaken = create_in_the_way(draft, external_id)
    if mistaken is not None:
        take_back(draft, *mistaken, reason="TicketElsewhere")
    if "ticket" in incident and "note" in incident:
        note = incident["note"]
        draft.change("NoteSent", {"note": None}, "incidents", external_id)
        command = append_note(
            key=draft.key,
            external_id=external_id,
            ticket_id=incident["ticket"],
            organization_id=incident["organization"],
            note=note,
        )
        send(draft, command, external_id, ordinal=1, note=note)
    if acknowledgements_wait(draft, incident):
        note_type = rule_of(draft, context, speaker_of(incident)).note_type
        tell_acknowledgements(draft, external_id, incident, note_type)
    raise_what_is_wanted(draft, external_id, incident, ordinal=ordinal)
    if incident.get("owes"):
        _settle_debt(draft, context, external_id, incident, ordinal)


def _settle_debt(draft: Draft, context: Context, external_id: str, incident: Incident, ordinal: int) -> None:
    if "ticket" not in incident:
        waiting = find_command(draft, "CreateTicket", external_id)
        if waiting is not None and "adopts" in incident:
            # The ticket is there already, whoever opened it: it is taken over first, and then completed.
            draft.reason("TicketBeingTakenOver", external_id)
        elif waiting is not None:
            take_back(draft, *waiting, reason="ResetBeforeTicket")
            if "due" in waiting[1]:
                supersede(draft, external_id)
        elif "parked" in incident:
            draft.change("IncidentUnparked", {"parked": None}, "incidents", external_id)
    elif "parked" not in incident and find_command(draft, "CompleteTicket", external_id) is None:
        _complete(draft, context, external_id, incident, ordinal)


def _complete(draft: Draft, context: Context, external_id: str, incident: Incident, ordinal: int) -> None:
    rule = rule_of(draft, context, speaker_of(incident))
    if rule.close_if == "never":
        return leave_open(draft, context, external_id, NEVER_COMPLETED)
    if rule.close_if == "untouched" and "touched" in incident:
        return leave_open(draft, context, external_id, TOUCHED)
    command = completion(draft, external_id, incident, rule)
    return send(draft, command, external_id, ordinal=ordinal, covers=incident.get("open_seen", 0))


def completion(draft: Draft, external_id: str, incident: Incident, rule: Rule) -> CompleteTicket:
    """The command that completes an incident's ticket, in the words of its rule."""
    return complete_ticket(
        key=draft.key,
        external_id=external_id,
        ticket_id=incident["ticket"],
        organization_id=incident["organization"],
        rule=rule,
        fact=speaker_of(incident),
        repeats=incident.get("repeats", 0),
    )


def leave_open(draft: Draft, context: Context, external_id: str, why: str) -> None:
    """All alerts are cleared and the ticket stays open: a note says so, and the next alert of the condition joins it."""
    incident = draft.body["incidents"][external_id]
    fact = speaker_of(incident)
    rule = rule_of(draft, context, fact)
    at = draft.now
    for uid in owing_alert(draft, external_id):
        at = _cleared_at(draft.body["alerts"][uid]) or at
        dispose(draft, uid, "closed", why, detail=_WHY_OPEN[why])
    last = incident.get("left_at")
    patch: dict[str, Any] = {"ended": None, "ended_at": None, "owes": None, "left": why}
    if last is not None and draft.now - last < rule.note_every_ms:
        draft.reason("NoteNotDue", external_id, _WHY_OPEN[why])
        return draft.change("TicketLeftOpen", patch, "incidents", external_id)
    draft.change("TicketLeftOpen", {**patch, "left_at": draft.now}, "incidents", external_id)
    note = cleared_note(
        external_id=external_id, cause=draft.envelope.id, rule=rule, fact=fact, at=at, why=_WHY_OPEN[why]
    )
    command = append_note(
        key=draft.key,
        external_id=external_id,
        ticket_id=incident["ticket"],
        organization_id=incident["organization"],
        note=note,
    )
    return send(draft, command, external_id, ordinal=1, note=note)


def _cleared_at(alert: Alert) -> int:
    """When an alert was cleared, by the vendor's clock; 0 when only we know of it."""
    return int(alert["reset"][1] if "reset" in alert else alert.get("gone", 0))


def _is_being_reopened(draft: Draft, context: Context, external_id: str, ordinal: int) -> bool:
    """Whether the ticket is on its way to being open again, or on its way back from that: then nothing else is asked."""
    incident = draft.body["incidents"][external_id]
    under_way = find_command(draft, REOPEN, external_id)
    if "reopening" not in incident or "ended" in incident:
        if "reopening" in incident:
            draft.change("ReopeningNeedless", {"reopening": None}, "incidents", external_id)
        if under_way is None:
            return False
        take_back(draft, *under_way, reason="ResetBeforeReopening")
        return "due" not in under_way[1]
    _take_back_all(draft, external_id, ("CompleteTicket", "ResetAlert"))
    if find_command(draft, "CompleteTicket", external_id) is not None:
        return True
    status = status_of(incident)
    if under_way is not None:
        if "due" not in under_way[1] or status == "completed":
            return True
        draft.change("CommandNeedless", None, "pending", under_way[0])
    if wanted(draft, external_id, status):
        if "note" in incident:
            draft.change("NoteNeedless", {"note": None}, "incidents", external_id)
        fact = speaker_of(incident)
        command = reopen_ticket(
            key=draft.key,
            external_id=external_id,
            ticket_id=incident["ticket"],
            organization_id=incident["organization"],
            rule=rule_of(draft, context, fact),
            fact=fact,
        )
        send(draft, command, external_id, ordinal=ordinal, ticket=incident["ticket"])
    return "reopening" in incident


def _take_back_all(draft: Draft, external_id: str, kinds: tuple[str, ...]) -> None:
    for identity, entry in list(draft.body.get("pending", {}).items()):
        if entry["incident"] == external_id and entry["type"] in kinds:
            take_back(draft, identity, entry, reason="TicketReopened")


def _awaits_any(draft: Draft, external_id: str) -> bool:
    return any(entry["incident"] == external_id for entry in draft.body.get("pending", {}).values())


def _ticket_is_completed(draft: Draft, context: Context, external_id: str, incident: Incident, ordinal: int) -> None:
    patch: dict[str, Any] = {}
    if "ended" not in incident:
        patch |= {"ended": "TicketCompleted", "ended_at": draft.now}
    for field in ("owes", "note", "repeats", "note_at", "settling", "left", "left_at", "wants"):
        if field in incident:
            patch[field] = None
    if patch:
        draft.change("TicketCompleted", patch, "incidents", external_id)
    unpark(draft, external_id)
    deferred = find_command(draft, "CompleteTicket", external_id)
    if deferred is not None and "due" in deferred[1]:
        draft.change("CommandNeedless", None, "pending", deferred[0])
    for uid in incident["active"]:
        alert = draft.body["alerts"][uid]
        if is_storms_own(alert):
            ticket_completed(draft, external_id, uid)
            continue
        if alert["disposition"] in ("parked", "rejected") or find_command(draft, "ResetAlert", external_id, uid):
            continue
        if uid != incident["opened_by"] and rule_of(draft, context, speaker_of(incident)).reset == "opening":
            detail = "its ticket was completed; only the alert that opened it is reset"
            dispose(draft, uid, "suppressed", "ResetOfOpeningOnly", detail=detail)
            continue
        covers = extent(alert)
        draft.change("ResetOrdered", {"ordered": covers}, "alerts", uid)
        command = reset_alert(
            key=draft.key,
            external_id=external_id,
            uid=uid,
            organization_id=incident["organization"],
            number=incident.get("number"),
        )
        send(draft, command, external_id, ordinal=ordinal, uid=uid, covers=covers)
    # While a command is unsettled the ticket may yet have to be completed: the create's outcome may name another one, a
    # reset that was taken back may turn out not to have been what cleared the alert.
    if not incident["active"] and "fact" in incident and not _awaits_any(draft, external_id):
        draft.change("IncidentDone", {"fact": None}, "incidents", external_id)


def _recognise_reopening(draft: Draft, external_id: str, incident: Incident) -> None:
    completed = incident["ours"]["at"] if "ours" in incident else incident["completed_seen"]
    if completed <= incident.get("reopen", 0):
        return
    draft.reason("ReopenedByTechnician", external_id)
    patch = {"reopen": incident["open_seen"], "ended": None, "ended_at": None, "owes": None}
    patch |= {"by_us": None, "completed_at": None, "back": None, "settling": None}
    draft.change("TicketReopened", patch, "incidents", external_id)
    if "parked" in incident:
        unpark(draft, external_id)
    _take_back_all(draft, external_id, ("ResetAlert", "CompleteTicket"))
    back_in_their_ticket(draft, external_id)


def take_back(draft: Draft, identity: str, entry: dict[str, Any], *, reason: str) -> None:
    """Withdraw a command that waits at its executor (once), or drop one that only waits for its timer."""
    if "due" in entry:
        draft.change("CommandNeedless", None, "pending", identity)
    elif "withdraw" not in entry:
        command = WithdrawCommand(
            key=draft.key,
            effect_key=f"withdraw:{identity}",
            incident=entry["incident"],
            command_id=identity,
            command_topic=entry["topic"],
            reason=reason,
        )
        draft.change("WithdrawalAsked", {"withdraw": True}, "pending", identity)
        send(draft, command, entry["incident"], ordinal=1, of=identity)
