"""The query language of the Autotask sandbox, against a plain oracle and against what was seen live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.connectors.autotask_tenant import (
    ENGINEER,
    FIRST_COMPANY,
    TECHNICIAN,
    Api,
    Board,
    device,
    running_board,
    ticket,
    where,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


async def test_operators_and_names_do_not_mind_their_case(api: Api) -> None:
    number = await api.create("Tickets", **ticket(externalID="ls.7.aa"))
    body = {"FILTER": [{"OP": "BeginsWith", "Field": "EXTERNALid", "Value": "ls."}], "MaxRecords": 5}
    assert [row["id"] for row in (await api.ok("POST", "Tickets/query", body))["items"]] == [number]


async def test_groups_nest_and_the_outer_list_means_and(api: Api) -> None:
    kept = await api.create("Tickets", **ticket(title="a", externalID="ls.1.x", priority=1))
    await api.create("Tickets", **ticket(title="b", externalID="ls.2.x", priority=4))
    await api.create("Tickets", **ticket(title="a", externalID="other", priority=4))
    either = {
        "op": "or",
        "items": [
            {"op": "and", "items": [where("title", "eq", "a"), where("priority", "eq", 1)]},
            where("title", "eq", "zzz"),
        ],
    }
    rows = await api.rows("Tickets", either, where("externalID", "beginsWith", "ls."))
    assert [row["id"] for row in rows] == [kept]


async def test_include_fields_gives_exactly_those_in_their_proper_spelling(api: Api) -> None:
    await api.create("Tickets", **ticket())
    rows = await api.rows("Tickets", where("id", "gte", 0), includeFields=["TICKETNUMBER", "status"])
    assert [set(row) for row in rows] == [{"ticketNumber", "status"}]


async def test_an_unknown_field_is_an_error_that_names_the_entity_as_of_old(api: Api) -> None:
    body = {"filter": [where("projectNumber", "eq", 1)]}
    assert await api.errors("POST", "ConfigurationItems/query", body) == [
        "Unable to find projectNumber in the InstalledProduct Entity"
    ]
    body = {"filter": [where("id", "gte", 0)], "includeFields": ["nonsense"]}
    assert await api.errors("POST", "Companies/query", body) == ["Unable to find nonsense in the Account Entity"]


async def test_an_unknown_operator_is_silently_ignored(api: Api) -> None:
    for priority in (1, 2, 4):
        await api.create("Tickets", **ticket(priority=priority))
    assert len(await api.rows("Tickets", where("priority", "ne", 1))) == 3
    assert len(await api.rows("Tickets", where("priority", "ne", 1), where("priority", "eq", 4))) == 1


async def test_a_query_without_a_condition_is_refused(api: Api) -> None:
    for body in ({}, {"filter": []}, [], None):
        assert len(await api.errors("POST", "Tickets/query", body)) == 1


@pytest.mark.parametrize("size", [0, 501, -1, "ten", True])
async def test_a_page_size_outside_of_1_to_500_is_an_error(api: Api, size: Any) -> None:
    body = {"filter": [where("id", "gte", 0)], "maxRecords": size}
    assert await api.errors("POST", "Tickets/query", body) == ["maxCountOfRecordsToReturn must be between 1 and 500"]


async def test_booleans_are_true_or_false_and_nothing_else(api: Api) -> None:
    assert await api.rows("Companies", where("isActive", "eq", False)) != []
    for value in (0, 1, "true", "false"):
        body = {"filter": [where("isActive", "eq", value)]}
        assert "isActive" in (await api.errors("POST", "Companies/query", body))[0]


async def test_five_hundred_or_conditions_are_the_limit_and_values_of_in_count(api: Api) -> None:
    message = ["Queries are limited to 500 or fewer 'OR' conditions"]
    titles = [where("title", "eq", f"t{n}") for n in range(501)]
    assert await api.rows("Tickets", {"op": "or", "items": titles[:500]}) == []
    assert await api.errors("POST", "Tickets/query", {"filter": [{"op": "or", "items": titles}]}) == message
    assert await api.rows("Tickets", where("id", "in", list(range(500)))) == []
    assert await api.errors("POST", "Tickets/query", {"filter": [where("id", "in", list(range(501)))]}) == message


async def test_user_defined_fields_are_searched_one_at_a_time(api: Api) -> None:
    link = [{"name": "NinjaOne Link", "value": "https://rmm.example/#/deviceDashboard/7/overview"}]
    item = {"companyID": 29683, "productID": 29682953, "isActive": True, "userDefinedFields": link}
    number = await api.create("ConfigurationItems", **item)
    mine = where("ninjaone link", "contains", "/7/", udf=True)
    assert [row["id"] for row in await api.rows("ConfigurationItems", mine)] == [number]
    other = where("Operating System", "exist", udf=True)
    assert len(await api.errors("POST", "ConfigurationItems/query", {"filter": [mine, other]})) == 1
    unknown = where("No Such", "exist", udf=True)
    text = "Unable to find No Such in the InstalledProduct Entity"
    assert await api.errors("POST", "ConfigurationItems/query", {"filter": [unknown]}) == [text]


async def test_a_field_that_is_not_queryable_is_refused(api: Api) -> None:
    body = {"filter": [where("lastActivityPersonType", "eq", 1)]}
    assert "not queryable" in (await api.errors("POST", "Tickets/query", body))[0]


async def test_counting_takes_the_same_filter_by_get_and_by_post(api: Api) -> None:
    for _ in range(3):
        await api.create("Tickets", **ticket())
    body = {"filter": [where("status", "eq", 1)]}
    assert await api.ok("POST", "Tickets/query/count", body) == {"queryCount": 3}
    search = '{"filter":[{"op":"eq","field":"status","value":5}]}'
    assert await api.ok("GET", "Tickets/query/count", params={"search": search}) == {"queryCount": 0}


async def test_pages_of_a_posted_query_are_posted_too_forwards_and_backwards(api: Api) -> None:
    numbers = [await api.create("Tickets", **ticket()) for _ in range(5)]
    body = {"filter": [where("id", "gte", 0)], "maxRecords": 2, "includeFields": ["id"]}
    page = await api.ok("POST", "Tickets/query", body)
    assert page["pageDetails"]["prevPageUrl"] is None
    assert (await api.call("GET", page["pageDetails"]["nextPageUrl"])).status_code == 405
    seen, pages = [row["id"] for row in page["items"]], [page]
    while page["pageDetails"]["nextPageUrl"]:
        page = await api.ok("POST", page["pageDetails"]["nextPageUrl"], body)
        pages.append(page)
        seen += [row["id"] for row in page["items"]]
    assert seen == numbers
    assert [entry["pageDetails"]["count"] for entry in pages] == [2, 2, 1]
    back = await api.ok("POST", pages[2]["pageDetails"]["prevPageUrl"], body)
    assert back["items"] == pages[1]["items"]
    first = await api.ok("POST", pages[1]["pageDetails"]["prevPageUrl"], body)
    assert (first["items"], first["pageDetails"]["prevPageUrl"]) == (pages[0]["items"], None)


async def test_pages_of_a_get_query_are_followed_with_get(api: Api) -> None:
    numbers = [await api.create("Tickets", **ticket()) for _ in range(3)]
    search = '{"filter":[{"op":"exist","field":"id"}],"maxRecords":2}'
    page = await api.ok("GET", "Tickets/query", params={"search": search})
    rest = await api.ok("GET", page["pageDetails"]["nextPageUrl"])
    assert [row["id"] for row in page["items"] + rest["items"]] == numbers


async def test_walking_by_id_sees_every_row_once(api: Api) -> None:
    numbers = [await api.create("Tickets", **ticket()) for _ in range(5)]
    last, seen = 0, list[int]()
    while rows := await api.rows("Tickets", where("id", "gt", last), maxRecords=2):
        seen += [row["id"] for row in rows]
        last = seen[-1]
    assert seen == numbers


async def test_company_zero_is_found_from_zero_on_and_not_above(api: Api) -> None:
    assert (await api.rows("Companies", where("id", "gte", 0)))[0]["id"] == 0
    assert (await api.rows("Companies", where("id", "gt", 0)))[0]["id"] != 0


async def test_a_polling_filter_by_time_takes_any_iso_form_as_utc(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    stamp = (await api.item("Tickets", number))["lastActivityDate"]
    for value in (stamp, stamp.rstrip("Z"), stamp.replace("Z", "+00:00")):
        assert len(await api.rows("Tickets", where("lastActivityDate", "gte", value))) == 1
        assert await api.rows("Tickets", where("lastActivityDate", "gt", value)) == []
    body = {"filter": [where("lastActivityDate", "gte", "yesterday")]}
    assert "Could not convert string to DateTime" in (await api.errors("POST", "Tickets/query", body))[0]


async def test_null_and_noteq_follow_their_switch(api: Api) -> None:
    await api.create("Tickets", **ticket())
    assert await api.rows("Tickets", where("externalID", "noteq", "x")) == []
    await api.switch(noteq_matches_null=True)
    assert len(await api.rows("Tickets", where("externalID", "noteq", "x"))) == 1


async def test_a_child_has_no_query_of_its_own_and_history_wants_one_ticket(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    body = {"filter": [where("id", "gte", 0)]}
    assert (await api.call("POST", f"Tickets/{number}/Notes/query", body)).status_code == 404
    assert "ticketID" in (await api.errors("POST", "TicketHistory/query", body))[0]
    assert len(await api.rows("TicketHistory", where("ticketID", "eq", number))) == 1


async def test_user_defined_numbers_and_dates_are_ordered_as_what_they_are(api: Api) -> None:
    await api.control("POST", "udfs", name="Cores", dataType=3)
    await api.control("POST", "udfs", name="Seen", dataType=4)
    old = await api.create(
        "ConfigurationItems",
        **device(userDefinedFields=[{"name": "Cores", "value": "9"}, {"name": "Seen", "value": "2026-01-02T00:00:00"}]),
    )
    new = await api.create(
        "ConfigurationItems",
        **device(
            userDefinedFields=[{"name": "Cores", "value": "10"}, {"name": "Seen", "value": "2026-01-10T00:00:00Z"}]
        ),
    )

    async def found(op: str, name: str, value: Any, flag: Any = True) -> list[int]:
        condition = where(name, op, value, udf=flag)
        return [row["id"] for row in await api.rows("ConfigurationItems", condition)]

    assert await found("gt", "Cores", 9) == [new]
    assert await found("eq", "cores", "9", "true") == [old]
    assert await found("gte", "Seen", "2026-01-09T23:00:00+00:00") == [new]
    assert (
        "Cores"
        in (await api.errors("POST", "ConfigurationItems/query", {"filter": [where("Cores", "gt", "x", udf=True)]}))[0]
    )


async def test_a_search_in_the_address_has_the_length_that_web_servers_allow(api: Api) -> None:
    search = '{"filter":[{"op":"eq","field":"title","value":"%s"}]}' % ("x" * 2100)
    answer = await api.call("GET", f"Tickets/query?search={search}")
    assert (answer.status_code, "html" in answer.headers["content-type"]) == (404, True)
    await api.switch(query_string_limit=0)
    assert (await api.call("GET", f"Tickets/query?search={search}")).status_code == 200


async def test_who_works_where_can_be_read_flat_and_under_its_owner(api: Api) -> None:
    for name, child in (
        ("ResourceRoles", "Roles"),
        ("ResourceRoleDepartments", "RoleDepartments"),
        ("ResourceRoleQueues", "RoleQueues"),
        ("ResourceServiceDeskRoles", "ServiceDeskRoles"),
    ):
        flat = await api.rows(name, where("resourceID", "eq", TECHNICIAN))
        assert (await api.ok("GET", f"Resources/{TECHNICIAN}/{child}"))["items"] == flat
        assert flat[0]["roleID"] == ENGINEER
    places = (await api.ok("GET", f"Companies/{FIRST_COMPANY}/Locations"))["items"]
    assert [place["isPrimary"] for place in places] == [True]
    assert [row["name"] for row in await api.rows("Departments", where("id", "gte", 0))] == ["Service Desk"]


@pytest.mark.parametrize("path", ["Tickets/²", "Tickets/" + "9" * 5000, "Tickets/-1", "Tickets/1/Notes/x"])
async def test_what_is_no_id_leads_nowhere(api: Api, path: str) -> None:
    answer = await api.call("GET", path)
    assert (answer.status_code, list(answer.json())) == (404, ["Message"])


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00-12:00", "9999-12-31T23:59:59-12:00", "tomorrow", 5])
async def test_a_time_that_cannot_be_kept_is_an_error_that_names_the_field(api: Api, value: Any) -> None:
    assert "dueDateTime" in (await api.errors("POST", "Tickets", ticket(dueDateTime=value)))[0]
