"""Facts that agents tell each other about storms: many devices of one place, or with one condition, within a short time.

The agent ``incidents`` tells ``storms`` of every alert that may be part of one (``StormCandidateSeen``, ``StormCandidateLeft``)
and that the ticket of a storm was completed; ``storms`` answers by device key (``StormJoined``, ``StormReleased``) and speaks for
the storm itself by the key of the place (``StormDeclared``, ``StormListed``, and ``AlertGone`` when it is over).

``candidacy`` numbers what is said of one alert: odd while it waits for a storm or is part of one, the next even number
once it has left. The higher number counts, so any order and any duplicates of these facts mean the same.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from schemas.facts import AlertFact, AlertObserved, Fact


class StormCandidateSeen(Fact):
    """An alert is held back, because its rule looks for storms. The key is that of the place, ``device_key`` the device's.

    ``condition`` is what its storm would have in common. ``devices`` (a count), ``within_ms`` and ``note_every_ms`` are the
    rule's word as it was then, so that the answer needs no policy.
    """

    ce_type: ClassVar[str] = "lockstep.storm-candidate.seen.v1"
    device_key: str
    candidacy: int
    held_at: int
    rule: str
    condition: str
    devices: int
    within_ms: int
    note_every_ms: int
    alert: AlertFact


class StormCandidateLeft(Fact):
    """An alert is no longer held for a storm, and part of none: cleared, or it found another place (``why``, a noun)."""

    ce_type: ClassVar[str] = "lockstep.storm-candidate.left.v1"
    device_key: str
    uid: str
    candidacy: int
    why: str


class StormTicketCompleted(Fact):
    """The ticket of a storm was completed by somebody, while some of its alerts are still active. ``uid``: the storm's."""

    ce_type: ClassVar[str] = "lockstep.storm.ticket-completed.v1"
    uid: str


class StormDeclared(AlertObserved):
    """So many devices together are one incident: the alert of the place, which opens the parent ticket.

    ``rule`` is the rule of its members, ``names`` are the first devices' (cut to ``MOST_NAMES``), ``devices`` their count.
    """

    ce_type: ClassVar[str] = "lockstep.storm.declared.v1"
    rule: str
    names: tuple[str, ...]
    devices: int


class StormListed(Fact):
    """More devices have joined a storm since they were last listed: those in it now. ``back``: how many have left again.

    Of two listings the later one (``listed_at``) counts.
    """

    ce_type: ClassVar[str] = "lockstep.storm.listed.v1"
    uid: str
    listed_at: int
    names: tuple[str, ...]
    devices: int
    back: int


class StormJoined(Fact):
    """An alert is part of a storm: its ticket is the parent's, whose external id is ``storm``."""

    ce_type: ClassVar[str] = "lockstep.storm.joined.v1"
    uid: str
    candidacy: int
    storm: str


class StormReleased(Fact):
    """A storm is over for an alert that is still active: most others are back, or the parent ticket was completed."""

    ce_type: ClassVar[str] = "lockstep.storm.released.v1"
    uid: str
    candidacy: int
    storm: str
    cause: Literal["MostAreBack", "TicketCompleted"]


#: How many devices a storm names at once; of 60 characters each they fill Autotask's note (32,000).
MOST_NAMES = 500

STORM_FACTS: tuple[type[Fact], ...] = (
    StormCandidateSeen,
    StormCandidateLeft,
    StormTicketCompleted,
    StormDeclared,
    StormListed,
    StormJoined,
    StormReleased,
)
