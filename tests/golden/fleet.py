"""A fleet under all three agents for as long as one likes: a schedule of events by seed, vendors that answer in their time.

Nothing here judges: it makes facts as a real installation would, so that what is decided about them can be kept.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from schemas.audit import AuditedFact, AuditRecord
from schemas.commands import (
    AdoptTicket,
    CompleteTicket,
    CreateTicket,
    ReopenTicket,
    ResetAlert,
    RetireConfigurationItem,
    UpsertConfigurationItem,
    WithdrawCommand,
)
from schemas.envelope import Envelope
from schemas.events import decode_fact
from schemas.facts import AlertReset, CommandSettled, ControlFact, Fact, Subject, TicketObserved, TimerFired
from schemas.identity import derived_id
from schemas.topics import AGENT_INPUTS, STORM_VERDICTS
from streams.core import engine
from streams.core.decision import Issued
from tests.core.spec import START, TOPICS, triggered

#: Autotask is asked every so often for tickets that changed.
_POLL_MS = 30_000


@dataclass
class Ticket:
    """A ticket as Autotask keeps it."""

    id: int
    key: str
    external_id: str
    company: int
    completed_at: int | None = None
    by_us: bool = False
    touched: bool = False


@dataclass
class Fleet:
    """``run`` lets everything happen that is scheduled; ``records`` are the decisions, in their order."""

    seed: int
    now: int = START
    records: list[AuditRecord] = field(default_factory=list)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    active: dict[str, tuple[Subject, dict[str, Any]]] = field(default_factory=dict)
    #: How often a command fails for a while, and how often for good.
    defers: float = 0.0
    rejects: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.states: dict[str, dict[bytes, bytes]] = {agent: {} for agent in AGENT_INPUTS}
        self._offsets: dict[str, int] = {}
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = self._activity = 0
        self._waiting: dict[str, Issued] = {}
        self._timers: set[tuple[str, str, str, int]] = set()
        self._items: dict[str, int] = {}
        self._polls: set[str] = set()

    # --- time

    def at(self, moment: int, happens: Callable[[], None]) -> None:
        """Something happens then, or at once where that is past."""
        self._order += 1
        # In steps of ten seconds: fewer different times make a smaller journal.
        heapq.heappush(self._due, (max(-(-moment // 10_000) * 10_000, self.now), self._order, happens))

    def after(self, least: int, most: int, happens: Callable[[], None]) -> None:
        """Something happens within so many milliseconds."""
        self.at(self.now + self.random.randint(least, most), happens)

    def run(self) -> Fleet:
        """Until nothing is left to happen."""
        while self._due:
            moment, _, happens = heapq.heappop(self._due)
            self.now = max(self.now, moment)
            happens()
        return self

    # --- NinjaOne

    def raise_alert(self, uid: str, where: Subject, **kind: Any) -> None:
        """An alert is raised and told by webhook; twice, now and then."""
        self._activity += 1
        self.active[uid] = (where, kind)
        fact = triggered(self._activity, uid, self.now, subject=where, **kind)
        self.after(300, 2500, lambda: self.publish(fact, where.key))
        if self.random.random() < 0.05:
            self.after(20_000, 30_000, lambda: self.publish(fact, where.key))

    def clear_alert(self, uid: str) -> None:
        """It clears, if it is still active."""
        if uid not in self.active:
            return
        where, _ = self.active.pop(uid)
        self._activity += 1
        fact = AlertReset(uid=uid, subject=where, activity_id=self._activity, reset_at=self.now)
        self.after(300, 2500, lambda: self.publish(fact, where.key))

    # --- Autotask

    def complete(self, external_id: str) -> None:
        """A technician completes a ticket, if it is there and open."""
        ticket = self.tickets.get(external_id)
        if ticket is not None and ticket.completed_at is None:
            ticket.completed_at, ticket.by_us = self.now, False
            self._changed(ticket)

    def _changed(self, ticket: Ticket) -> None:
        if ticket.external_id not in self._polls:
            self._polls.add(ticket.external_id)
            self.at((self.now // _POLL_MS + 1) * _POLL_MS, lambda: self._seen(ticket))

    def _seen(self, ticket: Ticket) -> None:
        self._polls.discard(ticket.external_id)
        done = ticket.completed_at
        seen = TicketObserved(
            key=ticket.key, ticket_id=ticket.id, ticket_number=f"T{ticket.id}", external_id=ticket.external_id,
            company_id=ticket.company, status=1 if done is None else 5, completed=done is not None, completed_at=done,
            last_activity_at=self.now - 1000, assigned_resource_id=29682885 if ticket.touched else None,
        )  # fmt: skip
        self.publish(seen, ticket.key)

    # --- the log

    def publish(self, fact: Fact, key: str, envelope: Envelope | None = None, topic: str = "") -> None:
        """A fact is written, and decided by every agent that it concerns."""
        identity = derived_id(key, fact.ce_type, fact.to_json().decode())
        envelope = envelope or Envelope(
            id=identity, type=fact.ce_type, source="fleet", time=self.now, recorded=self.now, key=key
        )
        topic = topic or ("control" if isinstance(fact, ControlFact) else TOPICS.get(type(fact), STORM_VERDICTS))
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        headers, value = envelope.to_headers(), fact.to_json()
        texts = {name: text.decode() for name, text in headers}
        audited = AuditedFact.model_construct(
            topic=topic, partition=0, offset=offset, headers=texts, value=value.decode()
        )
        for agent, topics in AGENT_INPUTS.items():
            if topic in topics:
                for step in engine.decide(agent, decode_fact(headers, value), audited, self.states[agent]):
                    self._take(agent, step)

    def _take(self, agent: str, step: engine.Step) -> None:
        self.states[agent][step.key.encode()] = step.state
        self.records.append(step.record)
        for issued in step.commands:
            self._waiting[issued.envelope.id] = issued
            self.after(400, 4000, lambda issued=issued: self._execute(issued))  # type: ignore[misc]
        for told in step.told:
            self.after(2, 9, lambda told=told: self.publish(told.fact, told.envelope.key, told.envelope, told.topic))  # type: ignore[misc]
        for timer in step.timers:
            name = (agent, step.key, timer.timer, timer.at)
            if name not in self._timers:
                self._timers.add(name)
                self.at(timer.at, lambda name=name: self._fire(name))  # type: ignore[misc]

    def _fire(self, name: tuple[str, str, str, int]) -> None:
        agent, key, timer, due = name
        self._timers.discard(name)
        if (due, timer) in engine.timers_of(agent, key, self.states[agent][key.encode()]):
            self.publish(TimerFired(key=key, agent=agent, timer=timer, due_at=due), key)

    # --- the executor

    def _execute(self, issued: Issued) -> None:
        if self._waiting.pop(issued.envelope.id, None) is None:
            return None
        command = issued.command
        chance = self.random.random()
        if not isinstance(command, WithdrawCommand) and chance < self.defers:
            return self._settle(issued, "Deferred", reason="TimedOut")
        if isinstance(command, UpsertConfigurationItem) and chance < self.rejects:
            return self._settle(issued, "Rejected", reason="UnknownProduct", detail="There is no such product")
        match command:
            case CreateTicket() | AdoptTicket():
                ticket = self.tickets.setdefault(
                    command.external_id,
                    Ticket(7000 + len(self.tickets), command.key, command.external_id, command.company_id),
                )
                self._changed(ticket)
                self._settle(issued, ticket_id=ticket.id, ticket_number=f"T{ticket.id}")
            case CompleteTicket() | ReopenTicket():
                self._close_or_open(issued, command)
            case ResetAlert():
                self._settle(issued, how="Called" if command.uid in self.active else "NothingToDo")
                self.clear_alert(command.uid)
            case WithdrawCommand():
                target = self._waiting.pop(command.command_id, None)
                if target is not None:
                    self._settle(target, "Withdrawn")
                self._settle(issued, "Succeeded" if target else "Rejected", reason="" if target else "TooLate")
            case UpsertConfigurationItem():
                number = self._items.setdefault(f"{command.key}@{command.company_id}", 100 + len(self._items))
                self._settle(issued, item_id=number, company_id=command.company_id)
            case RetireConfigurationItem():
                self._settle(issued, item_id=command.item_id, company_id=command.company_id)
            case _:
                self._settle(issued)
        return None

    def _close_or_open(self, issued: Issued, command: CompleteTicket | ReopenTicket) -> None:
        ticket = next(one for one in self.tickets.values() if one.id == command.ticket_id)
        closes, done = isinstance(command, CompleteTicket), ticket.completed_at is not None
        if closes == done:
            return self._settle(issued, how="NothingToDo")
        if isinstance(command, CompleteTicket) and command.only_if_untouched and ticket.touched:
            return self._settle(issued, "Rejected", reason="TouchedByTechnician")
        if isinstance(command, ReopenTicket) and command.only_ours and not ticket.by_us:
            return self._settle(issued, "Rejected", reason="CompletedByTechnician")
        ticket.completed_at, ticket.by_us = (self.now if closes else None), closes
        self._changed(ticket)
        return self._settle(issued, ticket_activity_at=None if closes else self.now)

    def _settle(self, issued: Issued, outcome: Any = "Succeeded", **more: Any) -> None:
        command = issued.command
        how = more.pop("how", "Called" if outcome == "Succeeded" else "")
        fact = CommandSettled(
            key=command.key, command_id=issued.envelope.id, command_type=command.ce_type, effect_key=command.effect_key,
            incident=command.incident, outcome=outcome, settled_at=self.now, how=how, calls=1, **more,
        )  # fmt: skip
        self.publish(fact, command.key)
