"""The checker finds nothing in a healthy run, and names every kind of damage that is planted in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from schemas.identity import derived_id
from schemas.topics import NINJAONE_COMMANDS, OPERATIONS, OUTCOMES
from streams.drill.checks import KINDS, Finding, check
from streams.drill.evidence import keep, kept
from streams.ports import InputRecord
from tests.faults.damaged_log import decision_forged
from tests.faults.damaged_vendors import never_closed, ticket_twice_for_a_while
from tests.faults.damages import DAMAGES, Damage
from tests.faults.evidence_builder import appended, healthy, reading, topic_with
from tests.faults.record import HEALTHY


def kinds(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.kind for finding in findings}


def test_a_healthy_run_is_clean_and_everything_in_it_was_looked_at() -> None:
    report = check(healthy())
    assert [str(finding) for finding in report.findings] == []
    assert report.ok
    counts = report.counts
    assert counts["alerts"] == 11
    assert counts["tickets"] == counts["incidents"] == 7, "the repeated condition joined its ticket"
    assert counts["tickets_open"] == 4, "two alerts are active, a ticket is open again, one is a technician's"
    assert (counts["held"], counts["suppressed"], counts["reopened"], counts["left_open"]) == (1, 1, 1, 1)
    assert counts["alerts_reset"] == 1
    assert counts["commands"] == counts["settled"] > 20
    assert counts["dead_letters"] == 1
    assert counts["redelivered"] >= 1, "webhooks came twice"
    assert counts["lost"] == counts["duplicate_tickets"] == counts["healed_doubles"] == counts["waiting"] == 0
    assert min(counts["facts"], counts["decisions"], counts["calls_ninjaone"], counts["calls_autotask"]) > 50


@pytest.mark.parametrize("damage", DAMAGES, ids=[what for what, _, _ in DAMAGES])
def test_damage_is_named(damage: Damage) -> None:
    _, kind, plant = damage
    report = check(plant(healthy()))
    assert kind in kinds(report.findings), [str(finding) for finding in report.findings]
    assert not report.ok
    assert all(finding.about and finding.detail and "\n" not in str(finding) for finding in report.findings)


def test_every_kind_of_finding_is_planted_at_least_once() -> None:
    assert set(KINDS) - {kind for _, kind, _ in DAMAGES} == set()


def test_no_kind_exists_that_is_not_documented() -> None:
    with pytest.raises(ValueError, match="SomethingElse"):
        Finding("SomethingElse", "x", "y")


def test_a_forger_who_repairs_every_hash_is_found_by_deciding_again_and_by_nothing_else() -> None:
    assert kinds(check(decision_forged(healthy())).findings) == {"ReplayDiffers"}


def test_what_is_lost_is_counted_as_lost_and_a_double_as_a_double() -> None:
    assert check(never_closed(healthy())).counts["lost"] == 1
    assert check(ticket_twice_for_a_while(healthy())).counts["duplicate_tickets"] == 1


def test_a_double_that_was_recognised_and_closed_is_counted_apart() -> None:
    evidence = ticket_twice_for_a_while(healthy())
    ticket = next(row for row in evidence.autotask["tickets"] if row["id"] == 99_999_999)
    told = next(
        settlement
        for rows in reading().settlements.values()
        for settlement in rows
        if settlement.fact.incident == ticket["externalID"] and "create" in settlement.fact.command_type
    )
    raw = next(raw for raw in evidence.topics[OUTCOMES] if raw.value == told.value)
    value = orjson.dumps({**orjson.loads(told.value), "reason": "DoubledTicket"})
    identity = derived_id("settled", told.fact.command_id, "Succeeded", "DoubledTicket").encode()
    headers = [(name, identity if name == "ce_id" else text) for name, text in raw.headers]
    report = check(appended(evidence, raw._replace(value=value, headers=headers)))
    # The report itself was never decided, which is another matter.
    assert kinds(report.findings) == {"LostFact"}
    assert (report.counts["healed_doubles"], report.counts["duplicate_tickets"]) == (1, 0)


def test_work_behind_a_paused_connection_waits_and_is_not_lost() -> None:
    resets = {c.event.envelope.id for c in reading().commands if c.place.topic == NINJAONE_COMMANDS}
    rows = [raw for raw in healthy().topics[OUTCOMES] if orjson.loads(raw.value or b"")["command_id"] not in resets]
    evidence = topic_with(healthy(), OUTCOMES, rows)
    assert "UnsettledCommand" in kinds(check(evidence).findings)
    switch = InputRecord(OPERATIONS, 0, 0, b"pause:ninjaone", b"{}", (), 0)
    report = check(appended(evidence, switch))
    assert "UnsettledCommand" not in kinds(report.findings)
    assert report.counts["waiting"] == len(resets) > 0


def test_tests_that_were_asked_for_are_allowed_while_a_connection_is_closed() -> None:
    assert check(replace(healthy(), tests={"autotask": 1, "ninjaone": 0})).ok


def test_evidence_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "again.jsonl.gz"
    keep(healthy(), path)
    assert path.read_bytes() == HEALTHY.read_bytes()
    assert kept(path) == healthy()


def test_a_file_that_is_no_evidence_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "empty.gz"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="no evidence of a run"):
        kept(path)


def test_the_recorded_run_is_small_and_names_no_machine() -> None:
    assert HEALTHY.stat().st_size < 300_000
