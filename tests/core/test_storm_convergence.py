"""Any order, any duplicates, and a forwarder that may be late: devices of one place go down and come back, until all is quiet."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.identity import external_id
from schemas.model import canonical
from streams.core import documents
from streams.core.storms.watch import is_candidate
from tests.core.storm_world import Ticket, World, storm_policy

DEVICES = list(range(1, 7))


class AnyOrderOfStorms(RuleBasedStateMachine):
    """Both agents, and what they tell each other arrives in any order, some of it twice."""

    lifecycle: ClassVar[dict[str, Any]] = {}

    @initialize()
    def begin(self) -> None:
        self.world = World(**storm_policy(storm={"devices": 3, "within": "10s"}, lifecycle=self.lifecycle))
        self.reopened: set[int] = set()

    @rule(devices=st.lists(st.sampled_from(DEVICES), min_size=1, max_size=4, unique=True), number=st.integers(0, 1))
    def devices_go_down(self, devices: list[int], number: int) -> None:
        self.world.now += 1000
        self.world.down(*devices, number=number)

    @precondition(lambda self: self.world.active)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=4))
    def devices_come_back(self, places: list[int]) -> None:
        self.world.now += 1000
        for place in places:
            if self.world.active:
                self.world._cleared(sorted(self.world.active)[place % len(self.world.active)])

    @precondition(lambda self: any(not ticket.completed for ticket in self.world.tickets.values()))
    @rule(data=st.data())
    def a_technician_completes(self, data: st.DataObject) -> None:
        self.world.complete(data.draw(st.sampled_from([t for t in self.world.tickets.values() if not t.completed])))

    @precondition(lambda self: any(ticket.completed for ticket in self.world.tickets.values()))
    @rule(data=st.data())
    def a_technician_reopens(self, data: st.DataObject) -> None:
        ticket: Ticket = data.draw(st.sampled_from([t for t in self.world.tickets.values() if t.completed]))
        ticket.completed = False
        self.reopened.add(ticket.id)
        self.world.see(ticket)

    @precondition(lambda self: self.world.on_the_way)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=12))
    def facts_arrive(self, places: list[int]) -> None:
        for place in places:
            if self.world.on_the_way:
                self.world.deliver(self.world.on_the_way.pop(place % len(self.world.on_the_way)))

    @precondition(lambda self: self.world.delivered)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=4))
    def facts_arrive_again(self, places: list[int]) -> None:
        for place in places:
            before, commands = self.bodies(), len(self.world.incidents.commands)
            self.world.deliver(self.world.delivered[place % len(self.world.delivered)])
            assert self.bodies() == before, "a duplicate changed the state"
            assert len(self.world.incidents.commands) == commands, "a duplicate caused a command"

    @precondition(lambda self: self.world.queue)
    @rule(
        outcomes=st.lists(
            st.sampled_from(["Succeeded", "Succeeded", "Succeeded", "Deferred", "Refused"]), min_size=1, max_size=4
        )
    )
    def the_executor_works(self, outcomes: list[str]) -> None:
        for outcome in outcomes:
            if self.world.queue and outcome == "Deferred":
                self.world._settle(self.world.queue.pop(0), "Deferred", {})
            elif self.world.queue:
                self.world.refuses_resets = outcome == "Refused" and "storm" in self.pending_entry()
                self.world.execute()
                self.world.refuses_resets = False

    def pending_entry(self) -> dict[str, Any]:
        """What is known of the command that the executor takes next. (Of other resets a refusal parks the alert.)"""
        issued = self.world.queue[0]
        body = self.world.incidents.body(issued.command.key)
        entry: dict[str, Any] = body.get("pending", {}).get(issued.envelope.id, {})
        return entry

    @rule()
    def all_is_worked_off(self) -> None:
        self.world.work()

    @precondition(lambda self: self.world.timers())
    @rule()
    def a_timer_fires(self) -> None:
        due = self.world.timers()[0]
        self.world.now = max(self.world.now, due.due_at)
        self.world.fire(due)

    def bodies(self) -> bytes:
        return canonical(
            {
                f"{scene.agent} {key.decode()}": documents.read(document)[0]
                for scene in (self.world.incidents, self.world.storms)
                for key, document in scene.state.items()
            }
        )

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self._settle_down()
        self._check_alerts()
        self._check_storms()
        self._check_tickets()
        self.world.verify()

    def _settle_down(self) -> None:
        for _ in range(5000):
            if self.world.on_the_way:
                # The last in first: the order that a real log is least likely to have.
                self.world.deliver(self.world.on_the_way.pop())
            elif self.world.queue:
                self.world.execute()
            elif self.world.timers():
                self.a_timer_fires()
            else:
                return
        raise AssertionError("there is no silence")

    def alerts(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (key.decode(), uid): alert
            for key in self.world.incidents.state
            for uid, alert in self.world.incidents.body(key.decode()).get("alerts", {}).items()
        }

    def _check_alerts(self) -> None:
        told = {
            (str(told.envelope.key), told.fact.uid)  # type: ignore[attr-defined]
            for told in self.world.delivered
            if told.topic.startswith("ninjaone.")
        }
        mine = {place: alert for place, alert in self.alerts().items() if place[0].isdigit()}
        assert set(mine) == told
        assert {uid for (_, uid), alert in mine.items() if alert.get("active")} == set(self.world.active)
        for (key, uid), alert in mine.items():
            assert "wait" not in alert
            if alert.get("active"):
                assert alert["disposition"] in ("ticketed", "appended"), alert
                part = alert["reason"] == "PartOfStorm"
                home = self._ticket_of(alert["storm"]) if part else alert["incident"]
                assert not self.world.tickets[home].completed, (key, uid, alert)
                assert part == is_candidate(alert)

    def _ticket_of(self, storm: str) -> str:
        """The external id of a storm's ticket: its own, or that of an earlier storm whose ticket is still open."""
        (found,) = [
            alert["incident"]
            for uid, alert in self.world.incidents.body("l31")["alerts"].items()
            if external_id("l31", uid) == storm
        ]
        return str(found)

    def _check_storms(self) -> None:
        members = {
            f"{key}/{uid}": alert["storm"]
            for (key, uid), alert in self.alerts().items()
            if alert.get("reason") == "PartOfStorm" and alert.get("active")
        }
        body = self.world.storms.body("l31")
        storms = {uid: storm["external_id"] for uid, storm in body.get("storms", {}).items()}
        kept = {name: storms[one["storm"]] for name, one in body.get("candidates", {}).items()}
        assert kept == members
        assert set(storms.values()) == set(members.values())

    def _check_tickets(self) -> None:
        incidents = {
            identity: incident
            for key in self.world.incidents.state
            for identity, incident in self.world.incidents.body(key.decode()).get("incidents", {}).items()
        }
        assert not any(self.world.incidents.body(key.decode()).get("pending") for key in self.world.incidents.state)
        for identity, ticket in self.world.tickets.items():
            if not incidents[identity]["active"] and ticket.id not in self.reopened:
                assert ticket.completed, "a ticket without active alerts is open"
        opened = Counter(
            (ticket.key, tuple(incidents[identity]["condition"]))
            for identity, ticket in self.world.tickets.items()
            if incidents[identity]["active"] and ticket.id not in self.reopened
        )
        assert all(count == 1 for count in opened.values()), opened


class AnyOrderOfSettlingStorms(AnyOrderOfStorms):
    """Held and settling tickets, which are reopened."""

    lifecycle: ClassVar[dict[str, Any]] = {"hold": "4s", "settle": "8s", "reopen_within": "1d", "note_every": 0}


_FAST = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
TestAnyOrderOfStormsConverges = AnyOrderOfStorms.TestCase
TestAnyOrderOfStormsConverges.settings = _FAST
TestAnyOrderOfSettlingStormsConverges = AnyOrderOfSettlingStorms.TestCase
TestAnyOrderOfSettlingStormsConverges.settings = _FAST
