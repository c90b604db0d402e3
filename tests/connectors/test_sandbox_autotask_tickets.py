"""The life of a ticket in the Autotask sandbox: numbers, completion, notes, categories, duplicates, times."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.connectors.autotask_tenant import (
    FIRST_COMPANY,
    MONITORING,
    SECOND_COMPANY,
    Api,
    Board,
    device,
    running_board,
    ticket,
    where,
)

NOTE = {"title": "Seen again", "description": "SMART 5 raw 812", "noteType": 3, "publish": 2}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


async def test_ticket_numbers_carry_the_day_and_count_up(api: Api) -> None:
    numbers = [(await api.item("Tickets", await api.create("Tickets", **ticket())))["ticketNumber"] for _ in range(2)]
    assert all(re.fullmatch(r"T20\d{6}\.\d{4}", number) for number in numbers)
    assert [number[-4:] for number in numbers] == ["0001", "0002"]
    await api.control("POST", "clock", advance=86_400)
    later = await api.item("Tickets", await api.create("Tickets", **ticket()))
    assert later["ticketNumber"][-4:] == "0001"
    assert later["ticketNumber"] not in numbers


async def test_a_new_ticket_has_its_stamps_and_the_location_of_its_company(api: Api) -> None:
    row = await api.item("Tickets", await api.create("Tickets", **ticket()))
    assert row["createDate"] == row["lastActivityDate"] == row["lastTrackedModificationDateTime"]
    assert row["completedDate"] is None
    assert row["creatorResourceID"] == row["lastActivityResourceID"] == 29_682_899
    assert row["companyLocationID"] is not None
    assert row["dueDateTime"] > row["createDate"]
    assert (row["description"], row["userDefinedFields"]) == ("", [])


@pytest.mark.parametrize("status", [5, 29])
async def test_any_status_of_the_complete_type_sets_the_completed_date_and_reopening_clears_it(
    api: Api, status: int
) -> None:
    number = await api.create("Tickets", **ticket())
    await api.ok("PATCH", "Tickets", {"id": number, "status": status, "resolution": "Replaced the disk."})
    row = await api.item("Tickets", number)
    assert row["completedDate"] is not None
    assert row["completedByResourceID"] == 29_682_899
    await api.ok("PATCH", "Tickets", {"id": number, "status": 8})
    row = await api.item("Tickets", number)
    assert (row["completedDate"], row["completedByResourceID"]) == (None, None)


async def test_a_ticket_may_be_born_complete(api: Api) -> None:
    row = await api.item("Tickets", await api.create("Tickets", **ticket(status=5)))
    assert row["completedDate"] == row["createDate"]


async def test_completing_twice_keeps_the_first_completed_date(api: Api) -> None:
    number = await api.create("Tickets", **ticket(status=5))
    first = (await api.item("Tickets", number))["completedDate"]
    await api.control("POST", "clock", advance=60)
    await api.ok("PATCH", "Tickets", {"id": number, "status": 5})
    assert (await api.item("Tickets", number))["completedDate"] == first


async def test_a_note_moves_the_activity_of_its_ticket_but_not_the_tracked_modification(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    before = await api.item("Tickets", number)
    await api.control("POST", "clock", advance=60)
    note = (await api.ok("POST", f"Tickets/{number}/Notes", {"ticketID": number, **NOTE}))["itemId"]
    after = await api.item("Tickets", number)
    assert after["lastActivityDate"] > before["lastActivityDate"]
    assert after["lastTrackedModificationDateTime"] == before["lastTrackedModificationDateTime"]
    listed = (await api.ok("GET", f"Tickets/{number}/Notes"))["items"]
    assert [(row["id"], row["ticketID"], row["publish"]) for row in listed] == [(note, number, 2)]
    found = await api.rows("TicketNotes", where("ticketID", "eq", number), where("title", "beginsWith", "Seen"))
    assert [row["id"] for row in found] == [note]
    assert (await api.ok("GET", f"Tickets/{number}/Notes/{note}"))["item"]["description"] == NOTE["description"]


async def test_a_note_needs_text_type_and_publication_and_an_existing_ticket(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    errors = await api.errors("POST", f"Tickets/{number}/Notes", {"ticketID": number})
    assert [text.rsplit(" ", 1)[1] for text in errors] == ["description", "noteType", "publish"]
    text = "Reference value on field: ticketID of type: Ticket does not exist or is invalid."
    assert await api.errors("POST", "Tickets/5/Notes", NOTE) == [text]
    errors = await api.errors("POST", f"Tickets/{number}/Notes", {**NOTE, "ticketID": number + 1})
    assert "differs from the id in the path" in errors[0]
    errors = await api.errors("POST", f"Tickets/{number}/Notes", {**NOTE, "publish": 3})
    assert errors == ["Picklist value [3] does not exist for publish"]


async def test_notes_are_edited_under_their_ticket_and_never_deleted(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    note = (await api.ok("POST", f"Tickets/{number}/Notes", NOTE))["itemId"]
    await api.ok("PATCH", f"Tickets/{number}/Notes", {"id": note, "ticketID": number, "title": "Edited"})
    assert (await api.item("TicketNotes", note))["title"] == "Edited"
    assert (await api.call("DELETE", f"Tickets/{number}/Notes/{note}")).status_code == 405


async def test_a_category_fills_in_what_is_left_out_and_requires_fields_at_run_time(api: Api) -> None:
    body = {"companyID": FIRST_COMPANY, "title": "x", "status": 1, "ticketCategory": 101}
    row = await api.item("Tickets", await api.create("Tickets", **body))
    assert (row["queueID"], row["source"], row["ticketType"], row["priority"]) == (MONITORING, 8, 5, 2)
    errors = await api.errors("POST", "Tickets", {**ticket(), "ticketCategory": 102})
    assert errors == ["billingCodeID is required"]
    fields = {field["name"]: field for field in (await api.ok("GET", "Tickets/entityInformation/fields"))["fields"]}
    assert fields["billingCodeID"]["isRequired"] is False
    await api.switch(category_rules=False)
    await api.create("Tickets", companyID=FIRST_COMPANY, title="x", status=1, priority=2)


async def test_a_tenants_administrator_may_require_more(api: Api) -> None:
    await api.control("PATCH", "ticket-categories/3", required=["queueID", "issueType"])
    assert await api.errors("POST", "Tickets", ticket()) == ["issueType is required"]
    await api.switch(due_date_required=True)
    errors = await api.errors("POST", "Tickets", ticket(issueType=10))
    assert errors == ["dueDateTime is required"]
    await api.create("Tickets", **ticket(issueType=10, dueDateTime="2026-12-01T17:00:00Z"))


async def test_a_category_may_require_titles_of_notes(api: Api) -> None:
    number = await api.create("Tickets", **ticket(ticketCategory=102, billingCodeID=29_682_801))
    untitled = {key: value for key, value in NOTE.items() if key != "title"}
    assert await api.errors("POST", f"Tickets/{number}/Notes", untitled) == ["title is required"]


async def test_external_ids_are_not_unique_unless_the_tenant_has_a_rule(api: Api) -> None:
    first = await api.create("Tickets", **ticket(externalID="ls.1.a"))
    second = await api.create("Tickets", **ticket(externalID="ls.1.a"))
    assert first != second
    await api.switch(duplicate_rule="external_id")
    assert await api.create("Tickets", **ticket(externalID="LS.1.A")) not in (first, second)
    assert await api.create("Tickets", **ticket(externalID="ls.1.a")) == first
    for number in (first, second):
        await api.ok("PATCH", "Tickets", {"id": number, "status": 5})
    assert await api.create("Tickets", **ticket(externalID="ls.1.a")) not in (first, second)
    counters = (await api.control("GET", "state"))["counters"]
    assert counters["ticketsByExternalID"] == {"ls.1.a": 3, "LS.1.A": 1}
    assert counters["openTicketsByExternalID"] == {"ls.1.a": 1, "LS.1.A": 1}


async def test_a_tenant_may_merge_tickets_of_one_company_and_title_or_of_one_item(api: Api) -> None:
    first = await api.create("Tickets", **ticket(externalID="ls.1.a"))
    await api.switch(duplicate_rule="company_title")
    assert await api.create("Tickets", **ticket(externalID="ls.2.b")) == first
    assert await api.create("Tickets", **ticket(companyID=SECOND_COMPANY)) != first
    await api.switch(duplicate_rule="configuration_item")
    item = await api.create("ConfigurationItems", **device())
    second = await api.create("Tickets", **ticket(configurationItemID=item, title="one"))
    assert await api.create("Tickets", **ticket(configurationItemID=item, title="two")) == second


async def test_a_workflow_rule_may_undo_a_status_although_the_answer_is_200(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    await api.switch(workflow_stale_status=True)
    assert await api.ok("PATCH", "Tickets", {"id": number, "status": 5, "resolution": "r"}) == {"itemId": number}
    row = await api.item("Tickets", number)
    assert (row["status"], row["resolution"], row["completedDate"]) == (1, "r", None)
    await api.control("POST", f"tickets/{number}/complete")
    assert (await api.item("Tickets", number))["status"] == 5


async def test_additional_items_are_added_and_removed_under_the_ticket(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    item = await api.create("ConfigurationItems", **device())
    path = f"Tickets/{number}/AdditionalConfigurationItems"
    row = (await api.ok("POST", path, {"configurationItemID": item}))["itemId"]
    assert [entry["configurationItemID"] for entry in (await api.ok("GET", path))["items"]] == [item]
    assert await api.ok("DELETE", f"{path}/{row}") == {"itemId": row}
    assert (await api.ok("GET", path))["items"] == []


async def test_the_history_tells_who_changed_what(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    await api.control("POST", f"tickets/{number}/complete")
    rows = await api.rows("TicketHistory", where("ticketID", "eq", number))
    assert [(row["action"], row["detail"], row["resourceID"]) for row in rows] == [
        ("Created", "Created", 29_682_899),
        ("Edited", "status: New -> Complete", 29_682_885),
    ]


@pytest.mark.parametrize(
    ("designator", "fraction", "pattern"),
    [
        ("z", "trimmed", r"[\d-]{10}T[\d:]{8}(\.\d{0,2}[1-9])?Z"),
        ("none", "three", r"[\d-]{10}T[\d:]{8}\.\d{3}"),
        ("z", "none", r"[\d-]{10}T[\d:]{8}Z"),
        ("none", "seven", r"[\d-]{10}T[\d:]{8}\.\d{7}"),
    ],
)
async def test_times_are_utc_in_the_form_the_switches_choose(
    api: Api, designator: str, fraction: str, pattern: str
) -> None:
    number = await api.create("Tickets", **ticket())
    await api.switch(time_designator=designator, time_fraction=fraction)
    stamp = (await api.item("Tickets", number))["createDate"]
    assert re.fullmatch(pattern, stamp)
    due = {"id": number, "dueDateTime": "2026-12-01T18:00:00+01:00"}
    await api.ok("PATCH", "Tickets", due)
    assert (await api.item("Tickets", number))["dueDateTime"].startswith("2026-12-01T17:00:00")
