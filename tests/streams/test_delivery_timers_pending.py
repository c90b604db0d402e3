"""Due times of a partition: which have come, which were said, which count no longer."""

from __future__ import annotations

from streams.delivery.timers import REPEAT_AFTER_MS, PendingTimer, PendingTimers
from streams.ports import Due


def due(timers: PendingTimers, now: int, elapsed: int = 0) -> list[PendingTimer]:
    return list(timers.due(now, elapsed_ms=elapsed))


def test_a_timer_is_due_at_its_time_and_not_before() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(1000, "hold")])
    assert due(timers, 999) == []
    assert due(timers, 1000) == [PendingTimer(1000, b"407", "hold")]


def test_several_come_in_the_order_of_their_times() -> None:
    timers = PendingTimers()
    timers.replace(b"2", [Due(30, "b"), Due(10, "a")])
    timers.replace(b"1", [Due(20, "a")])
    assert [entry.at for entry in due(timers, 100)] == [10, 20, 30]


def test_a_said_timer_is_not_repeated_unless_it_is_pending_a_minute_later() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(10, "hold")])
    (entry,) = due(timers, 10, elapsed=0)
    timers.said(entry, elapsed_ms=0)
    assert due(timers, 10_000_000, elapsed=REPEAT_AFTER_MS - 1) == []
    assert due(timers, 10_000_000, elapsed=REPEAT_AFTER_MS) == [entry]
    timers.said(entry, elapsed_ms=REPEAT_AFTER_MS)
    assert due(timers, 10_000_000, elapsed=REPEAT_AFTER_MS + 1) == []


def test_a_replaced_timer_never_fires() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(10, "hold")])
    timers.replace(b"407", [Due(50, "hold")])
    assert due(timers, 20) == []
    assert due(timers, 50) == [PendingTimer(50, b"407", "hold")]


def test_a_cleared_timer_is_not_repeated() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(10, "hold")])
    (entry,) = due(timers, 10)
    timers.said(entry, elapsed_ms=0)
    timers.replace(b"407", [])
    assert due(timers, 99, elapsed=2 * REPEAT_AFTER_MS) == []
    assert len(timers) == 0


def test_one_asked_for_again_after_it_was_cleared_fires_again() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(10, "hold")])
    (entry,) = due(timers, 10)
    timers.said(entry, elapsed_ms=0)
    timers.replace(b"407", [])
    timers.replace(b"407", [Due(10, "hold")])
    assert due(timers, 10, elapsed=1) == [entry]


def test_one_that_could_not_be_published_is_due_at_once() -> None:
    timers = PendingTimers()
    timers.replace(b"407", [Due(10, "hold")])
    (entry,) = due(timers, 10)
    timers.unsaid(entry)
    assert due(timers, 10) == [entry]
