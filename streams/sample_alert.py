"""A marked alert that no device raised, and what the audit tells of its way: what ``send-test-alert`` sends and reads. Pure.

It comes and goes as a line of NinjaOne's list of active alerts (``AlertObserved``, ``AlertGone``), for which no activity id has
to be made up: one above the vendor's own would make the key forget real alerts (``core.memory``, ``floor``). The connectors'
own book of active alerts does not know it, so no list that lacks it ends it early.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import orjson

from schemas.audit import AuditRecord
from schemas.facts import AlertGone, AlertObserved, CommandSettled, Subject, TicketObserved
from schemas.identity import derived_id, organization_key
from streams.core.policy.vocabulary import KEPT_TEST_ALERT, TEST_ALERT
from streams.explaining import Happening, happening_of

MESSAGE = "Lockstep test alert, please ignore"

_CREATE, _COMPLETE, _RESET = "create-ticket", "complete-ticket", "reset-alert"
#: Dispositions in which nothing goes on by itself before a person or the end of a window does something.
_STANDING_STILL = ("parked", "rejected", "suppressed")

Stage = Literal["nothing decided", "held", "waiting for its ticket", "ticketed", "stopped", "over"]


def sample_alert(organization_id: int, name: str, *, at: int, by: str, keep: bool = False) -> AlertObserved:
    """The alert of one run: its uid follows from the organization, the time (epoch ms) and who sends it.

    ``keep``: nobody is going to end it, and ``reconcile`` is not to take that for a sender that was killed.
    """
    uid = str(UUID(hex=derived_id("test alert", organization_id, at, by)))
    return AlertObserved(
        uid=uid,
        # A title that begins with the device's name then has a word there; the key stays the organization's.
        subject=Subject(organization_id=organization_id, organization_name=name, device_name="Test"),
        raised_at=at,
        source_type=TEST_ALERT,
        source_name="Lockstep test",
        # Two runs must not be one condition: the second would become a note on the first one's ticket.
        alert_subject=uid,
        condition_name=KEPT_TEST_ALERT if keep else "Lockstep test",
        message=f"{MESSAGE} (sent by {by})",
        severity="MINOR",
        priority="LOW",
    )


def its_end(alert: AlertObserved, *, at: int) -> AlertGone:
    """The end of the alert: not before it was raised, whatever the clock says."""
    return AlertGone(
        uid=alert.uid, subject=alert.subject, gone_at=max(at, alert.raised_at + 1), cause="MissingFromList"
    )


class Story:
    """What became of one alert, record by record. ``take`` them in the order of the audit."""

    def __init__(self, alert: AlertObserved) -> None:
        self.key = organization_key(alert.subject.organization_id)
        self._uid = alert.uid
        self._names = (alert.uid, alert.uid.replace("-", ""))
        self.disposition = ""
        self.why = ""
        self.rule: str | None = None
        self.revision = 0
        self.external_id: str | None = None
        self.ticket_id: int | None = None
        self.ticket_number: str | None = None
        self.refused = ""
        self.completed = False
        #: The commands that were asked for and have not settled yet, by their ids.
        self.waiting: dict[str, str] = {}

    def take(self, record: AuditRecord) -> Happening | None:
        """One record; what happened in it, ``None`` where it is about something else."""
        if record.agent != "incidents" or record.key != self.key or not self._is_mine(record):
            return None
        happening = happening_of(record)
        self.rule = happening.rule or self.rule
        self.revision = record.revision
        if self._uid in happening.dispositions:
            self.disposition, self.why = happening.dispositions[self._uid]
            self.why += f": {detail}" if (detail := _detail_of(record, self._uid)) else ""
        self.waiting |= {command["id"]: command["command"] for command in happening.commands}
        for issued in record.commands:
            self.external_id = orjson.loads(issued.value).get("incident") or self.external_id
        self._learn(record)
        return happening

    def _is_mine(self, record: AuditRecord) -> bool:
        texts = (record.fact.value, orjson.dumps(record.decision).decode(), *(one.value for one in record.commands))
        return any(name in text for name in self._names for text in texts)

    def _learn(self, record: AuditRecord) -> None:
        kind, value = record.fact.headers.get("ce_type", ""), orjson.loads(record.fact.value)
        if kind == CommandSettled.ce_type:
            command = self.waiting.pop(value["command_id"], "")
            if value["outcome"] == "Succeeded" and command == _CREATE:
                self._ticket(value)
            elif value["outcome"] == "Succeeded" and command == _COMPLETE:
                self.completed = True
            elif value["outcome"] == "Rejected":
                self.refused = f"{command} was refused: {value['reason']} {value['detail']}".strip()
        elif kind == TicketObserved.ce_type:
            self._ticket(value)
            self.completed = value["completed"]

    def _ticket(self, value: dict[str, Any]) -> None:
        self.ticket_id = value.get("ticket_id") or self.ticket_id
        self.ticket_number = value.get("ticket_number") or self.ticket_number

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        if self.ticket_id is not None and self.completed and _RESET not in self.waiting.values():
            return "over"
        if self.disposition in _STANDING_STILL:
            return "stopped"
        if self.ticket_id is not None:
            return "ticketed"
        if self.disposition == "held":
            return "held"
        return "waiting for its ticket" if self.disposition else "nothing decided"

    @property
    def ticket(self) -> str:
        """The ticket for people: its number, and before Autotask has shown it, its id."""
        return self.ticket_number or f"id {self.ticket_id}"

    @property
    def left_open(self) -> str:
        """Why its rule leaves the ticket open though the alert is over, empty where it does not."""
        kept = self.disposition == "closed" and self.why.partition(":")[0] in ("TouchedByTechnician", "NeverCompleted")
        return self.why if kept else ""


def lines_of(happening: Happening) -> Iterator[str]:
    """What happened, for people: the fact, the decision with its rule, the commands."""
    rule = f" by rule '{happening.rule}' of policy revision {happening.revision}" if happening.rule else ""
    yield f"{happening.fact}: {happening.about}"
    for disposition, reason in happening.dispositions.values():
        yield f"  decided{rule}: {disposition} ({reason})"
    for command in happening.commands:
        yield f"  -> {command['command']} {command['about']}"


def _detail_of(record: AuditRecord, uid: str) -> str:
    for change in reversed(record.decision.get("changes", [])):
        if change["at"] == ["alerts", uid] and change["set"] and "detail" in change["set"]:
            return change["set"]["detail"] or ""
    return ""
