"""What recorded facts would have come to under a draft policy: tickets opened, not opened, opened otherwise; and the calls."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import orjson

from schemas.audit import AuditRecord
from schemas.facts import PolicyPublished, TimerFired
from streams.core.rebuild import Rebuilder
from streams.core.verify import event_of
from streams.core.whatif import Comparison, Simulation
from tests.core.spec import START, UID_A, Scene, incidents, policy, reset, triggered
from tests.core.spec import ticket as seen

MINUTE = 60_000
EXTERNAL = f"ls.407.{UID_A.replace('-', '')}"


def document(**parts: Any) -> str:
    return policy(1, **parts).document


def lasting(hold: str) -> dict[str, Any]:
    return {"rules": [{"name": "all", "when": {}, "lifecycle": {"hold": hold}}]}


def compared(scene: Scene, draft: str, *, begin: int = 1, end: int | None = None) -> Comparison:
    """The scene's records from ``begin`` on under the draft; those before make the state. Put away after every fact it is the same."""
    found = gone_through(scene, draft, begin, end)
    assert gone_through(scene, draft, begin, end, kept=True) == found
    return found


def gone_through(scene: Scene, draft: str, begin: int, end: int | None, kept: bool = False) -> Comparison:
    rebuilder = Rebuilder()
    for record in scene.records[:begin]:
        rebuilder.feed(orjson.loads(record.to_json()))
    later = scene.records[begin:]
    passed = set()
    for record in later:
        fact = event_of(record.fact).data
        if isinstance(fact, TimerFired):
            passed.add((fact.key, fact.timer, fact.due_at))
    simulation = Simulation(state=rebuilder.documents(), document=draft, passed=passed, at=START)
    for _, group in groupby(later, key=lambda record: (record.fact.topic, record.fact.offset)):
        simulation.feed(list(group))
        if kept:
            saved = orjson.loads(orjson.dumps(simulation.saved()))
            simulation = Simulation.resumed(state=dict(simulation.state), passed=passed, saved=saved)
    return simulation.finish(scene.now if end is None else end)


def short_alert() -> Scene:
    """An alert of one minute: a ticket, opened and completed."""
    scene = incidents(triggered()).settle("CreateTicket")
    return scene.later(MINUTE).when(reset()).settle("CompleteTicket").when(seen(START + MINUTE + 5_000, completed=True))


def names(records: list[AuditRecord]) -> list[str]:
    return [type(event_of(record.fact).data).__name__ for record in records]


def test_the_scene_begins_with_its_policy() -> None:
    assert names(short_alert().records)[0] == PolicyPublished.__name__


def test_the_policy_that_was_in_force_gives_no_difference_and_the_same_calls() -> None:
    scene = short_alert()
    found = compared(scene, document())
    assert found.changes() == []
    assert (found.live.commands, found.live.calls) == (found.draft.commands, found.draft.calls)
    assert found.live.commands == {"CreateTicket": 1, "CompleteTicket": 1}
    assert found.facts == len(scene.records) - 1


def test_a_hold_that_outlasts_the_alert_opens_no_ticket_and_saves_its_calls() -> None:
    found = compared(short_alert(), document(**lasting("5m")))
    [change] = found.changes()
    assert (change.external_id, change.what) == (EXTERNAL, "not opened")
    assert found.draft.calls["autotask"] == 0
    assert found.live.calls["autotask"] == 2


def test_a_hold_that_the_alert_outlasts_opens_the_same_ticket_when_it_is_over() -> None:
    found = compared(short_alert(), document(**lasting("30s")))
    assert found.changes() == []
    assert found.draft.commands == {"CreateTicket": 1, "CompleteTicket": 1}


def test_a_hold_that_is_not_over_when_the_log_ends_opens_nothing_yet() -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    [change] = compared(scene, document(**lasting("5m")), end=scene.now + 4 * MINUTE).changes()
    assert change.what == "not opened"
    assert compared(scene, document(**lasting("5m")), end=scene.now + 6 * MINUTE).changes() == []


def test_another_queue_and_priority_are_told_field_by_field() -> None:
    draft = document(rules=[{"name": "calm", "when": {}, "ticket": {"queue": "Quiet", "priority": "Low"}}])
    [change] = compared(short_alert(), draft).changes()
    assert change.what == "queue, priority"
    assert change.live is not None
    assert change.draft is not None
    assert (change.draft.fields["queue"], change.draft.rule) == ("Quiet", "calm")
    assert change.live.fields["queue"] == "Monitoring"


def test_an_alert_that_was_held_in_reality_opens_a_ticket_where_the_draft_holds_nothing_and_completes_it() -> None:
    scene = Scene("incidents", policy(1, **lasting("5m")))
    scene.when(triggered()).later(MINUTE).when(reset())
    found = compared(scene, document())
    [change] = found.changes()
    assert change.what == "opened"
    assert found.live.commands == {}
    assert found.draft.commands == {"CreateTicket": 1, "CompleteTicket": 1}


def test_what_a_technician_did_to_a_ticket_that_the_draft_does_not_open_is_left_out() -> None:
    scene = incidents(triggered()).settle("CreateTicket").later(MINUTE)
    scene.when(seen(START + MINUTE, completed=True)).settle("ResetAlert").later(10 * MINUTE).when(reset())
    found = compared(scene, document(**lasting("1h")))
    assert [change.what for change in found.changes()] == ["not opened"]
    assert found.draft.commands == {}
    assert found.live.calls == {"autotask": 1, "ninjaone": 1}


def test_a_technicians_completion_counts_for_the_ticket_that_the_draft_opens_later() -> None:
    scene = incidents(triggered()).settle("CreateTicket").later(10 * MINUTE)
    scene.when(seen(START + 10 * MINUTE, completed=True)).settle("ResetAlert").when(reset(at=scene.now))
    found = compared(scene, document(**lasting("1m")))
    assert found.changes() == []
    assert found.draft.commands == {"CreateTicket": 1, "ResetAlert": 1}
    [live], [draft] = found.live.tickets.values(), found.draft.tickets.values()
    assert draft.ordered_at - live.ordered_at == MINUTE


def test_policies_that_came_into_force_later_do_not_replace_the_draft() -> None:
    scene = incidents().when(policy(2, **lasting("5m"))).when(triggered()).later(MINUTE).when(reset())
    assert [change.what for change in compared(scene, document()).changes()] == ["opened"]


def test_a_ticket_that_autotask_refused_was_not_opened() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="QueueInactive")
    assert compared(scene, document()).changes() == []
    assert compared(scene, document()).live.tickets == {}


def test_a_due_time_that_passed_in_reality_passes_when_it_did() -> None:
    scene = Scene("incidents", policy(1, **lasting("5m")))
    scene.when(triggered()).later(20 * MINUTE)
    due = START + 5 * MINUTE
    timer = TimerFired(key="407", agent="incidents", timer=f"wait.{UID_A}", due_at=due)
    # The worker was away for a quarter of an hour; the alert was reset a moment before the timer was told.
    scene.when(reset(at=START + 19 * MINUTE)).when(timer)
    found = compared(scene, document(**lasting("5m")))
    assert (found.changes(), found.draft.commands) == ([], {})


def test_a_simulation_is_the_same_however_often() -> None:
    scene = short_alert()
    one, other = (compared(scene, document(**lasting("30s"))) for _ in range(2))
    assert one == other
