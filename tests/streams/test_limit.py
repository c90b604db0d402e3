"""The limit on dead letters: how many may pass, what is counted together, and what the line says."""

from __future__ import annotations

import pytest

from streams.limit import DeadLetterLimit, Exceeded, Tally, counted

TOPIC, OTHER = "ninjaone.alerts", "control"
SMALL = DeadLetterLimit(consecutive=3, ratio=0.5, window=10)


def read(
    records: str, limit: DeadLetterLimit = SMALL, *, slices: int = 1000, tallies: dict[str, Tally] | None = None
) -> tuple[int, Exceeded | None]:
    """Read ``x`` (dead) and ``.`` (good) in slices; how many became dead letters, and what stopped it."""
    tallies, letters = tallies or {}, 0
    for start in range(0, len(records), slices):
        part = range(start, min(start + slices, len(records)))
        dead = {(TOPIC, offset): f"error {offset}" for offset in part if records[offset] == "x"}
        tallies, exceeded = counted(tallies, 4, [(TOPIC, offset) for offset in part], dead, limit)
        if exceeded is not None:
            return letters, exceeded
        letters += len(dead)
    return letters, None


@pytest.mark.parametrize("slices", [1, 2, 3, 7, 1000])
def test_a_run_stops_at_the_limit_however_the_records_were_cut(slices: int) -> None:
    letters, exceeded = read("...." + "x" * 50, slices=slices)
    assert letters < 3
    assert exceeded is not None
    assert (exceeded.offset, exceeded.tally.in_a_row) == (6, 3)


def test_a_good_record_ends_a_run() -> None:
    assert read("xx.xx.....") == (4, None)


@pytest.mark.parametrize("slices", [1, 4, 1000])
def test_more_than_half_of_a_window_stops_although_no_run_does(slices: int) -> None:
    letters, exceeded = read("xx.xx.x.x.", slices=slices)
    assert exceeded is not None
    assert (exceeded.offset, exceeded.tally) == (8, Tally(1, 9, 6))
    assert letters <= 5


def test_half_of_a_window_is_not_more_than_half_and_a_new_window_counts_anew() -> None:
    assert read("x." * 200) == (200, None)


def test_good_records_alone_leave_nothing_to_count_and_a_window_is_forgotten_when_it_is_full() -> None:
    assert counted({}, 0, [(TOPIC, 1)], {}, SMALL) == ({}, None)
    tallies, _ = counted({}, 0, [(TOPIC, 0)], {(TOPIC, 0): "e"}, SMALL)
    assert tallies == {TOPIC: Tally(1, 1, 1)}
    assert counted(tallies, 0, [(TOPIC, offset) for offset in range(1, 20)], {}, SMALL) == ({}, None)


def test_topics_are_counted_apart_so_that_a_busy_one_does_not_hide_a_run_in_another() -> None:
    records = [(TOPIC, 0), (OTHER, 0), (TOPIC, 1), (OTHER, 1), (TOPIC, 2), (OTHER, 2)]
    _, exceeded = counted({}, 0, records, {(TOPIC, n): "e" for n in range(3)}, SMALL)
    assert exceeded is not None
    assert exceeded.topic == TOPIC


def test_minus_one_lets_everything_through_and_forgets_what_was_counted() -> None:
    off = DeadLetterLimit(consecutive=-1)
    assert read("x" * 5000, off) == (5000, None)
    assert counted({TOPIC: Tally(99, 99, 99)}, 0, [(TOPIC, 1)], {(TOPIC, 1): "e"}, off) == ({}, None)


def test_what_a_former_process_counted_counts_on() -> None:
    assert read("x", tallies={TOPIC: Tally(2, 2, 2)})[1] is not None


def test_the_line_says_which_topic_how_many_the_first_error_and_what_to_do() -> None:
    _, exceeded = read(".xxx")
    line = str(exceeded)
    assert line.startswith("3 records in a row of ninjaone.alerts partition 4 cannot be read, up to offset 3")
    assert "offset 1: error 1" in line
    assert "nothing is lost" in line
    assert "LOCKSTEP_WORKER__DEAD_LETTERS__CONSECUTIVE=-1" in line
    assert "\n" not in line
    _, mixed = read("xx.xx.x.x.")
    assert str(mixed).startswith("6 of 9 records of ninjaone.alerts partition 4")
