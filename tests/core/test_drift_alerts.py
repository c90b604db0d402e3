"""Alerts and tickets compared, sentence by sentence: what is apart, and what only looks so."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.drift import DriftObserved
from schemas.envelope import rfc3339
from schemas.facts import ParkedDismissed, Selection
from streams.core.drift.compare import compare
from streams.core.drift.findings import Drift, Tell, told
from tests.core.drift_world import (
    adds_up,
    alert_row,
    complete_ticket,
    explained,
    log_of,
    one,
    open_ticket,
    seen,
)
from tests.core.spec import (
    EXTERNAL_A,
    EXTERNAL_B,
    HOUR,
    START,
    UID_A,
    UID_B,
    Scene,
    companies,
    incidents,
    lifecycle,
    observed,
    reset,
    subject,
    ticket,
    triggered,
)
from tests.core.storm_world import World, storm_policy


def ticketed(**parts: Any) -> Scene:
    return incidents(triggered(), **parts).settle("CreateTicket")


def over(**parts: Any) -> Scene:
    """Cleared, its ticket completed by us and seen so."""
    scene = ticketed(**parts).when(ticket(START + 20_000), reset()).settle("CompleteTicket")
    return scene.when(ticket(START + 1_800_000, completed=True))


# --- in step, or explained


def test_an_active_alert_with_its_open_ticket_is_in_step() -> None:
    found = compare(log_of(ticketed()), seen(alert_row(), tickets=(open_ticket(),)))
    assert (found.drifts, found.explained, len(found.with_ticket)) == ([], [], 1)


def test_two_alerts_of_one_ticket_are_one_ticket_and_one_explained() -> None:
    log = log_of(ticketed().when(triggered(11, UID_B)))
    found = compare(log, seen(alert_row(), alert_row(UID_B), tickets=(open_ticket(),)))
    assert (found.drifts, found.reasons("alert"), len(found.with_ticket)) == ([], {"Waiting:AppendTicketNote": 2}, 0)
    settled = log_of(ticketed().when(triggered(11, UID_B)).settle("AppendTicketNote"))
    found = compare(settled, seen(alert_row(), alert_row(UID_B), tickets=(open_ticket(),)))
    assert (found.drifts, found.reasons("alert"), len(found.with_ticket)) == ([], {"SameTicket": 1}, 1)


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (incidents(triggered(), **lifecycle(hold="5m")), "Holding"),
        (incidents(triggered()), "Waiting:CreateTicket"),
        (incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownName"), "UnknownName"),
        (incidents(companies((1, "Elsewhere")), triggered(subject=subject(organization=99))), "UnmappedOrganization"),
        (incidents(triggered(subject=subject(organization=99))), "CompaniesNotKnown"),
        (
            incidents(
                triggered(),
                maintenance=[{"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T05:00:00Z"}],
            ),
            "Maintenance:move",
        ),
    ],
)
def test_an_alert_that_waits_for_something_is_explained(scene: Scene, reason: str) -> None:
    assert explained(log_of(scene), seen(alert_row())) == {"alert": reason}


def test_an_alert_that_was_given_up_is_explained() -> None:
    scene = incidents(triggered(subject=subject(organization=99)))
    scene.when(ParkedDismissed(selection=Selection(everything=True), actor="eve", note="known"))
    assert explained(log_of(scene), seen(alert_row())) == {"alert": "Dismissed"}


def test_an_alert_from_before_the_first_start_is_explained() -> None:
    assert explained(log_of(untold=frozenset({UID_A})), seen(alert_row())) == {"alert": "BeforeFirstStart"}


def test_the_ticket_of_a_test_alert_is_explained_since_ninjaone_never_had_it() -> None:
    scene = incidents(triggered(source_type="LOCKSTEP_TEST")).settle("CreateTicket")
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "TestAlert"}


def test_a_ticket_that_settles_is_explained() -> None:
    scene = ticketed(**lifecycle(settle="10m")).when(reset())
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "Settling"}


def test_a_ticket_that_is_left_to_people_is_explained() -> None:
    scene = ticketed(**lifecycle(close_if="never")).when(reset()).settle("AppendTicketNote")
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "NeverCompleted"}


def test_a_ticket_whose_completion_waits_or_was_refused_is_explained() -> None:
    scene = ticketed().when(reset())
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "Waiting:CompleteTicket"}
    scene.settle("CompleteTicket", "Rejected", reason="RequiredField")
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "RequiredField"}


def test_the_ticket_of_an_incident_that_was_given_up_is_explained() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Rejected", reason="RequiredField")
    scene.when(ParkedDismissed(selection=Selection(everything=True), actor="eve", note="by hand"))
    assert explained(log_of(scene), seen(tickets=(open_ticket(),))) == {"ticket": "Dismissed"}


def test_a_ticket_that_a_technician_reopened_is_explained() -> None:
    scene = over().when(ticket(START + 2 * HOUR))
    again = open_ticket(lastActivityDate="2026-11-24T05:00:00Z")
    assert explained(log_of(scene), seen(tickets=(again,))) == {"ticket": "ReopenedByTechnician"}


def test_a_ticket_that_a_technician_reopened_right_after_our_completion_is_explained() -> None:
    """Too soon for the agent, which takes it for a late sight of the open ticket; nobody has seen it complete."""
    scene = ticketed().when(reset()).settle("CompleteTicket")
    at = scene.now + 20_000
    scene.later(20_000).when(ticket(at))
    again = open_ticket(lastActivityDate=rfc3339(at))
    assert explained(log_of(scene), seen(tickets=(again,))) == {"ticket": "ReopenedByTechnician"}


def test_a_ticket_that_is_open_again_without_a_trace_after_our_completion_is_a_missed_close() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket")
    untouched = open_ticket(lastActivityDate=rfc3339(scene.now))
    drift = one(compare(log_of(scene), seen(tickets=(untouched,))))
    assert (drift.drift, drift.ticket_id) == ("MissedClose", 5001)


def test_an_alert_whose_reset_waits_is_explained() -> None:
    scene = ticketed().when(ticket(START + 1_800_000, completed=True))
    found = compare(log_of(scene), seen(alert_row(), tickets=(complete_ticket(),)))
    assert (found.drifts, found.reasons("alert")) == ([], {"Waiting:ResetAlert": 1})


def test_an_alert_that_is_over_while_its_reset_waits_is_no_missed_close() -> None:
    scene = ticketed().when(ticket(START + 1_800_000, completed=True))
    assert compare(log_of(scene), seen(tickets=(complete_ticket(),))).drifts == []


def test_the_alerts_of_a_storm_are_explained_and_so_is_its_ticket() -> None:
    world = World(**storm_policy()).down(1, 2, 3).work()
    (parent,) = world.parents
    rows = [alert_row(uid, key=str(device)) for uid, (device, _) in world.active.items()]
    own = open_ticket(parent.id, externalID=parent.command.external_id)
    found = compare(log_of(world.incidents), seen(*rows, tickets=(own,)))
    assert (found.drifts, found.reasons("alert"), found.reasons("ticket")) == ([], {"PartOfStorm": 3}, {"Storm": 1})


def test_a_storms_ticket_that_was_completed_unheard_is_told() -> None:
    world = World(**storm_policy()).down(1, 2, 3).work()
    (parent,) = world.parents
    rows = [alert_row(uid, key=str(device)) for uid, (device, _) in world.active.items()]
    done = complete_ticket(parent.id, externalID=parent.command.external_id)
    drift = one(compare(log_of(world.incidents), seen(*rows, tickets=(done,))))
    assert (drift.drift, drift.repairs) == ("MissedChange", (Tell("ticket", str(parent.id)),))


def test_somebody_elses_use_of_our_mark_is_none_of_ours() -> None:
    other = open_ticket(externalID="ls.something-else")
    assert explained(log_of(), seen(tickets=(other,))) == {"ticket": "NotOurs"}


def test_what_technicians_change_of_a_ticket_is_no_drift() -> None:
    touched = open_ticket(title="renamed", status=8, priority=3, queueID=5, assignedResourceID=7)
    assert compare(log_of(ticketed()), seen(alert_row(), tickets=(touched,))).drifts == []


def test_an_alert_whose_place_the_list_tells_less_of_is_the_one_that_the_log_knows() -> None:
    where = subject(device=None, location_id=31)
    scene = incidents().when(triggered(subject=where), key="l31").settle("CreateTicket")
    own = open_ticket(externalID="ls.l31." + UID_A.replace("-", ""))
    found = compare(log_of(scene), seen(alert_row(key="o17"), tickets=(own,)))
    assert (found.drifts, len(found.with_ticket)) == ([], 1)


# --- apart


def test_an_active_alert_that_the_log_never_heard_of_is_a_missed_open() -> None:
    drift = one(compare(log_of(), seen(alert_row())))
    assert (drift.drift, drift.uids, drift.repairs) == ("MissedOpen", (UID_A,), (Tell("alert", UID_A),))


def test_an_alert_that_was_raised_again_unheard_is_told_as_it_is() -> None:
    drift = one(compare(log_of(over()), seen(alert_row(at=START + HOUR), tickets=(complete_ticket(),))))
    assert (drift.drift, drift.repairs) == ("MissedOpen", (Tell("alert", UID_A),))


def test_an_alert_that_stands_though_it_was_told_as_over_counts_as_raised_when_it_is_seen() -> None:
    drift = one(compare(log_of(over()), seen(alert_row(), tickets=(complete_ticket(),))))
    assert (drift.drift, drift.repairs) == ("MissedOpen", (Tell("alert", UID_A, again=True),))


def test_an_open_ticket_whose_alerts_are_over_is_a_missed_close_once() -> None:
    log = log_of(ticketed().when(triggered(11, UID_B)).settle("AppendTicketNote"))
    found = compare(log, seen(tickets=(open_ticket(),)))
    drift = one(found)
    assert (drift.drift, drift.ticket_id, drift.uids) == ("MissedClose", 5001, (UID_B, UID_A))
    assert found.explained == []
    assert drift.repairs == (Tell("gone", UID_B), Tell("gone", UID_A))


def test_a_held_alert_that_is_over_is_a_missed_close_without_a_ticket() -> None:
    drift = one(compare(log_of(incidents(triggered(), **lifecycle(hold="5m"))), seen()))
    assert (drift.drift, drift.ticket_id, drift.repairs) == ("MissedClose", None, (Tell("gone", UID_A),))


def test_a_ticket_that_is_open_again_without_a_trace_is_a_missed_close() -> None:
    drift = one(compare(log_of(over()), seen(tickets=(open_ticket(),))))
    (fact,) = drift.repairs
    assert isinstance(fact, DriftObserved)
    assert (drift.drift, fact.drift, fact.ticket_id, fact.external_id) == (
        "MissedClose",
        "MissedClose",
        5001,
        EXTERNAL_A,
    )


def test_a_reopening_by_a_technician_that_was_not_heard_is_told_and_not_undone() -> None:
    again = open_ticket(lastActivityDate="2026-11-24T05:00:00Z")
    drift = one(compare(log_of(over()), seen(tickets=(again,))))
    assert (drift.drift, drift.repairs) == ("MissedChange", (Tell("ticket", "5001"),))


def test_a_completion_that_was_not_heard_is_a_missed_reset() -> None:
    drift = one(compare(log_of(ticketed()), seen(alert_row(), tickets=(complete_ticket(),))))
    assert (drift.drift, drift.uids, drift.repairs) == ("MissedReset", (UID_A,), (Tell("ticket", "5001"),))


def test_an_alert_that_is_active_after_its_reset_is_to_be_reset_once_more() -> None:
    scene = ticketed().when(ticket(START + 1_800_000, completed=True)).settle("ResetAlert")
    drift = one(compare(log_of(scene), seen(alert_row(), tickets=(complete_ticket(),))))
    (fact,) = drift.repairs
    assert isinstance(fact, DriftObserved)
    assert (drift.drift, fact.drift, fact.uid) == ("MissedReset", "MissedReset", UID_A)


def test_a_deleted_ticket_of_an_open_incident_is_missing_and_that_of_an_ended_one_is_not() -> None:
    drift = one(compare(log_of(ticketed()), seen(alert_row(), deleted=frozenset({5001}))))
    assert (drift.drift, drift.ticket_id, drift.uids) == ("MissingTicket", 5001, (UID_A,))
    assert compare(log_of(over()), seen(deleted=frozenset({5001}))).drifts == []
    # Nor where the alert is over as well: that alone is to be told.
    assert one(compare(log_of(ticketed()), seen(deleted=frozenset({5001})))).drift == "MissedClose"


def test_a_second_ticket_with_the_external_id_is_a_double_and_the_incidents_own_stays() -> None:
    found = compare(
        log_of(ticketed()), seen(alert_row(), tickets=(open_ticket(ticketNumber="T20261124.5001"), open_ticket(5002)))
    )
    drift = one(found)
    assert (drift.drift, drift.ticket_id, "T20261124.5001" in drift.what) == ("DoubledTicket", 5002, True)


def test_a_ticket_that_turned_up_for_an_incident_without_one_is_told() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownName")
    found = compare(log_of(scene), seen(alert_row(), tickets=(open_ticket(),)))
    assert (one(found).drift, one(found).repairs) == ("MissedChange", (Tell("ticket", "5001"),))


def test_a_ticket_of_no_incident_is_an_orphan() -> None:
    stranger = open_ticket(6001, externalID=EXTERNAL_B)
    drift = one(compare(log_of(over()), seen(tickets=(stranger,))))
    (fact,) = drift.repairs
    assert isinstance(fact, DriftObserved)
    assert (drift.drift, fact.drift, fact.external_id) == ("OrphanTicket", "OrphanTicket", EXTERNAL_B)


def test_an_orphan_whose_alert_is_active_is_taken_over_instead_of_a_second_ticket() -> None:
    found = compare(log_of(), seen(alert_row(), tickets=(open_ticket(),)))
    drift = one(found)
    assert (drift.drift, drift.repairs) == ("OrphanTicket", (Tell("alert", UID_A, ticket_id=5001),))


def test_orphans_of_devices_that_nobody_knows_are_completed_unless_they_are_many() -> None:
    def strangers(count: int) -> list[Drift]:
        ids = [f"ls.{9000 + number}.{number:032x}" for number in range(count)]
        rows = [open_ticket(6000 + number, externalID=name) for number, name in enumerate(ids)]
        return compare(log_of(), seen(tickets=tuple(rows))).drifts

    assert all(drift.repairs for drift in strangers(20))
    many = strangers(21)
    assert {drift.drift for drift in many} == {"OrphanTicket"}
    assert all(not drift.repairs and "another Lockstep" in drift.left for drift in many)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"externalID": None}, ("externalID",)),
        ({"externalID": "CRM-4711"}, ("externalID",)),
        ({"companyID": 500}, ("companyID",)),
        ({"configurationItemID": None}, ("configurationItemID",)),
        ({"configurationItemID": 999, "companyID": 500}, ("companyID", "configurationItemID")),
    ],
)
def test_what_is_ours_of_a_ticket_and_was_changed_is_a_foreign_edit(change: Any, fields: Any) -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    log = log_of(scene)
    asked = {EXTERNAL_A: log.asked[EXTERNAL_A].model_copy(update={"configuration_item_id": 700})}
    own = {"configurationItemID": 700}
    assert compare(log_of(scene, asked=asked), seen(alert_row(), tickets=(open_ticket(**own),))).drifts == []
    drift = one(compare(log_of(scene, asked=asked), seen(alert_row(), tickets=(open_ticket(**{**own, **change}),))))
    assert (drift.drift, drift.fields) == ("ForeignEdit", fields)


def test_a_ticket_that_was_opened_without_its_item_needs_none() -> None:
    assert compare(log_of(ticketed()), seen(alert_row(), tickets=(open_ticket(configurationItemID=5),))).drifts == []


def test_an_organization_without_a_company_is_named_with_what_waits_and_left() -> None:
    scene = incidents(observed(subject=subject(organization=99)))
    log = log_of(scene, unmapped={99: "write {organization: 99, company: ID} under companies.map", 98: "nobody waits"})
    drift = one(compare(log, seen(alert_row(organization=99))))
    assert (drift.drift, drift.key, drift.repairs, "1 active alerts" in drift.what) == ("Unmapped", "o99", (), True)


def test_tickets_that_are_missing_in_large_numbers_are_told_and_left() -> None:
    scene = incidents()
    for number in range(30):
        key = str(1000 + number)
        uid = f"{number:032x}"
        scene.when(triggered(100 + number, uid, subject=subject(1000 + number)), key=key)
        scene.settle("CreateTicket", ticket_id=9000 + number)
    rows = [alert_row(f"{number:032x}", key=str(1000 + number)) for number in range(30)]
    few = compare(log_of(scene), seen(*rows, deleted=frozenset(range(9000, 9005))))
    assert all(drift.repairs for drift in few.drifts if drift.drift == "MissingTicket")
    many = compare(log_of(scene), seen(*rows, deleted=frozenset(range(9000, 9030))))
    missing = [drift for drift in many.drifts if drift.drift == "MissingTicket"]
    assert len(missing) == 30
    assert all(not drift.repairs and "security level" in drift.left for drift in missing)


def test_a_class_is_written_with_dashes() -> None:
    assert told("MissedClose") == "missed-close"


def test_what_a_second_look_does_not_show_again_was_under_way() -> None:
    log = log_of(ticketed().when(ticket(START + 20_000)))
    stranger = open_ticket(6001, externalID=EXTERNAL_B)
    found = compare(log, seen(alert_row(), alert_row(UID_B), tickets=(open_ticket(), stranger)))
    assert found.open_tickets == 2
    found.keep(lambda drift: False)
    adds_up(found)
    assert (found.drifts, found.reasons("alert"), found.reasons("ticket")) == ([], {"UnderWay": 1}, {"UnderWay": 1})
    kept = compare(log, seen(alert_row(), alert_row(UID_B), tickets=(open_ticket(),)))
    assert [drift.drift for drift in kept.keep(lambda drift: True)] == ["MissedOpen"]
    assert (kept.explained, len(kept.apart)) == ([], 1)


def test_the_ticket_that_stays_is_named_as_autotask_names_it() -> None:
    log = log_of(ticketed())
    next(iter(log.incidents["407"]["incidents"].values()))["number"] = "T20261124.5002"
    tickets = (open_ticket(ticketNumber="T20261124.5001"), open_ticket(5002, ticketNumber="T20261124.5002"))
    drift = one(compare(log, seen(alert_row(), tickets=tickets)))
    assert drift.what.startswith("ticket T20261124.5002 is a double of T20261124.5001 ")
