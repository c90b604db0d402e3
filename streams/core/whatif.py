"""``whatif``: recorded facts decided under a draft policy, beside what was decided then. Pure, and calls nobody.

The draft comes into force at an instant. What was recorded until then makes the state; every fact since is decided anew, in the
recorded order. A command that was really given has its recorded settlement; one that was not is taken as succeeded at once.
A due time that passed in reality passes when it did, one that exists under the draft only passes when the log's time reaches it.
What people did in Autotask counts for tickets that the draft opens too; what they did with tickets that it does not open is left out.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from schemas.audit import AuditedFact, AuditRecord
from schemas.commands import Command, CompleteTicket, CreateTicket, ReopenTicket, ResetAlert, WithdrawCommand
from schemas.envelope import Envelope
from schemas.events import Event, command_of
from schemas.facts import CommandSettled, Fact, PolicyPublished, TicketNoteObserved, TicketObserved, TimerFired
from schemas.identity import derived_id, is_predicted, predicted_id
from streams.core import documents, incidents
from streams.core.decision import Issued
from streams.core.documents import CONTEXT_KEY
from streams.core.engine import Step, decide, timers_of
from streams.core.verify import event_of

#: Beyond every revision that is ever given.
DRAFT_REVISION = 1_000_000_000
_COMPARED = ("queue", "priority", "status", "ticket_type", "source", "category", "company_id", "title")

TimerName = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that was opened, as its command said: ``fields`` are those that rules choose, ``rule`` the one that did.

    ``ordered_at`` is when (epoch ms); of a command that was given again, the first time.
    """

    external_id: str
    rule: str | None
    fields: dict[str, Any]
    ordered_at: int = 0


@dataclass(frozen=True, slots=True)
class TicketChange:
    """One line of the difference. ``live`` or ``draft`` is ``None`` where only the other opened a ticket."""

    external_id: str
    live: Ticket | None
    draft: Ticket | None

    @property
    def what(self) -> str:
        """``opened``, ``not opened``, or the fields that are others."""
        if self.live is None:
            return "opened"
        if self.draft is None:
            return "not opened"
        return ", ".join(name for name in _COMPARED if self.live.fields.get(name) != self.draft.fields.get(name))


@dataclass(slots=True)
class Side:
    """What one policy came to: tickets by external id, and how many commands of each type."""

    tickets: dict[str, Ticket] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    creating: dict[str, str] = field(default_factory=dict)

    def gave(self, identity: str, command: Command, rule: str | None, at: int) -> None:
        """A command was given, under this id, at an instant (epoch ms)."""
        vendor, calls = calls_of(command)
        if calls:
            self.commands[type(command).__name__] += 1
            self.calls[vendor] += calls
        if isinstance(command, CreateTicket):
            self.creating[identity] = command.external_id
            chosen = {name: getattr(command, name) for name in _COMPARED}
            before = self.tickets.get(command.external_id)
            first = before.ordered_at if before is not None else at
            self.tickets[command.external_id] = Ticket(command.external_id, rule, chosen, first)

    def settled(self, fact: CommandSettled) -> None:
        """A create that came to nothing opened no ticket."""
        external_id = self.creating.pop(fact.command_id, None)
        if external_id is not None and fact.outcome != "Succeeded":
            self.tickets.pop(external_id, None)

    def saved(self) -> dict[str, Any]:
        """All of it as JSON data."""
        return {
            "tickets": [asdict(ticket) for ticket in self.tickets.values()],
            "commands": dict(self.commands),
            "calls": dict(self.calls),
            "creating": self.creating,
        }

    @classmethod
    def resumed(cls, saved: Mapping[str, Any]) -> Side:
        """What was ``saved()``. Raises ``KeyError``, ``TypeError``."""
        tickets = [Ticket(**ticket) for ticket in saved["tickets"]]
        return cls(
            tickets={ticket.external_id: ticket for ticket in tickets},
            commands=Counter(saved["commands"]),
            calls=Counter(saved["calls"]),
            creating=dict(saved["creating"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What both sides came to; ``changes`` in the order of external ids. Adds up over partitions."""

    facts: int
    live: Side
    draft: Side

    def changes(self) -> list[TicketChange]:
        """Every ticket that is not the same on both sides."""
        pairs = (
            TicketChange(name, self.live.tickets.get(name), self.draft.tickets.get(name))
            for name in sorted({*self.live.tickets, *self.draft.tickets})
        )
        return [pair for pair in pairs if pair.what]


def calls_of(command: Command) -> tuple[str, int]:
    """Which vendor a command calls, and how often where nothing goes wrong (docs/lifecycle.md has the reads)."""
    match command:
        case WithdrawCommand():
            return "", 0
        case ResetAlert():
            return "ninjaone", 1
        case CompleteTicket(only_if_untouched=True):
            return "autotask", 4
        case ReopenTicket():
            return "autotask", 4
        case _:
            return "autotask", 1


class Simulation:
    """The agent ``incidents`` of one partition under a draft. Feed it the records since the draft's instant, in order.

    ``state`` are the documents of that instant, ``document`` the draft as canonical JSON, ``passed`` every due time that
    really passed since (key, timer, due time), ``at`` the instant in epoch ms.
    """

    def __init__(self, *, state: dict[bytes, bytes], document: str, passed: set[TimerName], at: int) -> None:
        self.live, self.draft = Side(), Side()
        self.facts = 0
        self._state = state
        self._passed = passed
        self._due: list[tuple[int, str, str]] = []
        self._noted: set[tuple[int, str, str]] = set()
        for name in state:
            self._note_timers(name.decode())
        self._decide(PolicyPublished(revision=DRAFT_REVISION, document=document), CONTEXT_KEY, at)

    @property
    def state(self) -> Mapping[bytes, bytes]:
        """The documents under the draft."""
        return self._state

    def saved(self) -> dict[str, Any]:
        """What this knows beside ``state`` and the due times that passed, as JSON data, for ``resumed``."""
        return {"facts": self.facts, "live": self.live.saved(), "draft": self.draft.saved(), "due": self._due}

    @classmethod
    def resumed(cls, *, state: dict[bytes, bytes], passed: set[TimerName], saved: Mapping[str, Any]) -> Simulation:
        """A simulation that goes on where another one was. Raises ``KeyError``, ``TypeError``, ``ValueError`` for what none has saved."""
        found = cls.__new__(cls)
        found.live, found.draft = Side.resumed(saved["live"]), Side.resumed(saved["draft"])
        found.facts = saved["facts"]
        found._state, found._passed = state, passed
        found._due = [(due, key, timer) for due, key, timer in saved["due"]]
        found._noted = set(found._due)
        return found

    def feed(self, records: list[AuditRecord]) -> None:
        """All records of one fact (a fact that concerns many keys has one for each)."""
        fact = records[0].fact
        event = event_of(fact)
        self.facts += 1
        given = {command.id for record in records for command in record.commands}
        for record in records:
            for command in record.commands:
                meant = command_of(command.type, command.value)
                self.live.gave(command.id, meant, record.decision.get("rule"), event.envelope.recorded)
        if isinstance(event.data, CommandSettled):
            self.live.settled(event.data)
        self._until(event.envelope.recorded)
        if isinstance(event.data, PolicyPublished) or self._is_of_no_ticket(event.data):
            return
        self._take(decide(incidents.AGENT, self._of_draft(event), fact, self._state), given, event.envelope.recorded)
        if isinstance(event.data, CommandSettled):
            self.draft.settled(event.data)

    def finish(self, at: int) -> Comparison:
        """The log ends at ``at`` (epoch ms)."""
        self._until(at)
        return Comparison(facts=self.facts, live=self.live, draft=self.draft)

    def _is_of_no_ticket(self, fact: Fact) -> bool:
        """Whether somebody saw or changed a ticket that the draft did not open."""
        if not isinstance(fact, TicketObserved) or fact.external_id is None:
            return False
        body, _ = documents.read(self._state.get(fact.key.encode()))
        return fact.external_id not in body.get("incidents", {})

    def _of_draft(self, event: Event[Fact]) -> Event[Fact]:
        """What people did to a ticket, done to the one that only the draft opened for that incident, if it did."""
        fact = event.data
        if not isinstance(fact, TicketObserved | TicketNoteObserved) or fact.external_id is None:
            return event
        body, _ = documents.read(self._state.get(fact.key.encode()))
        ticket = body.get("incidents", {}).get(fact.external_id, {}).get("ticket", 0)
        if not is_predicted(ticket):
            return event
        return Event(event.envelope, fact.model_copy(update={"ticket_id": ticket}))

    def _until(self, at: int) -> None:
        """Let the due times pass that only the draft has."""
        while self._due and self._due[0][0] <= at:
            due, key, timer = heapq.heappop(self._due)
            self._noted.discard((due, key, timer))
            wanted = any(each == (due, timer) for each in timers_of(incidents.AGENT, key, self._state[key.encode()]))
            if wanted and (key, timer, due) not in self._passed:
                fact = TimerFired(key=key, agent=incidents.AGENT, timer=timer, due_at=due)
                self._decide(fact, key, due)

    def _decide(self, fact: Fact, key: str, at: int) -> None:
        """Decide something that only happens under the draft."""
        identity = derived_id("whatif", key, fact.ce_type, at, fact.to_json().decode())
        envelope = Envelope(id=identity, type=fact.ce_type, source="whatif", time=at, recorded=at, key=key)
        audited = AuditedFact.model_construct(topic="whatif", partition=0, offset=0, headers={}, value="")
        self._take(decide(incidents.AGENT, Event(envelope, fact), audited, self._state), set(), at)

    def _take(self, steps: list[Step], given: set[str], at: int) -> None:
        """Keep what was decided; settle the commands that were never really given."""
        for step in steps:
            self._state[step.key.encode()] = step.state
            self._note_timers(step.key)
            rule = orjson.loads(step.value)["decision"].get("rule") if step.commands else None
            for issued in step.commands:
                self.draft.gave(issued.envelope.id, issued.command, rule, at)
        for step in steps:
            for issued in step.commands:
                if issued.envelope.id not in given:
                    self._decide(_success(issued, at), step.key, at)

    def _note_timers(self, key: str) -> None:
        if key != CONTEXT_KEY:
            for due, timer in timers_of(incidents.AGENT, key, self._state[key.encode()]):
                if (due, key, timer) not in self._noted:
                    self._noted.add((due, key, timer))
                    heapq.heappush(self._due, (due, key, timer))


def _success(issued: Issued, at: int) -> CommandSettled:
    """A command that was never really given, as if it had succeeded at once."""
    command = issued.command
    made: dict[str, Any] = {}
    if isinstance(command, CreateTicket):
        number = predicted_id(command.external_id)
        made = {"ticket_id": number, "ticket_number": f"draft {command.external_id}"}
    return CommandSettled(
        key=command.key,
        command_id=issued.envelope.id,
        command_type=command.ce_type,
        effect_key=command.effect_key,
        incident=command.incident,
        outcome="Succeeded",
        settled_at=at,
        how="Called",
        **made,
    )
