"""What a shadow reports: each alert as Lockstep decided it beside what the other connector did, and what agreement means."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.facts import AlertTriggered
from schemas.identity import FIRST_PREDICTED
from schemas.shadow import AlertTicketNamed, OtherTicketObserved
from streams.core.shadow.compare import same_name
from streams.core.shadow.ours import Ours
from streams.core.shadow.report import ShadowReport, report, rows
from streams.core.shadow.theirs import Theirs
from tests.core.spec import (
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    Scene,
    gone,
    incidents,
    lifecycle,
    observed,
    reset,
    subject,
    triggered,
)
from tests.core.storm_world import World, storm_policy, uid_of

LATE = START + 10 * HOUR


def theirs(number: int = 9001, **more: Any) -> OtherTicketObserved:
    """The other connector's ticket, as the default policy would have it."""
    values: dict[str, Any] = {
        "ticket_id": number,
        "ticket_number": f"T20261124.{number}",
        "title": "Alert of another system",
        "company_id": 29683,
        "configuration_item_id": None,
        "queue_id": 5,
        "queue": "Monitoring",
        "priority_id": 2,
        "priority": "Medium",
        "status_id": 1,
        "status": "New",
        "creator_resource_id": 77,
        "created_at": START + 12_000,
        "completed": False,
        "completed_at": None,
        "last_activity_at": START + 12_000,
    }
    return OtherTicketObserved(**{**values, **more})


def closed(at: int, number: int = 9001, **more: Any) -> OtherTicketObserved:
    return theirs(number, completed=True, completed_at=at, last_activity_at=at, **more)


def named(uid: str = UID_A, ticket: str = "9001") -> AlertTicketNamed:
    return AlertTicketNamed(uid=uid, key="407", ticket=ticket)


def told(scene: Scene, *facts: Any, at: int = LATE, **more: Any) -> ShadowReport:
    """The report ``at`` a time long after everything."""
    ours, other = Ours(), Theirs()
    for record in scene.records:
        ours.feed(record)
    for fact in facts:
        other.feed(fact)
    return report(ours, other, now=at, **{"grace_ms": 15 * MINUTE, **more})


def kinds(found: ShadowReport) -> list[str]:
    return [row["kind"] for one in found.pairs for row in rows(one)]


def predicted(scene: Scene) -> Scene:
    """As a shadow's executor settles a create."""
    return scene.settle("CreateTicket", ticket_id=FIRST_PREDICTED + 1, how="Predicted")


def opened() -> Scene:
    return predicted(incidents(triggered()))


def test_two_that_do_the_same_agree() -> None:
    scene = opened().later(MINUTE).when(reset()).settle("CompleteTicket")
    found = told(scene, named(), closed(scene.now + 3_000))
    (rule,) = found.rules
    assert (kinds(found), found.agreement) == ([], 100.0)
    assert (rule.both_opened, rule.both_closed, rule.later_ms) == (1, 1, [3_000])
    assert rule.document()["same"] == {"queue": 100.0, "priority": 100.0, "company": 100.0, "item": 100.0}


def test_a_ticket_that_only_lockstep_would_open_is_named() -> None:
    found = told(opened())
    assert (kinds(found), found.agreement) == (["OnlyLockstep"], 0.0)
    assert found.rules[0].only_lockstep == 1


@pytest.mark.parametrize(
    ("parts", "because"),
    [
        (lifecycle(hold="1h"), "held Holding"),
        (
            {"maintenance": [{"name": "all-night", "from": "2026-11-24T00:00:00Z", "to": "2026-11-24T09:00:00Z"}]},
            "suppressed Maintenance:all-night",
        ),
        ({"companies": {"map": [], "auto_match": "never"}}, "parked UnmappedOrganization"),
    ],
)
def test_a_ticket_that_only_the_other_opens_comes_with_lockstep_s_reason(parts: dict[str, Any], because: str) -> None:
    found = told(incidents(triggered(), **parts), named(), theirs())
    assert kinds(found) == ["OnlyTheOther"]
    assert dict(found.rules[0].only_other) == {because: 1}


def test_the_reason_outlives_the_alert() -> None:
    scene = incidents(triggered(), **lifecycle(hold="1h")).later(MINUTE).when(reset())
    found = told(scene, named(), theirs())
    assert dict(found.rules[0].only_other) == {"closed ResetWithinHold": 1}


def test_a_repeat_that_lockstep_notes_and_the_other_opens_is_a_difference() -> None:
    scene = opened().when(triggered(11, uid=UID_B))
    found = told(scene, named(), theirs(), named(UID_B, "9002"), theirs(9002))
    assert kinds(found) == ["OnlyTheOther"]
    assert dict(found.rules[0].only_other) == {"appended SameCondition": 1}


def test_a_repeat_that_both_add_to_the_first_ticket_is_none() -> None:
    scene = opened().when(triggered(11, uid=UID_B))
    found = told(scene, named(), theirs(), named(UID_B))
    assert (kinds(found), found.rules[0].neither_opened) == ([], 1)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"queue_id": 6, "queue": "NOC"}, "OtherQueue"),
        ({"priority_id": 4, "priority": "Critical"}, "OtherPriority"),
        ({"company_id": 29690}, "OtherCompany"),
        ({"configuration_item_id": 555}, "OtherItem"),
    ],
)
def test_every_field_that_differs_is_named(change: dict[str, Any], kind: str) -> None:
    found = told(opened(), named(), theirs(**change))
    assert kinds(found) == [kind]


def test_a_name_is_compared_with_the_label_without_case_and_with_the_id() -> None:
    assert same_name("monitoring ", 5, "Monitoring")
    assert same_name(5, 5, "Whatever")
    assert same_name("5", 5, "")
    assert not same_name("NOC", 5, "Monitoring")
    assert not same_name("NOC", None, "")


def test_an_item_that_lockstep_would_make_first_is_not_compared_with_none() -> None:
    scene = incidents()
    scene.when(triggered())
    command = scene.last("CreateTicket").command
    made = command.model_copy(update={"configuration_item_id": FIRST_PREDICTED + 7})
    record = scene.records[-1]
    with_item = record.commands[0].model_copy(update={"value": made.to_json().decode()})
    scene.records[-1] = record.model_copy(update={"commands": (with_item,)})
    found = told(scene, named(), theirs())
    assert found.rules[0].same["item"] == [0, 0]
    assert kinds(told(scene, named(), theirs(configuration_item_id=555))) == ["OtherItem"]


def test_a_ticket_that_the_other_leaves_open_is_a_close_that_it_missed() -> None:
    scene = opened().later(MINUTE).when(reset()).settle("CompleteTicket")
    found = told(scene, named(), theirs())
    assert (kinds(found), found.rules[0].never_closed) == (["NeverClosed"], 1)


def test_a_ticket_that_the_other_completes_while_the_alert_is_active_is_named() -> None:
    found = told(opened(), named(), closed(START + MINUTE))
    assert (kinds(found), found.rules[0].only_other_closed) == (["OnlyTheOtherClosed"], 1)


def test_two_tickets_that_one_alert_names_one_after_the_other_are_doubled() -> None:
    found = told(opened(), named(), theirs(), named(ticket="T20261124.9002"), theirs(9002))
    assert (kinds(found), found.rules[0].doubled) == (["Doubled"], 1)


def test_a_double_that_no_alert_names_is_found_by_company_time_and_device() -> None:
    found = told(opened(), named(), theirs(), theirs(9002, title="[nw-fs01] Disk space"))
    assert kinds(found) == ["Doubled"]


def test_of_two_devices_with_one_message_the_title_s_device_counts_and_not_the_nearer_time() -> None:
    second = triggered(12, uid=UID_B, subject=subject(408, device_name="NW-FS02"))
    scene = opened().when(second, key="408")
    title = f"NW-FS01: {second.message}"
    found = told(scene, named(), theirs(), named(UID_B, "9002"), theirs(9002), theirs(9003, title=title))
    assert ("Doubled", UID_A) in [(row["kind"], row["alert"]) for one in found.pairs for row in rows(one)]


@pytest.mark.parametrize("change", [{"company_id": 29690}, {"created_at": START + HOUR}, {"title": "Printer"}])
def test_what_is_of_another_company_or_time_or_about_something_else_is_nobodys(change: dict[str, Any]) -> None:
    values = {"title": "NW-FS01", **change}
    found = told(opened(), named(), theirs(), theirs(9002, **values))
    assert (kinds(found), found.tickets_of_nobody) == ([], 1)


def test_a_ticket_that_autotask_does_not_have_is_said_to_be_missing() -> None:
    found = told(opened(), named(ticket="424242"))
    assert kinds(found) == ["OnlyLockstep"]
    assert found.pairs[0].differences[0].other == "names ticket 424242, which Autotask does not have"


def test_what_is_younger_than_the_grace_is_no_difference_yet() -> None:
    scene = opened()
    found = told(scene, at=scene.now + MINUTE)
    (rule,) = found.rules
    assert (kinds(found), rule.undecided, rule.compared, found.agreement) == ([], 1, 0, None)


def test_an_alert_whose_end_the_other_may_still_follow_is_not_counted_at_all() -> None:
    scene = opened().later(HOUR).when(reset(at=START + HOUR)).settle("CompleteTicket")
    elsewhere = theirs(queue_id=6, queue="NOC")
    found = told(scene, named(), elsewhere, at=scene.now + MINUTE)
    assert (kinds(found), found.rules[0].undecided) == ([], 1)
    assert sorted(kinds(told(scene, named(), elsewhere))) == ["NeverClosed", "OtherQueue"]


def test_a_ticket_that_autotask_would_refuse_is_none() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    found = told(scene, named(), theirs())
    assert kinds(found) == ["OnlyTheOther"]
    assert found.pairs[0].differences[0].lockstep == "opens none: UnknownQueue"


def test_only_alerts_since_then_and_of_the_rule_are_counted() -> None:
    rules = {
        "rules": [{"name": "disk", "when": {"source_type": ["CONDITION_AGENT_DISK_FREE_SPACE"]}}, {"name": "rest"}]
    }
    first: AlertTriggered = triggered()
    scene = predicted(incidents(first, **rules)).later(HOUR)
    scene.when(triggered(99, uid=UID_B, source_type="OTHER", source_config_uid="x"))
    assert [rule.rule for rule in told(scene).rules] == ["disk", "rest"]
    assert [rule.rule for rule in told(scene, since=START + MINUTE).rules] == ["rest"]
    assert [rule.rule for rule in told(scene, rule="disk").rules] == ["disk"]


def test_an_alert_of_the_list_that_is_gone_is_over_like_one_that_was_reset() -> None:
    scene = predicted(incidents(observed())).later(MINUTE).when(gone())
    found = told(scene, named(), theirs())
    assert kinds(found) == ["NeverClosed"]


def test_the_order_and_number_of_the_other_s_facts_change_nothing() -> None:
    facts = [named(), theirs(), closed(START + MINUTE), named(), named(ticket="9002"), theirs(9002)]
    scene = opened().later(MINUTE).when(reset()).settle("CompleteTicket")
    before = told(scene, *facts).document()
    assert told(scene, *facts, *[fact for fact in facts if fact != theirs()]).document() == before


def test_in_a_storm_the_other_s_tickets_stand_beside_one_parent_ticket() -> None:
    world = World(**storm_policy()).down(1, 2, 3).work()
    facts = [
        fact
        for device in (1, 2, 3)
        for fact in (named(uid_of(device), str(9000 + device)), theirs(9000 + device, company_id=29683))
    ]
    found = told(world.incidents, *facts)
    assert kinds(found) == ["OnlyTheOther"] * 3
    assert dict(found.rules[0].only_other) == {"appended PartOfStorm": 3}
    assert (found.rules[0].rule, found.storm_tickets) == ("offline", 1)
    world.up(1, 2, 3).work()
    assert dict(told(world.incidents, *facts).rules[0].only_other) == {"appended PartOfStorm": 3}
