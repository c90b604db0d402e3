"""One alert: whether it is active, whatever the order in which its facts arrive.

An alert keeps the latest of each kind of sighting and nothing else. Each is a maximum, and ``alive`` is a function of
them alone, so any order and any number of duplicates end in the same answer. Fields of an alert's entry in the state::

    triggered [activity id, raised at]   the latest activity TRIGGERED
    observed  raised at                  the latest sighting in the list of active alerts (it has no activity ids)
    reset     [activity id, reset at]    the latest activity RESET
    gone      asked at                   when the list was asked for that no longer had it
    settled   [activity id, raised at]   what our own successful ResetAlert covered
    ordered   [activity id, raised at]   what our ResetAlert under way covers
    psa {id, at, over}                   the ticket that NinjaOne's own integration opened for it (``core.takeover``)
    active, incident, incidents (how many it opened), disposition, reason, detail, fact (while parked), closed_at
    candidacy, place, storm                      ``core.storms.watch``

Activities are ordered by id; against the lists, which have none, by the vendor's time.
"""

from __future__ import annotations

from typing import Any

from schemas.facts import AlertFact, Subject
from schemas.storms import StormDeclared

Alert = dict[str, Any]

#: Before everything: activity ids and times are never negative.
_NEVER = [-1, -1]


def alive(alert: Alert) -> bool:
    """Whether the latest sightings say that the alert is active."""
    return trigger_alive(alert) or _sighting_alive(alert)


def trigger_alive(alert: Alert) -> bool:
    """Whether the latest activity TRIGGERED came after all that ended the alert."""
    if "triggered" not in alert:
        return False
    activity, at = alert["triggered"]
    covered_activity, covered_at = alert.get("settled", _NEVER)
    return bool(
        activity > alert.get("reset", _NEVER)[0]
        # An alert raised in the very millisecond of asking may be missing from that list and still be active.
        and at >= alert.get("gone", -1)
        and activity > covered_activity
        and at > covered_at
    )


def _sighting_alive(alert: Alert) -> bool:
    return "observed" in alert and outlives(alert, alert["observed"])


def outlives(alert: Alert, at: int) -> bool:
    """Whether a sighting in the list of active alerts, of what was raised ``at`` then, came after all that ended it."""
    return bool(
        at > alert.get("reset", _NEVER)[1] and at >= alert.get("gone", -1) and at > alert.get("settled", _NEVER)[1]
    )


def extent(alert: Alert) -> list[int]:
    """How far the alert is known: the highest activity id and raised time, which a reset ordered now covers."""
    activity, at = alert.get("triggered", _NEVER)
    return [activity, max(at, alert.get("observed", -1))]


def beyond_reset(alert: Alert) -> bool:
    """Whether the alert was raised again, as far as is known, after what its ordered reset covers."""
    if "ordered" not in alert:
        return False
    covered_activity, covered_at = alert["ordered"]
    activity, at = alert.get("triggered", _NEVER)
    return bool((activity > covered_activity and at > covered_at) or alert.get("observed", -1) > covered_at)


def stored(fact: AlertFact) -> dict[str, Any]:
    """What of a sighting must be kept to make its ticket later: its fields without those at their defaults."""
    return fact.model_dump(exclude_defaults=True, exclude={"activity_id"})


def restored(fields: dict[str, Any]) -> AlertFact:
    """The sighting again. It was validated when it came, so it is not validated again."""
    where = fields["subject"]
    if "tags" in where:
        where = {**where, "tags": tuple(where["tags"])}
    whole = {**fields, "subject": Subject.model_construct(**where)}
    if "rule" in fields:
        return StormDeclared.model_construct(**{**whole, "names": tuple(fields["names"])})
    return AlertFact.model_construct(**whole)


def raised_order(uid: str, alert: Alert) -> tuple[int, str]:
    """In which order alerts that waited go out: the first raised first."""
    return extent(alert)[1], uid
