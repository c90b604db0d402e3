"""Ticket commands over real HTTP against the sandbox, judged by the sandbox's own record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from connectors.sandbox.autotask_seed import ENGINEER, TECHNICIANS
from connectors.transport import Timeouts
from schemas.commands import ReopenTicket
from tests.connectors.autotask_lab import Lab, append_note, complete_ticket, create_ticket, lab
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, device, running_board, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


#: For answers that are cut short: the sandbox delays by 1 s, so half of it is a time-out on any machine.
IMPATIENT = Timeouts(connect=5.0, read=0.4, total=0.8)


async def test_opening_a_ticket_is_one_call_and_carries_what_the_rule_says(it: Lab) -> None:
    effects = it.effects
    await effects.perform(create_ticket(ordinal=2))
    mark = await it.mark()
    effect = await effects.perform(create_ticket())
    assert (effect.verdict, effect.how, effect.written, effect.calls) == (Verdict.SUCCEEDED, "Called", True, 1)
    assert await it.made(mark) == ["POST Tickets"]
    assert effect.ticket_id is not None
    row = await it.api.item("Tickets", effect.ticket_id)
    assert (row["queueID"], row["priority"], row["status"], row["ticketType"], row["source"]) == (
        29683354,
        4,
        1,
        2,
        8,
    )
    assert row["externalID"] == create_ticket().external_id
    assert row["dueDateTime"] == "2026-11-30T00:53:20Z"


async def test_the_first_ticket_of_a_process_costs_two_metadata_calls_at_most(it: Lab) -> None:
    effect = await it.effects.perform(create_ticket())
    # Zone, the fields of tickets, the ticket.
    assert effect.calls == 3


async def test_two_creates_side_by_side_stay_one_call_each(it: Lab) -> None:
    effects = it.effects
    await effects.perform(create_ticket(ordinal=99))
    mark = await it.mark()
    found = await asyncio.gather(*(effects.perform(create_ticket(ordinal=n)) for n in range(1, 9)))
    assert len({effect.ticket_id for effect in found}) == 8
    assert await it.made(mark) == ["POST Tickets"] * 8
    assert max(row["inflight"] for row in await it.calls(mark)) <= 2


async def test_a_create_whose_answer_comes_after_that_of_a_younger_one_is_not_read_back(it: Lab) -> None:
    effects = it.effects
    await effects.perform(create_ticket(ordinal=99))
    await it.api.fault("delay_after_commit", match={"path": "/Tickets$"}, params={"seconds": 0.1}, count=1)
    mark = await it.mark()
    await asyncio.gather(effects.perform(create_ticket()), effects.perform(create_ticket(ordinal=2)))
    assert await it.made(mark) == ["POST Tickets"] * 2


async def test_texts_are_cut_to_what_autotask_keeps_and_the_external_id_is_not(it: Lab) -> None:
    command = create_ticket(title="ä😀" * 300 + "\n", description="x\x00y" * 9000)
    effect = await it.effects.perform(command)
    assert effect.verdict is Verdict.SUCCEEDED, effect.detail
    row = (await it.tickets(externalID=command.external_id))[0]
    assert len(row["title"].encode("utf-16-le")) // 2 <= 255
    assert len(row["description"]) == 8000
    assert "\x00" not in row["description"]


async def test_an_unknown_queue_is_refused_with_what_exists_and_nothing_is_sent(it: Lab) -> None:
    effect = await it.effects.perform(create_ticket(queue="Nowhere"))
    assert effect.verdict is Verdict.REJECTED
    assert effect.reason == "UnknownName"
    assert effect.detail == (
        "queue 'Nowhere' does not exist in Autotask; there are: Client Portal, Monitoring, NOC, Service Desk, Triage"
    )
    assert await it.tickets() == []


async def test_an_inactive_status_is_refused_as_inactive(it: Lab) -> None:
    effect = await it.effects.perform(create_ticket(status="Retired Status"))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "InactiveName")
    assert "inactive" in effect.detail


async def test_a_category_that_was_made_after_the_first_look_is_found_a_few_seconds_later(it: Lab) -> None:
    effects = it.effects
    assert (await effects.perform(create_ticket(category="Brand New"))).reason == "UnknownName"
    rows = it.api.vendor.tenant.rows["TicketCategories"]
    rows.insert({**dict(next(iter(rows))), "name": "Brand New", "isActive": True, "isGlobalDefault": False})
    await it.api.control("POST", "clock", advance=6)
    assert (await effects.perform(create_ticket(category="Brand New"))).verdict is Verdict.SUCCEEDED


async def test_a_ticket_is_opened_without_its_item_when_only_the_item_is_refused(it: Lab) -> None:
    foreign = await it.api.create("ConfigurationItems", **device(companyID=SECOND_COMPANY))
    effect = await it.effects.perform(create_ticket(configuration_item_id=foreign))
    assert effect.verdict is Verdict.SUCCEEDED
    assert f"without its configuration item {foreign}" in effect.detail
    assert (await it.tickets())[0]["configurationItemID"] is None


@pytest.mark.parametrize(
    ("fault", "verdict", "committed"),
    [
        ({"kind": "drop_after_commit"}, Verdict.UNKNOWN, True),
        ({"kind": "drop_before_commit"}, Verdict.UNKNOWN, False),
        ({"kind": "delay_after_commit", "params": {"seconds": 1}}, Verdict.UNKNOWN, True),
        ({"kind": "truncated"}, Verdict.UNKNOWN, True),
        ({"kind": "html"}, Verdict.UNKNOWN, False),
        ({"kind": "status", "params": {"code": 503}}, Verdict.UNKNOWN, False),
        ({"kind": "status", "params": {"code": 502, "after_commit": True}}, Verdict.UNKNOWN, True),
        ({"kind": "status", "params": {"code": 500, "after_commit": True}}, Verdict.UNKNOWN, True),
        ({"kind": "status", "params": {"code": 500, "body": {}}}, Verdict.UNKNOWN, False),
        (
            {"kind": "status", "params": {"code": 500, "body": {"errors": ["queueID is required"]}}},
            Verdict.REJECTED,
            False,
        ),
        ({"kind": "status", "params": {"code": 200, "body": {"errors": ["nope"]}}}, Verdict.REJECTED, False),
        ({"kind": "status", "params": {"code": 200, "body": {}}}, Verdict.UNKNOWN, False),
        ({"kind": "throttle", "params": {"retry_after": 7}}, Verdict.THROTTLED, False),
        (
            {"kind": "status", "params": {"code": 500, "body": {"errors": ["Thread Threshold Exceeded"]}}},
            Verdict.THROTTLED,
            False,
        ),
        ({"kind": "status", "params": {"code": 401}}, Verdict.SUSPENDED, False),
        (
            {"kind": "status", "params": {"code": 500, "body": {"errors": ["IntegrationCode is invalid."]}}},
            Verdict.SUSPENDED,
            False,
        ),
    ],
)
async def test_what_each_answer_to_a_create_means(
    board: Board, fault: dict[str, Any], verdict: Verdict, committed: bool
) -> None:
    async with lab(board, timeouts=IMPATIENT) as it:
        effects = it.effects
        await effects.metadata.fields("Tickets")
        await it.api.fault(**fault, match={"method": "POST", "path": "/Tickets$"}, count=1)
        effect = await effects.perform(create_ticket())
        assert effect.verdict is verdict, effect
        assert "\n" not in effect.detail
        assert it.api.vendor.secret not in effect.detail
        assert (it.gate.closed is not None) is (verdict is Verdict.SUSPENDED)
        if verdict is not Verdict.SUSPENDED:
            found = await effects.look_up(create_ticket())
            assert (found is not None and found.how == "FoundByLookUp") is committed
        assert len(await it.tickets()) == int(committed)


async def test_a_refused_connection_means_surely_not_done(it: Lab) -> None:
    await it.client.zone()
    it.client.access = it.client.access
    transport = await it.client._zone_transport()
    transport.base_url = "http://127.0.0.1:9/ATServicesRest/V1.0"
    effect = await it.effects.perform(create_ticket())
    assert effect.verdict is Verdict.TRANSIENT


async def test_a_closed_gate_lets_no_call_out(it: Lab) -> None:
    it.gate.closed = "the API user is locked"
    effect = await it.effects.perform(create_ticket())
    assert (effect.verdict, effect.detail, effect.calls) == (Verdict.SUSPENDED, "the API user is locked", 0)
    looked = await it.effects.look_up(create_ticket())
    assert looked is not None
    assert looked.verdict is Verdict.SUSPENDED
    assert await it.api.control("GET", "calls?since=0") == []


async def test_two_tickets_of_one_external_id_are_found_oldest_first_and_the_younger_is_completed_with_a_note(
    it: Lab,
) -> None:
    effects = it.effects
    first = await effects.perform(create_ticket())
    second = await effects.perform(create_ticket())
    found = await effects.look_up(create_ticket())
    assert found is not None
    assert found.ticket_id == first.ticket_id
    assert found.ticket_number is not None
    assert found.duplicates == (second.ticket_id,)
    closed = await effects.complete_as_double(found.duplicates[0], found.ticket_number)
    assert (closed.verdict, closed.reason) == (Verdict.SUCCEEDED, "DoubledTicket")
    assert (await it.api.item("Tickets", found.duplicates[0]))["status"] == 5
    notes = await it.api.rows("TicketNotes", {"op": "eq", "field": "ticketID", "value": found.duplicates[0]})
    assert [found.ticket_number in note["description"] for note in notes] == [True]
    # Once more does nothing, and the look-up no longer calls it a duplicate.
    assert (await effects.complete_as_double(found.duplicates[0], found.ticket_number)).how == "NothingToDo"
    again = await effects.look_up(create_ticket())
    assert again is not None
    assert again.duplicates == ()


async def test_an_answer_with_another_incidents_ticket_is_told_as_merged_by_the_tenant(it: Lab) -> None:
    effects = it.effects
    await effects.perform(create_ticket(ordinal=7, title="first"))
    await it.api.switch(duplicate_rule="company_title")
    theirs = (await it.tickets())[0]
    mark = await it.mark()
    effect = await effects.perform(create_ticket(title="first"))
    assert (effect.verdict, effect.reason, effect.ticket_id) == (Verdict.SUCCEEDED, "MergedByTenant", theirs["id"])
    assert effect.ticket_number == theirs["ticketNumber"]
    assert await it.made(mark) == ["POST Tickets", f"GET Tickets/{theirs['id']}"]


async def test_completing_is_one_call_and_sets_the_resolution(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    mark = await it.mark()
    effect = await effects.perform(complete_ticket(number))
    assert (effect.verdict, effect.calls, effect.written) == (Verdict.SUCCEEDED, 1, True)
    assert await it.made(mark) == ["PATCH Tickets"]
    row = await it.api.item("Tickets", number)
    assert row["completedDate"]
    assert row["resolution"] == "The alert cleared"


async def test_a_completion_of_unknown_outcome_is_looked_up_by_the_completed_date(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    assert await effects.look_up(complete_ticket(number)) is None
    await it.api.fault("drop_after_commit", match={"method": "PATCH"}, count=1)
    assert (await effects.perform(complete_ticket(number))).verdict is Verdict.UNKNOWN
    found = await effects.look_up(complete_ticket(number))
    assert found is not None
    assert (found.verdict, found.how) == (Verdict.SUCCEEDED, "FoundByLookUp")


async def test_a_status_that_a_workflow_put_back_is_not_taken_for_complete_by_the_look_up(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await it.api.fault("stale_status", match={"method": "PATCH"}, count=1)
    assert (await effects.perform(complete_ticket(number))).verdict is Verdict.SUCCEEDED
    assert await effects.look_up(complete_ticket(number)) is None


async def test_completing_a_ticket_that_is_gone_is_refused_for_good(it: Lab) -> None:
    effect = await it.effects.perform(complete_ticket(999_999))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "NotFound")
    assert await it.effects.look_up(complete_ticket(999_999)) is None


async def test_a_note_is_one_call_internal_and_found_again_by_its_mark(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await effects.perform(append_note(number, mark="ls-a1b"))
    assert await effects.look_up(append_note(number)) is None, "a mark that begins alike is another note"
    mark = await it.mark()
    effect = await effects.perform(append_note(number, title="long " * 100))
    assert (effect.verdict, effect.calls) == (Verdict.SUCCEEDED, 1)
    assert await it.made(mark) == [f"POST Tickets/{number}/Notes"]
    notes = await it.api.rows("TicketNotes", {"op": "eq", "field": "ticketID", "value": number})
    assert [(note["publish"], note["noteType"]) for note in notes] == [(2, 3), (2, 3)]
    assert notes[1]["title"].endswith("[ls-a1b2]")
    assert len(notes[1]["title"]) <= 250
    found = await effects.look_up(append_note(number))
    assert found is not None
    assert found.how == "FoundByLookUp"


async def test_a_missing_right_is_named_with_its_entity(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await it.api.control("PATCH", "api-user", permissions={"TicketNotes": {"create": False}})
    effect = await effects.perform(append_note(number))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "PermissionDenied")
    assert "create TicketNotes" in effect.detail
    assert it.gate.closed is None


async def test_reopening_sets_the_status_and_says_why(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await effects.perform(complete_ticket(number))
    command = ReopenTicket(key="407", effect_key="r", ticket_id=number, status="In Progress", note="It is back")
    assert await effects.look_up(command) is None
    effect = await effects.perform(command)
    assert (effect.verdict, effect.calls, effect.detail) == (
        Verdict.SUCCEEDED,
        5,
        "",
    )  # read, write, metadata, note, read
    row = await it.api.item("Tickets", number)
    assert effect.ticket_activity_at is not None
    assert (row["status"], row["completedDate"]) == (8, None)
    assert len(await it.api.rows("TicketNotes", {"op": "eq", "field": "ticketID", "value": number})) == 1
    assert (await effects.look_up(command)) is not None


async def test_a_reopening_leaves_alone_what_is_open_gone_never_reopened_or_a_technicians(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    command = ReopenTicket(key="407", effect_key="r", ticket_id=number, status="In Progress", note="It is back")
    effect = await effects.perform(command)
    assert (effect.verdict, effect.how) == (Verdict.SUCCEEDED, "NothingToDo")
    effect = await effects.perform(command.model_copy(update={"ticket_id": 999_999}))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "TicketGone")
    await it.api.control("POST", f"tickets/{number}/complete")
    effect = await effects.perform(command)
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "CompletedByTechnician")
    effect = await effects.perform(command.model_copy(update={"never": ("Complete",)}))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "StatusNeverReopens")
    effect = await effects.perform(command.model_copy(update={"only_ours": False}))
    assert (effect.verdict, effect.how) == (Verdict.SUCCEEDED, "Called")


async def test_a_reopening_that_a_workflow_undoes_is_refused(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await effects.perform(complete_ticket(number))
    await it.api.fault("stale_status", match={"method": "PATCH"}, count=1)
    command = ReopenTicket(key="407", effect_key="r", ticket_id=number, status="In Progress", note="")
    effect = await effects.perform(command)
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "StillComplete")


@pytest.mark.parametrize("sign", ["note", "time", "status", "assignment"])
async def test_a_ticket_that_a_technician_touched_is_not_completed(it: Lab, sign: str) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    match sign:
        case "note":
            await it.api.control("POST", f"tickets/{number}/note")
        case "time":
            await it.api.control("POST", f"tickets/{number}/time")
        case "status":
            await it.api.control("PATCH", f"tickets/{number}", status=8)
        case _:
            await it.api.control(
                "PATCH", f"tickets/{number}", assignedResourceID=TECHNICIANS[0], assignedResourceRoleID=ENGINEER
            )
    if sign != "assignment":
        # Our own note afterwards is the last activity; what the technician did must show all the same.
        await effects.perform(append_note(number))
    command = complete_ticket(number, only_if_untouched=True, own_statuses=("New",))
    effect = await effects.perform(command)
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "TouchedByTechnician"), effect.detail
    assert (await it.api.item("Tickets", number))["completedDate"] is None


async def test_a_ticket_with_our_own_notes_only_is_completed(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(create_ticket())).ticket_id or 0
    await effects.perform(append_note(number))
    effect = await effects.perform(complete_ticket(number, only_if_untouched=True, own_statuses=("New",)))
    assert (effect.verdict, effect.how) == (Verdict.SUCCEEDED, "Called"), effect.detail


async def test_tickets_of_others_do_not_confuse_the_look_up(it: Lab) -> None:
    await it.api.create("Tickets", **ticket(companyID=FIRST_COMPANY, externalID=create_ticket(5).external_id))
    assert await it.effects.look_up(create_ticket()) is None


async def contract(it: Lab, company: int, **values: Any) -> int:
    made = await it.api.control("POST", "contracts", 200, companyID=company, **values)
    return int(made["itemId"])


async def contract_of(it: Lab, ticket_id: int | None) -> int | None:
    row = await it.api.item("Tickets", ticket_id or 0)
    return None if row["contractID"] is None else int(row["contractID"])


async def test_a_ticket_stands_under_the_contract_that_the_rule_names(it: Lab) -> None:
    number = await contract(it, FIRST_COMPANY)
    effect = await it.effects.perform(create_ticket(contract=number))
    assert (effect.detail, await contract_of(it, effect.ticket_id)) == ("", number)


async def test_a_contract_of_another_company_costs_the_contract_and_not_the_ticket(it: Lab) -> None:
    number = await contract(it, SECOND_COMPANY)
    effect = await it.effects.perform(create_ticket(contract=number))
    assert effect.verdict is Verdict.SUCCEEDED
    assert effect.detail.startswith(f"opened without its contract {number}: ")
    assert await contract_of(it, effect.ticket_id) is None
    assert len(await it.tickets()) == 1


async def test_the_companys_default_contract_is_the_one_in_force_and_asked_for_once_an_hour(it: Lab) -> None:
    await contract(it, FIRST_COMPANY, isDefaultContract=False)
    await contract(
        it, FIRST_COMPANY, isDefaultContract=True, startDate="2020-01-01T00:00:00Z", endDate="2021-01-01T00:00:00Z"
    )
    number = await contract(it, FIRST_COMPANY, isDefaultContract=True)
    effects = it.effects
    first = await effects.perform(create_ticket(contract="default"))
    mark = await it.mark()
    second = await effects.perform(create_ticket(2, contract="default"))
    assert await it.made(mark) == ["POST Tickets"]
    assert [await contract_of(it, effect.ticket_id) for effect in (first, second)] == [number, number]
    await it.api.control("POST", "clock", advance=3601)
    mark = await it.mark()
    await effects.perform(create_ticket(3, contract="default"))
    assert "POST Contracts/query" in await it.made(mark)


async def test_without_a_default_contract_or_the_right_to_read_one_the_ticket_says_so_and_opens(it: Lab) -> None:
    effect = await it.effects.perform(create_ticket(contract="default"))
    assert effect.detail == f"opened without a contract: company {FIRST_COMPANY} has no default one"
    await it.api.fault("status", match={"entity": "Contracts"}, params={"code": 403, "body": ""}, count=-1)
    effect = await it.effects.perform(create_ticket(2, contract="default"))
    assert effect.verdict is Verdict.SUCCEEDED
    assert effect.detail.startswith("opened without a contract: contracts cannot be read")


async def test_an_item_and_a_contract_that_do_not_fit_cost_themselves_only(it: Lab) -> None:
    item = await it.api.create("ConfigurationItems", **device(companyID=SECOND_COMPANY))
    number = await contract(it, SECOND_COMPANY)
    effect = await it.effects.perform(create_ticket(contract=number, configuration_item_id=item))
    assert effect.verdict is Verdict.SUCCEEDED
    assert "without its configuration item" in effect.detail
    assert "without its contract" in effect.detail
