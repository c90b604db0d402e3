"""Rows of the tables ``alerts`` and ``incidents``: what was learned and decided about alerts, and how incidents went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.identity import derived_id
from streams.core.analytics.decided import Decided, Row, happened_at
from streams.core.analytics.places import Places

#: The kinds of facts about an alert, and what a row calls them.
_EVENTS = {
    "alert.triggered": "triggered",
    "alert.observed": "observed",
    "alert.reset": "reset",
    "alert.gone": "gone",
    "alert.acknowledged": "acknowledged",
    "storm.declared": "storm",
}
_SIGHTINGS = ("alert.triggered", "alert.observed", "storm.declared")
_SHOWN = ("condition_name", "source_name", "source_type", "source_config_uid", "severity", "priority", "in_maintenance")


def alerts(found: Decided, places: Places) -> Iterator[Row]:
    """A row for every alert about which something changed."""
    if found.agent != "incidents":
        return
    patches: dict[str, dict[str, Any]] = {}
    for _, uid, patch in found.changed("alerts"):
        patches.setdefault(uid, {}).update(patch or {})
    named = found.fact.get("uid") if found.kind in _EVENTS else None
    dispositions = found.record["decision"].get("dispositions", {})
    for uid in dict.fromkeys((*patches, *dispositions)):
        of_fact = uid == named
        disposition, reason = dispositions.get(uid, (None, None))
        if not of_fact and disposition is None:
            continue
        yield {
            "recorded_at": found.at,
            "record": found.name,
            "key": found.key,
            "uid": uid,
            "event": _EVENTS[found.kind] if of_fact else "decided",
            "happened_at": happened_at(found) if of_fact else None,
            **places.of(found.key),
            **(_of_sighting(found.fact) if of_fact and found.kind in _SIGHTINGS else {}),
            "disposition": disposition,
            "reason": reason,
            "incident": patches.get(uid, {}).get("incident"),
            "rule": found.rule,
            "revision": found.revision,
        }


def _of_sighting(fact: dict[str, Any]) -> Row:
    shown: Row = {name: fact[name] for name in _SHOWN if fact.get(name) not in (None, "")}
    return {**shown, "condition": condition_of(fact)}


def condition_of(fact: dict[str, Any]) -> str:
    """A digest of what makes two alerts the same condition (docs/lifecycle.md): its texts may name anything."""
    source = fact.get("source_config_uid") or fact.get("source_type") or ""
    return derived_id("condition", source, fact.get("source_name") or "", fact.get("alert_subject") or "")


def incidents(found: Decided, places: Places) -> Iterator[Row]:
    """A row for every incident that changed."""
    if found.agent != "incidents":
        return
    names: dict[str, list[str]] = {}
    patches: dict[str, dict[str, Any]] = {}
    for change, external_id, patch in found.changed("incidents"):
        names.setdefault(external_id, []).append(change)
        patches.setdefault(external_id, {}).update(patch or {})
    for external_id, patch in patches.items():
        active = patch.get("active")
        yield {
            "recorded_at": found.at,
            "record": found.name,
            "key": found.key,
            "incident": external_id,
            "changes": names[external_id],
            "cause": found.kind,
            **places.of(found.key),
            "company_id": patch.get("company"),
            "opened_by": patch.get("opened_by"),
            "alerts_active": len(active) if active is not None else None,
            "ended": patch.get("ended"),
            "ticket_id": patch.get("ticket"),
            "ticket_number": patch.get("number"),
            "parked": (patch.get("parked") or {}).get("reason"),
            "rule": found.rule,
            "revision": found.revision,
        }
