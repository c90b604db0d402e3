"""A gap in an input is seen before it becomes loss."""

from __future__ import annotations

import logging

import pytest

from streams.delivery import continuity as module
from streams.delivery.continuity import GO_BACK_LIMIT, Continuity, Place
from streams.ports import InputRecord


class Died(Exception):
    pass


@pytest.fixture
def continuity(monkeypatch: pytest.MonkeyPatch) -> Continuity:
    def die(line: str) -> None:
        raise Died(line)

    monkeypatch.setattr(module, "die", die)
    watched = Continuity("incidents")
    watched.start({("alerts", 2): 100})
    return watched


def records(*offsets: int) -> list[InputRecord]:
    return [InputRecord("alerts", 2, offset, b"407", b"{}", (), 0) for offset in offsets]


def test_what_comes_next_is_taken(continuity: Continuity) -> None:
    assert continuity.take("alerts", 2, records(100, 101)) == records(100, 101)
    assert continuity.take("alerts", 2, records(102)) == records(102)


def test_what_was_fetched_twice_is_taken_once(continuity: Continuity) -> None:
    assert continuity.take("alerts", 2, records(98, 99)) == []
    assert continuity.take("alerts", 2, records(99, 100)) == records(100)


def test_a_gap_is_not_taken_and_goes_back_to_where_it_began(continuity: Continuity) -> None:
    assert continuity.take("alerts", 2, records(101)) is None
    assert continuity.after_gap("alerts", 2, beginning=0) == 100
    assert continuity.take("alerts", 2, records(100, 101)) == records(100, 101)


def test_a_gap_that_stays_is_a_hole_in_the_log_and_fatal(continuity: Continuity) -> None:
    for _ in range(GO_BACK_LIMIT):
        assert continuity.take("alerts", 2, records(101)) is None
        assert continuity.after_gap("alerts", 2, beginning=0) == 100
    with pytest.raises(Died, match=r"cleanup\.policy=delete"):
        continuity.after_gap("alerts", 2, beginning=0)


def test_a_hole_inside_a_batch_is_fatal(continuity: Continuity) -> None:
    with pytest.raises(Died, match="holes between offsets 100 and 103"):
        continuity.take("alerts", 2, records(100, 102))


def test_what_retention_deleted_is_said_and_passed_over(
    continuity: Continuity, caplog: pytest.LogCaptureFixture
) -> None:
    assert continuity.take("alerts", 2, records(150)) is None
    with caplog.at_level(logging.ERROR):
        assert continuity.after_gap("alerts", 2, beginning=150) == 150
    assert "offsets 100 to 149 were deleted by retention" in caplog.text
    assert continuity.take("alerts", 2, records(150)) == records(150)
    # The lane stands at 100: it is told that this batch goes on from there.
    assert continuity.follows("alerts", 2, 150) == 100
    assert continuity.follows("alerts", 2, 151) == 151


def test_an_input_never_read_begins_at_its_beginning(continuity: Continuity) -> None:
    assert continuity.checked(Place("alerts", 2, None), beginning=7, end=9) == 7


def test_a_log_shorter_than_what_was_decided_is_fatal(continuity: Continuity) -> None:
    assert continuity.checked(Place("alerts", 2, 9), beginning=0, end=9) == 9
    with pytest.raises(Died, match="deleted or truncated"):
        continuity.checked(Place("alerts", 2, 10), beginning=0, end=9)
