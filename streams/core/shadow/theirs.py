"""The other connector's side, from topic ``shadow``: its tickets, and which alert each of them is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.facts import Fact
from schemas.shadow import AlertTicketNamed, OtherTicketObserved
from streams.core.shadow.ours import Alert

#: A ticket that no alert names is taken for an alert's if it was created from so long before it was raised (clocks differ) ...
_BEFORE_MS = 5 * 60_000
#: ... until so long after.
_AFTER_MS = 30 * 60_000


@dataclass(frozen=True, slots=True)
class Place:
    """The company of an alert's organization and the configuration item of its device, as far as Lockstep knows them."""

    company: int | None = None
    item: int | None = None


@dataclass(slots=True)
class Theirs:
    """``feed`` it the facts in the order in which they were recorded. ``tickets`` are as they were seen last."""

    tickets: dict[int, OtherTicketObserved] = field(default_factory=dict)
    #: Alert uid to the names of its tickets, the first first.
    named: dict[str, list[str]] = field(default_factory=dict)

    def feed(self, fact: Fact) -> None:
        """Take in one fact."""
        if isinstance(fact, AlertTicketNamed):
            names = self.named.setdefault(fact.uid, [])
            if fact.ticket not in names:
                names.append(fact.ticket)
        elif isinstance(fact, OtherTicketObserved):
            self.tickets[fact.ticket_id] = fact

    def attributed(self, alerts: Iterable[Alert], places: Mapping[str, Place]) -> Attributed:
        """Which tickets are whose. ``places``: where Lockstep would put an alert's ticket, by uid."""
        by_number = {ticket.ticket_number.upper(): number for number, ticket in self.tickets.items()}
        found = Attributed()
        ordered = sorted(alerts, key=lambda alert: (alert.raised_at, alert.uid))
        for alert in ordered:
            for name in self.named.get(alert.uid, []):
                number = int(name) if name.isdecimal() else by_number.get(name.upper())
                if number in self.tickets:
                    assert number is not None
                    found.give(alert, self.tickets[number])
                else:
                    found.missing.setdefault(alert.uid, []).append(name)
        for ticket in sorted(self.tickets.values(), key=lambda ticket: ticket.ticket_id):
            if ticket.ticket_id not in found.opener:
                about = _whose(ticket, ordered, places)
                if about is None:
                    found.of_nobody.append(ticket)
                else:
                    found.give(about, ticket)
        return found


@dataclass(slots=True)
class Attributed:
    """``opened``: the tickets that an alert opened, ``joined``: one that an earlier alert opened and this one names too."""

    opened: dict[str, list[OtherTicketObserved]] = field(default_factory=dict)
    joined: dict[str, list[OtherTicketObserved]] = field(default_factory=dict)
    opener: dict[int, str] = field(default_factory=dict)
    #: Names that Autotask has no ticket for, by alert.
    missing: dict[str, list[str]] = field(default_factory=dict)
    of_nobody: list[OtherTicketObserved] = field(default_factory=list)

    def give(self, alert: Alert, ticket: OtherTicketObserved) -> None:
        """A ticket is this alert's; the first alert that has it opened it."""
        first = self.opener.setdefault(ticket.ticket_id, alert.uid)
        side = self.opened if first == alert.uid else self.joined
        side.setdefault(alert.uid, []).append(ticket)


def _whose(ticket: OtherTicketObserved, alerts: Iterable[Alert], places: Mapping[str, Place]) -> Alert | None:
    """The alert that an unnamed ticket is about: of its company and time, by its item, its device's name or its message."""
    if ticket.created_at is None:
        return None
    found: list[tuple[tuple[bool, bool, bool, int, str], Alert]] = []
    title = ticket.title.casefold()
    for alert in alerts:
        place, apart = places.get(alert.uid, Place()), ticket.created_at - alert.raised_at
        if place.company not in (None, ticket.company_id) or not -_BEFORE_MS <= apart <= _AFTER_MS:
            continue
        item = place.item is not None and place.item == ticket.configuration_item_id
        device, message = (bool(text) and text.casefold() in title for text in (alert.device, alert.message))
        if item or device or message:
            # A message alone is the same on many devices; of one device's alerts the message tells which.
            found.append(((not item, not device, not message, abs(apart), alert.uid), alert))
    return min(found, key=lambda pair: pair[0])[1] if found else None
