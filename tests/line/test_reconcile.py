"""Log and vendors compared on the whole line: fifty defects are planted, found, and mended by events; then nothing is apart.

In order: each test goes on where the one before left the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.line.defects import Defect, Planter, Stage, deaf, plant, set_up
from tests.line.system import Row, Said, System, is_complete

#: What is planted stays; what is only under way on a busy machine needs its time, which a clean look does not spend.
QUICK, PATIENT = ("--grace", "1"), ("--grace", "10")


@pytest.fixture(scope="module")
def planter(system: System) -> Planter:
    return Planter(system)


@pytest.fixture(scope="module")
def stage(planter: Planter) -> Stage:
    return set_up(planter)


@pytest.fixture(scope="module")
def planted(system: System, planter: Planter, stage: Stage) -> Iterator[list[Defect]]:
    with deaf(system):
        yield plant(planter, stage)


@dataclass(frozen=True, slots=True)
class Judged:
    """Devices with a ticket each, from while the connectors listened."""

    lost: dict[str, tuple[Row, str, Row]]
    reopened: tuple[Row, str, Row]
    unsure: tuple[Row, str, Row]


@pytest.fixture(scope="module")
def judged(planter: Planter, stage: Stage) -> Judged:
    kept, cleared, reopened, unsure = stage.spare
    return Judged({"keep": kept, "clear": cleared}, reopened, unsure)


def shown(system: System, ticket: Row) -> Row:
    """A ticket as it is now."""
    return next(row for row in system.tickets() if row["id"] == ticket["id"])


def named(report: Row, defects: list[Defect]) -> None:
    """Each defect is named exactly once, and nothing else is."""
    for defect in defects:
        hits = [found for found in report["drifts"] if defect.is_in(found)]
        assert len(hits) == 1, (defect, hits)
    assert len(report["drifts"]) == len(defects), [
        found for found in report["drifts"] if not any(defect.is_in(found) for defect in defects)
    ]


def adds_up(report: Row) -> None:
    """As many active alerts as open tickets and explained ones."""
    alerts = report["alerts"]
    assert alerts["active"] == alerts["open_tickets"] + sum(alerts["explained"].values()) + alerts["apart"]
    tickets = report["tickets"]
    assert tickets["open"] == tickets["with_active_alerts"] + sum(tickets["explained"].values()) + tickets["apart"]


def test_where_all_went_well_nothing_is_apart(system: System, stage: Stage) -> None:
    before = system.written()
    said = system.lockstep("reconcile", *PATIENT)
    assert said.code == 0, said
    assert "log, NinjaOne and Autotask agree" in said.out
    assert system.written() == before


def test_a_closed_connection_is_not_called(system: System) -> None:
    assert system.lockstep("pause", "ninjaone", "--reason", "an audit").code == 0
    try:
        calls = system.psa.mark()
        said: Said = system.lockstep("resync")
        assert said.code == 1, said
        assert "NinjaOne is paused" in said.err
        assert "an audit; no vendor was called" in said.err
        assert not [call for call in system.psa.calls(calls) if "ConfigurationItems" in call["path"]]
    finally:
        system.lockstep("resume", "ninjaone")


def test_fifty_planted_defects_are_found_and_nothing_is_written(system: System, planted: list[Defect]) -> None:
    assert len(planted) == 50
    before = system.written()
    said = system.lockstep("reconcile", *QUICK, "--json")
    assert said.code == 2, said
    named(said.json(), planted)
    adds_up(said.json())
    assert system.written() == before


def test_all_of_them_are_mended_by_events_and_then_nothing_is_apart(system: System, planted: list[Defect]) -> None:
    said = system.lockstep("reconcile", *QUICK, "--repair", "--json")
    report = said.json()
    left = [found for found in report["drifts"] if found["state"] != "mended"]
    assert (said.code, report["mended"], left) == (0, 50, []), said
    named(report, planted)
    said = system.lockstep("reconcile", *PATIENT, "--json")
    assert (said.code, said.json()["drifts"]) == (0, []), said
    adds_up(said.json())


def test_what_people_may_do_with_a_ticket_is_left_as_they_did_it(system: System, planted: list[Defect]) -> None:
    renamed = [ticket for ticket in system.tickets() if ticket["title"] == "renamed by a technician"]
    assert [(ticket["priority"], ticket["status"], is_complete(ticket)) for ticket in renamed] == [(3, 8, False)] * 2


@pytest.mark.parametrize("item", ["keep", "clear"])
def test_a_ticket_follows_its_device_to_the_item_that_is_made_anew_in_the_same_run(
    system: System, planter: Planter, planted: list[Defect], judged: Judged, item: str
) -> None:
    """Somebody deleted the item under an open ticket, which keeps its id or loses it."""
    device, _, ticket = judged.lost[item]
    system.psa.ask("PATCH", "settings", deleted_item=item)
    system.psa.ask("DELETE", f"configuration-items/{ticket['configurationItemID']}")
    said = system.lockstep("reconcile", *QUICK, "--device", str(device["id"]), "--repair", "--json")
    report = said.json()
    found = [(one["class"], one["fields"], one["state"]) for one in report["drifts"]]
    assert found == [("foreign-edit", ["configurationItemID"], "mended"), ("missing-item", [], "mended")], said
    made = planter.item(device)
    assert shown(system, ticket)["configurationItemID"] == made["id"] != ticket["configurationItemID"]


def test_a_ticket_that_was_completed_and_reopened_unheard_stays_open(
    system: System, planter: Planter, planted: list[Defect], judged: Judged
) -> None:
    """Its alert cleared afterwards. What the history does not tell for sure is left, unless its class is named."""
    device, uid, ticket = judged.reopened
    unsure, other_uid, other = judged.unsure
    for one in (uid, other_uid):
        planter.clear(one)
    for history, row in (("fields", ticket), ("unnamed", other)):
        system.psa.ask("PATCH", "settings", ticket_history=history)
        system.complete(row)
        system.psa.ask("POST", f"tickets/{row['id']}/reopen")
    system.psa.ask("PATCH", "settings", ticket_history="fields")
    said = system.lockstep("reconcile", *QUICK, "--repair", "--json")
    found = {one["key"]: (one["class"], one["state"]) for one in said.json()["drifts"]}
    mended, left = ("missed-change", "mended"), ("missed-close", "left")
    assert (said.code, found) == (2, {str(device["id"]): mended, str(unsure["id"]): left}), said
    assert "which may be a completion" in said.out
    assert not is_complete(shown(system, ticket))
    assert not is_complete(shown(system, other))
    said = system.lockstep("reconcile", *QUICK, "--repair", "--class", "missed-close")
    assert said.code == 0, said
    assert is_complete(shown(system, other))
    assert not is_complete(shown(system, ticket))
    assert system.lockstep("reconcile", *QUICK, "--json").json()["tickets"]["explained"]["ReopenedByTechnician"] >= 1


def test_resync_brings_back_what_was_not_heard_and_twice_changes_nothing(
    system: System, planter: Planter, planted: list[Defect]
) -> None:
    device = system.add(systemName="RESYNCED", push=False)
    uid = system.alert(device, "raised unheard", push=False)
    said = system.lockstep("resync", "--json")
    assert (said.code, said.json()["commands"]) == (0, {"create-ticket": 1, "upsert-configuration-item": 1}), said
    system.opened(uid)
    before, tickets = system.written(), len(system.tickets())
    said = system.lockstep("resync", "--json")
    report = said.json()
    assert (said.code, report["commands"], report["not_succeeded"]) == (0, {}, []), said
    assert report["decided"] == sum(report["facts"].values()) > 0
    assert (system.written(), len(system.tickets())) == (before, tickets)
    planter.clear(uid)


def test_the_repairs_are_decided_the_same_again(system: System, planted: list[Defect]) -> None:
    said = system.lockstep("audit", "verify")
    assert said.code == 0, said
