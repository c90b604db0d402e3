"""The hour's budget, which the whole tenant shares: who may still call at which share of it, and that it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.autotask.budget import LINE, STOPS_AT, Budget, BudgetReader, allowance, over_the_line, slower
from connectors.autotask.poller import AutotaskPoller, PollerSettings
from connectors.ports import CallsSuspended
from schemas.commands import Lane
from tests.connectors.autotask_lab import Lab, lab
from tests.connectors.autotask_tenant import running_board

NOW = 1_796_000_000_000


@pytest_asyncio.fixture
async def it() -> AsyncIterator[Lab]:
    async with running_board() as board, lab(board) as running:
        yield running


def used(share: float) -> Budget:
    return Budget(used=round(share * 10_000), limit=10_000, minutes=60, read_at=NOW)


ALL = {Lane.CLOSE, Lane.CREATE, Lane.REOPEN, Lane.NOTE, Lane.ITEM}
TABLE = [
    (0.00, ALL),
    (0.4499, ALL),
    (0.45, ALL - {Lane.ITEM}),
    (0.60, ALL - {Lane.ITEM}),
    (0.7499, ALL - {Lane.ITEM}),
    (0.75, {Lane.CLOSE, Lane.CREATE, Lane.REOPEN}),
    (0.85, {Lane.CLOSE, Lane.CREATE}),
    (0.9199, {Lane.CLOSE, Lane.CREATE}),
    (0.92, {Lane.CLOSE}),
    (0.9599, {Lane.CLOSE}),
    (0.96, set()),
    (1.00, set()),
    (1.70, set()),
]


@pytest.mark.parametrize(("share", "lanes"), TABLE)
def test_the_lowest_lane_stops_first_and_the_last_before_the_line(share: float, lanes: set[Lane]) -> None:
    assert allowance(used(share), NOW).lanes == lanes


def test_bulk_work_stops_before_the_half_from_which_the_vendor_slows_everybody_down() -> None:
    assert STOPS_AT[Lane.ITEM] < 0.5
    assert [lane for lane, _ in sorted(STOPS_AT.items(), key=lambda pair: pair[1])] == sorted(Lane, reverse=True)
    assert max(STOPS_AT.values()) < LINE < 1


def test_what_is_held_back_is_said_with_the_figures() -> None:
    assert allowance(used(0.1), NOW).why == ""
    assert allowance(used(0.47), NOW).why == (
        "hourly budget: 4700 of the tenant's 10000 requests in 60 minutes are used"
    )


def test_before_the_first_reading_only_bulk_work_waits() -> None:
    known = allowance(None, NOW)
    assert known.lanes == ALL - {Lane.ITEM}
    assert known.why == "the hour's budget has not been read yet"


def test_a_reading_that_is_too_old_to_know_of_the_neighbours_holds_bulk_work_back() -> None:
    assert allowance(used(0.1), NOW + 599_000).lanes == ALL
    stale = allowance(used(0.1), NOW + 660_000)
    assert stale.lanes == ALL - {Lane.ITEM}
    assert stale.why == "the hour's budget could not be read for 11 minutes"


@pytest.mark.parametrize(("share", "factor"), [(0.0, 1), (0.49, 1), (0.5, 2), (0.74, 2), (0.75, 4), (0.9, 10), (1, 10)])
def test_pollers_slow_down_with_the_hour(share: float, factor: float) -> None:
    assert slower(used(share)) == factor
    assert slower(None) == 1


@pytest.mark.parametrize(("share", "silent"), [(0.0, False), (0.9799, False), (0.98, True), (1.2, True)])
def test_over_the_line_nothing_goes_out(share: float, silent: bool) -> None:
    assert (over_the_line(used(share)) is not None) is silent


def test_a_tenant_without_any_budget_is_over_the_line() -> None:
    assert over_the_line(Budget(used=0, limit=0, minutes=60, read_at=NOW)) is not None


async def test_the_budget_is_read_and_bulk_work_stops_before_the_vendor_slows_down(it: Lab) -> None:
    reader = BudgetReader(it.client)
    assert Lane.ITEM not in reader.allowance().lanes, "nobody knows what the neighbours use"
    await reader.refreshed()
    assert reader.allowance().lanes == ALL
    await it.api.switch(neighbour=4_700, latency_scale=0.0)
    await reader.refreshed()
    assert reader.allowance().lanes == ALL, "three minutes are not over"
    await it.api.control("POST", "clock", advance=181)
    assert 0.47 <= (await reader.refreshed()).ratio < 0.48
    assert reader.allowance().lanes == ALL - {Lane.ITEM}


async def test_near_the_line_it_is_read_every_minute(it: Lab) -> None:
    await it.api.switch(neighbour=8_000, latency_scale=0.0)
    reader = BudgetReader(it.client)
    await reader.refreshed()
    mark = await it.mark()
    await it.api.control("POST", "clock", advance=59)
    await reader.refreshed()
    assert await it.made(mark) == []
    await it.api.control("POST", "clock", advance=2)
    await reader.refreshed()
    assert await it.made(mark) == ["GET ThresholdInformation"]


async def test_our_own_calls_count_between_two_readings(it: Lab) -> None:
    await it.api.switch(hourly_limit=200, latency_scale=0.0)
    reader = BudgetReader(it.client)
    before = await reader.read()
    for _ in range(5):
        await it.client.get("Tickets", 1)
    current = reader.budget()
    assert current is not None
    assert current.used == before.used + 5
    mark = await it.mark()
    assert (await reader.refreshed()).used == before.used + 6, "5 of 200 are more than 1 %, so it is asked anew"
    assert await it.made(mark) == ["GET ThresholdInformation"]


async def test_beyond_the_line_the_reading_alone_goes_out_until_the_hour_has_rolled_on(it: Lab) -> None:
    await it.api.switch(neighbour=9_900, latency_scale=0.0)
    reader = BudgetReader(it.client)
    await reader.refreshed()
    mark = await it.mark()
    with pytest.raises(CallsSuspended, match=r"^hourly budget: 99\d\d of the tenant's 10000 requests"):
        await it.client.get("Tickets", 1)
    assert await it.made(mark) == []
    await it.api.switch(neighbour=100)
    await it.api.control("POST", "clock", advance=61)
    await reader.refreshed()
    assert await it.made(mark) == ["GET ThresholdInformation"]
    await it.client.get("Tickets", 1)


async def test_a_poller_stretches_its_pauses_by_what_the_budget_says(it: Lab) -> None:
    await it.api.switch(neighbour=7_600, latency_scale=0.0)
    found = AutotaskPoller(
        it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5, settings=PollerSettings(poll_seconds=30)
    )
    assert found.slower() == 1
    await found.refresh_budget()
    assert found.slower() == 4


async def test_a_neighbour_that_uses_more_by_the_hour_is_seen_at_the_next_reading(it: Lab) -> None:
    """60 % of the hour at an even rate: bulk work of ours must stop although our own calls are few."""
    await it.api.switch(neighbour_requests_per_hour=6_000, latency_scale=0.0)
    reader = BudgetReader(it.client)
    assert (await reader.refreshed()).used < 200, "it has just begun"
    await it.api.control("POST", "clock", advance=1800)
    assert 3_000 <= (await reader.refreshed()).used < 3_200
    assert Lane.ITEM in reader.allowance().lanes
    await it.api.control("POST", "clock", advance=7200)
    assert 6_000 <= (await reader.refreshed()).used < 6_200, "the hour rolls on: never more than 60 %"
    assert Lane.ITEM not in reader.allowance().lanes
