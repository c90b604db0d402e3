"""What the sandboxes recorded, as lives: of each ticket of ours, and of each alert."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.identity import key_of_external_id
from streams.drill.evidence import Evidence

Row = Mapping[str, Any]


class Moment(NamedTuple):
    """One change of a ticket: ``is_open`` is how it left the ticket, ``by`` is ``api`` (we), ``control`` or ``vendor``.

    ``t`` is the sandbox's clock (epoch seconds).
    """

    seq: int
    by: str
    what: str
    is_open: bool
    t: float


@dataclass(slots=True)
class Ticket:
    """The life of one ticket with one of our external ids, by the sandbox's history."""

    id: int
    external_id: str
    moments: list[Moment] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it is there and not complete at the end."""
        return bool(self.moments) and self.moments[-1].is_open

    @property
    def reopened_by_technician(self) -> bool:
        """Whether its last change between open and complete was a person's, who reopened it."""
        turns = [m for before, m in zip([None, *self.moments], self.moments, strict=False) if _turn(before, m)]
        return len(turns) > 1 and turns[-1].is_open and turns[-1].by != "api"


def _turn(before: Moment | None, after: Moment) -> bool:
    return before is None or before.is_open != after.is_open


def tickets_of(evidence: Evidence) -> list[Ticket]:
    """Every ticket that ever had one of our external ids, in the order of their first change."""
    found: dict[int, Ticket] = {}
    for row in evidence.autotask["history"]:
        if row["entity"] != "Tickets":
            continue
        after = row.get("after") or {}
        ticket = found.get(row["id"])
        external_id = after.get("externalID") or (ticket.external_id if ticket else None)
        if external_id is None and row["what"] != "Created":
            external_id = _later_id(evidence, row["id"])
        if key_of_external_id(external_id) is None:
            continue
        if ticket is None:
            ticket = found[row["id"]] = Ticket(row["id"], str(external_id))
        was_open = ticket.moments[-1].is_open if ticket.moments else True
        complete = after["completedDate"] is not None if "completedDate" in after else not was_open
        is_open = row["what"] != "Deleted" and not complete
        ticket.moments.append(Moment(row["seq"], row["by"], row["what"], is_open, row["t"]))
    return list(found.values())


def touches_of(evidence: Evidence, ticket_id: int) -> list[tuple[int, float]]:
    """Number and time of every row of the history in which a technician wrote a note or booked time on a ticket."""
    return [
        (row["seq"], row["t"])
        for row in evidence.autotask["history"]
        if row["entity"] in ("TicketNotes", "TimeEntries")
        and row["by"] == "control"
        and (row.get("after") or {}).get("ticketID") == ticket_id
    ]


def _later_id(evidence: Evidence, ticket_id: int) -> str | None:
    """The external id of a ticket that the history knows before its creation, from its row at the end."""
    return next((row["externalID"] for row in evidence.autotask["tickets"] if row["id"] == ticket_id), None)


@dataclass(slots=True)
class Alert:
    """The life of one alert: times (epoch seconds) of its beginnings, its ends, and those ends that were our resets."""

    uid: str
    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    reset_by_us: list[float] = field(default_factory=list)
    active: bool = False


def alerts_of(evidence: Evidence) -> dict[str, Alert]:
    """Every alert that NinjaOne ever had, by uid."""
    found: dict[str, Alert] = defaultdict(lambda: Alert(""))
    for row in evidence.ninjaone["history"]:
        if row["entity"] != "alert":
            continue
        alert = found[str(row["id"])]
        alert.uid = str(row["id"])
        match row["what"]:
            case "triggered":
                alert.begun.append(row["t"])
            case "reset":
                alert.ended.append(row["t"])
                alert.reset_by_us.append(row["t"])
            case "repeated":
                pass
            case _:
                alert.ended.append(row["t"])
    for row in evidence.ninjaone["alerts"]:
        found[str(row["uid"])].uid = str(row["uid"])
        found[str(row["uid"])].active = True
    return dict(found)
