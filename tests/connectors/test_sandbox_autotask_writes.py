"""What the Autotask sandbox says to writes: the vendor's error texts, methods, PATCH and PUT, read-only fields, limits of length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.connectors.autotask_tenant import (
    ENGINEER,
    FIRST_COMPANY,
    FORMER,
    OTHER_TECHNICIAN,
    SECOND_COMPANY,
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


async def test_a_create_answers_200_with_the_item_id_and_the_row_can_be_read(api: Api) -> None:
    answer = await api.call("POST", "Tickets", ticket(title="Disk failing on SRV01"))
    assert (answer.status_code, set(answer.json())) == (200, {"itemId"})
    assert (await api.item("Tickets", answer.json()["itemId"]))["title"] == "Disk failing on SRV01"


async def test_field_names_of_a_body_do_not_mind_their_case_and_an_id_of_zero_is_no_id(api: Api) -> None:
    body = {"id": 0, "CompanyId": FIRST_COMPANY, "TITLE": "x", "Status": 1, "Priority": 1, "QueueID": 29683354}
    assert (await api.item("Tickets", await api.create("Tickets", **body)))["title"] == "x"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"priority": 9}, "Picklist value [9] does not exist for priority"),
        ({"status": 24}, "Picklist value [24] does not exist for status"),
        ({"issueType": 10, "subIssueType": 152}, "Picklist value [152] does not exist for subIssueType"),
        ({"title": None}, "Value does not exist for the required field title"),
        ({"title": ""}, "Value does not exist for the required field title"),
        ({"queueID": None}, "queueID is required"),
        (
            {"contactID": 99},
            "Reference value on field: contactID of type: Contact does not exist or is invalid.",
        ),
        (
            {"contractID": 29683617},
            "Reference value on field: contractID of type: Contract does not exist or is invalid.",
        ),
        (
            {"assignedResourceID": TECHNICIAN},
            "When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID.",
        ),
        (
            {"assignedResourceID": TECHNICIAN, "assignedResourceRoleID": 29_682_835},
            "The specified AssignedResourceID and AssignedRoleID combination is not currently defined",
        ),
        (
            {"assignedResourceID": FORMER, "assignedResourceRoleID": ENGINEER},
            "Reference value on field: assignedResourceID of type: Resource does not exist or is invalid.",
        ),
    ],
)
async def test_validation_errors_are_500_in_the_vendors_words(api: Api, change: dict[str, Any], text: str) -> None:
    assert await api.errors("POST", "Tickets", ticket(**change)) == [text]
    assert await api.rows("Tickets", where("id", "gte", 0)) == []


async def test_every_problem_of_a_body_is_named(api: Api) -> None:
    errors = await api.errors("POST", "Tickets", {"companyID": FIRST_COMPANY, "priority": 9})
    assert errors == [
        "Value does not exist for the required field title",
        "Value does not exist for the required field status",
        "Picklist value [9] does not exist for priority",
    ]


async def test_a_contact_or_item_of_another_company_does_not_fit_and_one_of_the_parent_does(api: Api) -> None:
    stranger = await api.create("ConfigurationItems", **device(companyID=SECOND_COMPANY))
    text = "Data violation: configurationItemID is not associated to the companyID or its Parent Company.."
    assert await api.errors("POST", "Tickets", ticket(configurationItemID=stranger)) == [text]
    contact = (await api.rows("Contacts", where("companyID", "eq", SECOND_COMPANY)))[0]["id"]
    text = "Data violation: contactID is not associated to the companyID or its Parent Company.."
    assert await api.errors("POST", "Tickets", ticket(contactID=contact)) == [text]
    await api.ok("PATCH", "Companies", {"id": FIRST_COMPANY, "parentCompanyID": SECOND_COMPANY})
    await api.create("Tickets", **ticket(configurationItemID=stranger, contactID=contact))


async def test_a_ticket_changes_company_only_together_with_what_belongs_to_the_company(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    errors = await api.errors("PATCH", "Tickets", {"id": number, "companyID": SECOND_COMPANY})
    assert errors[0].startswith("The companyLocationID[")
    await api.ok("PATCH", "Tickets", {"id": number, "companyID": SECOND_COMPANY, "companyLocationID": None})


async def test_an_inactive_contact_cannot_be_named_unless_the_switch_says_so(api: Api) -> None:
    contact = (await api.rows("Contacts", where("companyID", "eq", FIRST_COMPANY)))[0]["id"]
    await api.ok("PATCH", f"Companies/{FIRST_COMPANY}/Contacts", {"id": contact, "isActive": 0})
    assert "contactID" in (await api.errors("POST", "Tickets", ticket(contactID=contact)))[0]
    await api.switch(inactive_references="accept")
    await api.create("Tickets", **ticket(contactID=contact))


async def test_a_tenant_may_refuse_work_for_an_inactive_company(api: Api) -> None:
    gone = (await api.rows("Companies", where("isActive", "eq", False)))[0]["id"]
    await api.create("Tickets", **ticket(companyID=gone))
    await api.switch(inactive_company="reject")
    assert "companyID" in (await api.errors("POST", "Tickets", ticket(companyID=gone)))[0]
    assert "companyID" in (await api.errors("POST", "ConfigurationItems", device(companyID=gone)))[0]


async def test_a_read_only_field_is_refused_or_ignored_by_switch(api: Api) -> None:
    assert "rmmAlertID" in (await api.errors("POST", "Tickets", ticket(rmmAlertID="x")))[0]
    await api.switch(read_only="ignore")
    number = await api.create("Tickets", **ticket(rmmAlertID="x"))
    assert (await api.item("Tickets", number))["rmmAlertID"] is None


async def test_a_string_that_is_too_long_is_refused_or_cut_by_switch(api: Api) -> None:
    assert "externalID" in (await api.errors("POST", "Tickets", ticket(externalID="x" * 51)))[0]
    await api.switch(over_length="truncate")
    number = await api.create("Tickets", **ticket(externalID="x" * 51))
    assert (await api.item("Tickets", number))["externalID"] == "x" * 50


async def test_a_field_the_entity_does_not_have_is_refused_or_ignored_by_switch(api: Api) -> None:
    text = "Unable to find severity in the Ticket Entity"
    assert await api.errors("POST", "Tickets", ticket(severity=1)) == [text]
    await api.switch(unknown_field="ignore")
    await api.create("Tickets", **ticket(severity=1))


async def test_a_body_that_is_no_json_object_is_an_error(api: Api) -> None:
    url = f"{api.base}/ATServicesRest/V1.0/Tickets"
    answer = await api.http.post(url, content=b"{broken", headers=api.headers)
    assert (answer.status_code, list(answer.json())) == (500, ["errors"])
    assert len(await api.errors("POST", "Tickets", [1, 2])) == 1


async def test_patch_touches_only_what_it_names_and_null_clears(api: Api) -> None:
    number = await api.create("Tickets", **ticket(description="d", purchaseOrderNumber="PO1"))
    await api.ok("PATCH", "Tickets", {"id": number, "title": "new", "purchaseOrderNumber": None})
    row = await api.item("Tickets", number)
    assert (row["title"], row["description"], row["purchaseOrderNumber"]) == ("new", "d", "")


async def test_put_clears_the_writable_fields_it_leaves_out(api: Api) -> None:
    number = await api.create("Tickets", **ticket(description="d", externalID="ls.1.a"))
    await api.ok("PUT", "Tickets", {"id": number, **ticket(title="only this")})
    row = await api.item("Tickets", number)
    assert (row["title"], row["description"], row["externalID"]) == ("only this", "", "")
    assert row["ticketNumber"]
    assert "Value does not exist for the required field title" in await api.errors("PUT", "Tickets", {"id": number})


async def test_a_patch_that_clears_a_required_field_is_refused(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    errors = await api.errors("PATCH", "Tickets", {"id": number, "title": None})
    assert errors == ["Value does not exist for the required field title"]
    assert await api.errors("PATCH", "Tickets", {"id": number, "queueID": None}) == ["queueID is required"]


async def test_patch_belongs_to_the_collection_not_to_the_item(api: Api) -> None:
    number = await api.create("Tickets", **ticket())
    answer = await api.call("PATCH", f"Tickets/{number}", {"status": 5})
    assert (answer.status_code, list(answer.json())) == (405, ["Message"])


async def test_unknown_ids_are_404_on_get_and_an_error_text_on_writes(api: Api) -> None:
    answer = await api.call("GET", "Tickets/5")
    assert (answer.status_code, answer.content) == (404, b"")
    await api.switch(missing_item="null")
    assert await api.ok("GET", "Tickets/5") == {"item": None}
    assert "No matching records found" in (await api.errors("PATCH", "Tickets", {"id": 5, "status": 5}))[0]
    assert "No matching records found" in (await api.errors("PATCH", "Tickets", {"status": 5}))[0]
    assert "No matching records found" in (await api.errors("DELETE", "ConfigurationItemTypes/5"))[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "ConfigurationItems/5", 405),
        ("DELETE", "Companies/0", 405),
        ("POST", "Resources", 405),
        ("POST", "TicketHistory", 404),
        ("POST", "TicketNotes", 404),
        ("POST", "Contacts", 404),
        ("DELETE", "Contacts/5", 405),
        ("POST", "TicketCategories", 405),
    ],
)
async def test_what_an_entity_does_not_allow_has_no_route(api: Api, method: str, path: str, status: int) -> None:
    assert (await api.call(method, path, {} if method == "POST" else None)).status_code == status


async def test_contacts_are_written_under_their_company_and_their_active_flag_is_a_number(api: Api) -> None:
    path = f"Companies/{FIRST_COMPANY}/Contacts"
    errors = await api.errors("POST", path, {"firstName": "Ada", "lastName": "L", "isActive": True})
    assert errors == ["Unexpected character encountered while parsing value: t. Path 'isActive'."]
    number = (await api.ok("POST", path, {"firstName": "Ada", "lastName": "L", "isActive": 1}))["itemId"]
    row = await api.item("Contacts", number)
    assert (row["companyID"], row["isActive"]) == (FIRST_COMPANY, 1)
    assert (await api.ok("GET", f"{path}/{number}"))["item"]["firstName"] == "Ada"
    assert (await api.call("GET", f"Companies/{SECOND_COMPANY}/Contacts/{number}")).status_code == 404
    assert await api.ok("DELETE", f"{path}/{number}") == {"itemId": number}


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", "one"), ("status", 1.5), ("status", {}), ("title", ["a"]), ("dueDateTime", "soon"), ("dueDateTime", 5)],
)
async def test_a_value_of_the_wrong_type_is_an_error_that_names_the_field(api: Api, field: str, value: Any) -> None:
    assert f"'{field}'" in (await api.errors("POST", "Tickets", ticket(**{field: value})))[0]


async def test_numbers_may_come_as_text_and_are_kept_as_numbers(api: Api) -> None:
    number = await api.create("Tickets", **ticket(status="1", priority="4", title=7))
    row = await api.item("Tickets", number)
    assert (row["status"], row["priority"], row["title"]) == (1, 4, "7")


async def test_an_assignment_with_a_defined_role_is_kept(api: Api) -> None:
    number = await api.create("Tickets", **ticket(assignedResourceID=OTHER_TECHNICIAN, assignedResourceRoleID=ENGINEER))
    assert (await api.item("Tickets", number))["assignedResourceID"] == OTHER_TECHNICIAN


async def test_companies_need_name_type_owner_and_phone(api: Api) -> None:
    errors = await api.errors("POST", "Companies", {"companyName": "New Customer"})
    assert [text.rsplit(" ", 1)[1] for text in errors] == ["companyType", "ownerResourceID", "phone"]
    body = {"companyName": "New Customer", "companyType": 1, "ownerResourceID": TECHNICIAN, "phone": "1"}
    number = await api.create("Companies", **body)
    assert (await api.item("Companies", number))["isActive"] is True
    assert (await api.item("Tickets", await api.create("Tickets", **ticket(companyID=number))))["companyLocationID"]


async def test_a_refusal_may_come_with_status_200_and_errors_all_the_same(api: Api) -> None:
    await api.switch(validation_status=200)
    answer = await api.ok("POST", "Tickets", ticket(priority=9))
    assert answer == {"errors": ["Picklist value [9] does not exist for priority"]}


async def test_tags_in_a_description_are_kept_or_stripped_by_switch(api: Api) -> None:
    text = "<b>Disk</b> C: < 5 % free"
    number = await api.create("Tickets", **ticket(description=text))
    assert (await api.item("Tickets", number))["description"] == text
    await api.switch(html_text="strip")
    await api.ok("PATCH", "Tickets", {"id": number, "description": text})
    assert (await api.item("Tickets", number))["description"] == "Disk C: < 5 % free"
