"""What is ours of a ticket is written back over real HTTP, and nothing else is touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from schemas.commands import RestoreTicket
from tests.connectors.autotask_lab import DEVICE, Lab, create_ticket, lab
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, running_board

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


def restore(number: int, **changes: Any) -> RestoreTicket:
    identity = create_ticket().external_id
    return RestoreTicket(key=DEVICE, effect_key=f"{identity}#restore", incident=identity, ticket_id=number, **changes)


async def test_an_emptied_external_id_is_written_back_and_what_people_changed_stays(it: Lab) -> None:
    made = await it.effects.perform(create_ticket())
    number = made.ticket_id or 0
    await it.api.control("PATCH", f"tickets/{number}", 200, externalID=None, title="renamed", priority=3)
    mark = await it.mark()
    effect = await it.effects.perform(restore(number, external_id=create_ticket().external_id))
    assert (effect.verdict, effect.written, effect.detail) == (Verdict.SUCCEEDED, True, "restored externalID")
    assert await it.made(mark) == [f"GET Tickets/{number}", "PATCH Tickets"]
    after = await it.api.item("Tickets", number)
    assert (after["externalID"], after["title"], after["priority"]) == (create_ticket().external_id, "renamed", 3)


async def test_company_and_item_are_written_back_together(it: Lab) -> None:
    item = await it.api.control("POST", "configuration-items", 200, companyID=FIRST_COMPANY, referenceTitle="SRV01")
    made = await it.effects.perform(create_ticket(configuration_item_id=item["itemId"]))
    number = made.ticket_id or 0
    moved = {"companyID": SECOND_COMPANY, "configurationItemID": None, "quiet": True}
    await it.api.control("PATCH", f"tickets/{number}", 200, **moved)
    wanted = {"company_id": FIRST_COMPANY, "configuration_item_id": item["itemId"]}
    assert (await it.effects.perform(restore(number, **wanted))).written
    after = await it.api.item("Tickets", number)
    assert (after["companyID"], after["configurationItemID"]) == (FIRST_COMPANY, item["itemId"])


async def test_what_is_as_it_should_be_or_complete_is_left_alone(it: Lab) -> None:
    made = await it.effects.perform(create_ticket())
    number, own = made.ticket_id or 0, create_ticket().external_id
    effect = await it.effects.perform(restore(number, external_id=own))
    assert (effect.how, effect.written) == ("NothingToDo", False)
    await it.api.control("PATCH", f"tickets/{number}", 200, externalID="CRM-4711")
    await it.api.control("POST", f"tickets/{number}/complete", 200)
    effect = await it.effects.perform(restore(number, external_id=own))
    assert (effect.how, effect.reason, effect.written) == ("NothingToDo", "AlreadyComplete", False)


async def test_after_an_unknown_outcome_it_is_looked_up(it: Lab) -> None:
    made = await it.effects.perform(create_ticket())
    number, own = made.ticket_id or 0, create_ticket().external_id
    found = await it.effects.look_up(restore(number, external_id=own))
    assert found is not None
    assert found.how == "FoundByLookUp"
    await it.api.control("PATCH", f"tickets/{number}", 200, externalID="CRM-4711")
    assert await it.effects.look_up(restore(number, external_id=own)) is None


async def test_a_ticket_that_is_gone_is_refused(it: Lab) -> None:
    effect = await it.effects.perform(restore(99_999_999, external_id="x"))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "TicketGone")


async def test_a_quiet_edit_of_the_simulator_leaves_no_activity(it: Lab) -> None:
    made = await it.effects.perform(create_ticket())
    before = await it.api.item("Tickets", made.ticket_id or 0)
    await it.api.control("PATCH", f"tickets/{made.ticket_id}", 200, quiet=True, status=8)
    after = await it.api.item("Tickets", made.ticket_id or 0)
    assert {name for name in after if after[name] != before[name]} == {"status"}
    refused = await it.api.control("PATCH", f"tickets/{made.ticket_id}", 400, quiet=True, nonsense=1)
    assert "unknown field 'nonsense'" in refused["error"]
