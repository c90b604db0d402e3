"""What an executor that was killed, or that takes over, makes of what its former life recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.topics import DEVICE_COMMANDS
from streams.executor.attempt import position_key
from tests.streams.executor_parts import (
    DONE,
    FOUND,
    TRANSIENT,
    UNKNOWN,
    Bench,
    create,
    item,
    seconds_of,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_nothing_is_recorded_only_before_the_first_command_or_where_it_was_lost(bench: Bench) -> None:
    assert bench.store.remembered(bench.settings.commands).nothing
    bench.send(create(1))
    await bench.run(1)
    assert not bench.store.remembered(bench.settings.commands).nothing
    bench.store.kept.clear()
    assert bench.store.remembered(bench.settings.commands).nothing


async def test_where_what_was_recorded_is_lost_each_command_that_was_there_is_looked_for_before_it_is_made() -> None:
    bench = Bench(doubtful_before=2)
    bench.vendor.looking = lambda command, count: FOUND if command.effect_key == create(1).effect_key else None
    for number in (1, 2, 3):
        bench.send(create(number))
    await bench.run(60)
    assert bench.vendor.made("look_up") == [create(1).effect_key, create(2).effect_key]
    assert sorted(bench.vendor.made("perform")) == [create(2).effect_key, create(3).effect_key]
    assert [bench.outcome_of(f"c{n}").how for n in range(3)] == ["FoundByLookUp", "Called", "Called"]


@pytest.mark.parametrize("point", ["attempt_written", "call_returned", "outcome_recorded", "settled"])
async def test_killed_at_any_point_a_restart_ends_with_one_effect_and_one_outcome(bench: Bench, point: str) -> None:
    effects: list[str] = []

    def performing(command, count):
        effects.append(command.effect_key)
        return DONE

    bench.vendor.performing = performing
    bench.vendor.looking = lambda command, count: FOUND if command.effect_key in effects else None
    bench.send(create(1))
    await bench.run_into_crash(point)
    bench.restart()
    await bench.run(60)
    if point == "attempt_written":
        assert len(bench.vendor.made("look_up")) == 1
    assert effects == [create(1).effect_key]
    assert bench.outcome_of("c0").outcome == "Succeeded"
    assert bench.engine.window.position == 1


async def test_after_a_restart_what_settled_out_of_order_is_neither_called_nor_told_again(bench: Bench) -> None:
    pinned = create(1).effect_key
    bench.vendor.performing = lambda command, count: TRANSIENT if command.effect_key == pinned else DONE
    for number in range(1, 10):
        bench.send(create(number))
    await bench.run(30)
    assert len(bench.outcomes.facts) == 8
    bench.vendor.performing = lambda command, count: DONE
    bench.restart()
    await bench.run(60)
    assert len(bench.outcomes.facts) == 9
    assert (
        len(bench.vendor.made("perform"))
        == len(set(bench.vendor.made("perform"))) + bench.vendor.made("perform").count(pinned) - 1
    )


async def test_an_older_item_command_is_not_repeated_over_a_newer_one_after_a_restart() -> None:
    bench = Bench(commands=DEVICE_COMMANDS)
    bench.vendor.performing = lambda command, count: TRANSIENT if command.key == "1" else DONE
    bench.send(item("1"))
    bench.send(item("2"))
    bench.send(item("2").model_copy(update={"title": "newer"}))
    await bench.run(30)
    bench.restart()
    await bench.run(5)
    assert bench.vendor.made("perform").count("2") == 2


async def test_what_is_below_the_offset_leaves_no_bookkeeping_behind(bench: Bench) -> None:
    for number in range(30):
        bench.send(create(number))
    await bench.run(60)
    keys = {key for key in bench.store.kept if key.startswith("@")}
    assert keys == {position_key(bench.settings.commands)}


async def test_the_second_look_survives_a_restart_and_waits_for_the_gate(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: FOUND if count == 1 else replace(FOUND, duplicates=(9,))
    bench.send(create(1))
    await bench.run(30)
    bench.restart()
    bench.gate.why = "Unhealthy"
    await bench.run(700)
    assert bench.vendor.doubles == []
    bench.gate.why = None
    await bench.run(5)
    assert bench.vendor.doubles == [(9, "T1")]
    await bench.run(700)
    assert len(bench.vendor.made("look_up")) == 2


async def test_an_attempt_left_by_a_killed_executor_is_looked_up_counted_from_the_take_over(bench: Bench) -> None:
    bench.send(create(1))
    await bench.run_into_crash("attempt_written")
    bench.time.ms += 3_600_000
    taken_over = bench.time.seconds
    bench.restart()
    await bench.run(60)
    assert 15 <= seconds_of(bench, "look_up")[0] - taken_over < 16
