"""When candidates are a storm, and what it says of itself then: the alert that opens the parent ticket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from schemas.facts import Subject
from schemas.storms import MOST_NAMES, StormCandidateSeen, StormDeclared
from streams.core.policy.parts import SEVERITIES

#: An entry of ``candidates`` (``core.storms.agent``).
Candidate = dict[str, Any]


def together(candidates: Collection[Candidate], cause: str, fact: StormCandidateSeen) -> int:
    """The most different devices that are held for one cause within one span of ``within`` around the one just seen."""
    near = sorted(
        (candidate["at"], candidate["device"])
        for candidate in candidates
        if candidate["cause"] == cause and abs(candidate["at"] - fact.held_at) <= fact.within_ms
    )
    spans = ({device for at, device in near if begin <= at <= begin + fact.within_ms} for begin, _ in near)
    return max(map(len, spans))


def names_of(members: Collection[Candidate]) -> list[str]:
    """The devices' names, each device once."""
    return [name for name, _ in sorted({(one["name"], one["device"]) for one in members})]


def declaration(
    key: str, uid: str, fact: StormCandidateSeen, members: Sequence[Candidate], *, at: int
) -> StormDeclared:
    """The alert of a storm at a place, as severe as the worst of its members; its text is that of the alert just seen."""
    names, alert = names_of(members), fact.alert
    severities = [member["severity"] for member in members]
    return StormDeclared(
        uid=uid,
        subject=_place(key, fact, members),
        raised_at=at,
        source_type=alert.source_type,
        # What makes two storms the same condition, so that one that comes back finds the ticket of the former.
        source_config_uid=fact.condition,
        source_name=fact.rule,
        condition_name=alert.condition_name or alert.source_name,
        message=alert.message,
        severity=next((severity for severity in SEVERITIES if severity in severities), alert.severity),
        priority=alert.priority,
        rule=fact.rule,
        names=tuple(names[:MOST_NAMES]),
        devices=len(names),
    )


def _place(key: str, fact: StormCandidateSeen, members: Sequence[Candidate]) -> Subject:
    """The place as a subject; what stands for its device in titles says how many they are at least, and where."""
    where, located = fact.alert.subject, key.startswith("l")
    if key.isdigit():
        return _parent(int(key), fact, members)
    name = where.location_name if located else ""
    name = name or where.organization_name or f"organization {where.organization_id}"
    return Subject(
        organization_id=where.organization_id,
        organization_name=where.organization_name,
        device_name=f"{fact.devices} or more devices at {name}",
        location_id=where.location_id if located else None,
        location_name=where.location_name if located else "",
    )


def _parent(device_id: int, fact: StormCandidateSeen, members: Sequence[Candidate]) -> Subject:
    """The parent as a subject, so that the ticket carries its item and its link; named by its own alert, or by what is behind it."""
    where, key = fact.alert.subject, str(device_id)
    own = next((member["name"] for member in members if member["device"] == key), "")
    name = own or (where.parent_name if where.parent_id == device_id else "") or f"device {device_id}"
    return where.model_copy(
        update={
            "device_id": device_id,
            "device_name": f"{fact.devices} or more devices behind {name}",
            "device_uid": None,
            "node_class": "",
            "role_id": None,
            "role_name": "",
            "tags": (),
            "parent_id": None,
            "parent_name": "",
            # The one form of a link (``Subject.link``), with the other id in it.
            "link": where.link.replace(f"/deviceDashboard/{where.device_id}/", f"/deviceDashboard/{device_id}/"),
        }
    )
