"""Tickets of NinjaOne's own integration, over real HTTP: what its alerts show, and how such a ticket is taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from schemas.commands import AdoptTicket
from schemas.facts import AlertObserved, AlertTriggered
from schemas.ninjaone import AlertRow, read_row
from tests.connectors.autotask_lab import Lab, create_ticket, lab
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, running_board
from tests.connectors.ninja_connected import bench, started

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


def adopt(ticket: int | str, **changes: Any) -> AdoptTicket:
    made = create_ticket()
    known = {"key": made.key, "effect_key": made.effect_key, "incident": made.incident}
    values: dict[str, Any] = {"external_id": made.external_id, "company_id": FIRST_COMPANY, "ticket": str(ticket)}
    return AdoptTicket(**known, **{**values, **changes})


async def native(it: Lab, **values: Any) -> int:
    """A ticket that somebody else opened."""
    made = await it.api.control("POST", "tickets", 200, **{"companyID": FIRST_COMPANY, "title": "Native", **values})
    return int(made["itemId"])


async def test_a_ticket_that_is_taken_over_gets_our_external_id_and_nothing_else(it: Lab) -> None:
    number = await native(it)
    before = await it.api.item("Tickets", number)
    mark = await it.mark()
    effect = await it.effects.perform(adopt(number))
    assert (effect.verdict, effect.how, effect.ticket_id, effect.written) == (Verdict.SUCCEEDED, "Called", number, True)
    assert await it.made(mark) == [f"GET Tickets/{number}", "PATCH Tickets", f"GET Tickets/{number}"]
    after = await it.api.item("Tickets", number)
    changed = {name for name, value in after.items() if value != before[name]}
    assert after["externalID"] == create_ticket().external_id
    assert changed <= {
        "externalID", "lastActivityDate", "lastActivityResourceID", "lastActivityPersonType",
        "lastTrackedModificationDateTime",
    }  # fmt: skip
    assert effect.ticket_number == after["ticketNumber"]


async def test_it_may_be_named_by_its_number(it: Lab) -> None:
    number = await native(it)
    row = await it.api.item("Tickets", number)
    effect = await it.effects.perform(adopt(row["ticketNumber"].lower()))
    assert (effect.verdict, effect.ticket_id) == (Verdict.SUCCEEDED, number)


async def test_taking_over_twice_writes_once(it: Lab) -> None:
    number = await native(it)
    await it.effects.perform(adopt(number))
    mark = await it.mark()
    effect = await it.effects.perform(adopt(number))
    assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "NothingToDo", False)
    assert await it.made(mark) == [f"GET Tickets/{number}"]


async def test_after_an_unknown_outcome_it_is_found_by_our_external_id(it: Lab) -> None:
    number = await native(it)
    assert await it.effects.look_up(adopt(number)) is None
    await it.effects.perform(adopt(number))
    found = await it.effects.look_up(adopt(number))
    assert found is not None
    assert (found.verdict, found.how, found.ticket_id) == (Verdict.SUCCEEDED, "FoundByLookUp", number)


async def test_what_cannot_be_taken_over_is_refused_with_its_reason_and_left_as_it_was(it: Lab) -> None:
    theirs = await native(it, companyID=SECOND_COMPANY)
    taken = await native(it, externalID="another system's")
    done = await native(it)
    await it.api.control("POST", f"tickets/{done}/complete")
    expected = {
        str(theirs): "TicketOfAnotherCompany",
        str(taken): "TicketTaken",
        str(done): "TicketAlreadyComplete",
        "99999999": "TicketMissing",
        "T20200101.0001": "TicketMissing",
        '{"uid":"x"}': "TicketIdNotUnderstood",
    }
    for named, reason in expected.items():
        effect = await it.effects.perform(adopt(named))
        assert (effect.verdict, effect.reason) == (Verdict.REJECTED, reason), named
        assert effect.detail
    rows = {
        row["id"]: row["externalID"] for row in await it.api.rows("Tickets", {"op": "gte", "field": "id", "value": 0})
    }
    assert [rows[theirs] or "", rows[taken], rows[done] or ""] == ["", "another system's", ""]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (4711, "4711"),
        (4711.0, "4711"),
        (" 4711 ", "4711"),
        ({"id": 4711}, "4711"),
        ("T20261124.0001", "T20261124.0001"),
        ({"uid": "x"}, '{"uid":"x"}'),
        (None, ""),
        (0, ""),
        ("", ""),
    ],
)
async def test_the_ticket_of_an_alert_is_read_whatever_its_type(wire: Any, text: str) -> None:
    row = read_row(AlertRow, {"uid": "a", "psaTicketId": wire})
    assert row.psa_ticket_id == text


async def test_an_alert_of_the_list_tells_its_ticket_once() -> None:
    async with bench() as made:
        uid = await made.lab.alert(psaTicketId=7001)
        async with started(made) as connector:
            await connector.poller.poll()
            await connector.poller.poll()
        async with started(made) as connector:
            await connector.poller.poll()
    [fact] = made.log.facts(AlertObserved)
    assert (fact.uid, fact.psa_ticket_id) == (uid, "7001")


async def test_a_ticket_that_shows_later_is_told_then_also_of_an_alert_known_by_its_activity() -> None:
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        await connector.poller.poll()
        assert made.log.facts(AlertObserved) == []
        await made.lab.control("POST", f"alerts/{uid}/psa-ticket", {"psaTicketId": "7001"})
        await connector.poller.poll()
        await connector.poller.poll()
    [fact] = made.log.facts(AlertObserved)
    assert (fact.uid, fact.psa_ticket_id) == (uid, "7001")
    assert len({entry.id for entry in made.log.publications}) == len(made.log.publications)


async def test_an_alert_heard_of_late_comes_with_the_ticket_that_it_got_meanwhile() -> None:
    """While nobody polled, the other integration opened its ticket; the activity alone would open a second one."""
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        await made.lab.control("POST", f"alerts/{uid}/psa-ticket", {"psaTicketId": "7001"})
        await made.advance(1200)
        await connector.poller.poll()
        await connector.poller.poll()
    [fact] = made.log.facts(AlertTriggered)
    assert (fact.uid, fact.psa_ticket_id) == (uid, "7001")
    assert made.log.facts(AlertObserved) == []


async def test_where_alerts_are_known_to_name_tickets_each_round_looks_for_them_first() -> None:
    async with bench() as made:
        async with started(made) as connector:
            await made.lab.alert(psaTicketId=7001)
            await connector.poller.poll()
        async with started(made) as connector:
            uid = await made.lab.alert(psaTicketId=7002)
            await connector.poller.poll()
    assert [(fact.uid, fact.psa_ticket_id) for fact in made.log.facts(AlertTriggered)][-1] == (uid, "7002")


async def test_the_sandbox_shows_the_ticket_that_a_control_call_gave_an_alert() -> None:
    async with bench() as made:
        await made.lab.alert(psaTicketId={"id": 12})
        await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        rows = await made.lab.rows("alerts")
        assert [row.get("psaTicketId") for row in rows] == [{"id": 12}, None]
