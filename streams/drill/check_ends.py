"""Both sides agree at the end: what NinjaOne shows as active has an open ticket or a reason, what is over is complete.

Whose ticket an alert belongs to is read from the live state of agent ``incidents`` (its body is described in
``streams/core/incident.py`` and ``alerts.py``); what is true of alert and ticket, from the sandboxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from streams.drill.check_connections import waiting_topics
from streams.drill.check_effects import tickets_by_incident
from streams.drill.finding import Finding
from streams.drill.reading import Reading
from streams.drill.rules import Rules
from streams.drill.stories import Stories
from streams.drill.vendors import Alert, Ticket, alerts_of, touches_of

#: Dispositions of an alert that a ticket stands for.
_WITH_TICKET = frozenset({"ticketed", "appended"})
#: Dispositions of an alert that is over.
_OVER = frozenset({"closed", "superseded"})


def check_alerts(reading: Reading) -> Iterator[Finding]:
    """Every alert that NinjaOne had is known, and every one that we know it had."""
    alerts = alerts_of(reading.evidence)
    told = {fact.uid for fact in reading.alert_facts()}
    calls = reading.evidence.ninjaone_calls
    first_look = calls[0]["t"] if calls else 0.0
    for uid, alert in alerts.items():
        # What was over before anybody looked for the first time is history that nobody promised to take in.
        over_before = bool(alert.ended) and not alert.active and max(alert.ended) < first_look
        if uid not in told and not over_before:
            yield Finding("LostAlert", uid, "no fact tells of it")
    for uid in sorted(told - set(alerts)):
        yield Finding("InventedAlert", uid, "NinjaOne never had it")


def check_ends(reading: Reading) -> Iterator[Finding]:
    """Alerts and tickets, each seen from the other side."""
    sides = _Sides(reading)
    for uid, alert in sides.alerts.items():
        if uid in sides.known:
            yield from sides.alert(uid, alert)
    for incident, tickets in sides.tickets.items():
        yield from sides.ticket(incident, tickets)


class _Sides:
    def __init__(self, reading: Reading) -> None:
        self._evidence = reading.evidence
        self._stories, self._rules = Stories(reading), Rules(reading)
        self.alerts = alerts_of(reading.evidence)
        self.tickets = tickets_by_incident(reading)
        self.known: dict[str, Mapping[str, Any]] = {}
        self._incidents: dict[str, Mapping[str, Any]] = {}
        self._members: dict[str, list[str]] = defaultdict(list)
        self._deferred: set[str] = set()
        # What waits behind a closed connection is not late.
        waiting = waiting_topics(reading)
        for body in reading.bodies.values():
            self._incidents.update(body.get("incidents", {}))
            for uid, alert in body.get("alerts", {}).items():
                if uid not in self.known or alert.get("active"):
                    self.known[uid] = alert
            self._deferred.update(
                entry["incident"]
                for entry in body.get("pending", {}).values()
                if "due" in entry or entry.get("topic") in waiting
            )
        for uid, alert in self.known.items():
            self._members[self._home(alert)].append(uid)

    def _home(self, alert: Mapping[str, Any]) -> str:
        """The incident whose ticket stands for an alert: for a storm's member, that of the storm's own alert."""
        if "storm" in alert:
            alert = self.known.get(str(alert["storm"]).split(".")[2], {})
        return str(alert.get("incident", ""))

    def alert(self, uid: str, alert: Alert) -> Iterator[Finding]:
        """One alert, as NinjaOne has it, against what we say of it."""
        known = self.known[uid]
        disposition, incident = known.get("disposition"), self._home(known)
        if not alert.active:
            if known.get("active"):
                yield Finding("MissedClear", uid, f"it is {disposition} here")
            return
        if not disposition or not known.get("reason"):
            yield Finding("NoReason", uid, f"it is active, and its disposition is {disposition or 'none'}")
        elif disposition in _OVER:
            yield Finding("ActiveAlertClosed", uid, f"it is {disposition} here ({known['reason']})")
        elif "storm" in known and not incident:
            return  # the storm's own alert is held, suppressed or parked, and says why
        elif disposition in _WITH_TICKET and incident not in self._deferred:
            tickets = self.tickets.get(incident, [])
            if not tickets:
                yield Finding("MissingTicket", incident, f"alert {uid} is {disposition} and has none")
            elif not any(ticket.is_open for ticket in tickets):
                yield Finding("MissedReset", uid, f"ticket {tickets[0].id} is complete, the alert is active")

    def ticket(self, incident: str, tickets: list[Ticket]) -> Iterator[Finding]:
        """One incident's ticket against its alerts, as NinjaOne has them."""
        if not any(ticket.is_open for ticket in tickets) or incident in self._deferred:
            return
        known = self._incidents.get(incident, {})
        members = {*self._members[incident], *([known["opened_by"]] if "opened_by" in known else [])}
        still_active = [
            uid for uid in members if (alert := self.alerts.get(uid)) and alert.active and self._belongs(uid, incident)
        ]
        # A technician's reopening is not undone, a closing that Autotask refused is parked with its reason, and a rule may
        # leave a ticket to the technician who worked on it.
        excused = "parked" in known or any(
            ticket.reopened_by_technician or (ticket.is_open and self._is_left(ticket)) for ticket in tickets
        )
        if not still_active and not excused:
            number = next(ticket.id for ticket in tickets if ticket.is_open)
            yield Finding("MissedClose", incident, f"ticket {number} is open, none of its alerts is active")

    def _is_left(self, ticket: Ticket) -> bool:
        """Whether a technician worked on a ticket whose rule leaves such tickets open."""
        sighting = self._stories.known(ticket.external_id, None).sighting
        asked = self._rules.lifecycle(sighting, self._rules.last) if sighting is not None else None
        return (asked or {}).get("close_if") == "untouched" and bool(touches_of(self._evidence, ticket.id))

    def _belongs(self, uid: str, incident: str) -> bool:
        return self._home(self.known.get(uid, {})) == incident
