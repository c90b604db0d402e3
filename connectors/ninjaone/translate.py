"""From NinjaOne's rows to facts with derived ids. Pure: what it needs to know comes in as arguments.

The id of an alert fact depends only on the vendor's activity id, so a webhook, a poll and a second poll of the same
activity publish the same event.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from connectors.ninjaone.conditions import Condition
from connectors.ninjaone.maintenance import Maintenance
from connectors.ports import Publication
from schemas import topics
from schemas.facts import AlertAcknowledged, AlertGone, AlertObserved, AlertReset, AlertTriggered, Subject
from schemas.identity import derived_id
from schemas.ninjaone import ActivityRow, AlertRow, milliseconds


class Meaning(Enum):
    """What an activity says to Lockstep."""

    TRIGGERED = "triggered"
    RESET = "reset"
    ACKNOWLEDGED = "acknowledged"
    DEVICE = "device"  # look at the device
    DEVICE_DELETED = "device deleted"
    ORGANIZATIONS = "organizations"  # look at the lists of organizations, locations and roles
    NOTHING = "nothing"


# Series of jobs and of actions share the uid field with conditions; their lifecycle codes are no alerts. An alert that
# is raised by another activity type than these still arrives through the list of active alerts.
_RAISING = frozenset({"CONDITION", "MONITOR", "SYSTEM"})
_ENDING = _RAISING | {"PSA"}
_ENDED = frozenset({"RESET", "DISABLED", "RESET_BY_PSA_TICKET_CALLBACK"})
#: ``MAINTENANCE_MODE_CONFIGURED``, ``_DELETED``, ``_FAILED``, ...: in the status codes of a public client, not in the
#: vendor's document; nothing rests on their being written.
MAINTENANCE_CODES = "MAINTENANCE_MODE_"
_DELETED = frozenset({"NODE_DELETED", "REJECTED_NODE_DELETED", "NODE_MANUALLY_REJECTED", "NODE_AUTOMATICALLY_REJECTED"})


def meaning(row: ActivityRow) -> Meaning:
    """What an activity means, by ``activityType`` and ``statusCode`` only: all its texts are localized."""
    code = row.status_code
    if row.activity_type in _RAISING and code == "TRIGGERED":
        return Meaning.TRIGGERED
    if row.activity_type in _ENDING and code in _ENDED:
        return Meaning.RESET
    if row.activity_type in _RAISING and code == "ACKNOWLEDGED":
        return Meaning.ACKNOWLEDGED
    if code.startswith(("CLIENT_", "LOCATION_", "NODE_ROLE_")):
        return Meaning.ORGANIZATIONS
    if row.device_id is None:
        return Meaning.NOTHING
    if code in _DELETED:
        return Meaning.DEVICE_DELETED
    return Meaning.DEVICE if code.startswith(("NODE_", MAINTENANCE_CODES)) else Meaning.NOTHING


def concerns_us(row: ActivityRow) -> bool:
    """Whether an activity leads to a fact or to a look."""
    return meaning(row) is not Meaning.NOTHING


def alert_triggered(
    row: ActivityRow,
    uid: str,
    subject: Subject,
    condition: Condition,
    *,
    source: str,
    maintenance: Maintenance | None = None,
    ticket: str = "",
) -> Publication:
    """A TRIGGERED activity as a publication; ``uid`` is its series, ``maintenance`` what there is to tell of its device's.

    ``ticket`` is the one of NinjaOne's own integration that the list of active alerts shows for it; an activity names none.
    """
    time = _time(row.activity_time)
    fact = AlertTriggered(
        uid=uid,
        subject=subject,
        raised_at=time,
        activity_id=row.id,
        source_type=condition.source_type,
        source_config_uid=row.source_config_uid,
        source_name=row.source_name,
        alert_subject=row.subject,
        condition_name=condition.condition_name,
        message=row.message,
        severity=row.severity or condition.severity or "NONE",
        priority=row.priority or condition.priority or "NONE",
        psa_ticket_id=ticket or None,
        **_told(maintenance),
    )
    return Publication(
        topic=topics.NINJAONE_ALERTS,
        key=subject.key,
        id=derived_id("ninjaone", "activity", row.id),
        source=source,
        time=time,
        fact=fact,
    )


def alert_reset(row: ActivityRow, uid: str, subject: Subject, *, source: str) -> Publication:
    """A RESET, DISABLED or PSA callback activity as a publication; its text, which may name who reset it, stays behind."""
    time = _time(row.activity_time)
    fact = AlertReset(uid=uid, subject=subject, activity_id=row.id, reset_at=time, status_code=row.status_code)
    return Publication(
        topic=topics.NINJAONE_RESETS,
        key=subject.key,
        id=derived_id("ninjaone", "activity", row.id),
        source=source,
        time=time,
        fact=fact,
    )


def alert_acknowledged(row: ActivityRow, uid: str, subject: Subject, *, source: str) -> Publication:
    """An ACKNOWLEDGED activity as a publication; its text stays behind (``AlertAcknowledged``)."""
    time = _time(row.activity_time)
    fact = AlertAcknowledged(uid=uid, subject=subject, activity_id=row.id, acknowledged_at=time, user_id=row.user_id)
    return Publication(
        topic=topics.NINJAONE_ALERTS,
        key=subject.key,
        id=derived_id("ninjaone", "activity", row.id),
        source=source,
        time=time,
        fact=fact,
    )


def alert_observed(
    row: AlertRow,
    subject: Subject,
    *,
    source: str,
    again_at: int | None = None,
    maintenance: Maintenance | None = None,
    changed: bool = False,
) -> Publication:
    """A row of the list of active alerts; ``createTime`` tells a second raising of the same uid from the first.

    ``again_at`` (epoch ms) is when an alert that was told as over was found active after all: that is its raising then.
    ``changed``: the alert is known, and told only because its device's ``maintenance`` is another than it was told in.
    """
    time = again_at or _time(row.create_time if row.create_time is not None else row.update_time)
    fact = AlertObserved(
        uid=row.uid,
        subject=subject,
        raised_at=time,
        source_type=row.source_type,
        source_config_uid=row.source_config_uid,
        source_name=row.source_name,
        alert_subject=row.subject,
        condition_name=row.condition_name,
        message=row.message,
        severity=row.severity or "NONE",
        priority=row.priority or "NONE",
        psa_ticket_id=row.psa_ticket_id or None,
        **_told(maintenance),
    )
    # A ticket that shows later at the same alert is news, so it is part of the identity.
    named = ("psa", row.psa_ticket_id) if row.psa_ticket_id else ()
    seen = [maintenance.seen_at] if changed and maintenance else []
    return Publication(
        topic=topics.NINJAONE_ALERTS,
        key=subject.key,
        id=derived_id("ninjaone", "alert-list", row.uid, time, *named, *seen),
        source=source,
        time=time,
        fact=fact,
    )


def alert_gone(uid: str, subject: Subject, *, gone_at: int, device_removed: bool, source: str) -> Publication:
    """An alert that left the list, or whose device was removed. ``gone_at`` (epoch ms) is part of its identity."""
    cause = "DeviceRemoved" if device_removed else "MissingFromList"
    fact = AlertGone(
        uid=uid, subject=subject, gone_at=gone_at, cause="DeviceRemoved" if device_removed else "MissingFromList"
    )
    return Publication(
        topic=topics.NINJAONE_RESETS,
        key=subject.key,
        id=derived_id("ninjaone", "alert-gone", uid, cause, gone_at),
        source=source,
        time=gone_at,
        fact=fact,
    )


def _told(maintenance: Maintenance | None) -> dict[str, Any]:
    if maintenance is None:
        return {}
    return {
        "in_maintenance": maintenance.active,
        "maintenance_ends_at": maintenance.ends_at,
        "maintenance_seen_at": maintenance.seen_at,
    }


def _time(seconds: float | None) -> int:
    """A missing time is 1970: older than anything, so that it never counts as newer than what is known."""
    return milliseconds(seconds) or 0
