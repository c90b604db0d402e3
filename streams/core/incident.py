"""One incident: what is known of its alerts and its ticket, and the small moves within it.

Fields of an incident's entry in the state (times in epoch ms; ``*_seen`` are last activity times, Autotask's clock)::

    opened_by uid, condition, opened_at, organization, company, active [uids], last_cleared uid, fact (who speaks for it)
    ticket, number, open_seen, completed_seen     the ticket as observed
    ours {at, covers}     our completion, until an observation shows it; covers = open_seen when it was issued
    reopen                open_seen when the last reopening by a technician was recognised
    ended AlertsCleared | TicketCompleted | TicketDeleted | Dismissed, ended_at, owes (the ticket, if any, is to be completed)
    parked {command, reason, detail, n}, note (waits for the ticket id), note_at, repeats
    settling              when its ticket may be completed, unless an alert comes back (all of them are cleared)
    left, left_at         why its ticket was left open though all alerts are cleared; when a note said so last
    touched               a technician was seen to have the ticket
    by_us, completed_at, reopening, back, final     ``core.reopening``
    level, wants          ``core.escalation``
    adopts                the ticket of another integration that is to be its ticket (``core.takeover``)
"""

from __future__ import annotations

from typing import Any, Literal

from schemas.commands import Command, topic_of
from schemas.facts import AlertFact
from streams.core.alerts import beyond_reset, restored
from streams.core.decision import Draft

Incident = dict[str, Any]
Status = Literal["unknown", "open", "completed", "reopened"]

#: How far Autotask's clock may run ahead of the executor's before an open ticket, seen after our completion settled but
#: without any sight of it completed, is taken for reopened. Any sight of it completed makes this guess unnecessary.
REOPEN_SKEW_MS = 120_000


def status_of(incident: Incident) -> Status:
    """The ticket's state by the latest observations and our own completion, whatever order they came in."""
    opened, completed = incident.get("open_seen", 0), incident.get("completed_seen", 0)
    ours = incident.get("ours")
    if ours is not None:
        return "completed" if opened <= max(ours["at"] + REOPEN_SKEW_MS, ours["covers"]) else "reopened"
    if completed:
        return "completed" if completed >= opened else "reopened"
    return "open" if opened else "unknown"


def find_command(
    draft: Draft, kind: str, external_id: str, uid: str | None = None
) -> tuple[str, dict[str, Any]] | None:
    """The unsettled command of this kind, waiting or deferred."""
    for identity, entry in draft.body.get("pending", {}).items():
        if entry["type"] == kind and entry.get("incident") == external_id and entry.get("uid") == uid:
            return identity, entry
    return None


def send(draft: Draft, command: Command, external_id: str, *, ordinal: int, **fields: Any) -> None:
    """Issue a command of an incident and await its settlement."""
    identity, got = draft.issue(command, incident=external_id, ordinal=ordinal)
    entry = {"type": type(command).__name__, "incident": external_id, "n": got, "topic": topic_of(command), **fields}
    draft.change("CommandAwaited", entry, "pending", identity)


def dispose(draft: Draft, uid: str, disposition: str, reason: str, *, detail: str | None = None, **fields: Any) -> None:
    """Give an alert its disposition, with whatever else changes about it. Says nothing where nothing changes."""
    patch = {"disposition": disposition, "reason": reason, "detail": detail or None, **fields}
    alert = draft.body.get("alerts", {}).get(uid, {})
    if all(alert.get(field) == value for field, value in patch.items()):
        return
    draft.change(f"Alert{disposition.capitalize()}", patch, "alerts", uid)
    draft.dispositions[uid] = (disposition, reason)


def speaker_of(incident: Incident) -> AlertFact:
    """The alert that an incident's texts and rule are about; of an incident that was done, what is left of it."""
    if "fact" in incident:
        return restored(incident["fact"])
    configuration, name, about = incident["condition"]
    return restored(
        {
            "uid": incident["opened_by"],
            "subject": {"organization_id": incident["organization"]},
            "raised_at": incident["opened_at"],
            "source_config_uid": configuration,
            "source_name": name,
            "alert_subject": about,
        }
    )


def park(draft: Draft, external_id: str, command: str, reason: str, detail: str, ordinal: int) -> None:
    """Keep an incident whose ticket command was refused where an operator sees it, until retried or dismissed."""
    entry = {"command": command, "reason": reason, "detail": detail, "n": ordinal}
    incident = draft.body["incidents"][external_id]
    if incident.get("parked") != entry:
        draft.change("IncidentParked", {"parked": entry}, "incidents", external_id)
    for uid in incident["active"] if command == "CreateTicket" else owing_alert(draft, external_id):
        dispose(draft, uid, "parked", reason, detail=detail)


def owing_alert(draft: Draft, external_id: str) -> list[str]:
    """The alert that stands for a completion that is owed: the one cleared last, unless it has gone on since."""
    uid = draft.body["incidents"][external_id].get("last_cleared", "")
    alert = draft.body.get("alerts", {}).get(uid)
    return [uid] if alert and alert.get("incident") == external_id and not alert.get("active") else []


def unpark(draft: Draft, external_id: str) -> None:
    """What was parked is under way again: its active alerts are back in their ticket, cleared ones closed."""
    incident = draft.body["incidents"][external_id]
    parked = incident.get("parked")
    if parked is None:
        return
    draft.change("IncidentUnparked", {"parked": None}, "incidents", external_id)
    for uid in incident["active"]:
        if draft.body["alerts"][uid]["disposition"] == "parked":
            opener = uid == incident["opened_by"]
            dispose(draft, uid, "ticketed" if opener else "appended", "Opened" if opener else "SameCondition")
    if parked["command"] == "CompleteTicket":
        for uid in owing_alert(draft, external_id):
            dispose(draft, uid, "closed", "Reset")


def leave(draft: Draft, external_id: str, uid: str, *, by_us: bool, settle_ms: int) -> None:
    """A cleared alert leaves its incident; the last one ends it, or lets it settle first.

    ``by_us``: the clearing was our own reset.
    """
    incident = draft.body["incidents"].get(external_id)
    if incident is None or uid not in incident["active"]:
        return
    patch: dict[str, Any] = {"active": [other for other in incident["active"] if other != uid], "last_cleared": uid}
    if not patch["active"] and "ended" not in incident:
        if by_us and "back" not in incident and "reopening" not in incident:
            # A technician reopened the ticket, but our reset could not be taken back any more: what cleared the alert
            # was our own write, so it is no reason to close the ticket under the technician's hands.
            draft.reason("ReopenedByTechnician", external_id)
        elif settle_ms and "parked" not in incident:
            patch["settling"] = draft.now + settle_ms
        else:
            patch |= {"ended": "AlertsCleared", "ended_at": draft.now, "owes": True}
    draft.change("AlertLeft", patch, "incidents", external_id)


def supersede(draft: Draft, external_id: str) -> None:
    """The alerts of an incident that needs no ticket any more came to nothing: they were reset before it was made."""
    for uid, alert in list(draft.body.get("alerts", {}).items()):
        if alert.get("incident") == external_id and not alert.get("active") and alert["disposition"] == "closed":
            dispose(draft, uid, "superseded", "ResetBeforeTicket")


def raised_after_reset(draft: Draft, alert: dict[str, Any]) -> bool:
    """Whether an active alert was raised anew although the reset that its completed ticket asked for is under way."""
    incident = draft.body.get("incidents", {}).get(alert.get("incident", ""))
    return incident is not None and status_of(incident) == "completed" and beyond_reset(alert)
