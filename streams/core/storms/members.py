"""What the agent ``storms`` answers, by the key of a device: its alert joins a storm, or is released from one.

A member is ``appended``, ``PartOfStorm``, and keeps its text for a ticket of its own. When the parent ticket was completed by
somebody, its members are reset in NinjaOne, as the rule's ``reset`` says; the command for that is ``pending`` with ``storm``,
since its incident is another key's. By the key of a place it also notes who has joined on the parent ticket.
"""

from __future__ import annotations

from typing import Any

from schemas.facts import CommandSettled
from schemas.identity import key_of_external_id
from schemas.storms import StormJoined, StormListed, StormReleased
from streams.core.alerts import Alert, alive, extent, restored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.incident import dispose, send, speaker_of
from streams.core.placing import clear, place
from streams.core.reconcile import reconcile, rule_of
from streams.core.storms.text import storm_note
from streams.core.storms.watch import leave_storm, tell_left
from streams.core.ticketing import reset_alert

#: A deferred reset comes again after ten minutes, like every command (design section 5, rule 4).
AGAIN_MS = 600_000


def joined(draft: Draft, fact: StormJoined) -> None:
    """The alert is part of a storm, unless it has found another place meanwhile, or is over."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    if alert.get("candidacy") != fact.candidacy:
        # Said again, since the storm may have heard of it before it heard of the alert itself: none may wait for a member
        # that is none.
        place_of = key_of_external_id(fact.storm)
        if place_of is not None:
            tell_left(draft, place_of, fact.uid, fact.candidacy + 1, "NoCandidate")
        return draft.reason("TicketAlready" if alert.get("active") else "AlreadyCleared", fact.uid, fact.storm)
    if alert.get("storm") == fact.storm:
        return draft.reason("Duplicate", fact.uid)
    detail = f"storm {fact.storm}; its ticket is the storm's"
    return dispose(draft, fact.uid, "appended", "PartOfStorm", detail=detail, wait=None, storm=fact.storm)


def released(draft: Draft, context: Context, fact: StormReleased) -> None:
    """The storm is over for the alert: it gets a ticket of its own, or it is reset with the parent ticket."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    if alert.get("candidacy") != fact.candidacy:
        return draft.reason("PlacedAlready" if alert.get("active") else "AlreadyCleared", fact.uid, fact.storm)
    if fact.cause == "MostAreBack":
        return place(draft, context, restored(alert["fact"]))
    leave_storm(draft, fact.uid, fact.cause)
    if rule_of(draft, context, restored(alert["fact"])).reset == "opening":
        detail = "the ticket of its storm was completed; only the alert that opened it is reset"
        return dispose(draft, fact.uid, "suppressed", "ResetOfOpeningOnly", detail=detail, wait=None)
    detail = f"storm {fact.storm}; the storm's ticket was completed, so it is being reset"
    dispose(draft, fact.uid, "appended", "PartOfStorm", detail=detail, wait=None, ordered=extent(alert))
    return _order(draft, fact.storm, fact.uid, ordinal=1)


def _order(draft: Draft, storm: str, uid: str, *, ordinal: int) -> None:
    alert = draft.body["alerts"][uid]
    organization = alert["fact"]["subject"]["organization_id"]
    command = reset_alert(key=draft.key, external_id=storm, uid=uid, organization_id=organization, number=None)
    send(draft, command, storm, ordinal=ordinal, uid=uid, covers=alert["ordered"], storm=True)


def reset_under_way(draft: Draft, uid: str) -> bool:
    """Whether a former member of a storm is being reset, because the storm's ticket was completed."""
    return any("storm" in entry and entry["uid"] == uid for entry in draft.body.get("pending", {}).values())


def reset_settled(draft: Draft, context: Context, fact: CommandSettled, pending: dict[str, Any]) -> None:
    """What became of a member's reset. One that is still active then looks for a place of its own: none is forgotten."""
    uid = pending["uid"]
    alert: Alert = draft.body.get("alerts", {}).get(uid, {})
    if fact.outcome == "Succeeded" and alert:
        before = alert.get("settled", pending["covers"])
        covers = [max(pair) for pair in zip(before, pending["covers"], strict=True)]
        draft.change("ResetSettled", {"settled": covers}, "alerts", uid)
    if "ordered" not in alert or "incident" in alert:
        if fact.outcome == "Deferred":
            draft.change("CommandNeedless", None, "pending", fact.command_id)
        return draft.reason("AlreadyCleared", uid)
    if fact.outcome == "Succeeded" and not alive(alert):
        return clear(draft, context, uid, "TicketCompleted", by_us=True)
    if fact.outcome in ("Deferred", "Withdrawn"):
        return draft.change("CommandDeferred", {**pending, "due": draft.now + AGAIN_MS}, "pending", fact.command_id)
    # Refused, or raised again since: as if raised now.
    draft.change("AlertActive", {"ordered": None, "held": None}, "alerts", uid)
    return place(draft, context, restored(alert["fact"]))


def reset_again(draft: Draft, pending: dict[str, Any]) -> None:
    """The time of a deferred reset has come."""
    alert: Alert = draft.body.get("alerts", {}).get(pending["uid"], {})
    if "ordered" not in alert or "incident" in alert:
        return draft.reason("AlreadyCleared", pending["uid"])
    return _order(draft, pending["incident"], pending["uid"], ordinal=pending["n"] + 1)


def listed(draft: Draft, context: Context, fact: StormListed) -> None:
    """More devices have joined: a note on the parent ticket names all that are in the storm now."""
    alert: Alert = draft.body.get("alerts", {}).get(fact.uid, {})
    incident = draft.body.get("incidents", {}).get(alert.get("incident", ""))
    if fact.listed_at <= alert.get("listed", -1):
        return draft.reason("Duplicate" if fact.listed_at == alert["listed"] else "Superseded", fact.uid)
    if not alert:
        return draft.reason("UnknownStorm", fact.uid)
    draft.change("StormListed", {"listed": fact.listed_at}, "alerts", fact.uid)
    if "fact" in alert and alert.get("active"):
        # No ticket yet: its text will name them.
        about = {**alert["fact"], "names": list(fact.names), "devices": fact.devices}
        return draft.change("AlertTextKept", {"fact": about}, "alerts", fact.uid)
    if incident is None or "ended" in incident:
        return draft.reason("NoOpenTicket", fact.uid)
    rule = rule_of(draft, context, speaker_of(incident))
    note = storm_note(external_id=alert["incident"], cause=draft.envelope.id, rule=rule, fact=fact)
    draft.change("NoteDue", {"note": note}, "incidents", alert["incident"])
    return reconcile(draft, context, alert["incident"])
