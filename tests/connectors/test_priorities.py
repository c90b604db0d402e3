"""Raising a ticket's priority over real HTTP: read, compared, written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from schemas.commands import RaiseTicketPriority
from tests.connectors.autotask_lab import DEVICE, Lab, create_ticket, lab
from tests.connectors.autotask_tenant import Board, running_board

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


def raising(ticket: int, **changes: Any) -> RaiseTicketPriority:
    values: dict[str, Any] = {"priority": "Critical", "expected": "Medium", "ticket_id": ticket}
    return RaiseTicketPriority(key=DEVICE, effect_key="raise", **{**values, **changes})


async def opened(it: Lab) -> int:
    effect = await it.effects.perform(create_ticket(priority="Medium"))
    assert effect.ticket_id is not None
    return effect.ticket_id


async def priority_of(it: Lab, ticket: int) -> int:
    return int((await it.api.item("Tickets", ticket))["priority"])


async def test_the_priority_is_raised_with_a_read_and_a_write_that_touches_nothing_else(it: Lab) -> None:
    ticket = await opened(it)
    mark = await it.mark()
    effect = await it.effects.perform(raising(ticket))
    assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "Called", True)
    assert await it.made(mark) == [f"GET Tickets/{ticket}", "PATCH Tickets"]
    row = await it.api.item("Tickets", ticket)
    assert (row["priority"], row["status"], row["queueID"]) == (4, 1, 29683354)


async def test_a_priority_that_a_technician_changed_is_left_alone(it: Lab) -> None:
    ticket = await opened(it)
    await it.api.control("PATCH", f"tickets/{ticket}", 200, priority=3)
    effect = await it.effects.perform(raising(ticket))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "PriorityChanged")
    assert "has priority 3" in effect.detail
    assert await priority_of(it, ticket) == 3


async def test_raising_again_and_raising_a_complete_ticket_write_nothing(it: Lab) -> None:
    ticket = await opened(it)
    await it.effects.perform(raising(ticket))
    assert (await it.effects.perform(raising(ticket))).how == "NothingToDo"
    other = await opened(it)
    await it.api.control("POST", f"tickets/{other}/complete")
    done = await it.effects.perform(raising(other))
    assert (done.how, done.reason) == ("NothingToDo", "AlreadyComplete")
    assert await priority_of(it, other) == 2


async def test_after_an_unknown_outcome_the_ticket_tells(it: Lab) -> None:
    ticket = await opened(it)
    assert await it.effects.look_up(raising(ticket)) is None
    await it.effects.perform(raising(ticket))
    found = await it.effects.look_up(raising(ticket))
    assert found is not None
    assert (found.verdict, found.how) == (Verdict.SUCCEEDED, "FoundByLookUp")


async def test_what_cannot_be_raised_is_refused_with_its_reason(it: Lab) -> None:
    assert (await it.effects.perform(raising(99_999_999))).reason == "TicketGone"
    unknown = await it.effects.perform(raising(await opened(it), priority="Very urgent"))
    assert unknown.verdict is Verdict.REJECTED
    assert "Very urgent" in unknown.detail
