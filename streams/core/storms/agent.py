"""The agent ``storms``: many devices of one place with one condition within a short time are one incident.

Its keys are places: ``l<id>`` a location, ``o<id>`` an organization. It knows of alerts only what ``incidents`` tells it of those
that wait (``core.storms.watch``), and answers each by its device's key (``core.storms.members``). Fields of a body (times: epoch ms)::

    candidates  device key/uid: {n, at, cause, name, device, severity; storm, while it is part of one}
    left        device key/uid: {n, at}: no candidate any more, for so long as what was said of it may be said again
    storms      uid: {cause, since, devices, within, note_every, external_id, subject, peak, listed_at;
                      list (when more names are due), few (when it ends, unless more join)}

``n`` is the candidacy (``schemas.storms``), ``cause`` stands for rule and condition. A storm is declared once ``devices`` different
devices are held within ``within``; whoever is held for the same cause while it lasts joins it. It is over when all have left;
when no more than half of the most that it had, and fewer than ``devices``, have remained for ``within`` (those get tickets of
their own); or when somebody completes its ticket. A storm goes on as its rule was when it was declared.
"""

from __future__ import annotations

from typing import Any

from schemas.facts import AlertGone, Fact, Subject, TimerFired
from schemas.identity import derived_id, external_id
from schemas.storms import (
    MOST_NAMES,
    StormCandidateLeft,
    StormCandidateSeen,
    StormJoined,
    StormListed,
    StormReleased,
    StormTicketCompleted,
)
from schemas.topics import STORM_VERDICTS
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.documents import Body, Timer
from streams.core.policy.storm import MOST_DEVICES
from streams.core.storms.declaration import declaration, names_of, together

AGENT = "storms"

#: What one place can hold, so that its document and the record of one decision stay far below what Kafka takes (8 MiB).
#: Whoever comes beyond that is told nothing, and opens a ticket of its own when its wait is over.
MOST_CANDIDATES = MOST_DEVICES
#: How long it is known who has left: far longer than a fact can be on its way twice. A candidate without a storm is
#: forgotten after that too; its alert has long found another place.
KEEP_MS = 24 * 3_600_000
_FEW, _LIST = "few.", "list."
_NAME_LIMIT = 60

Storm = dict[str, Any]


def decide_into(draft: Draft, context: Context, fact: Fact) -> None:
    """Decide a fact about the draft's place."""
    match fact:
        case StormCandidateSeen():
            _seen(draft, fact)
        case StormCandidateLeft():
            _left(draft, fact)
        case StormTicketCompleted():
            _ticket_completed(draft, fact)
        case TimerFired():
            _timer_fired(draft, fact)
        case _:
            draft.reason("NotForStorms", detail=fact.ce_type)
    if not draft.idle:
        _forget(draft)


def timers_of(body: Body) -> list[Timer]:
    """The timers that a body asks for, the earliest first."""
    return sorted(
        Timer(storm[field], prefix + uid)
        for uid, storm in body.get("storms", {}).items()
        for field, prefix in (("few", _FEW), ("list", _LIST))
        if field in storm
    )


def _seen(draft: Draft, fact: StormCandidateSeen) -> None:
    name = f"{fact.device_key}/{fact.alert.uid}"
    candidates = draft.body.get("candidates", {})
    known = max(draft.body.get(part, {}).get(name, {}).get("n", 0) for part in ("candidates", "left"))
    if fact.candidacy <= known:
        return draft.reason("Duplicate" if fact.candidacy == known else "Superseded", name)
    if len(candidates) >= MOST_CANDIDATES and name not in candidates:
        return draft.reason("TooManyCandidates", name, f"{MOST_CANDIDATES} are held at this place")
    former = candidates.get(name, {}).get("storm")
    where, cause = fact.alert.subject, derived_id(fact.rule, fact.condition)
    entry = {
        "n": fact.candidacy,
        "at": fact.held_at,
        "cause": cause,
        "device": fact.device_key,
        "name": (where.device_name or f"device {fact.device_key}")[:_NAME_LIMIT],
        "severity": fact.alert.severity,
        "storm": None,
    }
    draft.change("CandidateSeen", entry, "candidates", name)
    if name in draft.body.get("left", {}):
        draft.change("CandidateBack", None, "left", name)
    if former is not None:
        # It left that storm and was raised anew; what said so is still on its way.
        _weigh(draft, former)
    storm = next((uid for uid, one in sorted(draft.body.get("storms", {}).items()) if one["cause"] == cause), None)
    if storm is not None:
        _join(draft, storm, [name])
        _list_soon(draft, storm)
    elif together(draft.body["candidates"].values(), cause, fact) >= fact.devices:
        _declare(draft, cause, fact)
    else:
        draft.reason("NoStormYet", name)
    return None


def _declare(draft: Draft, cause: str, fact: StormCandidateSeen) -> None:
    uid = derived_id("storm", draft.key, cause, draft.envelope.id)
    members = {name: one for name, one in sorted(draft.body["candidates"].items()) if one["cause"] == cause}
    declared = declaration(draft.key, uid, fact, list(members.values()), at=draft.now)
    entry: Storm = {
        "cause": cause,
        "since": draft.now,
        "devices": fact.devices,
        "within": fact.within_ms,
        "note_every": fact.note_every_ms,
        "external_id": external_id(draft.key, uid),
        "subject": declared.subject.model_dump(exclude_defaults=True),
        "peak": 0,
    }
    draft.change("StormDeclared", entry, "storms", uid)
    draft.tell(declared, key=draft.key, topic=STORM_VERDICTS, about=entry["external_id"])
    _join(draft, uid, list(members))


def _join(draft: Draft, uid: str, names: list[str]) -> None:
    storm = draft.body["storms"][uid]
    for name in names:
        candidate = draft.body["candidates"][name]
        draft.change("CandidateJoined", {"storm": uid}, "candidates", name)
        told = StormJoined(uid=_uid_of(name), candidacy=candidate["n"], storm=storm["external_id"])
        draft.tell(told, key=candidate["device"], topic=STORM_VERDICTS, about=storm["external_id"])
    _weigh(draft, uid)


def _list_soon(draft: Draft, uid: str) -> None:
    """Somebody has joined who is not listed yet: the first come all at once, later ones are told at most so often."""
    storm = draft.body["storms"][uid]
    if "list" not in storm:
        soonest = draft.now + storm["within"]
        # Never at a time that was told before: the timer would be the former one.
        after = storm["listed_at"] + max(storm["note_every"], 1) if "listed_at" in storm else 0
        due = max(soonest, after)
        draft.change("ListingDue", {"list": due}, "storms", uid)


def _left(draft: Draft, fact: StormCandidateLeft) -> None:
    name = f"{fact.device_key}/{fact.uid}"
    candidate = draft.body.get("candidates", {}).get(name)
    known = draft.body.get("left", {}).get(name, {}).get("n", 0)
    if fact.candidacy <= known:
        return draft.reason("Duplicate" if fact.candidacy == known else "Superseded", name)
    if candidate is not None and fact.candidacy < candidate["n"]:
        return draft.reason("Superseded", name)
    _remove(draft, name, fact.candidacy)
    if candidate is not None and "storm" in candidate:
        _weigh(draft, candidate["storm"])
    return None


def _remove(draft: Draft, name: str, candidacy: int) -> None:
    if name in draft.body.get("candidates", {}):
        draft.change("CandidateGone", None, "candidates", name)
    draft.change("CandidateLeft", {"n": candidacy, "at": draft.now}, "left", name)


def _members(draft: Draft, uid: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in sorted(draft.body.get("candidates", {}).items()) if one.get("storm") == uid}


def _weigh(draft: Draft, uid: str) -> None:
    """Who belongs to a storm has changed: it goes on, is about to end, or has ended."""
    storm = draft.body.get("storms", {}).get(uid)
    if storm is None:
        return None
    devices = len({member["device"] for member in _members(draft, uid).values()})
    if not devices:
        return _over(draft, uid)
    peak = max(storm["peak"], devices)
    few = devices < storm["devices"] and 2 * devices <= peak
    patch: Storm = {"peak": peak} if peak != storm["peak"] else {}
    if few != ("few" in storm):
        patch["few"] = draft.now + storm["within"] if few else None
    if patch:
        draft.change("StormWeighed", patch, "storms", uid)
    return None


def _over(draft: Draft, uid: str) -> None:
    """Nobody is left in a storm: its alert is gone, and so the parent ticket is completed as its rule says."""
    storm = draft.body["storms"][uid]
    # Later than its declaration whatever the order in which its facts were recorded.
    at = max(draft.now, storm["since"] + 1)
    gone = AlertGone(uid=uid, subject=Subject(**storm["subject"]), gone_at=at, cause="StormOver")
    draft.change("StormOver", None, "storms", uid)
    draft.tell(gone, key=draft.key, topic=STORM_VERDICTS, about=storm["external_id"])


def _release(draft: Draft, uid: str, cause: Any) -> None:
    storm = draft.body["storms"][uid]
    for name, member in _members(draft, uid).items():
        _remove(draft, name, member["n"])
        told = StormReleased(uid=_uid_of(name), candidacy=member["n"], storm=storm["external_id"], cause=cause)
        draft.tell(told, key=member["device"], topic=STORM_VERDICTS, about=storm["external_id"])


def _ticket_completed(draft: Draft, fact: StormTicketCompleted) -> None:
    if fact.uid not in draft.body.get("storms", {}):
        return draft.reason("UnknownStorm", fact.uid)
    _release(draft, fact.uid, "TicketCompleted")
    return draft.change("StormOver", None, "storms", fact.uid)


def _timer_fired(draft: Draft, fact: TimerFired) -> None:
    kind, _, uid = fact.timer.partition(".")
    storm = draft.body.get("storms", {}).get(uid)
    if storm is None or storm.get(kind) != fact.due_at:
        return draft.reason("TimerNotPending", fact.timer)
    if fact.timer.startswith(_FEW):
        _release(draft, uid, "MostAreBack")
        return _over(draft, uid)
    names = names_of(_members(draft, uid).values())
    listed = StormListed(
        uid=uid,
        listed_at=draft.now,
        names=tuple(names[:MOST_NAMES]),
        devices=len(names),
        back=storm["peak"] - len(names),
    )
    draft.change("StormListed", {"list": None, "listed_at": draft.now}, "storms", uid)
    return draft.tell(listed, key=draft.key, topic=STORM_VERDICTS, about=storm["external_id"])


def _forget(draft: Draft) -> None:
    horizon = draft.now - KEEP_MS
    for part in ("left", "candidates"):
        entries = draft.body.get(part, {})
        surplus = max(0, len(entries) - 2 * MOST_CANDIDATES) if part == "left" else 0
        oldest = sorted(entries, key=lambda name: (entries[name]["at"], name)) if surplus else sorted(entries)
        for place, name in enumerate(oldest):
            if "storm" not in entries[name] and (place < surplus or entries[name]["at"] < horizon):
                draft.change("CandidateForgotten", None, part, name)


def _uid_of(name: str) -> str:
    return name.partition("/")[2]
