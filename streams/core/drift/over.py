"""Alerts that the log takes for active and NinjaOne does not list: they are over, and their ticket with them, unless it is somebody's by now.

An open ticket does not show whether somebody completed and reopened it meanwhile (Autotask clears ``completedDate``), and what a
technician reopened is the technician's. So where a ticket was touched after the log's last sight of it, its history is looked at first
(``VendorSide.pasts``). The vendor documents that a row of it has action, detail, date and resource, and not in which words: what is not told for sure
is said, and only mended when its class is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.autotask import COMPLETE, Ticket, TicketHistoryRow
from schemas.commands import CreateTicket
from schemas.drift import DriftObserved
from schemas.envelope import rfc3339
from streams.core.drift.findings import Body, Comparison, Drift, LogSide, SeenAlert, Tell, VendorSide, under_way
from streams.core.incident import Incident
from streams.core.policy.vocabulary import KEPT_TEST_ALERT, TEST_ALERT

#: After so long whoever sent a test alert has ended it, or is gone.
TEST_ALERT_MS = 3_600_000
#: So many alerts of an incident are named in a line.
_SHOWN = 3
_STATUS = re.compile(r"(?<!\w)status", re.IGNORECASE)


def compare_over(log: LogSide, seen: VendorSide, found: Comparison) -> None:
    """One drift for each incident with such alerts."""
    for key, body in sorted(log.incidents.items()):
        for name, uids in sorted(over(body, seen.alerts, seen.asked_at).items()):
            found.drifts.append(_drift(log, seen, key, name, tuple(uids)))


def over(body: Body, listed: Mapping[str, SeenAlert], now: int) -> dict[str, list[str]]:
    """The alerts of a key that are over, by incident (empty: of none). ``listed``: NinjaOne's active ones."""
    gone: dict[str, list[str]] = {}
    for uid, alert in sorted(body.get("alerts", {}).items()):
        if not alert.get("active") or uid in listed or "storms_own" in alert:
            continue
        name = alert.get("incident", "")
        told = alert.get("fact") or body.get("incidents", {}).get(name, {}).get("fact") or {}
        if told.get("source_type") == TEST_ALERT and not _unended(told, now):
            continue
        if under_way(body, name) is None:
            gone.setdefault(name, []).append(uid)
    return gone


def _unended(told: Body, now: int) -> bool:
    """Whether a test alert, which NinjaOne never has, should have been ended by now by whoever sent it."""
    return told.get("condition_name") != KEPT_TEST_ALERT and now - told["raised_at"] > TEST_ALERT_MS


def to_ask(log: LogSide, listed: Mapping[str, SeenAlert], tickets: Mapping[int, Ticket], now: int) -> list[int]:
    """The tickets whose history has to be known: all their alerts are over, and they were touched after the log's last sight of them."""
    found: list[int] = []
    for body in log.incidents.values():
        for name, uids in over(body, listed, now).items():
            incident: Incident = body.get("incidents", {}).get(name, {})
            ticket = tickets.get(incident.get("ticket", -1))
            if ticket is not None and _would_be_completed(incident, ticket, tuple(uids)):
                found.append(ticket.id)
    return sorted(found)


def _would_be_completed(incident: Incident, ticket: Ticket, uids: tuple[str, ...]) -> bool:
    touched = (ticket.last_activity_date or 0) > incident.get("open_seen", 0)
    return touched and not ticket.is_complete and "ended" not in incident and set(incident["active"]) <= set(uids)


def _drift(log: LogSide, seen: VendorSide, key: str, name: str, uids: tuple[str, ...]) -> Drift:
    body = log.incidents[key]
    incident: Incident = body.get("incidents", {}).get(name, {})
    ticket = seen.tickets.get(incident.get("ticket", -1))
    number = ticket.ticket_number if ticket is not None else ""
    stands = f"ticket {number} is open" if ticket is not None and not ticket.is_complete else "the log waits for it"
    told = incident.get("fact") or body["alerts"][uids[0]].get("fact") or {}
    what = (
        f"test alert {uids[0]} was never ended by whoever sent it, and {stands}"
        if told.get("source_type") == TEST_ALERT
        else f"alert {_listed(uids)} is over in NinjaOne, and {stands}"
    )
    drift = Drift(
        drift="MissedClose",
        key=key,
        organization_id=incident.get("organization"),
        uids=uids,
        external_id=name or None,
        ticket_id=ticket.id if ticket else None,
        ticket_number=number,
        what=what,
        repairs=tuple(Tell("gone", uid) for uid in uids),
    )
    if ticket is None or not _would_be_completed(incident, ticket, uids):
        return drift
    past = reopening(incident, ticket, log.asked.get(name), seen)
    if past is None:
        return drift
    if not past.sure:
        return drift.but(doubt=past.what)
    return drift.but(
        drift="MissedChange",
        what=f"alert {_listed(uids)} is over in NinjaOne, and {past.what}: it stays open, which the log did not hear of",
        repairs=(
            DriftObserved(
                key=key,
                drift="MissedChange",
                observed_at=seen.asked_at,
                organization_id=incident["organization"],
                external_id=name,
                ticket_id=ticket.id,
                ticket_number=number,
            ),
        ),
    )


def _listed(uids: tuple[str, ...]) -> str:
    return ", ".join(uids[:_SHOWN]) + (f" and {len(uids) - _SHOWN} more" if len(uids) > _SHOWN else "")


@dataclass(frozen=True, slots=True)
class Reopening:
    """That somebody completed an open ticket and reopened it, for ``sure`` or perhaps; ``what`` is one line."""

    sure: bool
    what: str


def reopening(incident: Incident, ticket: Ticket, asked: CreateTicket | None, seen: VendorSide) -> Reopening | None:
    """What the history of a ticket tells since the log's last sight of it; ``None``: it was open all the time."""
    ours, last = ticket.creator_resource_id, ticket.last_activity_resource_id
    number, past = ticket.ticket_number or ticket.id, seen.pasts.get(ticket.id)
    if past is None:
        if last is None or last == ours:
            return None
        touched = f"resource {last} was the last to touch ticket {number}, at {_time(ticket.last_activity_date)}"
        return Reopening(False, f"{touched}, and its history could not be read: {_NAMED}")
    since = incident.get("open_seen", 0)
    rows = [row for row in past if (row.date or since + 1) > since and (ours is None or row.resource_id != ours)]
    complete = {COMPLETE, *(other.status for other in seen.tickets.values() if other.is_complete)}
    names = [seen.status_names[status] for status in complete if seen.status_names.get(status)]
    unclear = None
    for row in rows:
        text = f"{row.action} {row.detail}"
        of_status = _STATUS.search(text) is not None
        if any(_names(text, name) for name in [*names, *(map(str, complete) if of_status else ())]):
            if of_status:
                by = f"{_who(row)} completed ticket {number} at {_time(row.date)}"
                return Reopening(True, f"{by}, and it was reopened")
            unclear = row
    if unclear is not None:
        wrote = f"the history of ticket {number} has '{unclear.detail[:80]}' by {_who(unclear)}"
        return Reopening(False, f"{wrote}, at {_time(unclear.date)}, which may be a completion: {_NAMED}")
    if not any(_STATUS.search(f"{row.action} {row.detail}") for row in rows) and _other_status(ticket, asked, seen):
        unsaid = f"ticket {number} has another status than it was opened with, and its history does not tell who set it"
        return Reopening(False, f"{unsaid}: {_NAMED}")
    return None


_NAMED = (
    "whether somebody reopened it is not known. Complete it yourself, or name its class: 'lockstep reconcile --repair "
    "--class missed-close'"
)


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _other_status(ticket: Ticket, asked: CreateTicket | None, seen: VendorSide) -> bool:
    if asked is None:
        return False
    known = {str(ticket.status), seen.status_names.get(ticket.status, "").casefold()}
    return str(asked.status).casefold() not in known


def _who(row: TicketHistoryRow) -> str:
    return f"resource {row.resource_id}" if row.resource_id is not None else "somebody"


def _time(at: int | None) -> str:
    return rfc3339(at) if at is not None else "an unknown time"
