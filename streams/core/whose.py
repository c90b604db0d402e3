"""Whose a fact or a key's state is: the organizations in it, which decide the policy revision that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.drift import DriftObserved
from schemas.facts import (
    AlertAcknowledged,
    AlertFact,
    AlertGone,
    AlertReset,
    CommandSettled,
    DeviceObserved,
    Fact,
    TicketNoteObserved,
    TicketObserved,
    TimerFired,
)
from schemas.storms import StormJoined, StormListed, StormReleased
from streams.core.documents import Body


def organization_of(fact: Fact, body: Body) -> int | None:
    """The organization that a fact is about, given its key's state before it; ``None`` where nothing tells.

    A fact without a subject is about the organization of its incident, alert or command; else of the key's device.
    """
    if isinstance(fact, AlertFact | AlertReset | AlertAcknowledged | AlertGone | DeviceObserved):
        return fact.subject.organization_id
    found: int | None = None
    if isinstance(fact, CommandSettled):
        found = _named(body, fact.incident or "")
    elif isinstance(fact, TicketObserved | TicketNoteObserved):
        found = _named(body, fact.external_id or "")
    elif isinstance(fact, DriftObserved):
        found = _named(body, fact.external_id or "")
        found = fact.organization_id if found is None else found
    elif isinstance(fact, TimerFired):
        found = _named(body, fact.timer.partition(".")[2])
    elif isinstance(fact, StormJoined | StormListed | StormReleased):
        found = _named(body, fact.uid)
    return next(_organizations(body), None) if found is None else found


def organizations_in(body: Body) -> set[int]:
    """Every organization that a key's state is about: more than one after a device has moved."""
    return set(_organizations(body))


def _organizations(body: Body) -> Iterator[int]:
    """The current one of the key's device first."""
    if "observed" in body:
        yield body["observed"]["subject"]["organization_id"]
    if "written" in body:
        yield body["written"]["organization"]
    for entry in body.get("parked", {}).values():
        yield entry["organization"]
    for incident in reversed(body.get("incidents", {}).values()):
        yield _of_incident(incident)
        yield incident["organization"]
    for alert in reversed(body.get("alerts", {}).values()):
        if "fact" in alert:
            yield alert["fact"]["subject"]["organization_id"]


def _named(body: Body, name: str) -> int | None:
    """The organization of the incident, alert or command of this name."""
    if name in body.get("pending", {}):
        entry = body["pending"][name]
        return entry["organization"] if "organization" in entry else _named(body, entry.get("incident", ""))
    if name in body.get("incidents", {}):
        return _of_incident(body["incidents"][name])
    alert: dict[str, Any] = body.get("alerts", {}).get(name, {})
    if "fact" in alert:
        return int(alert["fact"]["subject"]["organization_id"])
    return _named(body, alert["incident"]) if "incident" in alert else None


def _of_incident(incident: dict[str, Any]) -> int:
    """The organization of the alert that speaks for an incident, by which its rule is chosen."""
    speaker = incident.get("fact")
    return int(speaker["subject"]["organization_id"] if speaker else incident["organization"])
