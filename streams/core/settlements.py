"""What became of our commands, and the timers of those that come again: the other half of every promise."""

from __future__ import annotations

from typing import Any

from schemas.facts import CommandSettled, TimerFired
from streams.core import waiting
from streams.core.alerts import alive, restored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.documents import Body, Timer
from streams.core.drift.tickets_mended import MEND
from streams.core.escalation import raised
from streams.core.incident import dispose, find_command, park, send, speaker_of, supersede, unpark
from streams.core.incident import status_of as ticket_status
from streams.core.placing import clear, place, place_elsewhere
from streams.core.reconcile import TOUCHED, create, leave_open, reconcile, rule_of
from streams.core.storms.members import reset_again, reset_settled
from streams.core.storms.watch import answer_awaited
from streams.core.takeover import opens_instead, was_too_late
from streams.core.ticketing import append_note
from streams.core.tickets import take_ticket

#: A deferred command comes again after ten minutes (design section 5, rule 4).
AGAIN_MS = 600_000
_AGAIN, _SETTLE = "again.", "settle."
#: The executor's reason for a ticket that another incident, or somebody else, already had.
MERGED_BY_TENANT = "MergedByTenant"
#: The executor's second settlement of a create that made two tickets; its ``ticket_id`` is the one that is kept.
DOUBLED_TICKET = "DoubledTicket"

#: The executor's reason where a ticket turned out to be complete.
ALREADY_COMPLETE = "AlreadyComplete"

Pending = dict[str, Any]


def timers_of(body: Body) -> list[Timer]:
    """The timers that a body asks for, the earliest first: deferred commands, waiting alerts, tickets that settle."""
    deferred = [
        Timer(entry["due"], _AGAIN + identity) for identity, entry in body.get("pending", {}).items() if "due" in entry
    ]
    settling = [
        Timer(incident["settling"], _SETTLE + external_id)
        for external_id, incident in body.get("incidents", {}).items()
        if "settling" in incident
    ]
    return sorted(deferred + settling + waiting.timers_of(body))


def item_settled(draft: Draft, fact: CommandSettled) -> None:
    """A device command settled: remember the item of this key, for the tickets to come."""
    known = draft.body.get("item")
    if fact.outcome != "Succeeded" or fact.item_id is None or fact.company_id is None:
        return draft.reason("NoItem", detail=f"{fact.outcome} {fact.reason}".strip())
    if "retire" in fact.command_type.lower():
        if known is None or known["id"] != fact.item_id:
            return draft.reason("NotThisItem")
        return draft.change("ItemRetired", {"item": None})
    item = {"id": fact.item_id, "company": fact.company_id}
    if known == item:
        return draft.reason("Duplicate")
    return draft.change("ItemKnown", {"item": item})


def command_settled(draft: Draft, context: Context, fact: CommandSettled) -> None:
    """A command of this agent settled. A second settlement, or one nobody awaits, changes nothing."""
    pending: Pending | None = draft.body.get("pending", {}).get(fact.command_id)
    if fact.reason == DOUBLED_TICKET and fact.incident and fact.incident in draft.body.get("incidents", {}):
        return _doubled(draft, context, fact.incident, fact)
    if pending is None or "due" in pending:
        return draft.reason("NotAwaited", fact.command_id)
    if pending["type"] == MEND:
        return _repair_settled(draft, fact)
    if fact.outcome == "Deferred" and pending["type"] != "WithdrawCommand":
        draft.change("CommandDeferred", {"due": draft.now + AGAIN_MS, "withdraw": None}, "pending", fact.command_id)
    else:
        draft.change("CommandSettled", None, "pending", fact.command_id)
    if "storm" in pending:
        return reset_settled(draft, context, fact, pending)
    if pending["incident"] not in draft.body.get("incidents", {}):
        return draft.reason("UnknownIncident", pending["incident"])
    match pending["type"]:
        case "CreateTicket":
            _create_settled(draft, context, fact, pending)
        case "CompleteTicket":
            _complete_settled(draft, context, fact, pending)
        case "ReopenTicket":
            _reopen_settled(draft, context, fact, pending)
        case "ResetAlert":
            _reset_settled(draft, context, fact, pending)
        case "RaiseTicketPriority":
            _raise_settled(draft, context, fact, pending)
        case "AppendTicketNote" if fact.outcome == "Rejected":
            draft.reason("NoteRejected", pending["incident"], f"{fact.reason} {fact.detail}".strip())
        case "WithdrawCommand" if fact.outcome != "Succeeded":
            draft.reason("TooLateToWithdraw", pending["of"], fact.reason)
        case _:
            pass
    return None


def _repair_settled(draft: Draft, fact: CommandSettled) -> None:
    """A repair of a drift has one try: what it did not mend, the next comparison finds again."""
    draft.change("CommandSettled", None, "pending", fact.command_id)
    if fact.outcome != "Succeeded":
        draft.reason("NotMended", fact.effect_key, f"{fact.outcome} {fact.reason} {fact.detail}".strip())


def _doubled(draft: Draft, context: Context, external_id: str, fact: CommandSettled) -> None:
    """The second look after an unknown create found two tickets: the older one counts, the executor completes the other."""
    if fact.ticket_id is None or draft.body["incidents"][external_id].get("ticket") == fact.ticket_id:
        return draft.reason(DOUBLED_TICKET, external_id, fact.detail)
    take_ticket(draft, external_id, fact.ticket_id, fact.ticket_number)
    return reconcile(draft, context, external_id)


def _create_settled(draft: Draft, context: Context, fact: CommandSettled, pending: Pending) -> None:
    external_id = pending["incident"]
    incident = draft.body["incidents"][external_id]
    if fact.outcome == "Succeeded" and (
        fact.reason == MERGED_BY_TENANT or _is_of_another(draft, external_id, fact.ticket_id)
    ):
        # A tenant's duplicate-ticket rule answered with the ticket of another incident: closing this one would close
        # that one, so an operator has to look.
        detail = fact.detail or f"Autotask answered with ticket {fact.ticket_id}, which belongs to another incident"
        if incident.get("ended"):
            supersede(draft, external_id)
        else:
            park(draft, external_id, "CreateTicket", MERGED_BY_TENANT, detail, pending["n"])
    elif fact.outcome == "Succeeded" and fact.ticket_id is not None:
        if "adopts" in incident and "adopts" not in pending:
            was_too_late(draft, external_id)
        known = incident.get("number") if incident.get("ticket") == fact.ticket_id else None
        take_ticket(draft, external_id, fact.ticket_id, fact.ticket_number or known)
    elif "ticket" in incident:
        draft.reason("TicketKnown", external_id, f"{fact.outcome} {fact.reason}".strip())
        _drop_deferred(draft, fact)
    elif "adopts" in incident and "adopts" not in pending and fact.outcome in ("Rejected", "Withdrawn"):
        # No ticket of ours, and by now there is one to take over.
        create(draft, context, external_id)
    elif "adopts" in pending and fact.outcome == "Rejected":
        _adoption_refused(draft, context, external_id, fact, pending)
    elif incident.get("ended") and not ("adopts" in incident and incident.get("owes")):
        # Every alert was cleared before there was a ticket: none is wanted any more. One that turns up all the same
        # (the outcome of an attempt may be unknown) is adopted when it is seen, and completed.
        _drop_deferred(draft, fact)
        supersede(draft, external_id)
    elif fact.outcome == "Rejected":
        park(draft, external_id, "CreateTicket", fact.reason or "TicketRejected", fact.detail, pending["n"])
    elif fact.outcome == "Withdrawn":
        # Not at our request, for its alerts are active: it comes again like a deferred one.
        draft.change("CommandDeferred", {**pending, "due": draft.now + AGAIN_MS}, "pending", fact.command_id)
    reconcile(draft, context, external_id)


def _adoption_refused(draft: Draft, context: Context, external_id: str, fact: CommandSettled, pending: Pending) -> None:
    """The other integration's ticket cannot be taken over: somebody has to look, unless the rule has an answer."""
    incident = draft.body["incidents"][external_id]
    if incident.get("ended"):
        # Its alerts are over and there is no open ticket to complete for them.
        return draft.reason("NothingToTakeOver", external_id, f"{fact.reason} {fact.detail}".strip())
    if not opens_instead(rule_of(draft, context, speaker_of(incident)), incident):
        return park(draft, external_id, "CreateTicket", fact.reason or "TicketRejected", fact.detail, pending["n"])
    draft.reason("OpenedInstead", external_id, f"{fact.reason} {fact.detail}".strip())
    draft.change("TicketNotTakenOver", {"adopts": None}, "incidents", external_id)
    return create(draft, context, external_id)


def _is_of_another(draft: Draft, external_id: str, ticket_id: int | None) -> bool:
    return ticket_id is not None and any(
        incident.get("ticket") == ticket_id for name, incident in draft.body["incidents"].items() if name != external_id
    )


def _drop_deferred(draft: Draft, fact: CommandSettled) -> None:
    if fact.outcome == "Deferred":
        draft.change("CommandNeedless", None, "pending", fact.command_id)


def _complete_settled(draft: Draft, context: Context, fact: CommandSettled, pending: Pending) -> None:
    external_id = pending["incident"]
    incident = draft.body["incidents"][external_id]
    if fact.outcome == "Succeeded":
        # Once the ticket was seen completed, observations alone count: what is still owed then (a technician reopened
        # it, an alert joined and was cleared) is owed on top of this completion.
        patch: dict[str, Any] = {"completed_at": draft.now}
        if fact.how != "NothingToDo":
            patch["by_us"] = True
        if incident.get("completed_seen", 0) <= pending["covers"]:
            patch |= {"ours": {"at": fact.settled_at, "covers": pending["covers"]}, "owes": None}
            draft.change("TicketCompletedByUs", patch, "incidents", external_id)
        elif ticket_status(incident) == "completed":
            draft.change("CompletionWasOurs", patch, "incidents", external_id)
    elif not incident.get("owes"):
        draft.reason("NothingOwed", external_id, f"{fact.outcome} {fact.reason}".strip())
        _drop_deferred(draft, fact)
    elif fact.outcome == "Rejected" and fact.reason == TOUCHED:
        leave_open(draft, context, external_id, TOUCHED)
    elif fact.outcome == "Rejected":
        park(draft, external_id, "CompleteTicket", fact.reason or "CompletionRejected", fact.detail, pending["n"])
    elif fact.outcome == "Withdrawn":
        draft.change("CommandDeferred", {**pending, "due": draft.now + AGAIN_MS}, "pending", fact.command_id)
    reconcile(draft, context, external_id)


def _reopen_settled(draft: Draft, context: Context, fact: CommandSettled, pending: Pending) -> None:
    external_id = pending["incident"]
    incident = draft.body["incidents"][external_id]
    if incident.get("ticket") != pending["ticket"]:
        draft.reason("OtherTicket", external_id)
        _drop_deferred(draft, fact)
    elif fact.outcome == "Succeeded":
        # Everything that was seen of the ticket and is older than this sight of it no longer counts, so a late sight of
        # our own completion is told from one that a technician made since. Where the sight failed, the time of the
        # settlement stands for it.
        latest = max(incident.get("open_seen", 0), incident.get("completed_seen", 0))
        at = fact.ticket_activity_at or max(fact.settled_at, latest + 1)
        patch: dict[str, Any] = {"ours": None, "by_us": None, "completed_at": None, "reopening": None}
        patch |= {"open_seen": max(incident.get("open_seen", 0), at), "reopen": max(incident.get("reopen", 0), at)}
        if fact.how != "NothingToDo":
            patch["back"] = True
        draft.change("TicketOpenAgain", patch, "incidents", external_id)
    elif "reopening" not in incident or "ended" in incident:
        draft.reason("ReopeningNotWanted", external_id, f"{fact.outcome} {fact.reason}".strip())
        _drop_deferred(draft, fact)
    elif fact.outcome == "Rejected":
        draft.reason("ReopeningRejected", external_id, f"{fact.reason} {fact.detail}".strip())
        place_elsewhere(draft, context, external_id)
    reconcile(draft, context, external_id)


def _raise_settled(draft: Draft, context: Context, fact: CommandSettled, pending: Pending) -> None:
    external_id = pending["incident"]
    if fact.outcome in ("Succeeded", "Rejected"):
        if fact.outcome == "Rejected":
            draft.reason("PriorityNotRaised", external_id, f"{fact.reason} {fact.detail}".strip())
        raised(draft, external_id, pending["level"], complete=fact.reason == ALREADY_COMPLETE)
    elif "wants" not in draft.body["incidents"][external_id]:
        _drop_deferred(draft, fact)
    elif fact.outcome == "Withdrawn":
        draft.change("CommandDeferred", {**pending, "due": draft.now + AGAIN_MS}, "pending", fact.command_id)
    reconcile(draft, context, external_id)


def _reset_settled(draft: Draft, context: Context, fact: CommandSettled, pending: Pending) -> None:
    external_id, uid = pending["incident"], pending["uid"]
    alert = draft.body.get("alerts", {}).get(uid)
    incident = draft.body["incidents"][external_id]
    if alert is None or alert.get("incident") != external_id:
        draft.reason("AlertMovedOn", uid)
        _drop_deferred(draft, fact)
    elif fact.outcome == "Succeeded":
        before = alert.get("settled", pending["covers"])
        covers = [max(pair) for pair in zip(before, pending["covers"], strict=True)]
        draft.change("ResetSettled", {"settled": covers}, "alerts", uid)
        if alert.get("active") and not alive(alert):
            clear(draft, context, uid, "TicketCompleted", by_us=True)
    elif not alert.get("active"):
        _drop_deferred(draft, fact)
        draft.reason("AlreadyCleared", uid)
        if fact.outcome == "Withdrawn" and not incident["active"] and "ended" not in incident:
            # It was taken back in time, so something else cleared the alert: that ends the incident.
            patch = {"ended": "AlertsCleared", "ended_at": draft.now, "owes": True}
            draft.change("IncidentEnded", patch, "incidents", external_id)
    elif fact.outcome == "Rejected" and ticket_status(incident) == "completed":
        dispose(draft, uid, "parked", fact.reason or "ResetRejected", detail=fact.detail)
    elif fact.outcome == "Deferred" and ticket_status(incident) != "completed":
        _drop_deferred(draft, fact)
    reconcile(draft, context, external_id)


def timer_fired(draft: Draft, context: Context, fact: TimerFired) -> None:
    """A due time has come. A deferred command goes out again with the next ordinal, if it is still wanted."""
    if fact.timer.startswith(waiting.WAIT):
        return _wait_over(draft, context, fact)
    if fact.timer.startswith(_SETTLE):
        return _settled_down(draft, context, fact)
    identity = fact.timer.removeprefix(_AGAIN)
    pending: Pending | None = draft.body.get("pending", {}).get(identity)
    if pending is None or pending.get("due") != fact.due_at:
        return draft.reason("TimerNotPending", fact.timer)
    draft.change("TimerTaken", None, "pending", identity)
    again(draft, context, pending)
    return None


def _wait_over(draft: Draft, context: Context, fact: TimerFired) -> None:
    """An alert's hold or maintenance window has ended and it is still active: it looks for its place."""
    uid = fact.timer.removeprefix(waiting.WAIT)
    alert = draft.body.get("alerts", {}).get(uid, {})
    if alert.get("wait", {}).get("until") != fact.due_at:
        return draft.reason("TimerNotPending", fact.timer)
    if answer_awaited(draft, uid, fact.due_at):
        return None
    return place(draft, context, restored(alert["fact"]))


def _settled_down(draft: Draft, context: Context, fact: TimerFired) -> None:
    """No alert came back while the ticket waited for its completion: the incident is over."""
    external_id = fact.timer.removeprefix(_SETTLE)
    incident = draft.body.get("incidents", {}).get(external_id, {})
    if incident.get("settling") != fact.due_at:
        return draft.reason("TimerNotPending", fact.timer)
    patch = {"settling": None, "ended": "AlertsCleared", "ended_at": draft.now, "owes": True}
    draft.change("IncidentEnded", patch, "incidents", external_id)
    return reconcile(draft, context, external_id)


def again(draft: Draft, context: Context, pending: Pending) -> None:
    """Issue the effect of a former command once more (same effect key, next ordinal), as far as it is still owed."""
    if "storm" in pending:
        return reset_again(draft, pending)
    external_id, ordinal = pending["incident"], pending["n"] + 1
    incident = draft.body.get("incidents", {}).get(external_id)
    if incident is None:
        return draft.reason("UnknownIncident", external_id)
    owed = "ended" not in incident or ("adopts" in incident and "owes" in incident)
    if pending["type"] == "CreateTicket" and "ticket" not in incident and owed:
        if find_command(draft, "CreateTicket", external_id) is None:
            unpark(draft, external_id)
            create(draft, context, external_id, ordinal=ordinal)
    elif pending["type"] == "AppendTicketNote":
        if ticket_status(incident) == "completed":
            return draft.reason("TicketCompleted", external_id)
        command = append_note(
            key=draft.key,
            external_id=external_id,
            ticket_id=incident["ticket"],
            organization_id=incident["organization"],
            note=pending["note"],
        )
        send(draft, command, external_id, ordinal=ordinal, note=pending["note"])
    return reconcile(draft, context, external_id, ordinal=ordinal)
