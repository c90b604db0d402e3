"""The agents ``incidents`` and ``storms`` with a forwarder between them, and vendors that do what they are told at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.commands import AppendTicketNote, CompleteTicket, CreateTicket, ReopenTicket, ResetAlert, WithdrawCommand
from schemas.envelope import Envelope
from schemas.facts import AlertReset, CommandSettled, Fact, Subject, TicketObserved, TimerFired
from schemas.identity import derived_id
from schemas.topics import STORM_CANDIDATES
from streams.core import documents, engine
from streams.core.decision import Issued, Told
from streams.core.verify import Verifier
from tests.core.spec import START, TOPICS, Scene, policy, subject, triggered

OFFLINE = {"source_type": "AGENT_OFFLINE", "source_config_uid": None, "source_name": "", "alert_subject": ""}
DISK = {"source_type": "CONDITION_AGENT_DISK_FREE_SPACE"}


def uid_of(device: int, number: int = 0) -> str:
    return f"{device:08d}-{number:04d}-4000-8000-000000000000"


def at_site(device: int, *, location: int | None = 31, organization: int = 17) -> Subject:
    name = f"NW-{device}"
    where = {"location_id": location, "location_name": "Main Office" if location else ""}
    return subject(device, organization, device_name=name, **where)


def storm_policy(*, storm: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The parts of a policy whose first rule looks for storms of devices that are offline."""
    watching = {
        "name": "offline",
        "when": {"source_type": ["AGENT_OFFLINE"]},
        "storm": storm or {"devices": 3, "within": "2m"},
        **more,
    }
    return {"rules": [watching, {"name": "rest", "when": {}}]}


@dataclass
class Ticket:
    """A ticket as Autotask keeps it."""

    id: int
    key: str
    command: CreateTicket
    completed: bool = False
    notes: list[str] = field(default_factory=list)


class World:
    """``on_the_way`` holds what is to be delivered: facts for ``incidents`` and ``storms``, in the order of their publication."""

    def __init__(self, **policy_parts: Any) -> None:
        self.incidents = Scene("incidents", policy(**policy_parts))
        self.storms = Scene("storms")
        self.on_the_way: list[Told] = []
        self.delivered: list[Told] = []
        self.queue: list[Issued] = []
        self.tickets: dict[str, Ticket] = {}
        self.active: dict[str, tuple[int, int]] = {}
        self.resets: list[str] = []
        self.refuses_resets = False
        self.now = START
        self._activity = 0
        self._timers: set[TimerFired] = set()

    # NinjaOne

    def down(self, *devices: int, number: int = 0, kind: dict[str, Any] = OFFLINE, **where: Any) -> World:
        """An alert per device; told at once, delivered with the next ``work``."""
        for device in devices:
            uid, place = uid_of(device, number), at_site(device, **where)
            fact = triggered(
                self.take_activity(device, number), uid, self.now, subject=place, message="Device is offline", **kind
            )
            self.publish(fact, str(device))
        return self

    def take_activity(self, device: int, number: int = 0) -> int:
        """The id of the activity that tells of a device's alert, which is active from here on."""
        self._activity += 1
        self.active[uid_of(device, number)] = (device, self._activity)
        return self._activity

    def up(self, *devices: int, number: int = 0) -> World:
        """The devices' alerts clear by themselves."""
        for device in devices:
            self._cleared(uid_of(device, number))
        return self

    def _cleared(self, uid: str) -> None:
        if uid in self.active:
            device, _ = self.active.pop(uid)
            self._activity += 1
            fact = AlertReset(uid=uid, subject=at_site(device), activity_id=self._activity, reset_at=self.now)
            self.publish(fact, str(device))

    # Autotask

    def complete(self, ticket: Ticket) -> World:
        """A technician completes a ticket."""
        ticket.completed = True
        self.see(ticket)
        return self

    def see(self, ticket: Ticket) -> None:
        self.now += 1
        seen = TicketObserved(
            key=ticket.key,
            ticket_id=ticket.id,
            ticket_number=f"T{ticket.id}",
            external_id=ticket.command.external_id,
            company_id=29683,
            status=5 if ticket.completed else 1,
            completed=ticket.completed,
            completed_at=self.now if ticket.completed else None,
            last_activity_at=self.now,
        )
        self.publish(seen, ticket.key)

    # What happens

    def publish(self, fact: Fact, key: str) -> None:
        identity = derived_id(key, fact.ce_type, fact.to_json().decode())
        envelope = Envelope(id=identity, type=fact.ce_type, source="t", time=self.now, recorded=self.now, key=key)
        self.on_the_way.append(Told(envelope, fact, TOPICS.get(type(fact), "timers")))

    def deliver(self, told: Told) -> None:
        """One fact is decided; what the agent tells the other is on the way then, and its commands wait."""
        timers_of_storms = isinstance(told.fact, TimerFired) and told.fact.agent == "storms"
        agent = self.storms if told.topic == STORM_CANDIDATES or timers_of_storms else self.incidents
        said, ordered = len(agent.told), len(agent.commands)
        agent.hear(told)
        self.delivered.append(told)
        self.on_the_way += agent.told[said:]
        self.queue += agent.commands[ordered:]

    def work(self) -> World:
        """Everything that is on the way arrives, and every command is carried out, until nothing is left."""
        for _ in range(20_000):
            if self.on_the_way:
                self.deliver(self.on_the_way.pop(0))
            elif self.queue:
                self.execute()
            else:
                return self
        raise AssertionError("there is no silence")

    def later(self, milliseconds: int) -> World:
        """Time passes: timers that come due fire in their order, and all is worked off each time."""
        end = self.now + milliseconds
        while (due := self._next_timer()) is not None and due.due_at <= end:
            self.now = max(self.now, due.due_at)
            self.fire(due)
            self.work()
        self.now = end
        return self

    def fire(self, due: TimerFired) -> None:
        self._timers.add(due)
        self.publish(due, due.key)

    def timers(self) -> list[TimerFired]:
        """Those that were not told yet, the earliest first."""
        found = [
            TimerFired(key=key.decode(), agent=scene.agent, timer=timer.timer, due_at=timer.at)
            for scene in (self.incidents, self.storms)
            for key, document in scene.state.items()
            for timer in engine.timers_of(scene.agent, key.decode(), document)
        ]
        return sorted((one for one in found if one not in self._timers), key=lambda one: (one.due_at, one.key))

    def _next_timer(self) -> TimerFired | None:
        return next(iter(self.timers()), None)

    def execute(self) -> None:
        """The executor takes one command and settles it."""
        issued = self.queue.pop(0)
        command, more = issued.command, {}
        outcome: Any = "Succeeded"
        match command:
            case CreateTicket():
                assert command.external_id not in self.tickets, "a second create for one incident"
                ticket = Ticket(5001 + len(self.tickets), command.key, command)
                self.tickets[command.external_id] = ticket
                more = {"ticket_id": ticket.id, "ticket_number": f"T{ticket.id}"}
                self.see(ticket)
            case CompleteTicket() | ReopenTicket():
                ticket = next(one for one in self.tickets.values() if one.id == command.ticket_id)
                ticket.completed = isinstance(command, CompleteTicket)
                self.see(ticket)
            case AppendTicketNote():
                next(one for one in self.tickets.values() if one.id == command.ticket_id).notes.append(command.text)
            case ResetAlert() if self.refuses_resets:
                outcome = "Rejected"
            case ResetAlert():
                self.resets.append(command.uid)
                self._cleared(command.uid)
            case WithdrawCommand():
                target = next((one for one in self.queue if one.envelope.id == command.command_id), None)
                if target is None:
                    outcome = "Rejected"
                else:
                    self.queue.remove(target)
                    self._settle(target, "Withdrawn", {})
        self._settle(issued, outcome, more)

    def _settle(self, issued: Issued, outcome: Any, more: dict[str, Any]) -> None:
        command = issued.command
        fact = CommandSettled(
            key=command.key,
            command_id=issued.envelope.id,
            command_type=command.ce_type,
            effect_key=command.effect_key,
            incident=command.incident,
            outcome=outcome,
            settled_at=self.now,
            **more,
        )
        self.publish(fact, command.key)

    # What can be seen

    @property
    def parents(self) -> list[Ticket]:
        """The tickets of places."""
        return [ticket for ticket in self.tickets.values() if not ticket.key.isdigit()]

    @property
    def own(self) -> list[Ticket]:
        """The tickets of single devices."""
        return [ticket for ticket in self.tickets.values() if ticket.key.isdigit()]

    def disposition(self, device: int, number: int = 0) -> tuple[str, str]:
        return self.incidents.disposition(uid_of(device, number), str(device))

    def dispositions(self) -> Counter[tuple[str, str]]:
        """Of the vendors' alerts, that is of devices."""
        return Counter(
            (alert["disposition"], alert["reason"])
            for key in self.incidents.state
            if key.isdigit()
            for alert in self.incidents.body(key.decode()).get("alerts", {}).values()
        )

    def said(self, reason: str) -> bool:
        return any(
            reason == entry["reason"]
            for scene in (self.incidents, self.storms)
            for record in scene.records
            for entry in record.decision.get("reasons", [])
        )

    def verify(self) -> None:
        """What was recorded is decided again, byte for byte, and folding the records makes the same state."""
        for scene in (self.incidents, self.storms):
            verifier, rebuilt = Verifier(agent=scene.agent), dict[bytes, bytes]()
            for record in scene.records:
                assert verifier.feed(type(record).from_json(record.to_json())) is None
                rebuilt[record.key.encode()] = engine.fold(record, rebuilt.get(record.key.encode()))
            assert verifier.finish(scene.state) is None
            assert rebuilt == scene.state
            assert all(documents.read(document)[1].length for document in scene.state.values())
