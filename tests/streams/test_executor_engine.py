"""What an executor does with a command: one call in the normal case, never a second effect, always one settlement."""

from __future__ import annotations

import asyncio

import pytest

from schemas.topics import DEVICE_COMMANDS, NINJAONE_COMMANDS
from streams.executor import work
from streams.executor.attempt import Attempt
from tests.streams.executor_parts import (
    DONE,
    REJECTED,
    Bench,
    complete,
    create,
    item,
    passed,
    reset,
    withdraw,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_fresh_command_takes_one_call_and_is_settled_with_what_it_brought(bench: Bench) -> None:
    bench.send(create(1))
    await bench.run(1)
    fact = bench.outcome_of("c0")
    assert bench.vendor.calls == [("perform", create(1).effect_key, 0.0)]
    assert (fact.outcome, fact.how, fact.ticket_id, fact.written, fact.calls) == ("Succeeded", "Called", 7, True, 1)
    assert (bench.engine.window.position, len(bench.outcomes.tellings)) == (1, 1)


async def test_the_attempt_is_recorded_before_the_call(bench: Bench) -> None:
    def performing(command, count):
        kept = Attempt.from_json(bench.store.kept[command.effect_key])
        assert (kept.state, kept.command_id) == ("begun", "c0")
        return DONE

    bench.vendor.performing = performing
    bench.send(create(1))
    await bench.run(1)
    assert bench.outcome_of("c0").outcome == "Succeeded"


async def test_who_cannot_write_the_attempt_makes_no_call(bench: Bench) -> None:
    bench.store.fenced = True
    bench.send(create(1))
    with pytest.raises(RuntimeError, match="Fenced"):
        await bench.run(1)
    assert bench.vendor.calls == []


async def test_a_refusal_for_good_settles_as_rejected_with_the_vendors_words(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: REJECTED
    bench.send(create(1))
    await bench.run(1)
    fact = bench.outcome_of("c0")
    assert (fact.outcome, fact.how, fact.reason, fact.detail) == (
        "Rejected",
        "",
        "InvalidValue",
        "queue 'NOC' is unknown",
    )
    assert bench.figures.last_error.endswith("Rejected: InvalidValue queue 'NOC' is unknown")


async def test_never_more_than_two_calls_at_once(bench: Bench) -> None:
    async def slow(command, count):
        await passed(bench, bench.time.seconds + 3)
        return DONE

    bench.vendor.performing = slow
    for number in range(9):
        bench.send(create(number))
    await bench.run(60)
    assert bench.vendor.most_at_once == 2
    assert len(bench.outcomes.facts) == 9


async def test_what_waits_in_the_topic_is_read_before_the_first_pick(bench: Bench) -> None:
    bench.send(create(1))
    running = asyncio.ensure_future(bench.engine.run())
    await passed(bench, 5)
    assert bench.vendor.calls == []
    bench.send(withdraw("c0"))
    bench.engine.ready()
    await passed(bench, 10)
    running.cancel()
    assert bench.vendor.calls == []
    assert bench.outcome_of("c0").outcome == "Withdrawn"


async def test_a_second_create_of_a_known_ticket_settles_with_that_ticket_and_without_a_call(bench: Bench) -> None:
    bench.send(create(1))
    await bench.run(1)
    bench.send(create(1), command_id="again")
    await bench.run(1)
    fact = bench.outcome_of("again")
    assert (fact.outcome, fact.how, fact.ticket_id, fact.written) == ("Succeeded", "NothingToDo", 7, False)
    assert len(bench.vendor.calls) == 1


async def test_a_create_that_was_refused_may_be_tried_again_by_another_command(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: REJECTED if count == 1 else DONE
    bench.send(create(1))
    bench.send(create(1), command_id="again")
    await bench.run(1)
    assert (bench.outcome_of("c0").outcome, bench.outcome_of("again").outcome) == ("Rejected", "Succeeded")


async def test_a_second_reset_of_one_alert_and_a_second_update_of_one_item_are_performed() -> None:
    resets = Bench(commands=NINJAONE_COMMANDS)
    resets.send(reset("1", "uid"))
    resets.send(reset("1", "uid"))
    await resets.run(1)
    items = Bench(commands=DEVICE_COMMANDS)
    items.send(item("1"))
    items.send(item("1"))
    await items.run(1)
    assert (resets.vendor.made("perform"), items.vendor.made("perform")) == (["uid", "uid"], ["1", "1"])


async def test_a_command_that_comes_twice_is_settled_once(bench: Bench) -> None:
    bench.send(create(1), command_id="same")
    bench.send(create(1), command_id="same")
    await bench.run(1)
    bench.send(create(1), command_id="same")
    await bench.run(1)
    assert len(bench.vendor.calls) == 1
    bench.outcome_of("same")
    assert bench.engine.window.position == 3


async def test_a_command_for_another_vendor_is_refused_and_not_called(bench: Bench) -> None:
    bench.send(reset("1", "uid"))
    await bench.run(1)
    fact = bench.outcome_of("c0")
    assert (fact.outcome, fact.reason, bench.vendor.calls) == ("Rejected", "WrongTopic", [])


async def test_the_figures_say_what_waits_and_for_whom(bench: Bench) -> None:
    bench.gate.why = "paused by an operator"
    bench.send(create(1, organization=1))
    bench.send(create(2, organization=2))
    bench.send(complete(3, organization=2))
    await bench.run(90)
    figures = bench.engine.figures()
    assert figures["by_lane"] == {"close": 1, "create": 2}
    assert figures["by_organization"] == {"2": 2, "1": 1}
    assert 89_000 <= figures["oldest_age_ms"] <= 91_000
    assert (figures["waiting"], figures["in_flight"], figures["position"]) == (3, 0, 0)


async def test_a_command_that_waited_for_a_free_call_writes_its_attempt_once_more_before_it_calls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "FRESH_S", 0.0)

    async def slow(command, count):
        await passed(bench, 3)
        bench.store.fenced = True
        return DONE

    bench.vendor.performing = slow
    for number in range(4):
        bench.send(create(number))
    with pytest.raises(RuntimeError, match="Fenced"):
        await bench.run(60)
    assert len(bench.vendor.calls) == 2


async def test_at_a_stop_the_calls_under_way_end_and_what_was_prepared_is_not_called(bench: Bench) -> None:
    async def slow(command, count):
        await passed(bench, 2)
        return DONE

    bench.vendor.performing = slow
    for number in range(6):
        bench.send(create(number))
    bench.engine.ready()
    running = asyncio.ensure_future(bench.engine.run())
    await passed(bench, 1)
    stopping = asyncio.ensure_future(bench.engine.stop(20))
    await asyncio.sleep(0)
    bench.time.ms += 2000
    await asyncio.gather(stopping, running)
    bench.store.flush()
    assert len(bench.vendor.calls) == 2
    assert len(bench.outcomes.facts) == 2
    bench.restart()
    await bench.run(30)
    assert bench.vendor.made("look_up") == []
    assert sorted(bench.vendor.made("perform")) == sorted(create(number).effect_key for number in range(6))
