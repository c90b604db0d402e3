"""Given, when, then for the agents: facts in, what was decided out. Every fact goes through the real engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from schemas.audit import AuditedFact, AuditRecord
from schemas.commands import Command
from schemas.envelope import Envelope
from schemas.events import Event, decode_fact
from schemas.facts import (
    AlertAcknowledged,
    AlertGone,
    AlertObserved,
    AlertReset,
    AlertTriggered,
    CommandSettled,
    CompaniesObserved,
    Company,
    ControlFact,
    DeviceObserved,
    DeviceRemoved,
    Fact,
    Organization,
    OrganizationsObserved,
    PolicyPublished,
    Selection,
    Subject,
    TicketNoteObserved,
    TicketObserved,
    TimerFired,
)
from schemas.identity import derived_id
from schemas.model import canonical
from schemas.topics import STORM_VERDICTS
from streams.core import documents, engine
from streams.core.decision import Issued, Told
from streams.core.engine import Step
from streams.zones import zones_in

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: 2026-11-24T03:00:00Z; all times of the sentences are relative to it.
START = 1_795_489_200_000

UID_A = "7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21"
UID_B = "11111111-2222-4333-8444-555555555555"
UID_C = "99999999-aaaa-4bbb-8ccc-dddddddddddd"
EXTERNAL_A = "ls.407." + UID_A.replace("-", "")
EXTERNAL_B = "ls.407." + UID_B.replace("-", "")

TOPICS: dict[type[Fact], str] = {
    AlertTriggered: "ninjaone.alerts",
    AlertObserved: "ninjaone.alerts",
    AlertAcknowledged: "ninjaone.alerts",
    AlertReset: "ninjaone.resets",
    AlertGone: "ninjaone.resets",
    DeviceObserved: "ninjaone.devices",
    DeviceRemoved: "ninjaone.devices",
    TicketObserved: "autotask.tickets",
    TicketNoteObserved: "autotask.tickets",
    CommandSettled: "outcomes",
    TimerFired: "timers",
}


def subject(device: int | None = 407, organization: int = 17, **more: Any) -> Subject:
    named: dict[str, Any] = {
        "organization_id": organization,
        "organization_name": "Nordwind GmbH",
        "location_id": 31,
        "location_name": "Main Office",
    }
    if device is not None:
        named |= {
            "device_id": device,
            "device_name": "NW-FS01",
            "device_uid": "0d0b7a53-2a35-4b0e-9a0e-5b6c6e3f1a10",
            "node_class": "WINDOWS_SERVER",
            "role_id": 1,
            "role_name": "Windows Server",
            "link": f"https://eu.ninjarmm.com/#/deviceDashboard/{device}/overview",
        }
    else:
        named["location_id"] = None
    return Subject(**{**named, **more})


def triggered(activity: int = 10, uid: str = UID_A, at: int | None = None, **more: Any) -> AlertTriggered:
    fields: dict[str, Any] = {
        "subject": subject(),
        "raised_at": START + activity * 1000 if at is None else at,
        "source_type": "CONDITION_AGENT_DISK_FREE_SPACE",
        "source_config_uid": "c2d6c9d1-0a8f-4a77-9a54-3f4d7f0b1c11",
        "source_name": "Disk space",
        "alert_subject": "C:",
        "message": "Disk C: free space is 4.3 %, below 10 %",
        "severity": "CRITICAL",
    }
    return AlertTriggered(uid=uid, activity_id=activity, **{**fields, **more})


def observed(uid: str = UID_A, at: int = START + 10_000, **more: Any) -> AlertObserved:
    fields = triggered(uid=uid, at=at, **more).model_dump(exclude={"activity_id"})
    return AlertObserved.model_validate(fields)


def reset(activity: int = 20, uid: str = UID_A, at: int | None = None) -> AlertReset:
    moment = START + activity * 1000 if at is None else at
    return AlertReset(uid=uid, subject=subject(), activity_id=activity, reset_at=moment)


def acknowledgement(activity: int = 15, uid: str = UID_A, user: int | None = 12) -> AlertAcknowledged:
    at = START + activity * 1000
    return AlertAcknowledged(uid=uid, subject=subject(), activity_id=activity, acknowledged_at=at, user_id=user)


def note(number: int = 1, **more: Any) -> TicketNoteObserved:
    fields: dict[str, Any] = {
        "ticket_id": 5001,
        "external_id": EXTERNAL_A,
        "created_at": START + 20_000,
        "creator_resource_id": 29682885,
        "title": "Looked at it",
        "text_length": 12,
        "text_digest": "0" * 32,
    }
    return TicketNoteObserved(key="407", note_id=number, **{**fields, **more})


def gone(at: int = START + 20_000, uid: str = UID_A, cause: Any = "MissingFromList") -> AlertGone:
    return AlertGone(uid=uid, subject=subject(), gone_at=at, cause=cause)


def ticket(
    at: int, *, completed: bool = False, number: int = 5001, external_id: str | None = EXTERNAL_A
) -> TicketObserved:
    return TicketObserved(
        key="407",
        ticket_id=number,
        ticket_number=f"T20261124.{number}",
        external_id=external_id,
        company_id=29683,
        status=5 if completed else 1,
        completed=completed,
        completed_at=at if completed else None,
        last_activity_at=at,
    )


def device(at: int = START, *, where: Subject | None = None, **more: Any) -> DeviceObserved:
    fields: dict[str, Any] = {
        "system_name": "NW-FS01",
        "serial": "5CG1234XYZ",
        "os_name": "Windows Server 2022",
        "memory_bytes": 34_359_738_368,
        "mac_addresses": ("00:11:22:33:44:55",),
    }
    fields = {**fields, **more}
    return DeviceObserved(
        subject=where or subject(), observed_at=at, digest=derived_id(str(sorted(fields.items()))), **fields
    )


def removed(at: int = START + HOUR, cause: Any = "Deleted") -> DeviceRemoved:
    return DeviceRemoved(device_id=407, removed_at=at, cause=cause)


def policy(revision: int = 1, **parts: Any) -> PolicyPublished:
    document = {"version": 1, "companies": {"map": [{"organization": 17, "company": 29683}]}, **parts}
    zones = zones_in(document)
    document |= {"zones": zones} if zones else {}
    return PolicyPublished(revision=revision, document=canonical(document).decode())


def lifecycle(**settings: Any) -> dict[str, Any]:
    return {"defaults": {"lifecycle": settings}}


def companies(*rows: tuple[int, str]) -> CompaniesObserved:
    listed = tuple(Company(id=number, name=name) for number, name in rows)
    return CompaniesObserved(digest=derived_id(str(rows)), companies=listed)


def organizations(*rows: tuple[int, str]) -> OrganizationsObserved:
    listed = tuple(Organization(id=number, name=name) for number, name in rows)
    return OrganizationsObserved(digest=derived_id(str(rows)), organizations=listed)


class Scene:
    """One agent and one partition. ``now`` is the recorded time of the next fact."""

    def __init__(self, agent: str, *given: Fact) -> None:
        self.agent = agent
        self.state: dict[bytes, bytes] = {}
        self.records: list[AuditRecord] = []
        self.commands: list[Issued] = []
        self.told: list[Told] = []
        self.steps: list[Step] = []
        self.now = START
        self._offsets: dict[str, int] = {}
        for fact in given:
            self.when(fact)

    def when(self, *facts: Fact, key: str = "407", identity: str | None = None) -> Scene:
        """Each fact is read, decided and kept; ``steps`` and ``issued`` then tell of the last one."""
        for fact in facts:
            envelope = Envelope(
                id=identity or derived_id(fact.ce_type, fact.to_json().decode()),
                type=fact.ce_type,
                source="test",
                time=self.now,
                recorded=self.now,
                key=key,
            )
            topic = "control" if isinstance(fact, ControlFact) else TOPICS.get(type(fact), STORM_VERDICTS)
            self._decide(fact, envelope, topic)
        return self

    def hear(self, *told: Told) -> Scene:
        """What another agent told is decided as it was forwarded, byte for byte."""
        for envelope, fact, topic in told:
            self._decide(fact, envelope, topic)
        return self

    def _decide(self, fact: Fact, envelope: Envelope, topic: str) -> None:
        event, audited = self._read(fact, envelope, topic)
        self.steps = engine.decide(self.agent, event, audited, self.state, sequence=len(self.records) + 1)
        for step in self.steps:
            self.state[step.key.encode()] = step.state
            self.records.append(step.record)
            self.commands.extend(step.commands)
            self.told.extend(step.told)

    def later(self, milliseconds: int) -> Scene:
        self.now += milliseconds
        return self

    def _read(self, fact: Fact, envelope: Envelope, topic: str) -> tuple[Event[Fact], AuditedFact]:
        value = fact.to_json()
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        headers = envelope.to_headers()
        audited = AuditedFact(
            topic=topic,
            partition=0,
            offset=offset,
            headers={name: text.decode() for name, text in headers},
            value=value.decode(),
        )
        return decode_fact(headers, value), audited

    # What came of the last fact

    @property
    def issued(self) -> list[Command]:
        return [issued.command for step in self.steps for issued in step.commands]

    @property
    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.issued]

    @property
    def reasons(self) -> list[str]:
        return [entry["reason"] for step in self.steps for entry in step.record.decision.get("reasons", [])]

    def body(self, key: str = "407") -> dict[str, Any]:
        return documents.read(self.state.get(key.encode()))[0]

    def disposition(self, uid: str = UID_A, key: str = "407") -> tuple[str, str]:
        alert = self.body(key)["alerts"][uid]
        return alert["disposition"], alert["reason"]

    def all_kinds(self) -> list[str]:
        return [type(issued.command).__name__ for issued in self.commands]

    def last(self, kind: str) -> Issued:
        """The latest command of a kind."""
        return next(issued for issued in reversed(self.commands) if type(issued.command).__name__ == kind)

    def settle(self, kind: str, outcome: Any = "Succeeded", **more: Any) -> Scene:
        """The latest command of this kind settles."""
        return self.settle_command(self.last(kind), outcome, **more)

    def settle_command(self, issued: Issued, outcome: Any = "Succeeded", **more: Any) -> Scene:
        command = issued.command
        known: dict[str, Any] = {}
        if outcome == "Succeeded":
            name = type(command).__name__
            if name == "CreateTicket":
                known = {"ticket_id": 5001, "ticket_number": "T20261124.5001", "how": "Called"}
            if name == "UpsertConfigurationItem":
                known = {"item_id": 700, "company_id": command.company_id, "how": "Called"}  # type: ignore[attr-defined]
        fact = CommandSettled(
            key=command.key,
            command_id=issued.envelope.id,
            command_type=command.ce_type,
            effect_key=command.effect_key,
            incident=command.incident,
            outcome=outcome,
            settled_at=more.pop("settled_at", self.now),
            **{**known, **more},
        )
        return self.when(fact, key=command.key)

    def timers(self, key: str = "407") -> list[tuple[int, str]]:
        return [tuple(timer) for timer in engine.timers_of(self.agent, key, self.state[key.encode()])]

    def fire(self, key: str = "407") -> Scene:
        """The earliest timer of the key fires at its time."""
        due_at, name = self.timers(key)[0]
        self.now = max(self.now, due_at)
        return self.when(TimerFired(key=key, agent=self.agent, timer=name, due_at=due_at), key=key)


def incidents(*given: Fact, **policy_parts: Any) -> Scene:
    """The agent ``incidents`` with a policy that maps organization 17 to company 29683, and facts before the scene."""
    return Scene("incidents", policy(**policy_parts), *given)


def devices(*given: Fact, **policy_parts: Any) -> Scene:
    """The agent ``devices`` with the same policy."""
    return Scene("devices", policy(**policy_parts), *given)


def bodies(state: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The documents without their chains."""
    return {key: orjson.dumps(documents.read(document)[0]) for key, document in state.items()}


def names(commands: Iterable[Issued]) -> list[str]:
    return [type(issued.command).__name__ for issued in commands]


EVERYTHING = Selection(everything=True)


def ticketed(**policy_parts: Any) -> Scene:
    """An alert with its ticket made."""
    return incidents(triggered(), **policy_parts).settle("CreateTicket")


def completed_by_technician() -> Scene:
    return ticketed().when(triggered(11, UID_B), ticket(START + 40_000, completed=True))
