"""Every active alert has its open ticket or a reason; every alert that the log takes for active is active."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from schemas.autotask import Ticket
from schemas.drift import DriftObserved
from schemas.identity import IdentityError, external_id
from streams.core.alerts import Alert, outlives
from streams.core.drift.findings import Body, Comparison, Drift, LogSide, SeenAlert, Tell, VendorSide, under_way
from streams.core.drift.over import compare_over
from streams.core.incident import status_of


def compare_alerts(log: LogSide, seen: VendorSide, found: Comparison) -> None:
    """Judge every alert that NinjaOne lists, then every one that only the log takes for active."""
    # The list may tell less of a place than the activity did (an organization for a location): the log's word counts.
    keys = {uid: key for key, body in log.incidents.items() for uid in body.get("alerts", {})}
    carried = {ticket.external_id for ticket in seen.tickets.values() if not ticket.is_complete}
    for uid, alert in sorted(seen.alerts.items()):
        _listed(log, seen, carried, found, replace(alert, key=keys.get(uid, alert.key)))
    compare_over(log, seen, found)
    found.active = len(seen.alerts)


def _listed(log: LogSide, seen: VendorSide, carried: Set[str | None], found: Comparison, listed: SeenAlert) -> None:
    body = log.incidents.get(listed.key, {})
    alert: Alert | None = body.get("alerts", {}).get(listed.uid)
    if alert is None or "disposition" not in alert:
        if listed.uid in log.untold:
            return found.explain("alert", listed.uid, listed.key, "BeforeFirstStart", listed.organization_id)
        return _unknown(carried, found, listed, body)
    if alert.get("active"):
        return _active(seen, found, listed, body, alert)
    return _thought_over(seen, found, listed, body, alert)


def _unknown(carried: Set[str | None], found: Comparison, listed: SeenAlert, body: Body) -> None:
    """The log never heard of it. Where its ticket is there all the same (the log was lost), that one is taken over."""
    try:
        identity = external_id(listed.key, listed.uid)
    except IdentityError:
        identity = ""
    if identity in carried and identity not in body.get("incidents", {}):
        found.apart.append(listed)
        return
    _missed_open(found, listed, "the log never heard of it", again=False)


def _missed_open(found: Comparison, listed: SeenAlert, why: str, *, again: bool) -> None:
    found.apart.append(listed)
    found.drifts.append(
        Drift(
            drift="MissedOpen",
            key=listed.key,
            organization_id=listed.organization_id,
            uids=(listed.uid,),
            what=f"alert {listed.uid} is active in NinjaOne and has no ticket: {why}",
            repairs=(Tell("alert", listed.uid, again=again),),
        )
    )


def _active(seen: VendorSide, found: Comparison, listed: SeenAlert, body: Body, alert: Alert) -> None:
    def explain(reason: str) -> None:
        found.explain("alert", listed.uid, listed.key, reason, listed.organization_id)

    if alert["disposition"] not in ("ticketed", "appended"):
        return explain(alert["reason"])
    if "storm" in alert:
        return explain("PartOfStorm")
    name = alert.get("incident", "")
    incident = body.get("incidents", {}).get(name, {})
    command = under_way(body, name)
    if command is not None:
        return explain(f"Waiting:{command}")
    number = incident.get("ticket")
    ticket = seen.tickets.get(number) if number is not None else None
    if ticket is not None and not ticket.is_complete:
        if ticket.id in found.standing:
            return explain("SameTicket")
        found.standing.add(ticket.id)
        found.with_ticket.append(listed)
        return None
    found.apart.append(listed)
    if ticket is not None:
        at = ticket.last_activity_date or 0
        unseen = at > incident.get("completed_seen", -1) and status_of(incident) != "completed"
        what = f"ticket {ticket.ticket_number} is complete and alert {listed.uid} is still active"
        tell = Tell("ticket", str(ticket.id)) if unseen else None
        found.drifts.append(_missed_reset(seen, listed, name, ticket, what, tell))
    elif number is None or number not in seen.deleted:
        found.drifts.append(_no_ticket(listed, name))
    # A deleted one is told once for the incident, by the tickets' comparison.
    return None


def _missed_reset(
    seen: VendorSide, listed: SeenAlert, name: str, ticket: Ticket, what: str, tell: Tell | None = None
) -> Drift:
    """A complete ticket whose alert is active. ``tell``: what mends it; without it the log knows all there is to tell, but the drift."""
    observed = DriftObserved(
        key=listed.key,
        drift="MissedReset",
        observed_at=seen.asked_at,
        organization_id=listed.organization_id,
        external_id=name,
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number,
        uid=listed.uid,
    )
    return Drift(
        drift="MissedReset",
        key=listed.key,
        organization_id=listed.organization_id,
        uids=(listed.uid,),
        external_id=name,
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number,
        what=what,
        repairs=(tell or observed,),
    )


def _no_ticket(listed: SeenAlert, name: str) -> Drift:
    return Drift(
        drift="MissedOpen",
        key=listed.key,
        organization_id=listed.organization_id,
        uids=(listed.uid,),
        external_id=name,
        what=f"alert {listed.uid} is active and its incident {name} has no ticket that Autotask knows",
        left="no command of it is under way; 'lockstep explain' tells its story",
    )


def _thought_over(seen: VendorSide, found: Comparison, listed: SeenAlert, body: Body, alert: Alert) -> None:
    """The log takes it for over. After a completed ticket it is reset once more, else it is raised anew."""
    name = alert.get("incident", "")
    if name and under_way(body, name) == "ResetAlert":
        return found.explain("alert", listed.uid, listed.key, "Waiting:ResetAlert", listed.organization_id)
    fresh = listed.raised_at > alert.get("observed", -1) and outlives(alert, listed.raised_at)
    incident = body.get("incidents", {}).get(name)
    number = incident.get("ticket") if incident is not None else None
    ticket = seen.tickets.get(number) if number is not None else None
    if fresh or alert["reason"] != "TicketCompleted" or ticket is None or not ticket.is_complete:
        return _missed_open(found, listed, f"the log takes it for over ({alert['reason']})", again=not fresh)
    found.apart.append(listed)
    what = f"ticket {ticket.ticket_number} is complete; alert {listed.uid} was reset, and is active again or still"
    found.drifts.append(_missed_reset(seen, listed, name, ticket, what))
    return None
