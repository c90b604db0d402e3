"""Lockstep's side, from the audit of agent ``incidents``: every alert with its place, every ticket with its fields and its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.audit import AuditRecord
from schemas.commands import CompleteTicket, CreateTicket, ReopenTicket
from schemas.envelope import Envelope
from schemas.facts import AlertGone, AlertObserved, AlertReset, AlertTriggered, CommandSettled
from schemas.storms import StormDeclared
from streams.core import incidents

_RAISED: dict[str, type[AlertTriggered] | type[AlertObserved]] = {
    model.ce_type: model for model in (AlertTriggered, AlertObserved)
}
_OVER: dict[str, type[AlertReset] | type[AlertGone]] = {model.ce_type: model for model in (AlertReset, AlertGone)}


#: An end that says nothing about why the alert had no ticket of its own: what it was before does.
_PLAIN_ENDS = frozenset({"Reset", "Gone", "DeviceRemoved", "TicketCompleted"})


@dataclass(slots=True)
class Alert:
    """An alert of NinjaOne's. Times are epoch ms: ``seen_at`` when it was first recorded, ``over_at`` when its end was.

    ``disposition`` and ``reason`` are its place, or why it had none.
    """

    uid: str
    key: str
    organization_id: int
    device: str
    message: str
    raised_at: int
    seen_at: int
    over_at: int | None = None
    rule: str = ""
    disposition: str = ""
    reason: str = ""
    incident: str | None = None

    @property
    def digits(self) -> str:
        """The uid as it stands in an external id."""
        return self.uid.replace("-", "").lower()


@dataclass(slots=True)
class PlannedTicket:
    """A ticket that Lockstep would have opened: the command, when, and when it would have been completed."""

    command: CreateTicket
    rule: str
    opened_at: int
    closed_at: int | None = None
    refused: str = ""

    @property
    def opened_by(self) -> str:
        """The uid of the alert that opened it, as 32 hex digits."""
        return self.command.external_id.split(".")[2]


@dataclass(slots=True)
class Ours:
    """The audit folded; ``feed`` it the records of a partition in order, then put partitions together with ``add``."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    tickets: dict[str, PlannedTicket] = field(default_factory=dict)
    #: Tickets of storms: they have no alert of NinjaOne's.
    storms: dict[str, PlannedTicket] = field(default_factory=dict)
    creating: dict[str, str] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)

    def feed(self, record: AuditRecord) -> None:
        """Take in one record."""
        if record.agent != incidents.AGENT:
            return
        kind = record.fact.headers.get("ce_type", "")
        if kind in _RAISED:
            self._raised(_RAISED[kind].from_json(record.fact.value.encode()), record)
        elif kind in _OVER:
            alert = self.alerts.get(_OVER[kind].from_json(record.fact.value.encode()).uid)
            if alert is not None:
                alert.over_at = record.recorded_at
        elif kind == CommandSettled.ce_type:
            self._settled(CommandSettled.from_json(record.fact.value.encode()))
        elif kind == StormDeclared.ce_type:
            self.places.add(StormDeclared.from_json(record.fact.value.encode()).uid.replace("-", "").lower())
        self._decided(record)

    def add(self, other: Ours) -> None:
        """Partitions share neither alerts nor tickets."""
        self.alerts |= other.alerts
        self.tickets |= other.tickets
        self.storms |= other.storms

    def _raised(self, fact: AlertTriggered | AlertObserved, record: AuditRecord) -> None:
        known = self.alerts.get(fact.uid)
        if known is None:
            envelope = Envelope.from_headers([(name, value.encode()) for name, value in record.fact.headers.items()])
            self.alerts[fact.uid] = Alert(
                uid=fact.uid,
                key=record.key,
                organization_id=fact.subject.organization_id,
                device=fact.subject.device_name,
                message=fact.message,
                raised_at=fact.raised_at,
                seen_at=envelope.recorded,
            )
        elif any(uid == fact.uid for uid in record.decision.get("dispositions", {})):
            # Raised anew after it was over.
            known.over_at = None

    def _decided(self, record: AuditRecord) -> None:
        rule = record.decision.get("rule") or ""
        for uid, (disposition, reason) in record.decision.get("dispositions", {}).items():
            alert = self.alerts.get(uid)
            if alert is None:
                continue
            alert.rule = rule or alert.rule
            if not (alert.disposition and disposition == "closed" and reason in _PLAIN_ENDS):
                alert.disposition, alert.reason = disposition, reason
        for change in record.decision.get("changes", []):
            section, *names = change["at"] or [""]
            place = (change["set"] or {}).get("incident")
            if section == "alerts" and place and names and names[0] in self.alerts:
                self.alerts[names[0]].incident = place
        for command in record.commands:
            if command.type == CreateTicket.ce_type:
                self._created(CreateTicket.from_json(command.value.encode()), rule, command.id, record.recorded_at)
            elif command.type == CompleteTicket.ce_type:
                self._closed(CompleteTicket.from_json(command.value.encode()).incident, record.recorded_at)
            elif command.type == ReopenTicket.ce_type:
                self._closed(ReopenTicket.from_json(command.value.encode()).incident, None)

    def _created(self, command: CreateTicket, rule: str, identity: str, at: int) -> None:
        self.creating[identity] = command.external_id
        of_storm = command.external_id.split(".")[2] in self.places
        known = (self.storms if of_storm else self.tickets).get(command.external_id)
        planned = PlannedTicket(command, rule, known.opened_at if known is not None else at)
        (self.storms if of_storm else self.tickets)[command.external_id] = planned

    def _closed(self, external_id: str | None, at: int | None) -> None:
        planned = self.tickets.get(external_id or "") or self.storms.get(external_id or "")
        if planned is not None:
            planned.closed_at = at

    def _settled(self, fact: CommandSettled) -> None:
        planned = self.tickets.get(self.creating.pop(fact.command_id, ""))
        if planned is not None:
            planned.refused = fact.reason if fact.outcome == "Rejected" else ""
