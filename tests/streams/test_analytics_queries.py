"""The queries of docs/analytics over an export of the recorded run; their numbers are those of the simulators' own records."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from statistics import quantiles
from typing import Any

import duckdb
import pytest

from schemas.envelope import epoch_ms
from schemas.facts import AlertObserved, AlertTriggered, CommandSettled
from schemas.tables import TABLES, USUAL
from streams.analytics.formats import FORMATS
from streams.analytics.views import views
from streams.drill.reading import Reading
from streams.sample_alert import its_end, sample_alert
from tests.core.spec import (
    DAY,
    MINUTE,
    START,
    UID_B,
    device,
    devices,
    incidents,
    note,
    observed,
    removed,
    reset,
    subject,
    triggered,
)
from tests.streams.recorded_log import RecordedLog, audit_of, evidence, exported, month, recorded

QUERIES = Path(__file__).resolve().parents[2] / "docs" / "analytics"
Row = dict[str, Any]


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the views of an export, as ``duckdb -init views.sql`` in its folder has them."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET file_search_path = '{folder}'")
    connection.execute((folder / "views.sql").read_text())
    return connection


def asked(folder: Path, query: str) -> list[Row]:
    """What a query of docs/analytics answers."""
    result = opened(folder).execute((QUERIES / f"{query}.sql").read_text())
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture(scope="module", params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    asyncio.run(exported(recorded(), path, format=request.param, batch_records=100))
    return path


@pytest.fixture(scope="module")
def reading() -> Reading:
    return Reading(evidence())


def raised() -> dict[str, Row]:
    """Every alert as NinjaOne's simulator raised it first, by uid."""
    found: dict[str, Row] = {}
    for row in evidence().ninjaone["history"]:
        if row["entity"] == "alert" and row["what"] == "triggered":
            found.setdefault(row["id"], row["after"])
    return found


def uid_of(ticket: Row) -> str:
    """The uid in a ticket's external id, as NinjaOne writes it."""
    digits = str(ticket["externalID"]).split(".")[2]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def test_noise_is_told_by_condition(folder: Path) -> None:
    alerts = Counter(alert["conditionName"] for alert in raised().values())
    uids = [uid_of(ticket) for ticket in evidence().autotask["tickets"]]
    tickets = Counter(raised()[uid]["conditionName"] for uid in uids)
    found = {row["name"]: row for row in asked(folder, "noise")}
    # Those that were over before they were read have no name of their condition; what raised them is named.
    assert sum(row["alerts"] for row in found.values()) == sum(alerts.values())
    assert sum(row["tickets"] for row in found.values()) == sum(tickets.values())
    assert (found["CPU busy"]["alerts"], found["CPU busy"]["tickets"]) == (alerts["CPU busy"], tickets["CPU busy"])


def test_noise_counts_what_was_over_by_itself_and_what_became_a_ticket(tmp_path: Path) -> None:
    cpu = {"source_config_uid": "cpu", "condition_name": "CPU busy"}
    scene = incidents(observed(at=START, **cpu)).settle("CreateTicket").later(5 * MINUTE)
    scene.when(reset(at=START + 5 * MINUTE)).settle("CompleteTicket")
    scene.when(triggered(30, uid=UID_B, at=scene.now, source_config_uid="disk", condition_name="Disk full"))
    scene.later(20 * MINUTE).when(reset(40, uid=UID_B, at=scene.now))
    asyncio.run(exported(RecordedLog(audit_of(scene.records)), tmp_path, tables=USUAL))
    assert [tuple(row.values()) for row in asked(tmp_path, "noise")] == [
        ("CPU busy", 1, 1, 1, 300.0),
        # Its ticket was ordered and never opened.
        ("Disk full", 1, 0, 0, 1200.0),
    ]


def test_alerts_that_somebody_sent_to_test_the_line_are_in_no_count(tmp_path: Path) -> None:
    scene = incidents(observed(at=START, condition_name="CPU busy")).settle("CreateTicket").later(MINUTE)
    scene.when(reset(at=scene.now)).settle("CompleteTicket")
    sent = sample_alert(17, "Nordwind GmbH", at=scene.now, by="ann")
    scene.when(sent, key="o17").settle("CreateTicket", ticket_id=7001).later(MINUTE)
    scene.when(its_end(sent, at=scene.now), key="o17").settle("CompleteTicket")
    asyncio.run(exported(RecordedLog(audit_of(scene.records)), tmp_path, tables=USUAL))
    assert [row["name"] for row in asked(tmp_path, "noise")] == ["CPU busy"]
    assert [row["tickets"] for row in asked(tmp_path, "time_to_ticket")] == [1]
    assert [row["completed"] for row in asked(tmp_path, "closed_untouched")] == [1]
    assert asked(tmp_path, "time_to_reset") == []


def test_time_to_ticket_is_that_of_the_simulators_within_the_call(folder: Path, reading: Reading) -> None:
    began = {uid: round(alert["createTime"] * 1000) for uid, alert in raised().items()}
    for alert in reading.alert_facts():
        began[alert.uid] = min(began[alert.uid], alert.raised_at)
    settled = {
        row.fact.incident: row.fact.settled_at
        for rows in reading.settlements.values()
        for row in rows[:1]
        if row.fact.command_type == "lockstep.command.create-ticket.v1"
    }
    names = {
        row.event.data.subject.device_id: row.event.data.subject.organization_name
        for row in reading.facts.values()
        if isinstance(row.event.data, AlertTriggered | AlertObserved)
    }
    took: dict[str, list[int]] = defaultdict(list)
    for ticket in evidence().autotask["tickets"]:
        uid, external_id = uid_of(ticket), ticket["externalID"]
        seconds = settled[external_id] - began[uid]
        took[names[int(external_id.split(".")[1])]].append(seconds)
        # The simulator's own clock: the ticket was there before its settlement, which came right after.
        assert 0 <= settled[external_id] - epoch_ms(ticket["createDate"]) < 5000
    for row in asked(folder, "time_to_ticket"):
        times = took.pop(row["organization"])
        tenths = quantiles(times, n=10, method="inclusive") if len(times) > 1 else times * 9
        assert row["tickets"] == len(times)
        assert row["seconds_p50"] == pytest.approx(tenths[4] / 1000, abs=0.001)
        assert row["seconds_p90"] == pytest.approx(tenths[8] / 1000, abs=0.001)
    assert not took


def test_time_to_reset_counts_from_the_technicians_completion(folder: Path) -> None:
    by_people = [
        ticket
        for ticket in evidence().autotask["tickets"]
        if ticket["completedDate"] and ticket["completedByResourceID"] != ticket["creatorResourceID"]
    ]
    [ticket] = by_people
    resets = [
        call
        for call in evidence().ninjaone_calls
        if call["method"] in ("POST", "DELETE") and uid_of(ticket) in call["path"]
    ]
    [row] = asked(folder, "time_to_reset")
    assert row["resets"] == len(resets) == 1
    took = resets[0]["t"] - epoch_ms(ticket["completedDate"]) / 1000
    assert row["seconds_p50"] == pytest.approx(took, abs=0.1)
    assert row["seconds_p50"] == row["seconds_p90"]


def test_closed_untouched_are_those_that_only_our_user_ever_changed(folder: Path) -> None:
    touched, closed = set(), set()
    for row in evidence().autotask["history"]:
        if row["entity"] == "Tickets" and row["by"] == "api" and row["after"].get("completedDate"):
            closed.add(row["id"])
        elif row["entity"] in ("TicketNotes", "TimeEntries") and row["by"] != "api":
            touched.add(row["after"]["ticketID"])
    rows = asked(folder, "closed_untouched")
    assert sum(row["completed"] for row in rows) == len(closed) > 0
    assert sum(row["untouched"] for row in rows) == len(closed - touched)


def test_a_ticket_that_a_technician_wrote_on_before_it_closed_is_not_untouched(tmp_path: Path) -> None:
    scene = (
        incidents(triggered()).settle("CreateTicket").when(note()).when(reset()).settle("CompleteTicket", how="Called")
    )
    scene.when(triggered(30, uid=UID_B)).settle("CreateTicket", ticket_id=5002).when(reset(40, uid=UID_B))
    scene.settle("CompleteTicket", how="Called")
    asyncio.run(exported(RecordedLog(audit_of(scene.records)), tmp_path, tables=USUAL))
    assert asked(tmp_path, "closed_untouched") == [{"rule": "everything-else", "completed": 2, "untouched": 1}]


def test_calls_by_purpose_are_the_settlements_and_the_simulators_records(folder: Path, reading: Reading) -> None:
    settlements = [rows[0].fact for rows in reading.settlements.values()]
    calls: Counter[str] = Counter()
    for fact in settlements:
        calls[fact.command_type] += fact.calls
    found = {row["purpose"]: row for row in asked(folder, "calls_by_purpose")}
    assert {purpose: row["calls"] for purpose, row in found.items()} == {
        "item": calls["lockstep.command.upsert-configuration-item.v1"],
        "create": calls["lockstep.command.create-ticket.v1"],
        "complete": calls["lockstep.command.complete-ticket.v1"],
        "note": calls["lockstep.command.append-ticket-note.v1"],
        "reopen": calls["lockstep.command.reopen-ticket.v1"],
        "reset": calls["lockstep.command.reset-alert.v1"],
    }
    assert isinstance(settlements[0], CommandSettled)
    assert found["create"]["written"] == len(evidence().autotask["tickets"])
    assert {row["vendor"] for row in found.values()} == {"autotask", "ninjaone"}


def test_devices_per_month_are_the_active_items_of_each_company_with_their_proof(
    folder: Path, reading: Reading
) -> None:
    items = Counter(item["companyID"] for item in evidence().autotask["configurationItems"] if item["isActive"])
    rows = asked(folder, "devices_per_month")
    assert {row["company_id"]: row["devices_at_end"] for row in rows} == items
    for row in rows:
        assert row["month"] == month()
        assert len(row["proof"]) == row["devices"] == row["devices_at_end"]
        for proof in row["proof"]:
            [decided] = [d for d in reading.decided if f"{d.agent}/{d.key}/{d.document['count']}" == proof]
            fact = reading.facts[decided.fact].event.data
            assert isinstance(fact, CommandSettled)
            assert (fact.company_id, fact.outcome, fact.written) == (row["company_id"], "Succeeded", True)


def test_a_device_counts_where_it_was_in_each_month_and_no_longer(tmp_path: Path) -> None:
    scene = devices(companies={"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 29690}]})
    scene.when(device(START)).settle("UpsertConfigurationItem")
    scene.later(10 * DAY).when(device(START + 10 * DAY, serial="5CG9999ABC")).settle("UpsertConfigurationItem")
    # START is 24 November: moved on 14 December, gone in February.
    moved = subject(organization=18, organization_name="Westwind")
    scene.later(10 * DAY).when(device(START + 20 * DAY, where=moved)).settle("UpsertConfigurationItem", item_id=701)
    scene.settle("RetireConfigurationItem", company_id=29683, item_id=700, how="Called")
    scene.later(60 * DAY).when(removed(START + 80 * DAY))
    scene.settle("RetireConfigurationItem", company_id=29690, item_id=701, how="Called")
    asyncio.run(exported(RecordedLog(audit_of(scene.records)), tmp_path, tables=USUAL))
    found = [
        (r["month"], r["company_id"], r["devices"], r["devices_at_end"]) for r in asked(tmp_path, "devices_per_month")
    ]
    assert found == [
        ("2026-11", 29683, 1, 1),
        ("2026-12", 29683, 1, 0),
        ("2026-12", 29690, 1, 1),
        ("2027-01", 29690, 1, 1),
        ("2027-02", 29690, 1, 0),
    ]
    proofs = {r["month"]: r["proof"] for r in asked(tmp_path, "devices_per_month") if r["company_id"] == 29690}
    assert len(proofs["2027-01"]) == 1
    assert " to devices/407/" in proofs["2027-01"][0]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_queries_of_an_export_without_rows_answer_with_none(tmp_path: Path, format_: Any) -> None:
    (tmp_path / "views.sql").write_text(views(format_, TABLES, ()))
    for query in sorted(QUERIES.glob("*.sql")):
        assert asked(tmp_path, query.stem) == []


def test_an_export_that_is_younger_than_its_folder_still_opens(tmp_path: Path) -> None:
    log = RecordedLog(audit_of(devices(device(START)).records))
    asyncio.run(exported(log, tmp_path, tables=USUAL))
    assert opened(tmp_path).execute("SELECT count(*) FROM devices").fetchall() == [(1,)]
    assert opened(tmp_path).execute("SELECT count(*) FROM calls").fetchall() == [(0,)]
    assert opened(tmp_path).execute("SELECT DISTINCT day::VARCHAR FROM devices").fetchall() == [("2026-11-24",)]
