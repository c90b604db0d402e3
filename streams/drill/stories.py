"""What an agent decided about each key, in its order, with the facts: what was known of an alert at any decision.

Whether an alert counts as active is computed here anew, from what ``schemas.facts`` says of the facts: the newest
sighting against the newest end, activities by their ids, lists by their times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.commands import CompleteTicket, CreateTicket
from schemas.facts import AlertFact, AlertGone, AlertObserved, AlertReset, AlertTriggered, CommandSettled, Fact
from schemas.identity import key_of_external_id
from streams.drill.reading import Decided, Reading

_AGENT = "incidents"


@dataclass(slots=True)
class Period:
    """A time (recorded, epoch ms) in which an alert was known to be active; ``until`` is ``None`` while it is."""

    since: int
    until: int | None = None


@dataclass(slots=True)
class Known:
    """What was known of one alert: its periods, and its newest sighting."""

    sighting: AlertFact | None = None
    periods: list[Period] = field(default_factory=list)
    _activity: int = -1
    _raised: int = -1
    _listed: int = -1
    _ended: tuple[int, int] = (-1, -1)
    _gone: int = -1

    @property
    def active(self) -> bool:
        """Whether the newest sighting is newer than the newest end."""
        by_activity = self._activity > self._ended[0] and self._raised >= self._gone
        return by_activity or (self._listed > self._ended[1] and self._listed >= self._gone)

    def take(self, fact: Fact, at: int) -> None:
        """One more fact about it, recorded at ``at``."""
        before = self.active
        match fact:
            case AlertTriggered() if fact.activity_id > self._activity:
                self.sighting, self._activity, self._raised = fact, fact.activity_id, fact.raised_at
            case AlertObserved() if fact.raised_at > self._listed:
                self.sighting, self._listed = self.sighting or fact, fact.raised_at
            case AlertReset() if fact.activity_id > self._ended[0]:
                self._ended = (fact.activity_id, fact.reset_at)
            case AlertGone():
                self._gone = max(self._gone, fact.gone_at)
            case _:
                pass
        if self.active and not before:
            self.periods.append(Period(at))
        elif before and not self.active:
            self.periods[-1].until = at


class Stories:
    """The decisions of agent ``incidents`` by key."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._by_key: dict[str, list[Decided]] = defaultdict(list)
        self._ordering: dict[str, Decided] = {}
        self._completing: dict[str, Decided] = {}
        for decided in reading.decided:
            if decided.agent != _AGENT:
                continue
            self._by_key[decided.key].append(decided)
            for command in decided.document["commands"]:
                if command["type"] == CreateTicket.ce_type:
                    self._ordering.setdefault(reading.incident_of(command["id"]), decided)
                elif command["type"] == CompleteTicket.ce_type:
                    self._completing[reading.incident_of(command["id"])] = decided

    def ordering(self, incident: str) -> Decided | None:
        """The decision that ordered an incident's ticket first."""
        return self._ordering.get(incident)

    def completing(self, incident: str) -> Decided | None:
        """The decision that ordered an incident's completion last."""
        return self._completing.get(incident)

    def known(self, incident: str, until: Decided | None) -> Known:
        """What was known of the alert that opened an incident, at a decision (itself included); at the end for ``None``."""
        known, opener = Known(), incident.split(".")[2]
        for _, fact, at in self._facts(incident, until):
            if getattr(fact, "uid", "").replace("-", "").lower() == opener:
                known.take(fact, at)
        return known

    def completed(self, incident: str, until: Decided | None) -> list[int]:
        """When (recorded, epoch ms) calls of ours that completed an incident's ticket were known to have, up to a decision."""
        return [
            at
            for _, fact, at in self._facts(incident, until)
            if isinstance(fact, CommandSettled)
            and (fact.command_type, fact.incident, fact.outcome) == (CompleteTicket.ce_type, incident, "Succeeded")
            and fact.how != "NothingToDo"
        ]

    def _facts(self, incident: str, until: Decided | None) -> Iterator[tuple[Decided, Fact, int]]:
        for decided in self._by_key.get(key_of_external_id(incident) or "", ()):
            row = self._reading.facts.get(decided.fact)
            if row is not None:
                yield decided, row.event.data, row.event.envelope.recorded
            if decided is until:
                return


def condition_of(fact: AlertFact) -> tuple[str, str, str]:
    """What makes two alerts of a device the same condition (docs/lifecycle.md)."""
    return (fact.source_config_uid or fact.source_type or "", fact.source_name, fact.alert_subject)
