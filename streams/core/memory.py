"""What a key's state forgets, so that a device that alerts for years does not carry all of it in every decision.

A cleared alert and an ended incident are kept for 30 days of recorded time, and at most 200 of each per key (the
oldest go first): long enough for any redelivery, late webhook or reopened ticket. What comes for something forgotten:

- an activity TRIGGERED up to the highest forgotten activity id, of an alert that is not known: ``OlderThanMemory``, no
  ticket. Were it active after all, the list of active alerts opens it (that sighting is never refused);
- a reset or disappearance: ``NoTriggerSeen``, no effect; a ticket change: ``UnknownIncident``, no effect.

Where a vendor fires under an old uid again, that uid's next external id must not be one that a ticket already has: how
many incidents each forgotten uid opened is kept in ``ordinals``, for the 64 forgotten last.
"""

from __future__ import annotations

from typing import Any

from streams.core.decision import Draft
from streams.core.incident import status_of

KEEP_MS = 30 * 24 * 3_600_000
KEEP_ENTRIES = 200
_KEEP_ORDINALS = 64
#: Forgetting goes down to this many at once, so that a busy key does not pay for it at every fact.
_DOWN_TO = 150


def forget(draft: Draft) -> None:
    """Forget what is old, if anything is. Cheap when nothing is."""
    body = draft.body
    alerts, incidents = body.get("alerts", {}), body.get("incidents", {})
    horizon = draft.now - KEEP_MS
    if (
        len(alerts) <= KEEP_ENTRIES
        and len(incidents) <= KEEP_ENTRIES
        and not any(alert.get("closed_at", horizon) < horizon for alert in alerts.values())
        and not any(incident.get("ended_at", horizon) < horizon for incident in incidents.values())
    ):
        return
    closed = _due(
        draft,
        {
            uid: alert["closed_at"]
            for uid, alert in alerts.items()
            if "closed_at" in alert and not alert.get("active") and alert["disposition"] != "parked"
        },
    )
    ended = _due(
        draft,
        {
            identity: incident["ended_at"]
            for identity, incident in incidents.items()
            if "ended" in incident and not incident["active"] and _settled(incident)
        },
    )
    if closed:
        floor = max([body.get("floor", -1), *(_activity(alerts[uid]) for uid in closed)])
        opened = [[uid, alerts[uid]["incidents"]] for uid in closed if "incidents" in alerts[uid]]
        others = [pair for pair in body.get("ordinals", []) if pair[0] not in closed]
        draft.change("MemoryShortened", {"floor": floor, "ordinals": [*others, *opened][-_KEEP_ORDINALS:]})
    for uid in closed:
        draft.change("AlertForgotten", None, "alerts", uid)
    in_use = {entry["incident"] for entry in body.get("pending", {}).values()} if ended else set()
    for identity in ended:
        if identity not in in_use:
            draft.change("IncidentForgotten", None, "incidents", identity)


def incidents_of(draft: Draft, uid: str) -> int | None:
    """How many incidents a forgotten uid opened."""
    return next((count for name, count in draft.body.get("ordinals", ()) if name == uid), None)


def _due(draft: Draft, since: dict[str, int]) -> list[str]:
    horizon = draft.now - KEEP_MS
    if len(since) <= KEEP_ENTRIES:
        return sorted(name for name, at in since.items() if at < horizon)
    oldest_first = sorted(since, key=lambda name: (since[name], name))
    surplus = len(oldest_first) - _DOWN_TO
    return [name for place, name in enumerate(oldest_first) if place < surplus or since[name] < horizon]


def _settled(incident: dict[str, Any]) -> bool:
    return "ticket" not in incident or incident["ended"] == "Dismissed" or status_of(incident) == "completed"


def _activity(alert: dict[str, Any]) -> int:
    return int(max(alert.get("triggered", (-1,))[0], alert.get("reset", (-1,))[0]))
