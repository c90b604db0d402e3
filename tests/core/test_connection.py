"""A connection's health: what leads from which state to which, and what is too old to count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import ConnectionChanged
from streams.core import connection as machine
from streams.core.connection import Connection, Strain, accepts, evolve

NEW = Connection(name="autotask")
HEALTHY = evolve(NEW, machine.passed(NEW, credentials="A", at=1000, by="operator"))


def after(connection: Connection, change: ConnectionChanged | None) -> Connection:
    assert change is not None
    return evolve(connection, change)


DEGRADED = after(HEALTHY, machine.degraded(HEALTHY, reason="no answer in 20 s", at=2000, by="poller"))
UNHEALTHY = after(HEALTHY, machine.refused(HEALTHY, reason="401", epoch=1, at=2000, by="executor"))


def test_nothing_is_connected_at_first_and_no_call_may_go_out() -> None:
    assert (NEW.state, NEW.open, NEW.epoch) == ("NotConnected", False, 0)


def test_a_successful_test_makes_it_healthy_in_a_new_epoch_with_the_reason_people_look_for() -> None:
    assert (HEALTHY.state, HEALTHY.open, HEALTHY.epoch) == ("Healthy", True, 1)
    assert (HEALTHY.reason, HEALTHY.since) == ("Connection succeeded with provided credentials.", 1000)
    assert (HEALTHY.credentials, HEALTHY.by) == ("A", "operator")


def test_a_refusal_makes_it_unhealthy_and_closes_it() -> None:
    assert (UNHEALTHY.state, UNHEALTHY.open, UNHEALTHY.reason, UNHEALTHY.since) == ("Unhealthy", False, "401", 2000)
    assert after(DEGRADED, machine.refused(DEGRADED, reason="401", epoch=1, at=3000, by="x")).state == "Unhealthy"


def test_only_a_successful_test_leads_out_of_unhealthy() -> None:
    assert machine.recovered(UNHEALTHY, at=10**9, by="x") is None
    assert machine.degraded(UNHEALTHY, reason="", at=10**9, by="x") is None
    back = after(UNHEALTHY, machine.passed(UNHEALTHY, credentials="B", at=9000, by="operator"))
    assert (back.state, back.epoch, back.credentials, back.since) == ("Healthy", 2, "B", 9000)


def test_trouble_makes_it_degraded_and_calls_still_go_out() -> None:
    assert (DEGRADED.state, DEGRADED.open, DEGRADED.epoch) == ("Degraded", True, 1)
    assert machine.degraded(DEGRADED, reason="again", at=3000, by="x") is None


def test_it_recovers_from_degraded_not_before_ten_seconds() -> None:
    assert machine.recovered(DEGRADED, at=2000 + 9_999, by="x") is None
    assert after(DEGRADED, machine.recovered(DEGRADED, at=2000 + 10_000, by="x")).state == "Healthy"


def test_a_refusal_seen_before_the_last_successful_test_no_longer_counts() -> None:
    late = machine.refused(HEALTHY, reason="401", epoch=1, at=5000, by="slow process")
    assert late is not None
    newer = evolve(UNHEALTHY, machine.passed(UNHEALTHY, credentials="B", at=4000, by="operator"))
    assert evolve(newer, late) == newer
    assert machine.refused(newer, reason="401", epoch=1, at=5000, by="slow process") is None


def test_the_second_of_two_refusals_changes_nothing() -> None:
    second = machine.refused(HEALTHY, reason="401 too", epoch=1, at=2001, by="other process")
    assert second is not None
    # The state stays, and so does since when; only the words are newer.
    assert (evolve(UNHEALTHY, second).since, evolve(UNHEALTHY, second).state) == (2000, "Unhealthy")


def test_calls_that_worked_elsewhere_do_not_undo_a_refusal() -> None:
    worked = machine.recovered(DEGRADED, at=20_000, by="lucky process")
    assert worked is not None
    refused = after(DEGRADED, machine.refused(DEGRADED, reason="401", epoch=1, at=19_999, by="x"))
    assert evolve(refused, worked) == refused


def test_of_two_tests_that_both_began_at_the_same_epoch_the_first_in_the_log_counts() -> None:
    one = machine.passed(UNHEALTHY, credentials="B", at=5000, by="one")
    two = machine.passed(UNHEALTHY, credentials="C", at=5001, by="two")
    assert evolve(evolve(UNHEALTHY, one), two).credentials == "B"


def test_a_failed_test_makes_what_stood_unhealthy_and_leaves_what_never_stood_not_connected() -> None:
    def failed(connection: Connection) -> Connection:
        return evolve(connection, machine.failed(connection, reason="wrong secret", credentials="B", at=7000, by="x"))

    assert (failed(HEALTHY).state, failed(HEALTHY).reason) == ("Unhealthy", "wrong secret")
    assert (failed(NEW).state, failed(NEW).reason, failed(NEW).credentials) == ("NotConnected", "wrong secret", "B")
    assert (failed(UNHEALTHY).state, failed(UNHEALTHY).reason, failed(UNHEALTHY).since) == (
        "Unhealthy",
        "wrong secret",
        2000,
    )


def test_disconnecting_closes_it_and_what_is_still_under_way_no_longer_counts() -> None:
    gone = after(HEALTHY, machine.disconnected(HEALTHY, reason="disconnected", at=8000, by="operator"))
    assert (gone.state, gone.open, gone.epoch) == ("NotConnected", False, 2)
    assert machine.refused(gone, reason="401", epoch=1, at=8001, by="x") is None
    assert machine.disconnected(gone, reason="again", at=9000, by="operator") is None


def test_a_change_of_the_other_connection_changes_nothing() -> None:
    other = Connection(name="ninjaone")
    assert evolve(other, machine.passed(NEW, credentials="A", at=1, by="x")) == other


def test_three_troubles_in_a_row_or_ten_seconds_of_them_are_more_than_bad_luck() -> None:
    once = Strain().trouble(0)
    assert not once.is_degraded(0)
    assert not once.trouble(1).is_degraded(1)
    assert once.trouble(1).trouble(2).is_degraded(2)
    assert once.trouble(10_000).is_degraded(10_000)
    assert not once.work().trouble(10_000).is_degraded(10_000)


def test_three_calls_in_a_row_that_worked_are_more_than_good_luck() -> None:
    assert Strain().work().work().work().is_recovered()
    assert not Strain().work().work().trouble(0).work().is_recovered()


STATES = st.sampled_from(["NotConnected", "Healthy", "Degraded", "Unhealthy"])
CHANGES = st.builds(
    ConnectionChanged,
    connection=st.just("autotask"),
    previous=STATES,
    state=STATES,
    reason=st.just("r"),
    epoch=st.integers(0, 4),
    credentials=st.sampled_from(["A", "B"]),
    changed_at=st.integers(0, 100),
    by=st.just("x"),
)


@given(st.lists(CHANGES, max_size=30))
def test_whatever_is_published_in_whatever_order_only_a_new_epoch_opens_a_closed_connection(changes) -> None:
    state = NEW
    for change in changes:
        following = evolve(state, change)
        assert following.epoch in (state.epoch, state.epoch + 1)
        if following.open and not state.open:
            assert (following.state, following.epoch) == ("Healthy", state.epoch + 1)
        if not accepts(state, change):
            assert following == state
        # Heard twice (a repeated publication) is heard once.
        again = evolve(following, change)
        assert (again.state, again.epoch, again.since) == (following.state, following.epoch, following.since)
        state = following


@pytest.mark.parametrize("connection", [NEW, HEALTHY, DEGRADED, UNHEALTHY])
def test_what_the_machine_itself_asks_for_always_follows_from_the_state(connection: Connection) -> None:
    asked = [
        machine.passed(connection, credentials="B", at=50_000, by="x"),
        machine.failed(connection, reason="r", credentials="B", at=50_000, by="x"),
        machine.refused(connection, reason="r", epoch=connection.epoch, at=50_000, by="x"),
        machine.degraded(connection, reason="r", at=50_000, by="x"),
        machine.recovered(connection, at=50_000, by="x"),
        machine.disconnected(connection, reason="r", at=50_000, by="x"),
    ]
    assert all(accepts(connection, change) for change in asked if change is not None)
