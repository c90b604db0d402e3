"""The order of an executor's work: strict per key, then lane, then organization, then age; nothing is forgotten."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import Command, Lane, RetireConfigurationItem
from streams.executor.window import Window, order_keys
from tests.streams.executor_parts import complete, create, entry, item, note, reset


def window_of(*commands: Command, capacity: int = 1000) -> Window:
    window = Window(position=0, capacity=capacity)
    for offset, command in enumerate(commands):
        window.admit(entry(offset, command))
    return window


def picked(window: Window, count: int, *, now: int = 0) -> list[int]:
    """The offsets of the next picks, each finished before the next."""
    offsets = []
    for _ in range(count):
        chosen = window.pick(now)
        if chosen is None:
            break
        offsets.append(chosen.offset)
        window.finish(chosen.offset, now=now)
    return offsets


def test_a_command_is_in_order_with_its_device() -> None:
    assert order_keys(create(5, key="407")) == (("key", "407"),)


def test_an_item_command_is_also_in_order_with_its_serial_in_its_company() -> None:
    assert order_keys(item("407", company=3, serial=" AbC ")) == (("key", "407"), ("serial", "3", "abc"))
    retire = RetireConfigurationItem(key="9", effect_key="9", company_id=3, reference_number="ls.9", serial="ABC")
    assert set(order_keys(retire)) & set(order_keys(item("407", company=3, serial="abc")))
    assert not set(order_keys(item("1", company=1, serial="abc"))) & set(order_keys(item("2", company=2, serial="abc")))


def test_an_item_without_a_serial_is_in_order_with_its_device_only() -> None:
    assert order_keys(item("407", serial="  ")) == (("key", "407"),)
    assert order_keys(item("407", serial="To be filled by O.E.M.")) == (("key", "407"),)


def test_two_commands_of_one_device_are_never_under_way_together() -> None:
    window = window_of(create(1, key="7"), complete(1, key="7"))
    assert window.pick(0).offset == 0
    assert window.pick(0) is None
    window.finish(0, now=0)
    assert window.pick(0).offset == 1


def test_two_items_with_one_serial_wait_for_each_other_although_they_are_two_devices() -> None:
    window = window_of(item("1", serial="S-01"), item("2", serial="s-01"), item("3", serial="T-01"))
    assert (window.pick(0).offset, window.pick(0).offset, window.pick(0)) == (0, 2, None)


def test_closes_go_before_creates_and_items_go_last() -> None:
    window = window_of(item("1"), create(2), complete(3))
    assert picked(window, 3) == [2, 1, 0]


def test_a_close_does_not_overtake_the_create_of_its_device() -> None:
    window = window_of(create(1), create(2), complete(2))
    assert picked(window, 3) == [0, 1, 2]


def test_within_a_lane_organizations_take_turns() -> None:
    commands = [create(number, organization=1) for number in range(3)]
    commands += [create(number, organization=2) for number in range(3, 5)]
    assert picked(window_of(*commands), 5) == [0, 3, 1, 4, 2]


def test_within_an_organization_the_oldest_goes_first() -> None:
    assert picked(window_of(*[create(number) for number in (3, 1, 2)]), 3) == [0, 1, 2]


def test_the_offset_stays_at_the_lowest_unfinished_command() -> None:
    window = window_of(create(1), create(2), create(3))
    first, second, third = (window.pick(0) for _ in range(3))
    window.finish(second.offset, now=0)
    window.finish(third.offset, now=0)
    assert window.position == 0
    window.finish(first.offset, now=0)
    assert window.position == 3


def test_records_that_ask_for_nothing_move_the_offset_only_when_nothing_is_before_them() -> None:
    window = Window(position=10, capacity=5)
    window.pass_over(10)
    assert window.position == 11
    window.admit(entry(11, create(1)))
    window.pass_over(12)
    assert window.position == 11


def test_the_window_counts_what_finished_behind_an_unfinished_command() -> None:
    window = window_of(create(1), create(2), create(3), capacity=3)
    window.pick(0)
    assert picked(window, 2) == [1, 2]
    assert window.room == 0
    window.finish(0, now=0)
    assert window.room == 3


def test_a_command_that_waits_for_a_time_holds_its_own_key_and_nothing_else() -> None:
    window = window_of(create(1, key="7"), complete(1, key="7"), create(2))
    window.put_back(window.pick(0).offset, now=0, not_before=500, begun=False)
    assert window.pick(499).offset == 2
    assert window.pick(499) is None
    assert window.pick(500).offset == 0


def test_a_waiting_command_is_taken_back_and_nobody_picks_it() -> None:
    window = window_of(create(1, key="7"), create(2), complete(1, key="7"))
    assert window.take_back("c1").offset == 1
    assert window.pick(0).offset == 0
    assert window.pick(0) is None
    window.finish(1, now=0)
    window.finish(0, now=0)
    assert (window.pick(0).offset, window.position) == (2, 2)


def test_taking_back_the_first_of_a_device_lets_the_next_one_go() -> None:
    window = window_of(create(1, key="7"), complete(1, key="7"))
    window.take_back("c0")
    assert window.pick(0) is None
    window.finish(0, now=0)
    assert window.pick(0).offset == 1


def test_it_is_too_late_to_take_back_what_is_under_way_finished_unknown_or_perhaps_done() -> None:
    window = window_of(create(1), create(2), create(3))
    window.pick(0)
    assert window.take_back("c0") is None
    assert window.take_back("nobody") is None
    window.put_back(0, now=0, not_before=0, begun=True)
    assert window.take_back("c0") is None
    window.take_back("c1")
    assert window.take_back("c1") is None
    window.finish(1, now=0)
    assert window.take_back("c1") is None


def test_a_command_whose_call_surely_had_no_effect_can_be_taken_back() -> None:
    window = window_of(create(1))
    window.put_back(window.pick(0).offset, now=0, not_before=9, begun=False)
    assert window.take_back("c0") is not None
    assert window.pick(10) is None


def test_an_offset_is_taken_in_once() -> None:
    window = window_of(create(1))
    with pytest.raises(ValueError, match="offset 0 was read before"):
        window.admit(entry(0, create(2)))


def test_a_quiet_organization_is_served_at_once_while_a_noisy_one_has_thousands() -> None:
    window = Window(position=0, capacity=20_000)
    for offset in range(5_000):
        window.admit(entry(offset, create(offset, organization=1)))
    picked(window, 100)
    window.admit(entry(5_000, create(5_000, organization=2)))
    assert 5_000 in picked(window, 2)


COMMANDS = st.builds(
    lambda kind, key, serial, organization, number: {
        "create": create(number, key=key, organization=organization),
        "complete": complete(number, key=key, organization=organization),
        "item": item(key, serial=serial, organization=organization),
        "reset": reset(key, f"uid{number}"),
    }[kind],
    st.sampled_from(["create", "complete", "item", "reset"]),
    st.sampled_from(["1", "2", "3", "4"]),
    st.sampled_from(["", "S1", "S2"]),
    st.sampled_from([1, 2, None]),
    st.integers(0, 50),
)
#: What happens to a picked command: it finishes, waits for a while, or somebody takes another one back.
STEPS = st.lists(st.tuples(st.sampled_from(["finish", "back", "take", "time"]), st.integers(0, 30)), max_size=200)


@settings(max_examples=300, deadline=None)
@given(st.lists(COMMANDS, max_size=25), STEPS, st.integers(1, 10))
def test_whatever_happens_order_per_key_holds_the_offset_is_right_and_everything_settles(
    commands: list[Command], steps: list[tuple[str, int]], capacity: int
) -> None:
    window = Window(position=0, capacity=capacity)
    unread = [entry(offset, command) for offset, command in enumerate(commands)]
    flight: list[int] = []
    finished: list[int] = []
    begun_order: dict[tuple[str, ...], list[int]] = {}
    now = 0

    def finish(offset: int) -> None:
        window.finish(offset, now=now)
        finished.append(offset)

    def turn(step: str, number: int) -> None:
        nonlocal now
        while unread and window.room:
            window.admit(unread.pop(0), now=now)
        if step == "time":
            now += number
        if step == "take" and window.take_back(f"c{number}") is not None:
            finish(number)
        chosen = window.pick(now) if len(flight) < 2 else None
        if chosen is not None:
            keys = order_keys(chosen.command)
            assert not any(set(keys) & set(order_keys(commands[other])) for other in flight), "two of one key at once"
            for key in keys:
                begun_order.setdefault(key, []).append(chosen.offset)
            flight.append(chosen.offset)
        if flight and step == "finish":
            finish(flight.pop(number % len(flight)))
        if flight and step == "back":
            window.put_back(flight.pop(), now=now, not_before=now + number, begun=False)
        read = len(commands) - len(unread)
        unfinished = set(range(read)) - set(finished)
        assert window.position == min(unfinished, default=read)
        assert len(window) == len(unfinished)

    for step, number in steps:
        turn(step, number)
    for _ in range(4 * len(commands) + 4):
        turn("time", 40)
        turn("finish", 0)
    assert sorted(finished) == list(range(len(commands)))
    assert window.position == len(commands)
    for offsets in begun_order.values():
        assert offsets == sorted(offsets), "a later command of a key began before an earlier one"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0, 1, 2])), min_size=1, max_size=200))
def test_in_a_lane_no_organization_is_served_twice_before_another_that_waits_is_served(
    rows: list[tuple[int, int]],
) -> None:
    window = window_of(*[create(number, organization=organization) for number, (organization, _) in enumerate(rows)])
    waiting = Counter(organization for organization, _ in rows)
    since_served = dict.fromkeys(waiting, 0)
    while (chosen := window.pick(0)) is not None:
        organization = chosen.command.organization_id
        assert organization is not None
        for other in since_served:
            since_served[other] += other != organization and waiting[other] > 0
        since_served[organization] = 0
        waiting[organization] -= 1
        assert all(count < len(since_served) for other, count in since_served.items() if waiting[other])
        window.finish(chosen.offset, now=0)
    assert not +waiting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["create", "complete", "item"]), max_size=60))
def test_a_later_lane_goes_only_when_the_earlier_lanes_are_empty(kinds: list[str]) -> None:
    make = {"create": create, "complete": complete, "item": lambda number: item(str(number))}
    window = window_of(*[make[kind](number) for number, kind in enumerate(kinds)])
    lanes: list[Lane] = []
    while (chosen := window.pick(0)) is not None:
        lanes.append(chosen.command.lane)
    assert lanes == sorted(lanes)
    assert len(lanes) == len(kinds)


WITHOUT_BULK = frozenset(Lane) - {Lane.NOTE, Lane.ITEM}


def test_a_lane_that_may_not_call_waits_and_the_others_go_on() -> None:
    window = window_of(item("1"), note(2), create(3), complete(4))
    chosen = [window.pick(0, WITHOUT_BULK) for _ in range(3)]
    assert [one.offset if one else None for one in chosen] == [3, 2, None]
    assert window.pick(0).offset == 1


def test_a_note_that_waits_for_the_budget_does_not_hold_back_the_close_behind_it() -> None:
    window = window_of(note(1), note(2), complete(2))
    assert window.pick(0, WITHOUT_BULK).offset == 1
    window.finish(1, now=0)
    assert window.pick(0, WITHOUT_BULK).offset == 2
    assert window.pick(0, WITHOUT_BULK) is None


def test_a_note_counts_as_a_note_again_once_what_was_urgent_behind_it_is_withdrawn() -> None:
    window = window_of(note(1), note(1), complete(1))
    assert window.take_back("c2") is not None
    window.finish(2, now=0)
    window.pick(0, WITHOUT_BULK)
    window.finish(0, now=0)
    assert window.pick(0, WITHOUT_BULK) is None


def test_a_create_keeps_its_turn_although_a_close_waits_behind_it() -> None:
    commands = [create(number, key="7", organization=1) for number in range(3)]
    window = window_of(*commands, complete(9, key="7", organization=1), create(4, organization=2))
    assert picked(window, 2) == [0, 4]
