"""Log and vendors compared on the whole line: fifty defects are planted, found, and mended by events; then nothing is apart.

In order: each test goes on where the one before left the system.
"""

from __future__ import annotations

from collections.abc import Iterator

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
