"""A log that begins anew on a tenant with tickets of an earlier one: they are found, and none is opened a second time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.autotask.effects import AutotaskEffects
from connectors.ports import Verdict
from tests.connectors.autotask_lab import Lab, create_ticket, lab
from tests.connectors.autotask_tenant import Board, running_board

MINUTE_MS = 60_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def now(it: Lab) -> int:
    return int((await it.api.control("GET", "clock"))["now"] * 1000)


async def test_a_ticket_of_an_earlier_log_is_taken_and_not_opened_again(it: Lab) -> None:
    before = await it.effects.perform(create_ticket())
    effects = AutotaskEffects(it.client, began=await now(it) + MINUTE_MS)
    found = await effects.perform(create_ticket())
    assert (found.verdict, found.how, found.ticket_id) == (Verdict.SUCCEEDED, "FoundByLookUp", before.ticket_id)
    assert len(await it.tickets(externalID=create_ticket().external_id)) == 1


async def test_on_a_tenant_without_earlier_tickets_it_is_asked_once_and_each_create_is_one_call(it: Lab) -> None:
    effects = AutotaskEffects(it.client, began=await now(it) - MINUTE_MS)
    mark = await it.mark()
    for number in (1, 2):
        made = await effects.perform(create_ticket(external_id=f"ls.407.{number:032x}"))
        assert (made.verdict, made.how) == (Verdict.SUCCEEDED, "Called")
    assert await it.made(mark) == ["POST Tickets/query", "POST Tickets", "POST Tickets"]


async def test_where_nobody_knows_when_the_log_began_each_ticket_is_looked_for(it: Lab) -> None:
    effects = AutotaskEffects(it.client, began=None)
    mark = await it.mark()
    assert (await effects.perform(create_ticket())).how == "Called"
    assert (await effects.perform(create_ticket())).how == "FoundByLookUp"
    assert await it.made(mark) == ["POST Tickets/query", "POST Tickets", "POST Tickets/query"]


async def test_nothing_is_opened_while_it_cannot_be_asked(it: Lab) -> None:
    effects = AutotaskEffects(it.client, began=await now(it))
    mark = await it.mark()
    await it.api.control("POST", "faults", kind="status", count=-1, match={"path": "query"}, params={"code": 503})
    assert (await effects.perform(create_ticket())).verdict not in (Verdict.SUCCEEDED, Verdict.REJECTED)
    assert "POST Tickets" not in await it.made(mark)
