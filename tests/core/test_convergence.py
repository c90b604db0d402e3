"""Any order, any duplicates: a tiny perfect vendor executes commands and tells of it in any order, until all is quiet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.commands import (
    AppendTicketNote,
    Command,
    CompleteTicket,
    CreateTicket,
    ReopenTicket,
    ResetAlert,
    WithdrawCommand,
)
from schemas.facts import AlertGone, CommandSettled, Fact, TicketObserved, TimerFired
from schemas.model import canonical
from streams.core import documents, placing
from streams.core.decision import Issued
from streams.core.verify import Verifier
from tests.core.spec import START, Scene, gone, observed, policy, reset, triggered

UIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(3)]
#: The first two are one condition; the third stands alone.
CONDITIONS = {UIDS[0]: "C:", UIDS[1]: "C:", UIDS[2]: "D:"}


@dataclass
class Ticket:
    """A ticket as the vendor keeps it."""

    id: int
    external_id: str
    completed: bool = False
    by_technician: bool = False
    reopened: bool = False
    touched: bool = False
    notes: list[str] = field(default_factory=list)


class Vendors:
    """Both vendors in one: alerts and their activities, tickets, and the executor's queue of one key."""

    def __init__(self) -> None:
        self.clock = START
        self.activity = 0
        self.active: dict[str, int] = {}
        self.raised: set[str] = set()
        self.tickets: dict[int, Ticket] = {}
        self.queue: list[Issued] = []
        self.executed: set[str] = set()
        self.tells_assignments = True
        self.refuses_reopenings = False
        #: What a fact of an alert says of the device's maintenance mode.
        self.maintenance: dict[str, Any] = {}

    def tick(self) -> int:
        self.clock += 1000
        return self.clock

    def raise_alert(self, uid: str, *, listed: bool) -> list[Fact]:
        self.activity += 1
        self.raised.add(uid)
        at = self.tick()
        more = {"alert_subject": CONDITIONS[uid], **self.maintenance}
        facts: list[Fact] = [triggered(self.activity, uid, at, **more)]
        if uid not in self.active:
            self.active[uid] = at
            if listed:
                facts.append(observed(uid, at, **more))
        return facts

    def clear_alert(self, uid: str) -> list[Fact]:
        if self.active.pop(uid, None) is None:
            return []
        self.activity += 1
        return [reset(self.activity, uid, self.tick())]

    def missing(self, uid: str) -> AlertGone:
        return gone(self.tick(), uid)

    def seen(self, ticket: Ticket) -> TicketObserved:
        at = self.tick()
        return TicketObserved(
            key="407",
            ticket_id=ticket.id,
            ticket_number=f"T{ticket.id}",
            external_id=ticket.external_id,
            company_id=29683,
            status=5 if ticket.completed else 1,
            completed=ticket.completed,
            completed_at=at if ticket.completed else None,
            last_activity_at=at,
            assigned_resource_id=7 if ticket.touched and self.tells_assignments else None,
        )

    def withdraw(self, issued: Issued) -> list[Fact]:
        """A withdrawal is looked at as soon as the executor reads it, ahead of what waits."""
        command = issued.command
        assert isinstance(command, WithdrawCommand)
        target = next((waiting for waiting in self.queue if waiting.envelope.id == command.command_id), None)
        if target is None:
            return [self.settled(issued, "Rejected", reason="TooLate")]
        self.queue.remove(target)
        return [self.settled(target, "Withdrawn"), self.settled(issued, "Succeeded")]

    def execute(self, outcome: str) -> list[Fact]:
        """The executor takes the first command of the key and settles it."""
        issued = self.queue.pop(0)
        command = issued.command
        assert issued.envelope.id not in self.executed, "a command was issued twice"
        self.executed.add(issued.envelope.id)
        if outcome != "Succeeded":
            return [self.settled(issued, outcome, reason="Refused" if outcome == "Rejected" else "")]
        return self._bring_about(issued, command)

    def _bring_about(self, issued: Issued, command: Command) -> list[Fact]:
        match command:
            case CreateTicket():
                ticket = self._find(command.external_id)
                assert ticket is None, "a second create for one incident reached the vendor"
                ticket = Ticket(5000 + len(self.tickets), command.external_id)
                self.tickets[ticket.id] = ticket
                known = {"ticket_id": ticket.id, "ticket_number": f"T{ticket.id}"}
                return [self.settled(issued, "Succeeded", **known), self.seen(ticket)]
            case CompleteTicket():
                ticket = self.tickets[command.ticket_id]
                if ticket.completed:
                    how = "NothingToDo" if command.only_if_untouched else "Called"
                    return [self.settled(issued, "Succeeded", how=how)]
                if ticket.touched and command.only_if_untouched:
                    return [self.settled(issued, "Rejected", reason="TouchedByTechnician")]
                ticket.completed, ticket.by_technician = True, False
                return [self.settled(issued, "Succeeded"), self.seen(ticket)]
            case AppendTicketNote():
                self.tickets[command.ticket_id].notes.append(command.mark)
                return [self.settled(issued, "Succeeded"), self.seen(self.tickets[command.ticket_id])]
            case ReopenTicket():
                return self._reopen(issued, command)
            case ResetAlert():
                return [*self.clear_alert(command.uid), self.settled(issued, "Succeeded")]
            case _:
                raise AssertionError(type(command).__name__)

    def _reopen(self, issued: Issued, command: ReopenTicket) -> list[Fact]:
        ticket = self.tickets[command.ticket_id]
        if not ticket.completed:
            return [self.settled(issued, "Succeeded", how="NothingToDo", ticket_activity_at=self.tick())]
        if ticket.by_technician and command.only_ours:
            return [self.settled(issued, "Rejected", reason="CompletedByTechnician")]
        if self.refuses_reopenings:
            return [self.settled(issued, "Rejected", reason="StatusNeverReopens")]
        ticket.completed = False
        seen = self.seen(ticket)
        return [self.settled(issued, "Succeeded", ticket_activity_at=seen.last_activity_at), seen]

    def _find(self, external_id: str) -> Ticket | None:
        return next((ticket for ticket in self.tickets.values() if ticket.external_id == external_id), None)

    def settled(self, issued: Issued, outcome: Any, **more: Any) -> CommandSettled:
        command = issued.command
        return CommandSettled(
            key="407",
            command_id=issued.envelope.id,
            command_type=command.ce_type,
            effect_key=command.effect_key,
            incident=command.incident,
            outcome=outcome,
            settled_at=self.tick(),
            **more,
        )


class AnyOrder(RuleBasedStateMachine):
    """Facts are put on the way and delivered in any order, some twice; at the end everything is delivered."""

    repeat = "note"
    lifecycle: ClassVar[dict[str, Any]] = {}
    maintenance: ClassVar[list[dict[str, Any]]] = []
    priority: ClassVar[str | dict[str, str]] = "Medium"
    tells_assignments = True
    refuses_reopenings = False
    one_per_condition = True
    most_in_flight = placing.MOST_IN_FLIGHT

    def vendors_of(self) -> Vendors:
        return Vendors()

    @initialize()
    def begin(self) -> None:
        placing.MOST_IN_FLIGHT = self.most_in_flight
        self.vendors = self.vendors_of()
        self.vendors.tells_assignments = self.tells_assignments
        self.vendors.refuses_reopenings = self.refuses_reopenings
        defaults = {"lifecycle": {"repeat": self.repeat, **self.lifecycle}, "priority": self.priority}
        self.scene = Scene("incidents", policy(defaults=defaults, maintenance=self.maintenance))
        self.on_the_way: list[Fact] = []
        self.delivered: list[Fact] = []

    def deliver(self, fact: Fact) -> None:
        before = len(self.scene.commands)
        self.scene.now = max(self.scene.now, self.vendors.clock)
        self.scene.when(fact)
        self.delivered.append(fact)
        for issued in self.scene.commands[before:]:
            if isinstance(issued.command, WithdrawCommand):
                self.on_the_way += self.vendors.withdraw(issued)
            else:
                self.vendors.queue.append(issued)

    @rule(uid=st.sampled_from(UIDS), listed=st.booleans())
    def an_alert_is_raised(self, uid: str, listed: bool) -> None:
        self.on_the_way += self.vendors.raise_alert(uid, listed=listed)

    @precondition(lambda self: self.vendors.active)
    @rule(data=st.data())
    def an_alert_clears(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.vendors.active)))
        self.on_the_way += self.vendors.clear_alert(uid)

    @precondition(lambda self: self.vendors.raised - set(self.vendors.active))
    @rule(data=st.data())
    def an_alert_is_missing_from_the_list(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.vendors.raised - set(self.vendors.active))))
        self.on_the_way.append(self.vendors.missing(uid))

    @precondition(lambda self: any(not ticket.completed for ticket in self.vendors.tickets.values()))
    @rule(data=st.data())
    def a_technician_completes(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from([t for t in self.vendors.tickets.values() if not t.completed]))
        ticket.completed, ticket.by_technician = True, True
        self.on_the_way.append(self.vendors.seen(ticket))

    @precondition(lambda self: any(ticket.completed for ticket in self.vendors.tickets.values()))
    @rule(data=st.data())
    def a_technician_reopens(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from([t for t in self.vendors.tickets.values() if t.completed]))
        ticket.completed, ticket.reopened = False, True
        self.on_the_way.append(self.vendors.seen(ticket))

    @precondition(lambda self: self.lifecycle and any(not t.completed for t in self.vendors.tickets.values()))
    @rule(data=st.data())
    def a_technician_touches(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from([t for t in self.vendors.tickets.values() if not t.completed]))
        ticket.touched = True
        self.on_the_way.append(self.vendors.seen(ticket))

    @precondition(lambda self: self.on_the_way)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=6))
    def facts_arrive(self, places: list[int]) -> None:
        for place in places:
            if self.on_the_way:
                self.deliver(self.on_the_way.pop(place % len(self.on_the_way)))

    @precondition(lambda self: self.delivered)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=4))
    def facts_arrive_again(self, places: list[int]) -> None:
        for place in places:
            body, commands = canonical(self.scene.body()), len(self.scene.commands)
            self.deliver(self.delivered[place % len(self.delivered)])
            assert canonical(self.scene.body()) == body, "a duplicate changed the state"
            assert len(self.scene.commands) == commands, "a duplicate caused a command"

    @precondition(lambda self: self.vendors.queue)
    @rule(
        outcomes=st.lists(st.sampled_from(["Succeeded", "Succeeded", "Succeeded", "Deferred"]), min_size=1, max_size=3)
    )
    def the_executor_works(self, outcomes: list[str]) -> None:
        for outcome in outcomes:
            if self.vendors.queue:
                self.on_the_way += self.vendors.execute(outcome)

    @rule()
    def all_is_worked_off(self) -> None:
        """Executor and facts catch up, so that long histories happen and not only long queues."""
        while self.vendors.queue or self.on_the_way:
            if self.vendors.queue:
                self.on_the_way += self.vendors.execute("Succeeded")
            if self.on_the_way:
                self.deliver(self.on_the_way.pop(0))

    @precondition(lambda self: b"407" in self.scene.state and self.scene.timers())
    @rule()
    def a_timer_fires(self) -> None:
        due_at, name = self.scene.timers()[0]
        self.vendors.clock = max(self.vendors.clock, due_at)
        self.on_the_way.append(TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        try:
            self._settle_down()
            self._check_all()
        finally:
            placing.MOST_IN_FLIGHT = AnyOrder.most_in_flight

    def _check_all(self) -> None:
        self._check_alerts()
        self._check_tickets()
        self._check_audit()

    def _settle_down(self) -> None:
        for _ in range(1000):
            if self.on_the_way:
                # The last in first: the order that a real log is least likely to have.
                self.deliver(self.on_the_way.pop())
            elif self.vendors.queue:
                self.on_the_way += self.vendors.execute("Succeeded")
            elif b"407" in self.scene.state and self.scene.timers():
                self.a_timer_fires()
            else:
                return
        raise AssertionError("there is no silence: commands go on for ever")

    def _check_alerts(self) -> None:
        told = {fact.uid for fact in self.delivered if hasattr(fact, "uid")}  # type: ignore[attr-defined]
        alerts = self.scene.body().get("alerts", {})
        assert set(alerts) == told
        assert sum(Counter(alert["disposition"] for alert in alerts.values()).values()) == len(told)
        active = {uid for uid, alert in alerts.items() if alert.get("active")}
        assert active == set(self.vendors.active), "what is active here and there differs"
        for uid in active:
            left = self.lifecycle.get("reset") == "opening" and alerts[uid]["reason"] == "ResetOfOpeningOnly"
            placed = alerts[uid]["disposition"] in ("ticketed", "appended")
            assert left or placed or self._rightly_parked(alerts[uid]), alerts[uid]
        assert not any("wait" in alert for alert in alerts.values())

    def _check_tickets(self) -> None:
        body = self.scene.body()
        per_incident = Counter(ticket.external_id for ticket in self.vendors.tickets.values())
        assert all(count == 1 for count in per_incident.values())
        assert not body.get("pending"), body.get("pending")
        by_id = {ticket.external_id: ticket for ticket in self.vendors.tickets.values()}
        for external_id, incident in body.get("incidents", {}).items():
            ticket = by_id.get(external_id)
            assert not {"settling", "reopening"} & incident.keys(), incident
            if self._in_ticket(incident):
                assert ticket is not None
                assert not ticket.completed, "an active alert in a completed ticket"
            elif ticket is not None and not ticket.reopened and not self._rightly_left(ticket, incident):
                assert ticket.completed, "a cleared alert's ticket is open"
        open_conditions = Counter(
            tuple(incident["condition"]) for incident in body.get("incidents", {}).values() if self._in_ticket(incident)
        )
        if self.repeat != "ticket" and self.one_per_condition:
            reopened = any(ticket.reopened for ticket in self.vendors.tickets.values())
            assert reopened or all(count == 1 for count in open_conditions.values())

    def _in_ticket(self, incident: dict[str, Any]) -> list[str]:
        """The active alerts of an incident, without those that a completed ticket left as they are."""
        alerts = self.scene.body()["alerts"]
        return [uid for uid in incident["active"] if alerts[uid]["disposition"] != "suppressed"]

    def _rightly_parked(self, alert: dict[str, Any]) -> bool:
        return False

    def _rightly_left(self, ticket: Ticket, incident: dict[str, Any]) -> bool:
        if "left" not in incident:
            return False
        return self.lifecycle.get("close_if") == "never" or (
            self.lifecycle.get("close_if") == "untouched" and ticket.touched
        )

    def _check_audit(self) -> None:
        verifier = Verifier(agent="incidents")
        for record in self.scene.records:
            assert verifier.feed(type(record).from_json(record.to_json())) is None
        assert verifier.finish(self.scene.state) is None
        assert documents.read(self.scene.state.get(b"407"))[1].length <= len(self.scene.records)


class AnyOrderTicketPerAlert(AnyOrder):
    """The same where every alert has a ticket of its own."""

    repeat = "ticket"


class AnyOrderCrowded(AnyOrder):
    """The same where alerts soon have to wait because many commands of the key do."""

    most_in_flight = 2


_FAST = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
TestAnyOrderConverges = AnyOrder.TestCase
TestAnyOrderConverges.settings = _FAST
TestAnyOrderConvergesWithATicketPerAlert = AnyOrderTicketPerAlert.TestCase
TestAnyOrderConvergesWithATicketPerAlert.settings = _FAST
TestAnyOrderConvergesWhereCommandsCrowd = AnyOrderCrowded.TestCase
TestAnyOrderConvergesWhereCommandsCrowd.settings = _FAST
