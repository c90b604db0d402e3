"""Any order, any duplicates for devices: in the end one active item, where the device is, as the device is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.commands import RetireConfigurationItem, UpsertConfigurationItem
from schemas.facts import CommandSettled, Fact, TimerFired
from schemas.model import canonical
from streams.core.decision import Issued
from streams.core.verify import Verifier
from tests.core.spec import START, Scene, companies, device, policy, removed, subject

#: Organizations 17 and 18 belong to one company each, 19 shares the company of 18, 99 has none.
COMPANIES = {17: 100, 18: 200, 19: 200}
MAPPING = {"map": [{"organization": organization, "company": c} for organization, c in COMPANIES.items()]}


@dataclass
class Item:
    """A configuration item as the vendor keeps it."""

    id: int
    title: str
    active: bool = True


class AnyOrderOfDevices(RuleBasedStateMachine):
    """One device that is renamed, moved, deleted and found again, while its facts arrive in any order."""

    @initialize()
    def begin(self) -> None:
        rules = policy(companies=MAPPING, devices={"on_delete": "retire", "grace": "1m"})
        # Before a list of companies is known a device keeps its item, wherever it moves.
        self.scene = Scene("devices", rules, companies((100, "A"), (200, "B")))
        self.clock = START
        self.organization = 17
        self.name = "A"
        self.exists = False
        self.items: dict[int, Item] = {}
        self.queue: list[Issued] = []
        self.on_the_way: list[Fact] = []
        self.delivered: list[Fact] = []

    def tick(self) -> int:
        self.clock += 1000
        return self.clock

    @rule(name=st.sampled_from("AB"), organization=st.sampled_from([17, 18, 19, 99]))
    def the_device_is_seen(self, name: str, organization: int) -> None:
        self.exists, self.name, self.organization = True, name, organization
        where = subject(organization=organization, organization_name=f"O{organization}", device_name=name)
        self.on_the_way.append(device(self.tick(), where=where))

    @precondition(lambda self: self.exists)
    @rule()
    def the_device_is_deleted(self) -> None:
        self.exists = False
        self.on_the_way.append(removed(self.tick()))

    @precondition(lambda self: self.on_the_way)
    @rule(places=st.lists(st.integers(0, 1000), min_size=1, max_size=4))
    def facts_arrive(self, places: list[int]) -> None:
        for place in places:
            if self.on_the_way:
                self.deliver(self.on_the_way.pop(place % len(self.on_the_way)))

    @precondition(lambda self: self.delivered)
    @rule(place=st.integers(0, 1000))
    def a_fact_arrives_again(self, place: int) -> None:
        body, commands = canonical(self.scene.body()), len(self.scene.commands)
        self.deliver(self.delivered[place % len(self.delivered)])
        assert canonical(self.scene.body()) == body, "a duplicate changed the state"
        assert len(self.scene.commands) == commands, "a duplicate caused a command"

    @precondition(lambda self: self.queue)
    @rule(outcome=st.sampled_from(["Succeeded", "Succeeded", "Succeeded", "Deferred"]))
    def the_executor_works(self, outcome: Any) -> None:
        self.execute(outcome)

    @precondition(lambda self: b"407" in self.scene.state and self.scene.timers())
    @rule()
    def a_timer_fires(self) -> None:
        due_at, name = self.scene.timers()[0]
        self.clock = max(self.clock, due_at)
        self.on_the_way.append(TimerFired(key="407", agent="devices", timer=name, due_at=due_at))

    def deliver(self, fact: Fact) -> None:
        before = len(self.scene.commands)
        self.scene.now = max(self.scene.now, self.clock)
        self.scene.when(fact)
        self.delivered.append(fact)
        self.queue += self.scene.commands[before:]

    def execute(self, outcome: Any) -> None:
        issued = self.queue.pop(0)
        command = issued.command
        known: dict[str, Any] = {}
        if outcome == "Succeeded" and isinstance(command, UpsertConfigurationItem):
            item = self.items.setdefault(command.company_id, Item(900 + command.company_id, command.title))
            item.title, item.active = command.title, True
            known = {"item_id": item.id, "company_id": command.company_id}
        elif outcome == "Succeeded" and isinstance(command, RetireConfigurationItem):
            found = self.items.get(command.company_id)
            if found is not None:
                assert command.item_id in (None, found.id), "an item of another company was meant"
                found.active = False
                known = {"item_id": found.id, "company_id": command.company_id}
        fact = CommandSettled(
            key="407",
            command_id=issued.envelope.id,
            command_type=command.ce_type,
            effect_key=command.effect_key,
            incident=None,
            outcome=outcome,
            settled_at=self.tick(),
            **known,
        )
        self.on_the_way.append(fact)

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        for _ in range(500):
            if self.on_the_way:
                self.deliver(self.on_the_way.pop())
            elif self.queue:
                self.execute("Succeeded")
            elif b"407" in self.scene.state and self.scene.timers():
                self.a_timer_fires()
            else:
                break
        else:
            raise AssertionError("there is no silence: commands go on for ever")
        active = {company: item for company, item in self.items.items() if item.active}
        if self.exists and self.organization in COMPANIES:
            assert set(active) == {COMPANIES[self.organization]}
            assert active[COMPANIES[self.organization]].title == self.name
        else:
            assert not active, "the item of a device that is gone, or whose customer has no company, is active"
        assert not self.scene.body().get("pending")
        verifier = Verifier(agent="devices")
        assert all(verifier.feed(record) is None for record in self.scene.records)
        assert verifier.finish(self.scene.state) is None


TestAnyOrderOfDevicesConverges = AnyOrderOfDevices.TestCase
TestAnyOrderOfDevicesConverges.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
