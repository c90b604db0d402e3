"""Alerts of a rule with ``storm`` wait, until enough others say that they are one storm, or the time for that is over.

Fields of an alert's entry: ``candidacy`` (``schemas.storms``; odd while it waits for a storm or is part of one), ``place``
(the key of whose storm it would be, meanwhile) and ``storm`` (the external id of the parent ticket, while it is part of one). What the agent ``storms`` answers is in
``core.storms.members``.
"""

from __future__ import annotations

from schemas.facts import AlertFact, Subject
from schemas.identity import device_key, location_key, organization_key
from schemas.storms import StormCandidateLeft, StormCandidateSeen, StormDeclared
from schemas.topics import STORM_CANDIDATES
from streams.core.alerts import Alert, stored
from streams.core.decision import Draft
from streams.core.incident import dispose
from streams.core.policy.policy import Policy, Rule
from streams.core.policy.storm import By

#: How long the answer may be on its way, beyond the time in which devices are counted. One that comes later finds the
#: alert with a ticket of its own, and changes nothing.
ANSWER_MS = 5_000
#: A host that fails shows as a host that is down, as guests that are offline, and as what cannot be reached on them.
_BEHIND_ONE_PARENT = "parent"
#: A site that goes down is one condition, whichever of NinjaOne's policies raised it on which device.
_ONE_WHATEVER_RAISED_IT = ("AGENT_OFFLINE",)


def watched(draft: Draft, policy: Policy, rule: Rule, fact: AlertFact) -> bool:
    """Hold an alert back that may be part of a storm, and say that it may; returns whether it is held.

    Only a device's alert, and only once per raising: what was held once is not held again.
    """
    alert = draft.body["alerts"][fact.uid]
    storm = rule.storm
    if storm is None or fact.subject.device_id is None or isinstance(fact, StormDeclared) or "held" in alert:
        return False
    candidacy = alert.get("candidacy", 0) + 1
    wait = {"until": draft.now + max(rule.hold_ms, storm.within_ms + ANSWER_MS), "for": "hold"}
    place = place_key(policy, fact.subject, storm.by)
    fields = {"fact": stored(fact), "wait": wait, "held": draft.now, "candidacy": candidacy, "place": place}
    dispose(draft, fact.uid, "held", "StormWatch", **fields)
    seen = StormCandidateSeen(
        device_key=draft.key,
        candidacy=candidacy,
        held_at=draft.now,
        rule=rule.name,
        condition=_BEHIND_ONE_PARENT if storm.by == "parent" else storm_condition(fact),
        devices=storm.devices,
        within_ms=storm.within_ms,
        note_every_ms=rule.note_every_ms,
        alert=AlertFact.model_construct(**{name: getattr(fact, name) for name in AlertFact.model_fields}),
    )
    draft.tell(seen, key=place, topic=STORM_CANDIDATES)
    return True


def answer_awaited(draft: Draft, uid: str, due_at: int) -> bool:
    """Give a storm's answer its time where the end of the wait was told late: says whether the alert waits on.

    After an outage what waited is read at once, and every wait is long over before anybody could have answered. Once only.
    """
    alert = draft.body["alerts"][uid]
    if not is_candidate(alert) or draft.now - due_at < ANSWER_MS or "late" in alert["wait"]:
        return False
    wait = {"until": draft.now + ANSWER_MS, "for": "hold", "late": True}
    draft.change("AnswerAwaited", {"wait": wait}, "alerts", uid)
    return True


def place_key(policy: Policy, where: Subject, by: By) -> str:
    """Whose storm it would be: the location's, the organization's (also of a device without a location), or the parent's.

    A device without a parent is the parent itself: its own alert is one of those behind it.
    """
    if by == "parent" and where.device_id is not None:
        return device_key(policy.parent_of(where) or where.device_id)
    if by == "organization" or where.location_id is None:
        return organization_key(where.organization_id)
    return location_key(where.location_id)


def storm_condition(fact: AlertFact) -> str:
    """What the alerts of one storm have in common, beside rule and place: what raised them, else their type."""
    if fact.source_type in _ONE_WHATEVER_RAISED_IT:
        return fact.source_type
    return fact.source_config_uid or fact.source_type or ""


def is_candidate(alert: Alert) -> bool:
    """Whether an alert waits for a storm, or is part of one."""
    return bool(alert.get("candidacy", 0) % 2)


def leave_storm(draft: Draft, uid: str, why: str) -> None:
    """An alert is no candidate any more: say so, if it was one."""
    alert = draft.body["alerts"][uid]
    if not is_candidate(alert):
        return
    candidacy, place = alert["candidacy"] + 1, alert["place"]
    draft.change("CandidacyOver", {"candidacy": candidacy, "storm": None, "place": None}, "alerts", uid)
    tell_left(draft, place, uid, candidacy, why)


def tell_left(draft: Draft, place: str, uid: str, candidacy: int, why: str) -> None:
    """Say to a place's storms that an alert is none of theirs."""
    left = StormCandidateLeft(device_key=draft.key, uid=uid, candidacy=candidacy, why=why)
    draft.tell(left, key=place, topic=STORM_CANDIDATES)
