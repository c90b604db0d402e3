"""Which hold would have saved tickets: every number is that of a what-if, and the advised rules are the draft that was computed."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import orjson

from schemas.audit import AuditRecord
from schemas.facts import TimerFired
from streams.cli.advising import as_data, lines
from streams.core.advice import (
    CANDIDATES,
    LONGEST_MS,
    Advice,
    Condition,
    Group,
    condition_of,
    draft,
    groups,
    uid_of,
    without_tests,
)
from streams.core.policy.policy import parse_policy
from streams.core.rebuild import Rebuilder
from streams.core.verify import event_of
from streams.core.whatif import Comparison, Simulation
from streams.replay.advise import Advised, take_condition, weigh
from streams.sample_alert import its_end, sample_alert
from tests.core.spec import MINUTE, START, Scene, incidents, policy, reset, subject, triggered

CPU = {"source_config_uid": "cpu-1", "condition_name": "CPU busy", "source_name": "CPU"}
DISK = {"source_config_uid": "disk-1", "condition_name": "Disk full", "source_name": "Disk"}


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def noisy() -> Scene:
    """Ten alerts of the processor, eight of them over after three minutes; two of a disk that last for an hour."""
    scene = incidents()
    for number in range(10):
        lasts = 3 * MINUTE if number < 8 else 90 * MINUTE
        occurs(scene, number, lasts, **CPU)
    for number in (10, 11):
        occurs(scene, number, 60 * MINUTE, **DISK)
    return scene


def occurs(scene: Scene, number: int, lasts: int, **condition: Any) -> None:
    """One alert with its ticket, from raise to completion, on a device of its own."""
    device, key = subject(device=number + 1), str(number + 1)
    scene.when(triggered(number * 10 + 10, uid=uid(number), subject=device, at=scene.now, **condition), key=key)
    scene.settle("CreateTicket", ticket_id=6000 + number).later(lasts)
    scene.when(reset(number * 10 + 15, uid=uid(number), at=scene.now).model_copy(update={"subject": device}), key=key)
    scene.settle("CompleteTicket").later(MINUTE)


def compared(scene: Scene, document: str) -> Comparison:
    """The scene after its policy, under another one."""
    rebuilder = Rebuilder()
    rebuilder.feed(orjson.loads(scene.records[0].to_json()))
    later = scene.records[1:]
    fired = [event_of(record.fact).data for record in later]
    passed = {(fact.key, fact.timer, fact.due_at) for fact in fired if isinstance(fact, TimerFired)}
    simulation = Simulation(state=rebuilder.documents(), document=document, passed=passed, at=START)
    for _, group in groupby(later, key=lambda record: (record.fact.topic, record.fact.offset)):
        simulation.feed(list(group))
    return simulation.finish(scene.now + LONGEST_MS)


def advice_on(scene: Scene, document: str) -> Advised:
    """The advice, as ``streams.replay.advise`` computes it over a log."""
    base = compared(scene, document)
    wanted = {uid_of(ticket) for ticket in base.draft.tickets.values()}
    conditions: dict[str, Condition] = {}
    for record in scene.records:
        take_condition(conditions, wanted, record.to_json())
    before = without_tests(base.draft, conditions)
    found = groups(parse_policy(orjson.loads(document)), before, conditions)
    sides = [
        without_tests(compared(scene, draft(document, {group: m for group, _ in found})).draft, conditions)
        for m in CANDIDATES
    ]
    advice = weigh(found, before, sides, conditions)
    whole = draft(document, {one.group: one.best.minutes for one in advice if one.best is not None})
    after = without_tests(compared(scene, whole).draft, conditions)
    return Advised(facts=base.facts, before=before, after=after, advice=advice, document=whole)


def by_name(found: Advised) -> dict[str, Advice]:
    return {one.group.condition.name: one for one in found.advice if one.group.condition is not None}


def test_the_shortest_hold_that_saves_as_much_is_advised_for_the_noisy_condition_alone() -> None:
    found = advice_on(noisy(), policy(1).document)
    cpu, disk = by_name(found)["CPU busy"], by_name(found)["Disk full"]
    assert (cpu.tickets, disk.tickets) == (10, 2)
    assert [(trial.minutes, trial.saved) for trial in cpu.trials] == [(1, 0), (2, 0), (5, 8), (10, 8), (15, 8), (30, 8)]
    assert cpu.best is not None
    assert (cpu.best.minutes, cpu.best.net) == (5, 8)
    # What it costs: the two that last come five minutes later.
    assert cpu.best.later == (5 * MINUTE, 5 * MINUTE)
    assert disk.best is None
    assert [trial.saved for trial in disk.trials] == [0] * 6
    assert [trial.median_ms for trial in disk.trials] == [minutes * MINUTE for minutes in CANDIDATES]


def test_what_is_advised_together_is_a_what_if_of_its_own_and_pastes_as_one_rule_before_the_other() -> None:
    found = advice_on(noisy(), policy(1).document)
    assert (len(found.before.tickets), len(found.after.tickets)) == (12, 4)
    assert found.later == [5 * MINUTE] * 2
    rules = orjson.loads(found.document)["rules"]
    assert [rule["name"] for rule in rules] == ["everything-else-cpu-busy", "everything-else"]
    assert rules[0]["when"] == {"condition": ["cpu-1"]}
    assert rules[0]["lifecycle"] == {"hold": "5m"}
    parse_policy(orjson.loads(found.document))
    told = lines(found, 1, START)
    assert (
        "all of it together: 4 tickets instead of 12, 16 calls fewer; 2 later, by 5:00 min, at most 5:00 min"
        in told[-1]
    )
    assert as_data(found)["tickets"] == {"in_force": 12, "advised": 4}


def test_the_rule_of_a_condition_keeps_everything_else_of_the_rule_that_it_is_taken_from() -> None:
    servers = {
        "name": "servers",
        "when": {"node_class": ["WINDOWS_SERVER"]},
        "ticket": {"queue": "NOC"},
        "lifecycle": {"settle": "2m", "hold": "2m"},
    }
    document = policy(1, rules=[servers, {"name": "rest", "when": {}}]).document
    group = Group("servers", Condition("condition", "cpu-1", "CPU busy"), "servers-cpu-busy")
    first, second, last = orjson.loads(draft(document, {group: 5}))["rules"]
    assert first == {
        **servers,
        "name": "servers-cpu-busy",
        "when": {"node_class": ["WINDOWS_SERVER"], "condition": ["cpu-1"]},
        "lifecycle": {"settle": "2m", "hold": "5m"},
    }
    assert (second, last["name"]) == (servers, "rest")
    # A hold that is longer already stays.
    assert orjson.loads(draft(document, {group: 1}))["rules"][0]["lifecycle"]["hold"] == "2m"


def test_test_alerts_are_no_condition_and_do_not_count() -> None:
    scene = noisy()
    for number in range(20, 30):
        sent = sample_alert(17, "Nordwind GmbH", at=scene.now, by=f"ann-{number}")
        scene.when(sent, key="o17").settle("CreateTicket", ticket_id=7000 + number).later(10_000)
        scene.when(its_end(sent, at=scene.now), key="o17").settle("CompleteTicket").later(MINUTE)
    document = policy(1).document
    assert len(compared(scene, document).draft.tickets) == 22
    found = advice_on(scene, document)
    assert {one.group.condition.name for one in found.advice if one.group.condition} == {"CPU busy", "Disk full"}
    assert (len(found.before.tickets), len(found.after.tickets)) == (12, 4)
    assert "12 tickets" in lines(found, 1, START)[0]


def test_splitting_a_rule_by_condition_changes_no_ticket() -> None:
    scene = noisy()
    document = policy(1).document
    base = compared(scene, document).draft
    split = {Group("everything-else", Condition("condition", value, value), value): 0 for value in ("cpu-1", "disk-1")}
    after = compared(scene, draft(document, split)).draft
    assert {name: t.fields for name, t in after.tickets.items()} == {name: t.fields for name, t in base.tickets.items()}
    assert after.calls == base.calls


def test_alerts_without_a_condition_are_told_by_source_type_or_share_the_rules_own_hold() -> None:
    offline = triggered(source_config_uid=None, source_name="", source_type="AGENT_OFFLINE")
    assert condition_of(offline) == Condition("source_type", "AGENT_OFFLINE", "AGENT_OFFLINE")
    scene = incidents()
    occurs(scene, 1, 3 * MINUTE, source_config_uid=None, source_name="", source_type=None)
    found = advice_on(scene, policy(1).document)
    [one] = found.advice
    assert one.group.condition is None
    [rule] = orjson.loads(found.document)["rules"]
    assert rule == {"name": "everything-else", "when": {}, "lifecycle": {"hold": "5m"}}
    assert len(found.after.tickets) == 0


def test_a_rule_that_looks_for_storms_is_left_out() -> None:
    document = policy(1, rules=[{"name": "all", "when": {}, "storm": {"devices": 5, "within": "1m"}}]).document
    scene = Scene("incidents", policy(1, rules=[{"name": "all", "when": {}}]))
    occurs(scene, 1, 3 * MINUTE, **CPU)
    assert advice_on(scene, document).advice == ()


def test_an_empty_log_and_one_with_nothing_to_save_say_so() -> None:
    empty = advice_on(incidents(), policy(1).document)
    assert lines(empty, 1, START)[-1].endswith("0 tickets; there is nothing to advise on")
    scene = incidents()
    occurs(scene, 1, 60 * MINUTE, **DISK)
    assert lines(advice_on(scene, policy(1).document), 1, START)[-1] == "no hold up to 30m would have saved a ticket"


def test_a_hold_that_only_moves_a_ticket_to_the_next_alert_saves_none() -> None:
    """The first alert is over within the hold, the next of the same condition is not: one ticket either way."""
    scene = incidents()
    scene.when(triggered(10, uid=uid(1), at=scene.now, **CPU)).settle("CreateTicket").later(MINUTE)
    scene.when(triggered(20, uid=uid(2), at=scene.now, **CPU)).later(MINUTE)
    scene.when(reset(25, uid=uid(1), at=scene.now)).later(60 * MINUTE)
    [one] = advice_on(scene, policy(1).document).advice
    assert [(trial.saved, trial.instead, trial.net) for trial in one.trials][2] == (1, 1, 0)
    assert one.best is None


def test_an_alert_that_is_active_when_the_log_ends_is_not_counted_as_saved() -> None:
    scene = incidents()
    scene.when(triggered(10, uid=uid(1), at=scene.now, **CPU)).settle("CreateTicket")
    [one] = advice_on(scene, policy(1).document).advice
    assert [trial.saved for trial in one.trials] == [0] * len(CANDIDATES)
    assert one.best is None


def test_records_that_are_no_sighting_say_nothing_of_conditions() -> None:
    scene = noisy()
    found: dict[str, Condition] = {}
    records: list[AuditRecord] = [record for record in scene.records if "alert" not in record.fact.headers["ce_type"]]
    for record in records:
        take_condition(
            found,
            {uid_of(ticket) for ticket in compared(scene, policy(1).document).live.tickets.values()},
            record.to_json(),
        )
    assert found == {}
