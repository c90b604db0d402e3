"""While a vendor fails, asks to wait or must not be called: patience, one look at a time, nothing lost and nobody blamed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from connectors.ports import Allowance, CallsSuspended
from schemas.commands import Lane
from tests.streams.executor_parts import (
    DONE,
    FOUND,
    SUSPENDED,
    THROTTLED,
    TRANSIENT,
    UNKNOWN,
    Bench,
    create,
    note,
    passed,
    seconds_of,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_transient_failure_is_tried_again_with_growing_waits(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: TRANSIENT if count < 4 else DONE
    bench.send(create(1))
    await bench.run(20)
    tried = seconds_of(bench, "perform")
    waits = [round(after - before) for before, after in pairwise(tried)]
    assert waits == [1, 2, 4]
    assert bench.vendor.made("look_up") == []
    assert bench.outcome_of("c0").calls == 4


async def test_a_command_that_fails_for_ten_minutes_is_deferred_and_no_longer_pins_the_window(bench: Bench) -> None:
    failing = create(1).effect_key
    bench.vendor.performing = lambda command, count: TRANSIENT if command.effect_key == failing else DONE
    bench.send(create(1))
    bench.send(create(2))
    await bench.run(599)
    assert [fact.command_id for fact in bench.outcomes.facts] == ["c1"]
    assert bench.engine.window.position == 0
    await bench.run(3)
    fact = bench.outcome_of("c0")
    assert (fact.outcome, fact.reason, bench.engine.window.position) == ("Deferred", "ConnectionRefused", 2)
    assert 10 < fact.calls < 25


async def test_time_in_which_the_connection_was_closed_is_not_a_commands_own_trying(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: TRANSIENT
    bench.send(create(1))
    await bench.run(300)
    bench.gate.why = "Unhealthy"
    await bench.run(700)
    assert bench.outcomes.facts == []
    bench.gate.why = None
    await bench.run(290)
    assert bench.outcomes.facts == []
    await bench.run(20)
    assert bench.outcome_of("c0").outcome == "Deferred"


async def test_in_an_outage_of_the_vendor_nothing_is_deferred_and_all_goes_out_as_soon_as_it_is_over(
    bench: Bench,
) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if bench.time.seconds < 3600 else DONE
    bench.vendor.looking = lambda command, count: TRANSIENT if bench.time.seconds < 3600 else None
    for number in range(6):
        bench.send(create(number))
    await bench.run(3600)
    assert bench.outcomes.facts == []
    assert len(bench.vendor.calls) < 200, "one call at a time, ever further apart, up to 30 s"
    await bench.run(120)
    assert {fact.outcome for fact in bench.outcomes.facts} == {"Succeeded"}
    assert len(bench.outcomes.facts) == 6


async def test_a_lane_without_budget_waits_is_shown_with_since_and_why_and_goes_on_afterwards(bench: Bench) -> None:
    bench.allowance = Allowance(lanes=frozenset(Lane) - {Lane.NOTE, Lane.ITEM}, why="hourly budget: 7600 of 10000")
    bench.send(note(1))
    bench.send(note(2))
    bench.send(create(3))
    began = bench.time.now()
    await bench.run(60)
    assert bench.vendor.made("perform") == [create(3).effect_key]
    shown = bench.engine.figures()
    assert (shown["held"], shown["held_why"]) == ({"note": 2}, "hourly budget: 7600 of 10000")
    assert 0 <= shown["held_since"] - began <= 1000
    bench.allowance = Allowance()
    await bench.run(5)
    assert len(bench.vendor.made("perform")) == 3
    assert bench.engine.figures()["held_since"] is None


async def test_flow_control_makes_the_whole_executor_wait_and_is_not_an_error(bench: Bench) -> None:
    waiting = replace(THROTTLED, retry_after=8.0)
    bench.vendor.performing = lambda command, count: waiting if bench.time.seconds < 5 else DONE
    for number in range(4):
        bench.send(create(number))
    await bench.run(20)
    first = [at for at in seconds_of(bench, "perform") if at < 8]
    assert len(first) <= 2
    assert {fact.outcome for fact in bench.outcomes.facts} == {"Succeeded"}
    assert (len(bench.outcomes.facts), bench.figures.last_error) == (4, "")


async def test_flow_control_without_a_hint_doubles_its_wait_and_never_defers(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: THROTTLED if bench.time.seconds < 3000 else DONE
    bench.send(create(1))
    await bench.run(3100)
    tried = seconds_of(bench, "perform")
    assert [round(after - before) for before, after in pairwise(tried)][:4] == [1, 2, 4, 8]
    assert bench.outcome_of("c0").outcome == "Succeeded"


async def test_when_the_vendor_is_down_it_is_probed_one_call_at_a_time_and_not_stormed(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: TRANSIENT if bench.time.seconds < 120 else DONE
    for number in range(500):
        bench.send(create(number))
    await bench.run(120)
    assert len(bench.vendor.calls) < 20
    await bench.run(200)
    assert len(bench.outcomes.facts) == 500
    assert {fact.outcome for fact in bench.outcomes.facts} == {"Succeeded"}


async def test_while_the_gate_is_closed_no_call_and_no_attempt_is_made_and_afterwards_each_goes_out_once(
    bench: Bench,
) -> None:
    bench.gate.why = "Unhealthy since 03:00: 401"
    for number in range(20):
        bench.send(create(number))
    await bench.run(700)
    assert (bench.vendor.calls, bench.store.attempts) == ([], [])
    figures = bench.engine.figures()
    assert (figures["suspended"], figures["waiting"]) == ("Unhealthy since 03:00: 401", 20)
    assert 0 <= figures["suspended_since"] - bench.topic[0].issued_at < 1000
    bench.gate.why = None
    await bench.run(10)
    assert bench.vendor.made("perform") == [create(number).effect_key for number in range(20)]
    assert bench.engine.figures()["suspended"] is None


async def test_a_call_that_meets_the_closed_gate_waits_again_and_counts_as_no_attempt(bench: Bench) -> None:
    def performing(command, count):
        if count == 1:
            bench.gate.why = "401"
            return SUSPENDED
        return DONE

    bench.vendor.performing = performing
    bench.send(create(1))
    await bench.run(700)
    assert create(1).effect_key not in bench.store.kept
    bench.gate.why = None
    await bench.run(5)
    assert len(bench.vendor.made("perform")) == 2
    assert bench.vendor.made("look_up") == []
    assert bench.outcome_of("c0").outcome == "Succeeded"


async def test_an_effects_object_may_also_raise_that_calls_are_suspended(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: CallsSuspended("closed") if count == 1 else DONE
    bench.send(create(1))
    await bench.run(5)
    assert bench.vendor.made("look_up") == []
    assert bench.outcome_of("c0").outcome == "Succeeded"


async def test_what_was_prepared_when_the_vendor_asks_to_wait_is_not_called(bench: Bench) -> None:
    async def performing(command, count):
        await passed(bench, 2)
        return replace(THROTTLED, retry_after=60.0) if bench.time.seconds < 30 else DONE

    bench.vendor.performing = performing
    for number in range(6):
        bench.send(create(number))
    await bench.run(50)
    assert len(bench.vendor.calls) == 2
    await bench.run(60)
    assert bench.vendor.made("look_up") == []
    assert len(bench.outcomes.facts) == 6


async def test_a_call_that_does_not_end_within_the_grace_is_given_up_and_looked_up_later(bench: Bench) -> None:
    async def never(command, count):
        await asyncio.Event().wait()

    bench.vendor.performing = never
    bench.send(create(1))
    bench.engine.ready()
    running = asyncio.ensure_future(bench.engine.run())
    await passed(bench, 1)
    await bench.engine.stop(0.05)
    await running
    bench.vendor.looking = lambda command, count: FOUND
    bench.restart()
    await bench.run(30)
    assert bench.outcome_of("c0").how == "FoundByLookUp"
