"""Effects of which nobody knows whether they are in place: looked up before any second call, and once more later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams.executor_parts import (
    DONE,
    FOUND,
    THROTTLED,
    TRANSIENT,
    UNKNOWN,
    Bench,
    complete,
    create,
    seconds_of,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_unknown_outcome_is_looked_up_after_fifteen_seconds_and_not_called_again(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    await bench.run(30)
    fact = bench.outcome_of("c0")
    assert len(seconds_of(bench, "perform")) == 1
    (looked,) = seconds_of(bench, "look_up")
    assert 15 <= looked < 16
    assert (fact.outcome, fact.how, fact.ticket_number, fact.calls) == ("Succeeded", "FoundByLookUp", "T1", 2)


async def test_a_doubtful_command_that_is_throttled_is_looked_for_again_and_made_once() -> None:
    bench = Bench(doubtful_before=1)
    bench.vendor.performing = lambda command, count: THROTTLED if count == 1 else DONE
    bench.send(create(1))
    await bench.run(120)
    assert bench.outcome_of("c0").outcome == "Succeeded"
    assert bench.vendor.made("perform") == [create(1).effect_key] * 2
    assert bench.vendor.made("look_up")[0] == create(1).effect_key


async def test_what_the_look_up_surely_does_not_find_is_performed_again(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if count == 1 else DONE
    bench.send(create(1))
    await bench.run(30)
    assert [made for made, _, _ in bench.vendor.calls] == ["perform", "look_up", "perform"]
    assert bench.outcome_of("c0").how == "Called"


async def test_while_one_effect_is_unknown_other_devices_go_on_and_its_own_waits(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if command.effect_key == create(1).effect_key else DONE
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    bench.send(complete(1))
    bench.send(create(2))
    await bench.run(5)
    assert [fact.command_id for fact in bench.outcomes.facts] == ["c2"]
    assert bench.engine.window.position == 0
    await bench.run(30)
    assert [fact.command_id for fact in bench.outcomes.facts] == ["c2", "c0", "c1"]


async def test_what_an_effects_object_raises_is_an_unknown_outcome_of_that_command_only(bench: Bench) -> None:
    broken = create(1).effect_key
    bench.vendor.performing = lambda command, count: ValueError("boom") if command.effect_key == broken else DONE
    bench.send(create(1))
    bench.send(create(2))
    await bench.run(5)
    assert [fact.command_id for fact in bench.outcomes.facts] == ["c1"]
    await bench.run(700)
    fact = bench.outcome_of("c0")
    assert (fact.outcome, fact.reason) == ("Deferred", "InternalError")
    assert "boom" in fact.detail


async def test_an_effect_deferred_as_unknown_is_looked_up_by_the_next_command_that_wants_it(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: TRANSIENT if bench.time.seconds < 650 else FOUND
    bench.send(create(1))
    await bench.run(660)
    assert bench.outcome_of("c0").outcome == "Deferred"
    bench.send(create(1), command_id="again")
    await bench.run(5)
    assert bench.outcome_of("again").how == "FoundByLookUp"
    assert len(bench.vendor.made("perform")) == 1


async def test_an_unknown_create_is_looked_at_once_more_ten_minutes_later(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    await bench.run(700)
    first, second = seconds_of(bench, "look_up")
    assert 600 <= second - first < 601
    assert (bench.vendor.doubles, len(bench.outcomes.tellings)) == ([], 1)


async def test_a_create_with_a_plain_answer_is_not_looked_at_again(bench: Bench) -> None:
    bench.send(create(1))
    await bench.run(700)
    assert bench.vendor.made("look_up") == []


async def test_the_younger_of_two_tickets_is_completed_counted_and_reported(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if count == 1 else DONE
    doubled = replace(FOUND, duplicates=(9,))
    bench.vendor.looking = lambda command, count: None if count == 1 else doubled
    bench.send(create(1))
    await bench.run(700)
    settlement, report = bench.outcomes.tellings
    assert bench.vendor.doubles == [(9, "T1")]
    assert bench.figures.doubled_tickets == 1
    assert (settlement.fact.reason, report.fact.reason, report.fact.ticket_id) == ("", "DoubledTicket", 7)
    assert settlement.identity != report.identity
    assert "9" in bench.figures.last_error


async def test_a_double_that_the_first_look_finds_is_completed_at_once(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: replace(FOUND, duplicates=(9,)) if count == 1 else FOUND
    bench.send(create(1))
    await bench.run(30)
    assert (bench.vendor.doubles, bench.outcome_of("c0").reason) == ([(9, "T1")], "DoubledTicket")
