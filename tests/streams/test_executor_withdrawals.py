"""Commands that became needless: taken back where nothing was called for them, and never where an effect may be in place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams.executor_parts import (
    DONE,
    FOUND,
    TRANSIENT,
    UNKNOWN,
    Bench,
    complete,
    create,
    passed,
    withdraw,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_doubtful_command_that_became_needless_is_withdrawn_only_after_a_look() -> None:
    bench = Bench(doubtful_before=2)
    bench.send(create(1))
    bench.send(withdraw("c0"))
    await bench.run(60)
    assert bench.vendor.made("perform") == []
    assert bench.vendor.made("look_up") == [create(1).effect_key]
    assert bench.outcome_of("c0").outcome == "Withdrawn"


async def test_what_is_withdrawn_in_an_outage_opens_nothing_when_it_is_over(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: TRANSIENT
    for number in range(4):
        bench.send(create(number))
    await bench.run(1200)
    for number in range(4):
        bench.send(withdraw(f"c{number}", key=str(number)))
    bench.vendor.performing, bench.vendor.looking = (lambda command, count: DONE), (lambda command, count: None)
    made = len(bench.vendor.made("perform"))
    await bench.run(120)
    assert {bench.outcome_of(f"c{number}").outcome for number in range(4)} == {"Withdrawn"}
    assert len(bench.vendor.made("perform")) == made


async def test_a_withdrawal_takes_back_what_waits_behind_a_closed_gate_at_once_and_without_a_call(bench: Bench) -> None:
    bench.gate.why = "Unhealthy"
    bench.send(create(1))
    bench.send(complete(1))
    bench.send(withdraw("c0"))
    await bench.run(1)
    assert (bench.outcome_of("c0").outcome, bench.outcome_of("c0").reason) == ("Withdrawn", "AlertReset")
    assert bench.outcome_of("c2").outcome == "Succeeded"
    bench.gate.why = None
    await bench.run(5)
    assert bench.vendor.made("perform") == [complete(1).effect_key]
    assert bench.engine.window.position == 3


async def test_a_withdrawal_of_what_is_under_way_is_too_late(bench: Bench) -> None:
    async def slow(command, count):
        bench.send(withdraw("c0"))
        await passed(bench, 3)
        return DONE

    bench.vendor.performing = slow
    bench.send(create(1))
    await bench.run(60)
    assert bench.outcome_of("c0").outcome == "Succeeded"
    assert (bench.outcome_of("c1").outcome, bench.outcome_of("c1").reason) == ("Rejected", "TooLate")


async def test_a_withdrawal_of_an_unknown_effect_or_of_a_settled_command_is_too_late(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if command.effect_key == create(1).effect_key else DONE
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    bench.send(create(2))
    await bench.run(5)
    bench.send(withdraw("c0"))
    bench.send(withdraw("c1"))
    await bench.run(20)
    assert {bench.outcome_of(command_id).reason for command_id in ("c2", "c3")} == {"TooLate"}
    assert bench.outcome_of("c0").outcome == "Succeeded"


async def test_a_withdrawal_of_an_unknown_effect_waits_for_the_look_up_and_counts_where_nothing_is_in_place(
    bench: Bench,
) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.send(create(1))
    await bench.run(5)
    bench.send(withdraw("c0"))
    await bench.run(5)
    assert bench.outcomes.facts == []
    await bench.run(20)
    assert (bench.outcome_of("c0").outcome, bench.outcome_of("c0").reason) == ("Withdrawn", "AlertReset")
    assert bench.outcome_of("c1").outcome == "Succeeded"
    assert len(bench.vendor.made("perform")) == 1, "what is no longer wanted is not called for again"
    assert bench.engine.window.position == 2


async def test_after_a_withdrawal_by_look_up_the_same_effect_is_called_for_straight_away(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN if count == 1 else DONE
    bench.send(create(1))
    await bench.run(5)
    bench.send(withdraw("c0"))
    await bench.run(20)
    bench.send(create(1), command_id="again")
    await bench.run(5)
    assert bench.outcome_of("again").how == "Called"
    assert len(bench.vendor.made("look_up")) == 1


async def test_a_withdrawal_that_comes_during_a_call_that_does_nothing_counts(bench: Bench) -> None:
    async def slow(command, count):
        bench.send(withdraw("c0"))
        await passed(bench, 3)
        return TRANSIENT

    bench.vendor.performing = slow
    bench.send(create(1))
    await bench.run(10)
    assert bench.outcome_of("c0").outcome == "Withdrawn"
    assert bench.outcome_of("c1").outcome == "Succeeded"
    assert len(bench.vendor.made("perform")) == 1


async def test_a_withdrawal_whose_look_ups_fail_ends_with_its_command_deferred(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: TRANSIENT
    bench.send(create(1))
    await bench.run(5)
    bench.send(withdraw("c0"))
    await bench.run(700)
    assert bench.outcome_of("c0").outcome == "Deferred"
    assert bench.outcome_of("c1").reason == "TooLate"
    assert bench.engine.window.position == 2


async def test_a_withdrawal_of_a_withdrawal_or_of_itself_waits_for_nothing(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.send(create(1))
    await bench.run(5)
    bench.send(withdraw("c0"))
    bench.send(withdraw("c1"))
    bench.send(withdraw("c3"))
    await bench.run(5)
    assert {bench.outcome_of(command_id).reason for command_id in ("c2", "c3")} == {"TooLate"}


async def test_a_waiting_withdrawal_survives_a_restart(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.send(create(1))
    await bench.run(5)
    bench.send(withdraw("c0"))
    await bench.run(5)
    bench.restart()
    await bench.run(30)
    assert bench.outcome_of("c0").outcome == "Withdrawn"
    assert bench.outcome_of("c1").outcome == "Succeeded"
    assert len(bench.vendor.made("perform")) == 1


async def test_a_command_in_back_off_whose_call_surely_did_nothing_can_be_withdrawn(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: TRANSIENT
    bench.send(create(1))
    await bench.run(60)
    bench.send(withdraw("c0"))
    await bench.run(1)
    assert bench.outcome_of("c0").outcome == "Withdrawn"


@pytest.mark.parametrize("point", ["outcome_recorded", "settled"])
async def test_killed_after_a_withdrawal_the_command_stays_withdrawn(bench: Bench, point: str) -> None:
    bench.gate.why = "Unhealthy"
    bench.send(create(1))
    bench.send(withdraw("c0"))
    await bench.run_into_crash(point)
    bench.gate.why = None
    bench.restart()
    await bench.run(60)
    assert bench.vendor.calls == []
    assert bench.outcome_of("c0").outcome == "Withdrawn"
    assert bench.outcome_of("c1").outcome == "Succeeded"


async def test_a_withdrawal_after_a_restart_is_too_late_for_what_may_have_been_called(bench: Bench) -> None:
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    await bench.run_into_crash("call_returned")
    bench.topic.append(replace(bench.topic[0], offset=1, command_id="w", command=withdraw("c0")))
    bench.restart()
    await bench.run(30)
    assert bench.outcome_of("w").reason == "TooLate"
    assert bench.outcome_of("c0").how == "FoundByLookUp"
