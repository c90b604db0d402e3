"""Control calls of the Autotask sandbox: people in the tenant, faults, settings, state and the log of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connectors.sandbox.autotask_seed import spelled
from connectors.sandbox.world import World
from tests.connectors.autotask_tenant import FIRST_COMPANY, Api, Board, device, running_board, ticket, where

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


async def test_a_technician_completes_reopens_and_notes_a_ticket(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    done = (await api.control("POST", f"tickets/{number}/complete", resolution="Rebooted"))["item"]
    assert (done["status"], done["resolution"], done["completedByResourceID"]) == (5, "Rebooted", 29_682_885)
    other = (await api.control("POST", f"tickets/{number}/complete", status=29))["item"]
    assert (other["status"], other["completedDate"]) == (29, done["completedDate"])
    open_again = (await api.control("POST", f"tickets/{number}/reopen"))["item"]
    assert (open_again["status"], open_again["completedDate"]) == (8, None)
    note = (await api.control("POST", f"tickets/{number}/note", description="Called."))["item"]
    assert (note["ticketID"], note["creatorResourceID"], note["description"]) == (number, 29_682_885, "Called.")
    assert "complete type" in (await api.control("POST", f"tickets/{number}/complete", 400, status=8))["error"]


async def test_a_ticket_can_be_edited_by_anybody_in_any_field(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    row = (await api.control("PATCH", f"tickets/{number}", priority=4, rmmAlertID="x", resourceID=29_682_886))["item"]
    assert (row["priority"], row["rmmAlertID"], row["lastActivityResourceID"]) == (4, "x", 29_682_886)
    assert "priority" in (await api.control("PATCH", f"tickets/{number}", 400, priority=9))["error"]
    assert (await api.control("GET", f"tickets/{number}"))["item"]["priority"] == 4


async def test_somebody_else_opens_tickets_and_makes_items(api: Api) -> None:
    row = (await api.control("POST", "tickets", companyID=FIRST_COMPANY, title="By phone"))["item"]
    assert (row["title"], row["creatorResourceID"]) == ("By phone", 29_682_885)
    item = (await api.control("POST", "configuration-items", companyID=FIRST_COMPANY, serialNumber="S1"))["item"]
    changed = (await api.control("PATCH", f"configuration-items/{item['id']}", rmmDeviceUID="u", isActive=False))[
        "item"
    ]
    assert (changed["rmmDeviceUID"], changed["isActive"]) == ("u", False)
    assert (await api.control("GET", "state"))["counters"]["apiWrites"] == {}


async def test_a_deleted_ticket_leaves_a_row_in_the_deletion_log_only(api: Api) -> None:
    number = await api.create("Tickets", **ticket(title="Gone", externalID="ls.1.a"))
    await api.control("POST", f"tickets/{number}/note")
    await api.control("DELETE", f"tickets/{number}")
    assert (await api.call("GET", f"Tickets/{number}")).status_code == 404
    assert await api.rows("Tickets", where("externalID", "eq", "ls.1.a")) == []
    assert await api.rows("TicketNotes", where("ticketID", "eq", number)) == []
    log = (await api.rows("DeletedTicketLogs", where("deletedDateTime", "gte", "2020-01-01T00:00:00Z")))[0]
    assert (log["ticketID"], log["ticketTitle"], log["deletedByResourceID"]) == (number, "Gone", 29_682_885)


async def test_companies_are_added_renamed_and_deactivated(api: Api) -> None:
    number = (await api.control("POST", "companies", companyName="Zeta Foods AG"))["itemId"]
    before = await api.item("Companies", number)
    await api.control("POST", "clock", advance=5)
    await api.control("PATCH", f"companies/{number}", companyName="Zeta Food AG", isActive=False)
    after = await api.item("Companies", number)
    assert (after["companyName"], after["isActive"]) == ("Zeta Food AG", False)
    assert after["lastTrackedModifiedDateTime"] > before["lastTrackedModifiedDateTime"]
    await api.control("POST", "companies", 400)
    assert "unknown field" in (await api.control("POST", "companies", 400, companyName="x", colour=1))["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "tickets/5/complete", {}, 404),
        ("POST", "tickets/x/complete", {}, 404),
        ("PATCH", "ticket-categories/99", {"required": []}, 404),
        ("PATCH", "ticket-categories/3", {"require": []}, 400),
        ("POST", "tickets", {"resourceID": 1}, 404),
        ("POST", "udfs", {"entity": "Nonsense", "name": "x"}, 400),
        ("POST", "udfs", {"name": "NinjaOne Link"}, 400),
        ("PATCH", "settings", {"duplicate_rule": "maybe"}, 400),
        ("PATCH", "settings", {"duplicat_rule": "off"}, 400),
    ],
)
async def test_a_wrong_control_call_is_one_clear_line(
    api: Api, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    error = (await api.control(method, path, status, **body))["error"]
    assert error
    assert "\n" not in error


async def test_every_switch_says_what_it_is_for_and_what_it_may_be(api: Api) -> None:
    described = await api.control("GET", "settings?describe=1")
    assert all(entry["doc"].endswith(".") and entry["values"] for entry in described.values())
    assert described["duplicate_rule"]["value"] == "off"


# -- the tenant --------------------------------------------------------------------------------------------------------


async def test_the_tenant_has_a_company_for_each_customer_in_one_of_three_spellings(api: Api) -> None:
    names = World(seed=1, organizations=5, devices=1).organization_names()
    rows = await api.rows("Companies", where("id", "gt", 0), where("isActive", "eq", True))
    listed = {row["companyName"] for row in rows}
    assert set(spelled(names)) <= listed
    assert names[0] in listed
    assert names[1] not in listed
    assert names[1].lower().rstrip(".") + "." in listed
    assert {"Nordwind GmbH", "nordwind gmbh."} <= listed
    inactive = {row["companyName"] for row in await api.rows("Companies", where("isActive", "eq", False))}
    assert names[0] in inactive
    assert (await api.item("Companies", 0))["companyName"] == "Sandbox Managed Services"


async def test_people_of_the_tenant_are_the_api_user_two_technicians_and_one_who_left(api: Api) -> None:
    rows = await api.rows("Resources", where("id", "gte", 0))
    assert [(row["userName"], row["isActive"]) for row in rows] == [
        ("ada", True),
        ("ben", True),
        ("cleo", False),
        (api.vendor.username, True),
    ]


# -- what is recorded --------------------------------------------------------------------------------------------------


async def test_the_log_of_calls_names_entity_item_and_status_and_no_secret(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    await api.ok("PATCH", "Tickets", {"id": number, "status": 5})
    await api.ok("POST", f"Tickets/{number}/Notes", {"description": "d", "noteType": 3, "publish": 1})
    await api.call("DELETE", f"Tickets/{number}")
    rows = await api.control("GET", "calls")
    assert [(row["method"], row["entity"], row["itemId"], row["status"]) for row in rows[:2]] == [
        ("POST", "Tickets", number, 200),
        ("PATCH", "Tickets", number, 200),
    ]
    assert (rows[2]["entity"], rows[3]["status"], rows[3]["refusedWhy"]) == ("TicketNotes", 405, "method not on route")
    state = await api.control("GET", "state")
    assert api.vendor.secret not in str(rows) + str(state)


async def test_the_history_holds_every_change_with_before_and_after_and_who(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    await api.control("POST", f"tickets/{number}/complete")
    first, second = (await api.control("GET", "state"))["history"]
    assert (first["entity"], first["id"], first["what"], first["by"]) == ("Tickets", number, "Created", "api")
    assert first["after"]["title"] == "Disk failing"
    assert (second["what"], second["by"]) == ("Updated", "control")
    assert (second["before"]["status"], second["after"]["status"]) == (1, 5)


async def test_the_state_shows_rows_as_the_api_does_and_counts_writes_of_the_api_user(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    item = await api.create("ConfigurationItems", **device())
    state = await api.control("GET", "state")
    assert state["tickets"] == [await api.item("Tickets", number)]
    assert state["configurationItems"] == [await api.item("ConfigurationItems", item)]
    assert state["counters"]["apiWrites"] == {"Tickets.created": 1, "ConfigurationItems.created": 1}


async def test_a_deep_link_opens_a_page_that_says_it_is_a_simulator(api: Api) -> None:
    number = await api.create("Tickets", **ticket(title="<script>alert(1)</script>"))
    link = f"{api.base}/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenTicketDetail&TicketID={number}"
    page = await api.call("GET", link, headers={})
    assert page.status_code == 200
    assert "simulator" in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text
    assert (await api.call("GET", link.replace(str(number), "5"), headers={})).status_code == 404
    by_number = link.split("&TicketID")[0] + "&TicketNumber=" + (await api.item("Tickets", number))["ticketNumber"]
    assert (await api.call("GET", by_number, headers={})).status_code == 200


# -- faults ------------------------------------------------------------------------------------------------------------


async def test_a_connection_dropped_after_the_commit_leaves_a_ticket_and_no_answer(api: Api) -> None:
    await api.fault("drop_after_commit", match={"method": "POST", "path": "/Tickets$"})
    with pytest.raises(httpx.RemoteProtocolError):
        await api.call("POST", "Tickets", ticket(externalID="ls.1.a"))
    assert len(await api.rows("Tickets", where("externalID", "eq", "ls.1.a"))) == 1


async def test_a_connection_dropped_before_the_commit_leaves_nothing(api: Api) -> None:
    await api.fault("drop_before_commit", match={"method": "POST", "entity": "Tickets"})
    with pytest.raises(httpx.RemoteProtocolError):
        await api.call("POST", "Tickets", ticket())
    assert await api.rows("Tickets", where("id", "gte", 0)) == []


async def test_a_stale_status_answers_200_and_keeps_the_old_one(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    await api.fault("stale_status", match={"method": "PATCH", "statusCode": 5})
    assert await api.ok("PATCH", "Tickets", {"id": number, "status": 5}) == {"itemId": number}
    assert (await api.item("Tickets", number))["status"] == 1
    await api.ok("PATCH", "Tickets", {"id": number, "status": 5})
    assert (await api.item("Tickets", number))["status"] == 5


async def test_an_internal_error_has_an_error_id_and_a_401_fault_is_empty(api: Api) -> None:
    await api.fault("status", params={"code": 500, "after_commit": True})
    answer = await api.call("POST", "Tickets", ticket())
    assert (answer.status_code, "errorId" in answer.json()) == (500, True)
    assert len(await api.rows("Tickets", where("id", "gte", 0))) == 1
    await api.fault("status", params={"code": 401})
    answer = await api.call("GET", "Version")
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "tickets/TICKET/complete", {"status": []}, "not of the complete type"),
        ("POST", "tickets/TICKET/complete", {"resourceID": []}, "'resourceID' must be the id"),
        ("POST", "tickets/TICKET/complete", {"resourceID": 5}, "no row 5 in Resources"),
        ("POST", "tickets/²/complete", {}, "'²' is not a number"),
        ("POST", "tickets/1/reopen", {}, "no row 1 in Tickets"),
        ("POST", "companies", {"companyName": "A", "companyType": "x"}, "companyType"),
        ("POST", "udfs", {"name": "U", "dataType": "x"}, "dataType"),
        ("POST", "udfs", {"name": "U", "dataType": 9}, "'dataType' is one of"),
        ("POST", "udfs", {"name": "U", "isActive": 5}, "isActive"),
        ("PATCH", "ticket-categories/3", {"required": 5}, "'required' is a list"),
        ("PATCH", "ticket-categories/3", {"required": ["nope"]}, "no field 'nope'"),
        ("PATCH", "ticket-categories/3", {"defaults": {"priority": "x"}}, "priority"),
        ("PATCH", "api-user", {"permissions": {"Tickets": {"query": []}}}, "Tickets.query"),
        ("POST", "clock", {"advance": 1e18}, "a hundred years"),
        ("GET", "calls?since=--5", {}, "whole number"),
        ("GET", "state?since=²", {}, "whole number"),
    ],
)
async def test_a_control_call_that_is_not_understood_is_one_line_and_changes_nothing(
    api: Api, method: str, path: str, body: dict[str, Any], words: str
) -> None:
    number = await api.create("Tickets", **ticket())
    before = await api.control("GET", "state")
    answer = await api.http.request(method, f"{api.base}/_sandbox/{path.replace('TICKET', str(number))}", json=body)
    assert answer.status_code in (400, 404)
    assert words in answer.json()["error"]
    assert len(answer.json()["error"].splitlines()) == 1
    assert await api.control("GET", "state") == before


async def test_changing_one_part_of_a_category_keeps_the_other(api: Api) -> None:
    await api.control("PATCH", "ticket-categories/3", defaults={"priority": "4"})
    assert (await api.control("PATCH", "ticket-categories/3", required=["source"])) == {
        "required": ["source"],
        "defaults": {"priority": 4},
    }
