"""Reading state documents for people: what is parked, and how many alerts have which disposition. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams.core import devices, incidents
from streams.core.documents import CONTEXT_KEY, read


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedItem:
    """Something that waits for an operator. ``id`` is what ``parked retry`` and ``parked dismiss`` take.

    ``what`` is ``Alert``, ``CreateTicket``, ``AdoptTicket``, ``CompleteTicket``, ``ResetAlert``, ``upsert`` or ``retire``.
    """

    agent: str
    key: str
    id: str
    what: str
    organization_id: int | None
    reason: str
    detail: str


def parked_in(agent: str, key: str, document: bytes) -> list[ParkedItem]:
    """Everything parked in one document, by id."""
    if key == CONTEXT_KEY:
        return []
    body, _ = read(document)
    found: list[tuple[str, str, int | None, dict[str, str]]] = []
    if agent == devices.AGENT:
        found = [(key, kind, entry["organization"], entry) for kind, entry in body.get("parked", {}).items()]
    elif agent == incidents.AGENT:
        cases = body.get("incidents", {})
        for uid, alert in body.get("alerts", {}).items():
            if alert.get("disposition") != "parked":
                continue
            if "fact" in alert:
                found.append((uid, "Alert", alert["fact"]["subject"]["organization_id"], alert))
            elif "ordered" in alert:
                found.append((uid, "ResetAlert", cases.get(alert["incident"], {}).get("organization"), alert))
        found += [
            (external_id, _command_of(case), case["organization"], case["parked"])
            for external_id, case in cases.items()
            if "parked" in case
        ]
    return [
        ParkedItem(
            agent=agent,
            key=key,
            id=name,
            what=what,
            organization_id=organization,
            reason=entry["reason"],
            detail=entry.get("detail", ""),
        )
        for name, what, organization, entry in sorted(found, key=lambda one: one[:2])
    ]


def _command_of(case: Mapping[str, Any]) -> str:
    """The command that was refused; an incident's ticket may be one that it was to take over."""
    command = str(case["parked"]["command"])
    return "AdoptTicket" if command == "CreateTicket" and "adopts" in case else command


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAlert:
    """An active alert that opens nothing yet: ``held`` by its rule or ``suppressed`` by a maintenance window.

    ``until`` (epoch ms) is when it is decided anew; ``None`` for one that a completed ticket left active, and for one that
    is left to another integration.
    """

    key: str
    uid: str
    disposition: str
    reason: str
    organization_id: int | None
    until: int | None


def waiting_in(key: str, document: bytes) -> list[WaitingAlert]:
    """Every held and suppressed alert in one document of the agent ``incidents``, by uid."""
    if key == CONTEXT_KEY:
        return []
    body, _ = read(document)
    cases = body.get("incidents", {})
    return [
        WaitingAlert(
            key=key,
            uid=uid,
            disposition=alert["disposition"],
            reason=alert["reason"],
            organization_id=(
                alert["fact"]["subject"]["organization_id"]
                if "fact" in alert
                else cases.get(alert.get("incident", ""), {}).get("organization")
            ),
            until=alert.get("wait", {}).get("until"),
        )
        for uid, alert in sorted(body.get("alerts", {}).items())
        if alert.get("disposition") in ("held", "suppressed")
    ]


def dispositions(document: bytes) -> Counter[str]:
    """How many alerts of a key of the agent ``incidents`` have which disposition; a storm's own do not count."""
    alerts = read(document)[0].get("alerts", {}).values()
    return Counter(alert["disposition"] for alert in alerts if "storms_own" not in alert)
