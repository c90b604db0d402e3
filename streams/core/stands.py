"""How an alert, a ticket, a device or a location stands by a state document, in lines for people. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from streams.core import devices, incidents
from streams.core.documents import read
from streams.core.incident import status_of

_WORDS = {"unknown": "made and not seen since"}


def stands(
    agent: str, key: str, document: bytes, names: Collection[str] | None, numbers: Mapping[int, str]
) -> list[str]:
    """One line for each alert and each ticket of a key, and for its item. ``names``: only of these alerts and incidents;
    ``numbers``: what people call a ticket, by its id.
    """
    body, _ = read(document)
    if agent == incidents.AGENT:
        return [*_alerts(body, names), *_tickets(body, names, numbers)]
    if agent == devices.AGENT:
        return list(_item(key, body))
    return [
        f"storm {uid}: {storm['external_id']}, {_counted(_members(body, uid), 'alert')} in it"
        for uid, storm in sorted(body.get("storms", {}).items())
        if names is None or uid in names or storm["external_id"] in names
    ]


def _alerts(body: dict[str, Any], names: Collection[str] | None) -> Iterator[str]:
    for uid, alert in sorted(body.get("alerts", {}).items()):
        if names is None or uid in names or alert.get("incident") in names:
            place = f", incident {alert['incident']}" if "incident" in alert else ""
            active = "active" if alert.get("active") else "not active"
            yield f"alert {uid}: {alert['disposition']} ({alert['reason']}), {active}{place}"


def _tickets(body: dict[str, Any], names: Collection[str] | None, numbers: Mapping[int, str]) -> Iterator[str]:
    for external_id, incident in sorted(body.get("incidents", {}).items()):
        if names is not None and external_id not in names and incident["opened_by"] not in names:
            continue
        number = incident.get("number") or numbers.get(incident.get("ticket", 0)) or incident.get("ticket")
        status = status_of(incident)
        ticket = f"ticket {number}, {_WORDS.get(status, status)}" if number else "no ticket yet"
        parked = f", parked: {incident['parked']['reason']}" if "parked" in incident else ""
        yield f"incident {external_id}: {ticket}, {_counted(len(incident['active']), 'active alert')}{parked}"


def _item(key: str, body: dict[str, Any]) -> Iterator[str]:
    if "item" in body:
        yield f"device {key}: item {body['item']['id']} of company {body['item']['company']}"
    elif body:
        yield f"device {key}: no item"
    for what, entry in sorted(body.get("parked", {}).items()):
        yield f"device {key}: {what} parked: {entry['reason']}"


def _members(body: dict[str, Any], uid: str) -> int:
    return sum(entry.get("storm") == uid for entry in body.get("candidates", {}).values())


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
