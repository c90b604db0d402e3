"""What an executor does with a command: one call in the normal case, never a second effect, always one settlement."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from connectors.ports import Allowance, CallsSuspended, Effect, Verdict
from schemas.commands import Lane
from schemas.topics import DEVICE_COMMANDS, NINJAONE_COMMANDS
from streams.executor import work
from streams.executor.attempt import Attempt, position_key
from tests.streams.executor_parts import DONE, Bench, complete, create, item, note, reset, withdraw

UNKNOWN = Effect(verdict=Verdict.UNKNOWN, reason="TimedOut", detail="no answer within 30 s", calls=1)
TRANSIENT = Effect(verdict=Verdict.TRANSIENT, reason="ConnectionRefused", calls=1)
THROTTLED = Effect(verdict=Verdict.THROTTLED, reason="ThreadLimit", calls=1)
SUSPENDED = Effect(verdict=Verdict.SUSPENDED, reason="Suspended")
REJECTED = Effect(verdict=Verdict.REJECTED, reason="InvalidValue", detail="queue 'NOC' is unknown", calls=1)
FOUND = Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", ticket_id=7, ticket_number="T1", written=True, calls=1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def seconds_of(bench: Bench, kind: str) -> list[float]:
    return [at for made, _, at in bench.vendor.calls if made == kind]


async def passed(bench: Bench, seconds: float) -> None:
    while bench.time.seconds < seconds:
        await asyncio.sleep(0)


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


async def test_a_doubtful_command_that_is_throttled_is_looked_for_again_and_made_once() -> None:
    bench = Bench(doubtful_before=1)
    bench.vendor.performing = lambda command, count: THROTTLED if count == 1 else DONE
    bench.send(create(1))
    await bench.run(120)
    assert bench.outcome_of("c0").outcome == "Succeeded"
    assert bench.vendor.made("perform") == [create(1).effect_key] * 2
    assert bench.vendor.made("look_up")[0] == create(1).effect_key


async def test_a_doubtful_command_that_became_needless_is_withdrawn_only_after_a_look() -> None:
    bench = Bench(doubtful_before=2)
    bench.send(create(1))
    bench.send(withdraw("c0"))
    await bench.run(60)
    assert bench.vendor.made("perform") == []
    assert bench.vendor.made("look_up") == [create(1).effect_key]
    assert bench.outcome_of("c0").outcome == "Withdrawn"


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


async def test_an_attempt_left_by_a_killed_executor_is_looked_up_counted_from_the_take_over(bench: Bench) -> None:
    bench.send(create(1))
    await bench.run_into_crash("attempt_written")
    bench.time.ms += 3_600_000
    taken_over = bench.time.seconds
    bench.restart()
    await bench.run(60)
    assert 15 <= seconds_of(bench, "look_up")[0] - taken_over < 16


async def test_a_withdrawal_after_a_restart_is_too_late_for_what_may_have_been_called(bench: Bench) -> None:
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(create(1))
    await bench.run_into_crash("call_returned")
    bench.topic.append(replace(bench.topic[0], offset=1, command_id="w", command=withdraw("c0")))
    bench.restart()
    await bench.run(30)
    assert bench.outcome_of("w").reason == "TooLate"
    assert bench.outcome_of("c0").how == "FoundByLookUp"


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
