"""One alert on both sides: whether they did the same, and if not, in what they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from schemas.commands import Name
from schemas.identity import is_predicted
from schemas.shadow import OtherTicketObserved
from streams.core.shadow.ours import Alert, Ours, PlannedTicket
from streams.core.shadow.theirs import Attributed

Kind = Literal[
    "OnlyLockstep",
    "OnlyTheOther",
    "OtherQueue",
    "OtherPriority",
    "OtherCompany",
    "OtherItem",
    "Doubled",
    "NeverClosed",
    "OnlyTheOtherClosed",
]
Opened = Literal["both", "lockstep", "other", "neither", "undecided"]
Closed = Literal["both", "lockstep", "other", "neither", "undecided"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two did not do alike: what Lockstep would have done, and what the other connector did."""

    kind: Kind
    lockstep: str
    other: str


@dataclass(slots=True)
class Pair:
    """An alert and its two tickets. ``same`` holds what could be compared: queue, priority, company, item."""

    alert: Alert
    planned: PlannedTicket | None
    tickets: list[OtherTicketObserved]
    opened: Opened
    closed: Closed = "neither"
    same: dict[str, bool] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    @property
    def undecided(self) -> bool:
        """Whether one side may still follow the other: nothing of it is counted until then."""
        return "undecided" in (self.opened, self.closed)

    @property
    def later_ms(self) -> int | None:
        """By how much later the other connector closed; negative where it was earlier."""
        ours = self.planned.closed_at if self.planned is not None else None
        theirs = self.tickets[0].completed_at if self.tickets else None
        return theirs - ours if ours is not None and theirs is not None and self.closed == "both" else None


def pair(alert: Alert, ours: Ours, theirs: Attributed, *, now: int, grace_ms: int) -> Pair:
    """Compare what became of an alert. What is younger than ``grace_ms`` may still come and is no difference yet."""
    planned = _own_ticket(alert, ours)
    tickets = theirs.opened.get(alert.uid, [])
    found = Pair(alert, planned, tickets, _opened(alert, planned, tickets, now=now, grace_ms=grace_ms))
    joined = theirs.joined.get(alert.uid, [])
    if found.opened == "lockstep":
        other = f"added it to ticket {_number(joined[0])}" if joined else "opened no ticket"
        if alert.uid in theirs.missing:
            other = f"names ticket {theirs.missing[alert.uid][0]}, which Autotask does not have"
        found.differences.append(Difference("OnlyLockstep", "opens a ticket", other))
    elif found.opened == "other":
        found.differences.append(
            Difference("OnlyTheOther", _instead(alert, ours), f"opened ticket {_number(tickets[0])}")
        )
    elif found.opened == "both" and planned is not None:
        _compare_fields(found, planned, tickets[0])
        _compare_ends(found, planned, tickets[0], now=now, grace_ms=grace_ms)
    if len(tickets) > 1 and found.opened != "undecided":
        numbers = " and ".join(_number(ticket) for ticket in tickets)
        one = "opens one ticket" if planned is not None else _instead(alert, ours)
        found.differences.append(Difference("Doubled", one, f"opened {len(tickets)}: {numbers}"))
    return found


def same_name(name: Name | None, number: int | None, label: str) -> bool:
    """Whether the policy's name (a label or an id) is the entry of this id and label."""
    if name is None or number is None:
        return name is None and number is None
    if isinstance(name, int):
        return name == number
    text = name.strip().casefold()
    return text == label.strip().casefold() or text == str(number)


def _own_ticket(alert: Alert, ours: Ours) -> PlannedTicket | None:
    """The ticket that this alert itself opened; one that it joined is another alert's."""
    planned = ours.tickets.get(alert.incident or "")
    return planned if planned is not None and planned.opened_by == alert.digits and not planned.refused else None


def _opened(
    alert: Alert,
    planned: PlannedTicket | None,
    tickets: list[OtherTicketObserved],
    *,
    now: int,
    grace_ms: int,
) -> Opened:
    if planned is not None and tickets:
        return "both"
    if planned is None and not tickets:
        return "neither"
    if now - alert.seen_at < grace_ms:
        return "undecided"
    return "lockstep" if planned is not None else "other"


def _instead(alert: Alert, ours: Ours) -> str:
    """What Lockstep does with an alert that it opens no ticket for."""
    planned = ours.tickets.get(alert.incident or "")
    if planned is not None and planned.refused:
        return f"opens none: {planned.refused}"
    return f"opens none: {alert.disposition}, {alert.reason}" if alert.disposition else "opens none"


def _compare_fields(found: Pair, planned: PlannedTicket, ticket: OtherTicketObserved) -> None:
    command = planned.command

    def compare(what: str, kind: Kind, same: bool, ours: object, theirs: Callable[[], str]) -> None:
        found.same[what] = same
        if not same:
            found.differences.append(
                Difference(kind, f"{what} {ours}", f"{what} {theirs()} (ticket {_number(ticket)})")
            )

    same = same_name(command.queue, ticket.queue_id, ticket.queue)
    compare("queue", "OtherQueue", same, command.queue, lambda: ticket.queue or str(ticket.queue_id))
    same = same_name(command.priority, ticket.priority_id, ticket.priority)
    compare("priority", "OtherPriority", same, command.priority, lambda: ticket.priority or str(ticket.priority_id))
    same = command.company_id == ticket.company_id
    compare("company", "OtherCompany", same, command.company_id, lambda: str(ticket.company_id))
    item = command.configuration_item_id
    if is_predicted(item) and ticket.configuration_item_id is None:
        # The device has no item yet: Lockstep would make it first, so there is nothing to compare.
        return
    shown = "a new one" if is_predicted(item) else item or "none"
    compare(
        "item",
        "OtherItem",
        item == ticket.configuration_item_id,
        shown,
        lambda: str(ticket.configuration_item_id or "none"),
    )


def _compare_ends(found: Pair, planned: PlannedTicket, ticket: OtherTicketObserved, *, now: int, grace_ms: int) -> None:
    if planned.closed_at is not None and ticket.completed:
        found.closed = "both"
    elif planned.closed_at is not None:
        found.closed = "lockstep" if now - planned.closed_at >= grace_ms else "undecided"
        if found.closed == "lockstep":
            other = f"left ticket {_number(ticket)} open"
            found.differences.append(Difference("NeverClosed", "completes its ticket: the alert is over", other))
    elif ticket.completed:
        found.closed = "other" if now - (ticket.completed_at or 0) >= grace_ms else "undecided"
        if found.closed == "other":
            other = f"ticket {_number(ticket)} is complete"
            found.differences.append(Difference("OnlyTheOtherClosed", "keeps its ticket open", other))


def _number(ticket: OtherTicketObserved) -> str:
    return ticket.ticket_number or str(ticket.ticket_id)
