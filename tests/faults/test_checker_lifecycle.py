"""The checker's own reading of rules and of what was known of an alert; and what looks like a broken rule and is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.facts import AlertFact, AlertGone, AlertReset, AlertTriggered, Subject
from schemas.topics import CONTROL, STORM_CANDIDATES
from streams.drill.check_lifecycle import check_waiting
from streams.drill.checks import check
from streams.drill.evidence import Evidence
from streams.drill.planting import poison
from streams.drill.policy import EACH, HELD, LIFECYCLES, SETTLES, UNTOUCHED, WINDOW, drill_policy
from streams.drill.reading import Reading
from streams.drill.rules import Rules, seconds_of
from streams.drill.stories import Known
from streams.policy_file import read_policy
from streams.ports import InputRecord
from tests.faults import damaged_vendors as vendors
from tests.faults.evidence_builder import autotask_with, healthy, ninjaone_with, numbered, reading, topic_with

HERE = Subject(organization_id=1, device_id=7)


def found(evidence: Evidence) -> set[str]:
    return {finding.kind for finding in check(evidence).findings}


def raised(activity: int, kind: str | None = None) -> AlertTriggered:
    return AlertTriggered(uid="u", subject=HERE, raised_at=activity * 10, activity_id=activity, source_type=kind)


def ended(activity: int) -> AlertReset:
    return AlertReset(uid="u", subject=HERE, activity_id=activity, reset_at=activity * 10)


def known(*facts: Any) -> Known:
    result = Known()
    for at, fact in enumerate(facts):
        result.take(fact, at)
    return result


def test_an_alert_is_active_by_its_newest_facts_in_any_order() -> None:
    assert known(raised(1)).active
    assert not known(raised(1), ended(2)).active
    assert not known(ended(2), raised(1)).active
    assert known(raised(3), ended(2)).active
    assert known(raised(1), ended(2), raised(3)).active
    gone = AlertGone(uid="u", subject=HERE, gone_at=25, cause="MissingFromList")
    assert not known(raised(2), gone).active
    assert known(gone, raised(3)).active


def test_the_times_in_which_an_alert_was_active_are_those_of_its_facts() -> None:
    periods = known(raised(1), raised(1), ended(2), ended(2), raised(3)).periods
    assert [(period.since, period.until) for period in periods] == [(0, 2), (4, None)]


def test_the_drills_policy_is_one_that_may_be_published_and_the_checker_reads_its_rules(tmp_path: Path) -> None:
    document = drill_policy(organization=3, begins=0, ends=60_000)
    rules = Rules(Reading(with_policy(document, tmp_path)))
    for kind, lifecycle in LIFECYCLES.items():
        assert rules.lifecycle(raised(1, kind), rules.last) == lifecycle
    assert rules.lifecycle(raised(1, "CONDITION_AGENT_CPU"), rules.last) == {}
    assert rules.lifecycle(raised(1, HELD), 4711) is None
    assert seconds_of(LIFECYCLES[HELD], "hold") == 3
    assert seconds_of(LIFECYCLES[SETTLES], "reopen_within") == 60
    assert seconds_of(LIFECYCLES[EACH], "hold") == 0
    window = rules.window(WINDOW)
    assert window is not None
    assert window["to"] == "1970-01-01T00:01:00.000Z"
    assert rules.window("another") is None


def test_a_rule_that_chooses_by_more_than_the_source_type_is_not_judged_by(tmp_path: Path) -> None:
    document = "version: 1\nrules: [{name: a, when: {source_type: [X], node_class: [MAC]}}, {name: b, when: {}}]\n"
    rules = Rules(Reading(with_policy(document, tmp_path)))
    assert rules.lifecycle(raised(1, "X"), rules.last) is None
    assert rules.lifecycle(raised(1, "Y"), rules.last) == {}


def with_policy(text: str, folder: Path) -> Evidence:
    """The recorded run with one more policy published, read as the command line reads it."""
    file = folder / "policy.yaml"
    file.write_text(text)
    last = next(raw for raw in healthy().topics[CONTROL] if b"policy" in dict(raw.headers)["ce_type"])
    value = {**orjson.loads(last.value or b"{}"), "revision": 99, "document": read_policy(file).document}
    more = last._replace(value=orjson.dumps(value), offset=10**6)
    return replace(healthy(), topics={**healthy().topics, CONTROL: [*healthy().topics[CONTROL], more]})


@pytest.mark.parametrize(
    ("seconds", "looks", "kinds"),
    [(60, 3, {"TouchedCompleted"}), (60, 2, set()), (10, 3, set())],
    ids=["long after", "with no look since", "a moment later"],
)
def test_a_technician_who_is_faster_than_the_look_and_the_write_is_nobodys_fault(
    seconds: int, looks: int, kinds: set[str]
) -> None:
    assert found(vendors.touched_and_completed(healthy(), seconds=seconds, looks=looks)) & {"TouchedCompleted"} == kinds


def test_what_a_technician_completed_gets_a_new_ticket_and_what_we_completed_does_not() -> None:
    evidence = vendors.doubled_instead_of_reopened(healthy())
    assert "NewInsteadOfReopened" in found(evidence)
    _, _, alert = vendors.known_by_reason("Reopened")
    number = next(t["id"] for t in evidence.autotask["tickets"] if t["externalID"] == alert["incident"])
    rows = [
        {**row, "by": "control"} if row["id"] == number and (row.get("after") or {}).get("completedDate") else row
        for row in evidence.autotask["history"]
    ]
    assert "NewInsteadOfReopened" not in found(autotask_with(evidence, history=numbered(rows)))


def test_a_ticket_that_was_touched_is_left_open_only_where_its_rule_says_so() -> None:
    evidence = vendors.never_closed(healthy())
    number = next(finding for finding in check(evidence).findings).about
    ticket = next(row for row in evidence.autotask["tickets"] if row["externalID"] == number)
    note = {"t": 0, "entity": "TicketNotes", "id": 1, "what": "Created", "by": "control"}
    history = numbered([*evidence.autotask["history"], {**note, "after": {"ticketID": ticket["id"]}}])
    assert found(autotask_with(evidence, history=history)) == {"MissedClose"}
    assert UNTOUCHED in {fact.source_type for fact in reading().alert_facts() if isinstance(fact, AlertFact)}


def test_a_device_that_is_still_in_maintenance_keeps_its_alert_suppressed_and_one_whose_mode_failed_does_not() -> None:
    assert found(healthy()) == set()
    rows = [{**row, "maintenance": {"status": "FAILED"}} for row in healthy().ninjaone["devices"]]
    assert found(ninjaone_with(healthy(), devices=rows)) == {"ForgottenAlert"}


@pytest.mark.parametrize(
    ("disposition", "reason", "now", "forgotten"),
    [
        ("suppressed", f"Maintenance:{WINDOW}", 65, False),
        ("suppressed", f"Maintenance:{WINDOW}", 75, True),
        ("suppressed", "Maintenance:taken out of the policy", 0, True),
        ("suppressed", "ResetOfOpeningOnly", 9999, False),
        ("held", "Holding", 500, False),
        ("held", "Holding", 700, True),
        ("parked", "UnmappedOrganization", 9999, False),
    ],
)
def test_what_is_held_back_may_wait_until_its_end_and_a_moment_more(
    tmp_path: Path, disposition: str, reason: str, now: int, forgotten: bool
) -> None:
    evidence = with_policy(drill_policy(organization=3, begins=0, ends=60_000), tmp_path)
    began = {"entity": "alert", "id": "u", "what": "triggered", "by": "control", "t": 0, "seq": 1}
    reading = Reading(ninjaone_with(evidence, now=now, alerts=[{"uid": "u", "deviceId": 7}], history=[began]))
    alert = {"disposition": disposition, "reason": reason, "active": True}
    reading.__dict__["bodies"] = {"7": {"alerts": {"u": alert}}}
    assert [finding.kind for finding in check_waiting(reading)] == ["ForgottenAlert"] * forgotten


@pytest.mark.parametrize("what", ["no_headers", "header_null", "no_value"])
def test_poison_in_a_topic_of_what_agents_tell_each_other_was_told_by_nobody_and_is_no_finding_of_that(
    what: str,
) -> None:
    value, headers = poison(what)
    planted = InputRecord(STORM_CANDIDATES, 1, 0, b"1", value, headers, 0)
    evidence = topic_with(healthy(), STORM_CANDIDATES, [planted])
    place = (STORM_CANDIDATES, 1, 0)
    assert "UnknownHandoff" not in found(replace(evidence, poison=evidence.poison | {place}))
    if what == "no_headers":
        assert "UnknownHandoff" in found(evidence)
