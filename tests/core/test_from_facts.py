"""The facts decided anew by recorded time: the same tickets and items, and for each that is not the cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from schemas.audit import AuditRecord
from schemas.facts import CommandSettled
from schemas.topics import AGENT_INPUTS
from streams.core.from_facts import TOPICS, Compared, FromFacts, cause_of, compared, standing_in
from streams.core.verify import event_of
from tests.core.spec import (
    EXTERNAL_A,
    HOUR,
    MINUTE,
    START,
    Scene,
    device,
    devices,
    incidents,
    lifecycle,
    reset,
    subject,
    triggered,
)
from tests.core.spec import ticket as seen
from tests.core.storm_world import World, storm_policy


def alerts() -> Scene:
    scene = incidents(triggered()).later(1000).settle("CreateTicket").later(1000).when(triggered(11))
    scene.settle("AppendTicketNote").later(MINUTE).when(reset()).later(1).settle("CompleteTicket")
    return scene.later(1).when(seen(START + 30_000, completed=True)).later(HOUR).when(triggered(30)).later(1)


def moved() -> Scene:
    both = {"companies": {"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 500}]}}
    scene = devices(device(), **both).later(1000).settle("UpsertConfigurationItem").later(1000)
    scene.when(device(START + HOUR, where=subject(organization=18))).later(1)
    return scene.settle("RetireConfigurationItem").settle("UpsertConfigurationItem", item_id=701, company_id=500)


def by_recorded_time(records: Iterable[AuditRecord]) -> list[AuditRecord]:
    """One record per fact, as the topics would be merged."""
    facts = {(r.fact.topic, r.fact.offset): r for r in records}
    return sorted(facts.values(), key=lambda r: (r.recorded_at, TOPICS.index(r.fact.topic), r.fact.offset))


def decided(scene: Scene, records: Iterable[AuditRecord] | None = None) -> Compared:
    anew = FromFacts(scene.agent)
    for record in by_recorded_time(scene.records if records is None else records):
        anew.feed(event_of(record.fact), record.fact.topic, 0, record.fact.offset)
    return compared(scene.agent, scene.state, anew.state)


def test_every_topic_that_an_agent_reads_is_merged() -> None:
    assert {topic for topics in AGENT_INPUTS.values() for topic in topics} == set(TOPICS)


@pytest.mark.parametrize("make", [alerts, moved])
def test_the_facts_lead_to_the_same_tickets_and_items(make: Callable[[], Scene]) -> None:
    found = decided(make())
    assert (found.different, found.otherwise) == ([], 0)
    assert found.same > 0


def test_a_storm_is_the_same_from_its_facts() -> None:
    world = World(**storm_policy()).down(1, 2, 3, 4).work().later(10 * MINUTE).up(1, 2, 3, 4).work().later(HOUR)
    for scene in (world.incidents, world.storms):
        assert decided(scene).different == []


def test_a_key_says_what_is_at_the_vendors() -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    assert standing_in("incidents", scene.state[b"407"]) == {f"ticket {EXTERNAL_A}": "5001, open"}
    scene.when(reset()).settle("CompleteTicket")
    assert standing_in("incidents", scene.state[b"407"]) == {f"ticket {EXTERNAL_A}": "5001, completed"}
    assert standing_in("devices", moved().state[b"407"]) == {"item": "701 of company 500"}
    assert standing_in("devices", None) == {}


def test_another_order_that_causes_the_same_effect_leads_to_the_same_ticket() -> None:
    """The reset was read before a second sight of the alert that was recorded earlier: other commands, the same end."""
    scene = incidents(**lifecycle(note_every="0s")).later(10)
    scene.when(triggered(11)).later(-5).when(triggered(10)).later(1000).settle("CreateTicket").later(1)
    found = decided(scene)
    assert found.different == []
    settled = [event_of(record.fact).data for record in scene.records]
    assert any(isinstance(fact, CommandSettled) for fact in settled)


def test_a_hold_that_ends_at_another_moment_opens_the_same_ticket() -> None:
    """Read the other way round the alert was held from a later moment on; the timer that ended it ends the hold here too."""
    scene = incidents(**lifecycle(hold="5m")).later(10_000)
    scene.when(triggered(11)).later(-5_000).when(triggered(10)).fire().later(1000).settle("CreateTicket")
    assert decided(scene).different == []


def test_facts_that_are_gone_make_a_difference_that_names_both_sides() -> None:
    scene = alerts()
    lost = [record for record in scene.records if record.fact.topic not in ("outcomes", "autotask.tickets")]
    found = decided(scene, lost)
    assert [one.line("why") for one in found.different] == [
        f"incidents 407: ticket {EXTERNAL_A}: 5001, completed in the recorded state, none from the facts (why)"
    ]


PLACES = [("control", 0), ("ninjaone.alerts", 4), ("outcomes", 2), ("ninjaone.resets", 1)]


@pytest.mark.parametrize(
    ("kept", "first", "cause"),
    [
        (PLACES[2:], {"ninjaone.alerts": 5, "control": 1}, "retention: control begins at 1, 2 of its facts are older"),
        ([PLACES[0], *PLACES[2:]], {}, "compaction: ninjaone.alerts no longer has 4"),
        ([*PLACES, ("outcomes", 3)], {}, "not decided then: outcomes@3 has no decision in the audit"),
        (
            [PLACES[0], PLACES[1], PLACES[3], PLACES[2]],
            {},
            "order: outcomes@2 was read before ninjaone.resets@1, which was recorded earlier",
        ),
        (PLACES, {}, "decided otherwise: the same facts in the same order; `lockstep audit verify` says where"),
    ],
    ids=["retention", "compaction", "not decided", "order", "code"],
)
def test_a_difference_has_a_cause(kept: list[tuple[str, int]], first: dict[str, int], cause: str) -> None:
    # A fact that concerns many keys stands in the record of each.
    assert cause_of([PLACES[0], *PLACES], kept, first) == cause
