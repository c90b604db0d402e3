"""The report of a shadow: figures per rule, and the differences that are worth reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from schemas.envelope import rfc3339
from streams.core.shadow.compare import Pair, pair
from streams.core.shadow.ours import Ours
from streams.core.shadow.theirs import Place, Theirs

#: What agreement means, for every place that shows the figure.
AGREEMENT = (
    "agreement: of the alerts compared, those that both treated alike: both opened a ticket or neither did, and where both did, "
    "one each, in the same queue, with the same priority, company and configuration item, and both are closed or both open"
)
COMPARED = ("queue", "priority", "company", "item")
#: The rule of an alert that no rule was asked about: its organization has no company, say.
NO_RULE = "(none)"


@dataclass(slots=True)
class RuleFigures:
    """One rule's line. ``same`` counts (alike, compared) per field, over the alerts that both opened a ticket for."""

    rule: str
    alerts: int = 0
    undecided: int = 0
    both_opened: int = 0
    neither_opened: int = 0
    only_lockstep: int = 0
    only_other: Counter[str] = field(default_factory=Counter)
    same: dict[str, list[int]] = field(default_factory=lambda: {name: [0, 0] for name in COMPARED})
    both_closed: int = 0
    only_other_closed: int = 0
    never_closed: int = 0
    later_ms: list[int] = field(default_factory=list)
    doubled: int = 0
    alike: int = 0

    @property
    def compared(self) -> int:
        """The alerts that both sides had time for."""
        return self.alerts - self.undecided

    def take(self, found: Pair) -> None:
        """Count one alert."""
        self.alerts += 1
        if found.undecided:
            self.undecided += 1
            return
        self.alike += not found.differences
        self.both_opened += found.opened == "both"
        self.neither_opened += found.opened == "neither"
        self.only_lockstep += found.opened == "lockstep"
        if found.opened == "other":
            self.only_other[f"{found.alert.disposition} {found.alert.reason}".strip() or "unknown"] += 1
        for name, same in found.same.items():
            self.same[name][0] += same
            self.same[name][1] += 1
        self.both_closed += found.closed == "both"
        self.only_other_closed += found.closed == "other"
        self.never_closed += found.closed == "lockstep"
        self.doubled += len(found.tickets) > 1
        if found.later_ms is not None:
            self.later_ms.append(found.later_ms)

    def document(self) -> dict[str, Any]:
        """As JSON data. Shares are per cent, ``None`` where there is nothing to compare; times are seconds."""
        return {
            "rule": self.rule,
            "alerts": self.alerts,
            "compared": self.compared,
            "undecided": self.undecided,
            "agreement": share(self.alike, self.compared),
            "both_opened": self.both_opened,
            "neither_opened": self.neither_opened,
            "only_lockstep": self.only_lockstep,
            "only_other": sum(self.only_other.values()),
            "only_other_because": dict(sorted(self.only_other.items())),
            "same": {name: share(*counts) for name, counts in self.same.items()},
            "both_closed": self.both_closed,
            "only_other_closed": self.only_other_closed,
            "never_closed_by_other": self.never_closed,
            "other_closed_later_seconds_median": round(median(self.later_ms) / 1000) if self.later_ms else None,
            "doubled_by_other": self.doubled,
        }


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """``rules`` in the order of their names; ``pairs`` with a difference, the oldest alert first."""

    rules: list[RuleFigures]
    pairs: list[Pair]
    storm_tickets: int
    tickets_of_nobody: int
    tickets_watched: int

    @property
    def agreement(self) -> float | None:
        """Over all rules, in per cent."""
        return share(sum(rule.alike for rule in self.rules), sum(rule.compared for rule in self.rules))

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "definition": AGREEMENT,
            "agreement": self.agreement,
            "rules": [rule.document() for rule in self.rules],
            "storm_tickets_of_lockstep": self.storm_tickets,
            "tickets_of_other": self.tickets_watched,
            "tickets_of_other_without_alert": self.tickets_of_nobody,
            "differences": [row for found in self.pairs for row in rows(found)],
        }


def report(
    ours: Ours, theirs: Theirs, *, now: int, since: int = 0, rule: str | None = None, grace_ms: int = 0
) -> ShadowReport:
    """Compare all alerts that were first recorded since then (epoch ms), of one rule or of all."""
    attributed = theirs.attributed(ours.alerts.values(), _places(ours))
    figures: dict[str, RuleFigures] = {}
    different: list[Pair] = []
    for alert in sorted(ours.alerts.values(), key=lambda alert: (alert.seen_at, alert.uid)):
        name = alert.rule or NO_RULE
        if alert.seen_at < since or (rule is not None and name != rule):
            continue
        found = pair(alert, ours, attributed, now=now, grace_ms=grace_ms)
        figures.setdefault(name, RuleFigures(name)).take(found)
        if found.differences and not found.undecided:
            different.append(found)
    return ShadowReport(
        rules=[figures[name] for name in sorted(figures)],
        pairs=different,
        storm_tickets=sum(planned.opened_at >= since for planned in ours.storms.values()),
        tickets_of_nobody=len(attributed.of_nobody),
        tickets_watched=len(theirs.tickets),
    )


def share(part: int, whole: int) -> float | None:
    """Per cent with one digit, ``None`` of nothing."""
    return round(100 * part / whole, 1) if whole else None


def rows(found: Pair) -> Iterable[dict[str, Any]]:
    """The differences of one alert as JSON data."""
    alert = found.alert
    for one in found.differences:
        yield {
            "kind": one.kind,
            "rule": alert.rule or NO_RULE,
            "alert": alert.uid,
            "device": alert.device,
            "organization": alert.organization_id,
            "raised_at": rfc3339(alert.raised_at),
            "tickets": [ticket.ticket_number or str(ticket.ticket_id) for ticket in found.tickets],
            "lockstep": one.lockstep,
            "other": one.other,
        }


def _places(ours: Ours) -> dict[str, Place]:
    """Where each alert's ticket belongs, by what Lockstep opens for its organization and its device."""
    planned = [*ours.tickets.values(), *ours.storms.values()]
    companies = {one.command.organization_id: one.command.company_id for one in planned}
    items = {one.command.key: one.command.configuration_item_id for one in planned}
    return {
        alert.uid: Place(companies.get(alert.organization_id), items.get(alert.key)) for alert in ours.alerts.values()
    }
