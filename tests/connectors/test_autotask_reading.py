"""Client, poller and companies over real HTTP against the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from connectors.autotask.client import counted, eq
from connectors.autotask.companies import NoCompanies
from connectors.autotask.observation import TicketPublisher
from connectors.autotask.poller import AutotaskPoller, PollerSettings
from connectors.errors import CallFailed, Kind, Situation
from connectors.ports import CallsSuspended
from schemas.envelope import epoch_ms
from schemas.facts import CompaniesObserved, TicketObserved
from schemas.topics import AUTOTASK_TICKETS, CONTROL, CURSORS, TICKETS
from tests.connectors.autotask_lab import Lab, create_ticket, lab
from tests.connectors.autotask_tenant import FIRST_COMPANY, Board, running_board, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


def poller(it: Lab, **settings: float) -> AutotaskPoller:
    return AutotaskPoller(
        it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5, settings=PollerSettings(**settings)
    )


def fill(it: Lab, count: int) -> None:
    """Rows straight into the tenant: creating them by call would take a second per hundred."""
    rows = it.api.vendor.tenant.rows["Tickets"]
    now = it.api.vendor.tenant.now()
    for number in range(count):
        uid = f"{number:032x}"
        rows.insert(
            {
                **dict.fromkeys(rows.entity.fields),
                "companyID": FIRST_COMPANY,
                "title": "t",
                "status": 1,
                "priority": 2,
                "externalID": f"ls.{number}.{uid}",
                "ticketNumber": f"T{number}",
                "createDate": now,
                "lastActivityDate": now,
            }
        )


async def test_a_query_walks_by_id_past_500_rows_and_ends_with_a_short_page(it: Lab) -> None:
    fill(it, 1203)
    mark = await it.mark()
    rows = await it.client.query("Tickets", [eq("status", 1)], ("status",))
    assert len({row["id"] for row in rows}) == 1203
    assert sorted(rows[0]) == ["id", "status"]
    assert await it.made(mark) == ["POST Tickets/query"] * 3


async def test_the_tenants_own_company_with_id_0_is_among_the_companies(it: Lab) -> None:
    rows = await it.client.query("Companies", (), ("companyName",))
    assert rows[0]["id"] == 0


async def test_an_id_that_does_not_exist_is_none_in_both_forms_of_the_answer(it: Lab) -> None:
    assert await it.client.get("Tickets", 999) is None
    await it.api.switch(missing_item="null")
    assert await it.client.get("Tickets", 999) is None


async def test_the_zone_is_asked_once_in_twelve_hours_and_a_doubled_slash_does_no_harm(it: Lab) -> None:
    await it.api.switch(zone_url_double_slash=True, doubled_slash="404")
    with counted() as tally:
        await it.client.read("Version", endpoint="Version")
        await it.client.read("Version", endpoint="Version")
    assert tally.calls == 3
    await it.api.control("POST", "clock", advance=13 * 3600)
    await it.client.read("Version", endpoint="Version")
    rows = await it.api.control("GET", "calls?since=0")
    assert [row["entity"] for row in rows].count("ZoneInformation") == 2


async def test_an_unknown_user_closes_the_gate_after_one_call(board: Board) -> None:
    async with lab(board, username="nobody@example.org") as it:
        for _ in range(3):
            with pytest.raises((CallFailed, CallsSuspended)):
                await it.client.query("Tickets", [])
        rows = await it.api.control("GET", "calls?since=0")
        assert len(rows) == 1
        assert it.gate.closed is not None


async def test_a_refused_secret_is_one_call_and_never_repeated(board: Board) -> None:
    async with lab(board, secret="wrong-secret") as it:
        with pytest.raises(CallFailed) as refused:
            await it.client.query("Tickets", [])
        assert (refused.value.kind, refused.value.situation) == (Kind.CREDENTIALS, Situation.UNAUTHORIZED)
        assert "wrong-secret" not in str(refused.value)
        with pytest.raises(CallsSuspended):
            await it.client.query("Tickets", [])
        rows = await it.api.control("GET", "calls?since=0")
        assert [row["status"] for row in rows] == [200, 401]


async def test_no_more_than_two_calls_run_side_by_side_per_entity(it: Lab) -> None:
    await it.api.switch(latency_ms=20)
    await asyncio.gather(*(it.client.get("Tickets", number) for number in range(10)))
    assert max(row["inflight"] for row in await it.calls()) == 2


async def test_the_first_poll_tells_open_tickets_and_those_completed_lately(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await it.api.create("Tickets", **ticket(externalID="somebody.else"))
    found = poller(it)
    assert await found.poll_tickets() == 1
    [entry] = it.log.of(TicketObserved)
    fact = entry.fact
    assert isinstance(fact, TicketObserved)
    row = await it.api.item("Tickets", number)
    assert (entry.topic, entry.key, entry.time) == (AUTOTASK_TICKETS, "407", epoch_ms(row["lastActivityDate"]))
    assert (fact.ticket_id, fact.ticket_number, fact.status, fact.completed) == (number, row["ticketNumber"], 1, False)
    assert entry.correlation_id == create_ticket().external_id


async def test_each_change_is_told_once_and_unchanged_tickets_are_not_told_again(it: Lab) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    found = poller(it)
    assert [await found.poll_tickets(), await found.poll_tickets()] == [1, 0]
    await it.api.control("POST", "clock", advance=60)
    await it.api.control("POST", f"tickets/{number}/complete")
    mark = await it.mark()
    assert [await found.poll_tickets(), await found.poll_tickets()] == [1, 0]
    assert await it.made(mark) == ["POST Tickets/query"] * 2
    last = it.log.facts(TicketObserved)[-1]
    assert isinstance(last, TicketObserved)
    assert last.completed
    assert last.completed_at is not None


async def test_the_cursor_is_written_after_the_facts_and_survives_a_restart(it: Lab) -> None:
    await it.effects.perform(create_ticket())
    await poller(it).poll_tickets()
    assert it.log.writes == ["publish TicketObserved 407", f"remember {CURSORS} autotask.tickets"]
    await it.api.control("POST", "clock", advance=3600)
    again = poller(it)
    assert await again.poll_tickets() == 1, "within the overlap it is told once more, under the same id"
    first, second = it.log.of(TicketObserved)
    assert first.id == second.id


async def test_a_cursor_asks_for_nothing_older_than_the_overlap(it: Lab) -> None:
    await it.effects.perform(create_ticket())
    await it.api.control("POST", "clock", advance=3600)
    await it.effects.perform(create_ticket(2))
    later = it.api.vendor.tenant.now()
    it.log.compacted[CURSORS] = {"autotask.tickets": orjson.dumps({"lastActivityDate": later})}
    assert await poller(it).poll_tickets() == 1


async def test_nothing_is_remembered_when_kafka_did_not_take_the_facts(it: Lab) -> None:
    await it.effects.perform(create_ticket())
    found = poller(it)
    it.log.refusing = ConnectionError("no broker")
    with pytest.raises(ConnectionError):
        await found.poll_tickets()
    assert CURSORS not in it.log.compacted
    it.log.refusing = None
    assert await found.poll_tickets() == 1


async def test_a_ticket_without_our_external_id_is_ours_by_the_index(it: Lab) -> None:
    number = await it.api.create("Tickets", **ticket(externalID="ls.adopted"))
    found = poller(it)
    assert await found.poll_tickets() == 0
    it.log.compacted[TICKETS] = {str(number): b"407"}
    await it.api.control("POST", "clock", advance=60)
    assert await found.poll_tickets() == 1
    assert it.log.of(TicketObserved)[0].key == "407"


async def test_a_poll_of_many_tickets_is_one_read_per_500_rows(it: Lab) -> None:
    fill(it, 1001)
    mark = await it.mark()
    assert await poller(it).poll_tickets() == 1001
    assert await it.made(mark) == ["POST Tickets/query"] * 3


async def test_companies_are_told_when_the_list_changed_and_only_then(it: Lab) -> None:
    found = poller(it)
    assert [await found.poll_companies(), await found.poll_companies()] == [True, False]
    [entry] = it.log.of(CompaniesObserved)
    fact = entry.fact
    assert isinstance(fact, CompaniesObserved)
    assert entry.topic == CONTROL
    assert fact.companies[0].id == 0
    name = fact.companies[1].name
    await it.api.control("PATCH", f"companies/{FIRST_COMPANY}", companyName="Renamed", isActive=False)
    assert await poller(it).poll_companies() is True
    await it.api.control("PATCH", f"companies/{FIRST_COMPANY}", companyName=name, isActive=True)
    assert await poller(it).poll_companies() is True
    ids = [entry.id for entry in it.log.of(CompaniesObserved)]
    assert len(set(ids)) == 3, "a list that comes back is news again"
    changed = it.log.facts(CompaniesObserved)[1]
    assert isinstance(changed, CompaniesObserved)
    assert [(c.name, c.active) for c in changed.companies if c.id == FIRST_COMPANY] == [("Renamed", False)]


async def test_no_company_at_all_is_a_missing_right_and_not_an_empty_list(it: Lab) -> None:
    await it.api.control("PATCH", "api-user", permissions={"Companies": {"query": "empty"}})
    with pytest.raises(NoCompanies):
        await poller(it).poll_companies()
    assert it.log.publications == []


async def test_the_loops_wait_while_the_gate_is_closed_and_call_nothing(it: Lab) -> None:
    it.gate.closed = "locked"
    running = asyncio.create_task(poller(it).run())
    while len(it.waits) < 20:
        await asyncio.sleep(0)
    assert await it.api.control("GET", "calls?since=0") == []
    it.gate.closed = None
    while not it.log.of(CompaniesObserved):
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_poll_and_webhook_of_one_process_share_what_was_told(it: Lab) -> None:
    await it.effects.perform(create_ticket())
    shared = TicketPublisher(it.log, it.client.now)
    found = AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5, publisher=shared)
    await found.poll_tickets()
    other = AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5, publisher=shared)
    assert await other.poll_tickets() == 0
