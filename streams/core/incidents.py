"""The agent ``incidents``: alerts become tickets, tickets' ends become resets. One decision is about one key's state.

A body holds ``alerts`` by uid (``core.alerts``), ``incidents`` by external id (``core.incident``), ``pending`` commands
by id (``core.settlements``), the device's ``item``, and ``floor`` and ``ordinals`` once something was forgotten (``core.memory``).
"""

from __future__ import annotations

from typing import Any

from schemas.drift import DriftObserved
from schemas.events import Event
from schemas.facts import (
    AlertAcknowledged,
    AlertFact,
    AlertGone,
    AlertObserved,
    AlertReset,
    AlertTriggered,
    CommandSettled,
    Fact,
    TicketNoteObserved,
    TicketObserved,
    TimerFired,
)
from schemas.storms import StormDeclared, StormJoined, StormListed, StormReleased
from streams.core import documents
from streams.core.alerts import Alert, alive, restored, stored, trigger_alive
from streams.core.context import Context
from streams.core.decision import Decision, Draft
from streams.core.documents import Body, copy_of
from streams.core.drift.tickets_mended import ticket_drift
from streams.core.incident import dispose, find_command, raised_after_reset
from streams.core.memory import forget, incidents_of
from streams.core.notes import acknowledged, note_observed
from streams.core.placing import clear, move_on, place, place_crowded
from streams.core.reconcile import reconcile, repeat, rule_of
from streams.core.settlements import command_settled, item_settled, timer_fired
from streams.core.storms.members import joined, listed, released, reset_under_way
from streams.core.takeover import patch_of, ticket_named
from streams.core.tickets import incident_of, ticket_observed
from streams.core.waiting import newer_maintenance, with_maintenance

AGENT = "incidents"


def decide(body: Body, event: Event[Fact], context: Context) -> Decision:
    """The decision about a fact, given the state of its key. Changes nothing that it was given."""
    draft = Draft(agent=AGENT, key=event.envelope.key, body=copy_of(body), envelope=event.envelope)
    decide_into(draft, context, event.data)
    return draft.decision()


def evolve(body: Body, decision: Decision) -> Body:
    """The state after a decision. Changes nothing that it was given."""
    return documents.evolve(copy_of(body), decision.changes)


def decide_into(draft: Draft, context: Context, fact: Fact) -> None:
    """Decide a fact about the draft's key. ``control`` facts are the engine's (``core.parked``)."""
    match fact:
        case AlertTriggered() | AlertObserved():
            _sighted(draft, context, fact)
        case AlertReset():
            _reset(draft, context, fact)
        case AlertAcknowledged():
            external_id = acknowledged(draft, context, fact)
            if external_id is not None:
                reconcile(draft, context, external_id)
        case AlertGone():
            _gone(draft, context, fact)
        case TicketObserved():
            ticket_observed(draft, context, fact)
        case TicketNoteObserved():
            note_observed(draft, incident_of(draft, fact), fact)
        case CommandSettled():
            if _of_devices(fact):
                item_settled(draft, fact)
            else:
                command_settled(draft, context, fact)
        case TimerFired():
            timer_fired(draft, context, fact)
        case DriftObserved():
            ticket_drift(draft, context, fact)
        case StormJoined():
            joined(draft, fact)
        case StormReleased():
            released(draft, context, fact)
        case StormListed():
            listed(draft, context, fact)
        case _:
            draft.reason("NotForIncidents", detail=fact.ce_type)
    if not draft.idle:
        place_crowded(draft, context)
        forget(draft)


def _of_devices(fact: CommandSettled) -> bool:
    return "configuration" in fact.command_type.lower()


def _sighted(draft: Draft, context: Context, fact: AlertTriggered | AlertObserved) -> None:
    """An alert was raised, or stands in the list of active alerts."""
    uid = fact.uid
    alert: Alert = draft.body.get("alerts", {}).get(uid, {})
    known_by_trigger = trigger_alive(alert)
    if isinstance(fact, AlertTriggered):
        known = alert["triggered"][0] if "triggered" in alert else -1
        if fact.activity_id <= known:
            return draft.reason("Duplicate" if fact.activity_id == known else "Superseded", uid)
        if not alert and fact.activity_id <= draft.body.get("floor", -1):
            return draft.reason("OlderThanMemory", uid)
        patch: dict[str, Any] = {"triggered": [fact.activity_id, fact.raised_at]}
    else:
        if fact.raised_at <= alert.get("observed", -1):
            return _known_from_list(draft, context, alert, fact)
        patch = {"observed": fact.raised_at}
        if isinstance(fact, StormDeclared):
            patch["storms_own"] = True
    if not alert:
        patch["incidents"] = incidents_of(draft, uid)
    named = patch_of(alert, fact)
    draft.change("AlertSighted", patch | named, "alerts", uid)
    alert = draft.body["alerts"][uid]
    if not alive(alert):
        return _never_active(draft, uid, alert, fact)
    if not alert.get("active"):
        draft.change("AlertActive", {"active": True, "closed_at": None, "incident": None}, "alerts", uid)
        return place(draft, context, fact)
    if raised_after_reset(draft, alert):
        move_on(draft, uid)
        draft.change("AlertActive", {"incident": None, "ordered": None}, "alerts", uid)
        return place(draft, context, fact)
    if not known_by_trigger or isinstance(fact, AlertObserved):
        if named:
            return _ticket_shows(draft, context, fact)
        # The list and the activity tell of one and the same raising.
        detail = "known from the list of active alerts and from an activity"
        return _told_again(draft, context, uid, alert, fact, detail)
    return _raised_again(draft, context, uid, alert, fact)


def _known_from_list(draft: Draft, context: Context, alert: Alert, fact: AlertObserved) -> None:
    named = patch_of(alert, fact)
    if not named or not alert.get("active"):
        return _told_again(draft, context, fact.uid, alert, fact)
    draft.change("TicketNamed", named, "alerts", fact.uid)
    return _ticket_shows(draft, context, fact)


def _ticket_shows(draft: Draft, context: Context, fact: AlertFact) -> None:
    """An alert that is known has a ticket of NinjaOne's own integration by now. One that waits has its place with it."""
    alert = draft.body["alerts"][fact.uid]
    if alert.get("incident") is None and alert["disposition"] != "rejected":
        return place(draft, context, fact)
    ticket_named(draft, rule_of(draft, context, fact), fact)
    return reconcile(draft, context, alert.get("incident", ""))


def _told_again(draft: Draft, context: Context, uid: str, alert: Alert, fact: AlertFact, detail: str = "") -> None:
    """A raising that is known. Where the alert waits, the newest word about its device's maintenance mode counts."""
    if not alert.get("active") or not newer_maintenance(alert, fact):
        return draft.reason("Duplicate", uid, detail)
    return _maintenance_changed(draft, context, uid, with_maintenance(restored(alert["fact"]), fact))


def _maintenance_changed(draft: Draft, context: Context, uid: str, fact: AlertFact) -> None:
    draft.change("MaintenanceSeen", {"fact": stored(fact)}, "alerts", uid)
    if draft.body["alerts"][uid].get("wait", {}).get("for") == "window":
        # It is over, or ends at another time: what waits for it looks for its place again.
        place(draft, context, fact)


def _never_active(draft: Draft, uid: str, alert: Alert, fact: AlertFact) -> None:
    if "incident" in alert or alert.get("disposition", "superseded") != "superseded":
        return draft.reason("EchoOfOurWrite" if alert.get("reason") == "TicketCompleted" else "AlreadyCleared", uid)
    draft.reason("ResetBeforeTrigger", uid)
    if not alert.get("active"):
        dispose(draft, uid, "superseded", "ResetBeforeTrigger", closed_at=alert.get("closed_at", draft.now))
    return None


def _raised_again(draft: Draft, context: Context, uid: str, alert: Alert, fact: AlertFact) -> None:
    external_id = alert.get("incident")
    if alert["disposition"] == "rejected":
        return draft.reason(alert["reason"], uid, alert.get("detail", ""))
    if external_id is None and alert["disposition"] == "suppressed" and "wait" not in alert:
        # The ticket of its storm was completed and it was left as it was (``reset: opening``).
        draft.change("AlertActive", {"held": None}, "alerts", uid)
        return place(draft, context, fact)
    if external_id is None:
        # Parked, held, suppressed or part of a storm: its latest text is what its ticket will say.
        if newer_maintenance(alert, fact):
            return _maintenance_changed(draft, context, uid, fact)
        if "maintenance_seen_at" in alert.get("fact", {}):
            fact = with_maintenance(fact, restored(alert["fact"]))
        draft.change("AlertTextKept", {"fact": stored(fact)}, "alerts", uid)
        return draft.reason(f"Still{alert['disposition'].capitalize()}", uid, alert["reason"])
    if "ordered" in alert:
        return draft.reason("ResetOrdered", uid)
    if alert["disposition"] == "suppressed":
        # Its ticket was completed and it was left as it was (``reset: opening``): it is raised anew by itself.
        move_on(draft, uid)
        draft.change("AlertActive", {"incident": None}, "alerts", uid)
        return place(draft, context, fact)
    repeat(draft, context, external_id, fact)
    return reconcile(draft, context, external_id)


def _reset(draft: Draft, context: Context, fact: AlertReset) -> None:
    """An activity RESET. Ours shows by the reset that was ordered for the alert."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    known = alert["reset"][0] if "reset" in alert else -1
    if fact.activity_id <= known:
        return draft.reason("Duplicate" if fact.activity_id == known else "Superseded", fact.uid)
    draft.change("ResetSeen", {"reset": [fact.activity_id, fact.reset_at]}, "alerts", fact.uid)
    return _ended(draft, context, fact.uid, "Reset")


def _gone(draft: Draft, context: Context, fact: AlertGone) -> None:
    """An alert no longer stands in the list of active alerts, or its device was removed."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    known = alert.get("gone", -1)
    if fact.gone_at <= known:
        return draft.reason("Duplicate" if fact.gone_at == known else "Superseded", fact.uid)
    draft.change("DisappearanceSeen", {"gone": fact.gone_at}, "alerts", fact.uid)
    return _ended(draft, context, fact.uid, "Gone" if fact.cause == "MissingFromList" else fact.cause)


def _ended(draft: Draft, context: Context, uid: str, reason: str) -> None:
    alert = draft.body["alerts"][uid]
    if "disposition" not in alert:
        draft.reason("NoTriggerSeen", uid)
        return dispose(draft, uid, "superseded", "NoTriggerSeen", closed_at=draft.now)
    if not alert.get("active"):
        echo = "settled" in alert and alert["reason"] == "TicketCompleted"
        return draft.reason("EchoOfOurWrite" if echo else "AlreadyCleared", uid)
    if alive(alert):
        return draft.reason("Superseded", uid, "the alert was raised again since")
    by_us = find_command(draft, "ResetAlert", alert.get("incident", ""), uid) is not None or reset_under_way(draft, uid)
    if by_us:
        draft.reason("EchoOfOurWrite", uid)
    return clear(draft, context, uid, reason, by_us=by_us)
