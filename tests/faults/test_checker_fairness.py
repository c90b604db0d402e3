"""What looks like damage and is none: the checker's excuses, each with the neighbouring case that is not excused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.topics import DEAD_LETTERS, TICKET_COMMANDS
from streams.drill.check_connections import closed_times
from streams.drill.checks import check
from streams.drill.evidence import Evidence
from streams.ports import InputRecord
from tests.faults.evidence_builder import (
    appended,
    autotask_with,
    call,
    healthy,
    ninjaone_with,
    numbered,
    reading,
    ticket_where,
    topic_with,
)


def found(evidence: Evidence) -> set[str]:
    return {finding.kind for finding in check(evidence).findings}


def reopened(by: str) -> Evidence:
    number = ticket_where(complete=True, by="api")["id"]
    row = {"t": 0, "entity": "Tickets", "id": number, "what": "Updated", "by": by, "after": {"completedDate": None}}
    rows = [{**r, "completedDate": None} if r["id"] == number else r for r in healthy().autotask["tickets"]]
    return autotask_with(healthy(), tickets=rows, history=numbered([*healthy().autotask["history"], row]))


def test_a_ticket_that_a_technician_reopened_stays_open_and_one_that_we_reopened_must_not() -> None:
    assert found(reopened("control")) == set()
    assert found(reopened("api")) == {"MissedClose", "UnaskedReopening"}


def completed_again_after(by: str) -> Evidence:
    evidence = reopened(by)
    number = ticket_where(complete=True, by="api")["id"]
    done = {"t": 0, "entity": "Tickets", "id": number, "what": "Updated", "by": "api", "after": {"completedDate": "x"}}
    return autotask_with(evidence, history=numbered([*evidence.autotask["history"], done]))


def test_a_ticket_that_was_reopened_may_be_completed_again() -> None:
    assert found(completed_again_after("control")) == set()


def alert_of_long_ago(ended: float) -> Evidence:
    row = {"entity": "alert", "id": "0badcafe-0000-4000-8000-000000000000", "by": "control"}
    rows = [{**row, "what": "triggered", "t": ended - 60}, {**row, "what": "cleared", "t": ended}]
    return ninjaone_with(healthy(), history=numbered([*rows, *healthy().ninjaone["history"]]))


def test_an_alert_that_was_over_before_the_first_look_is_history_and_a_later_one_is_lost() -> None:
    first_look = healthy().ninjaone_calls[0]["t"]
    assert found(alert_of_long_ago(first_look - 1)) == set()
    assert found(alert_of_long_ago(first_look + 61)) == {"LostAlert"}


def test_an_alert_that_fired_again_may_be_reset_again() -> None:
    history = [dict(row) for row in healthy().ninjaone["history"]]
    reset = next(row for row in history if row["what"] == "reset")
    again = [
        {**reset, "what": "triggered", "by": "vendor", "t": reset["t"] + 1},
        {**reset, "t": reset["t"] + 2},
    ]
    assert found(ninjaone_with(healthy(), history=numbered([*history, *again]))) == set()


def with_autotask_call(**fields: Any) -> Evidence:
    template = next(c for c in healthy().autotask_calls if c["path"].endswith("/Tickets"))
    return replace(healthy(), autotask_calls=[*healthy().autotask_calls, call(template, seq=99_999, **fields)])


def test_a_test_reads_one_row_of_each_entity_and_no_more() -> None:
    opened = closed_times(reading(), "autotask")[0].until
    assert opened is not None
    every = healthy().autotask_calls
    template = next(c for c in every if c["path"].endswith("/Tickets/query"))
    # Without those that the first test of the recorded run made.
    calls = [c for c in every if not (c["path"].endswith("/query") and c["t"] < opened)]
    signing_in = next(c for c in calls if c["path"].endswith("/Version"))
    reads = [call(template, seq=99_990 + number, t=opened - 0.01) for number in range(2)]
    assert signing_in["t"] < opened
    assert found(replace(healthy(), autotask_calls=[*calls, reads[0]])) == set()
    assert found(replace(healthy(), autotask_calls=[*calls, *reads])) == {"CallWhileUnhealthy"}


def test_what_was_on_its_way_within_a_second_of_the_refusal_is_no_call_while_unhealthy() -> None:
    closed = next(time for time in closed_times(reading(), "autotask") if time.state == "Unhealthy")
    assert closed.until is not None
    assert found(with_autotask_call(t=closed.since + 0.9)) == set()
    assert found(with_autotask_call(t=closed.since + 1.1)) == {"CallWhileUnhealthy"}
    assert found(with_autotask_call(t=closed.until - 0.1)) == {"CallWhileUnhealthy"}
    assert found(with_autotask_call(t=closed.until + 0.1)) == set()


def test_nothing_but_a_test_goes_out_before_the_first_test() -> None:
    opened = closed_times(reading(), "autotask")[0].until
    assert opened is not None
    assert found(with_autotask_call(t=opened - 1)) == {"CallWhileUnhealthy"}


def test_a_refusal_that_a_fault_made_up_is_no_limit_that_we_broke() -> None:
    assert found(with_autotask_call(status=429, refusedWhy="fault throttle")) == set()


def test_an_executor_may_keep_a_broken_command_twice_and_must_keep_it_once() -> None:
    end = max(raw.offset for raw in healthy().topics[TICKET_COMMANDS]) + 1
    place = (TICKET_COMMANDS, 0, end)
    broken = InputRecord(*place, b"407", b"not JSON", (), 0)
    rows = [*healthy().topics[TICKET_COMMANDS], broken]
    evidence = replace(topic_with(healthy(), TICKET_COMMANDS, rows), poison=healthy().poison | {place})
    assert found(evidence) == {"MissingDeadLetter"}
    about = {"dead_topic": TICKET_COMMANDS, "dead_partition": "0", "dead_offset": str(end), "dead_stage": "execute"}
    letter = InputRecord(DEAD_LETTERS, 0, 0, b"407", b"not JSON", tuple((k, v.encode()) for k, v in about.items()), 0)
    once = appended(evidence, letter)
    assert found(once) == set()
    assert found(appended(once, letter)) == set()
