"""Configuration items, user-defined fields, categories and metadata of the Autotask sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.connectors.autotask_tenant import (
    FIRST_COMPANY,
    SECOND_COMPANY,
    Api,
    Board,
    device,
    running_board,
    ticket,
    where,
)

LINK = {"name": "NinjaOne Link", "value": "https://rmm.example/#/deviceDashboard/7/overview"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


async def labels(api: Api, entity: str, field: str) -> dict[str, str]:
    fields = (await api.ok("GET", f"{entity}/entityInformation/fields"))["fields"]
    listed = next(entry for entry in fields if entry["name"] == field)["picklistValues"]
    return {choice["label"]: choice["value"] for choice in listed}


async def udf_values(api: Api, number: int) -> dict[str, Any]:
    row = await api.item("ConfigurationItems", number)
    return {pair["name"]: pair["value"] for pair in row["userDefinedFields"]}


async def test_an_items_company_cannot_change_and_the_attempt_is_ignored(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device())
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "companyID": SECOND_COMPANY, "referenceTitle": "SRV01"})
    row = await api.item("ConfigurationItems", number)
    assert (row["companyID"], row["referenceTitle"]) == (FIRST_COMPANY, "SRV01")


async def test_an_item_is_found_by_its_reference_number_within_a_company(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device(referenceNumber="ls.7"))
    await api.create("ConfigurationItems", **device(companyID=SECOND_COMPANY, referenceNumber="ls.7"))
    mine = [where("companyID", "eq", FIRST_COMPANY), where("referenceNumber", "eq", "ls.7")]
    assert [row["id"] for row in await api.rows("ConfigurationItems", *mine)] == [number]
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "referenceNumber": "ls.8"})
    assert await api.rows("ConfigurationItems", *mine) == []


async def test_audit_fields_of_the_vendors_own_rmm_cannot_be_written(api: Api) -> None:
    for field in ("rmmDeviceAuditHostname", "rmmDeviceUID", "dattoSerialNumber"):
        assert field in (await api.errors("POST", "ConfigurationItems", device(**{field: "x"})))[0]


async def test_the_modification_time_moves_with_every_update_and_a_retired_item_stays(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device())
    before = (await api.item("ConfigurationItems", number))["lastModifiedTime"]
    await api.control("POST", "clock", advance=60)
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "isActive": False})
    row = await api.item("ConfigurationItems", number)
    assert row["isActive"] is False
    assert row["lastModifiedTime"] > before
    assert (await api.call("DELETE", f"ConfigurationItems/{number}")).status_code == 405


async def test_an_item_without_a_category_gets_the_default_one(api: Api) -> None:
    assert (await api.item("ConfigurationItems", await api.create("ConfigurationItems", **device())))[
        "configurationItemCategoryID"
    ] == 1


async def test_a_patch_of_user_defined_fields_keeps_the_others_unless_the_switch_says_otherwise(api: Api) -> None:
    both = [LINK, {"name": "operating system", "value": "Windows Server 2022"}]
    number = await api.create("ConfigurationItems", **device(userDefinedFields=both))
    one = {"id": number, "userDefinedFields": [{"name": "Operating System", "value": "Windows Server 2025"}]}
    await api.ok("PATCH", "ConfigurationItems", one)
    assert await udf_values(api, number) == {"NinjaOne Link": LINK["value"], "Operating System": "Windows Server 2025"}
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "notes": "no user-defined fields here"})
    assert (await udf_values(api, number))["NinjaOne Link"] == LINK["value"]
    await api.switch(udf_patch="replace")
    await api.ok("PATCH", "ConfigurationItems", one)
    assert (await udf_values(api, number))["NinjaOne Link"] is None
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "userDefinedFields": []})
    assert set((await udf_values(api, number)).values()) == {None}


async def test_put_clears_user_defined_fields_that_it_leaves_out(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device(userDefinedFields=[LINK]))
    await api.ok("PUT", "ConfigurationItems", {"id": number, **device()})
    assert (await udf_values(api, number))["NinjaOne Link"] is None


async def test_user_defined_values_are_text_or_null_on_the_wire(api: Api) -> None:
    await api.control("POST", "udfs", name="Memory", dataType=3)
    await api.control("POST", "udfs", name="Warranty", dataType=4)
    values = [{"name": "Memory", "value": 16}, {"name": "Operating System", "value": None}]
    number = await api.create("ConfigurationItems", **device(userDefinedFields=values))
    assert await udf_values(api, number) == {
        "NinjaOne Link": None,
        "Operating System": None,
        "Memory": "16",
        "Warranty": None,
    }
    for name in ("Memory", "Warranty"):
        wrong = {"id": number, "userDefinedFields": [{"name": name, "value": "a lot"}]}
        assert name in (await api.errors("PATCH", "ConfigurationItems", wrong))[0]


async def test_an_unknown_user_defined_field_is_refused_or_ignored_by_switch(api: Api) -> None:
    body = device(userDefinedFields=[{"name": "Memory", "value": "16"}])
    assert "Memory" in (await api.errors("POST", "ConfigurationItems", body))[0]
    await api.switch(unknown_udf="ignore")
    await api.create("ConfigurationItems", **body)


async def test_user_defined_fields_as_a_keyed_object_end_in_an_internal_error_with_an_id(api: Api) -> None:
    answer = await api.call("POST", "ConfigurationItems", device(userDefinedFields={"NinjaOne Link": "x"}))
    assert answer.status_code == 500
    assert isinstance(answer.json()["errorId"], int)


async def test_protected_fields_are_masked_and_closed_without_the_permission(api: Api) -> None:
    await api.control("POST", "udfs", name="Password Hint", isProtected=True)
    hint = [{"name": "Password Hint", "value": "dog"}]
    number = await api.create("ConfigurationItems", **device(userDefinedFields=hint))
    await api.control("PATCH", "api-user", protected_data=False)
    assert (await udf_values(api, number))["Password Hint"] == "*****"
    errors = await api.errors("PATCH", "ConfigurationItems", {"id": number, "userDefinedFields": hint})
    assert "protected" in errors[0]


async def test_a_field_defined_by_api_appears_in_the_metadata_of_its_entity_and_takes_values(api: Api) -> None:
    kinds = await labels(api, "UserDefinedFieldDefinitions", "udfType")
    types = await labels(api, "UserDefinedFieldDefinitions", "dataType")
    definition = {"name": "Memory", "udfType": int(kinds["Configuration Item"]), "dataType": 1, "isActive": True}
    assert types["Text (Single Line)"] == "1"
    await api.create("UserDefinedFieldDefinitions", **definition)
    shown = (await api.ok("GET", "ConfigurationItems/entityInformation/userDefinedFields"))["fields"]
    assert [field["name"] for field in shown] == ["NinjaOne Link", "Operating System", "Memory"]
    assert (shown[2]["type"], shown[2]["length"], "dataType" in shown[2]) == ("string", 255, False)
    assert (await api.ok("GET", "Tickets/entityInformation/userDefinedFields"))["fields"] == []
    number = await api.create("ConfigurationItems", **device(userDefinedFields=[{"name": "Memory", "value": "16 GB"}]))
    assert (await udf_values(api, number))["Memory"] == "16 GB"


async def test_definitions_have_unique_names_and_a_limit_and_are_never_deleted(api: Api) -> None:
    definition = {"name": "ninjaone link", "udfType": 8, "dataType": 1}
    assert "already exists" in (await api.errors("POST", "UserDefinedFieldDefinitions", definition))[0]
    assert "name" in (await api.errors("POST", "UserDefinedFieldDefinitions", {**definition, "name": "x" * 46}))[0]
    for position in range(100):
        await api.create("UserDefinedFieldDefinitions", name=f"C{position}", udfType=2, dataType=1)
    errors = await api.errors("POST", "UserDefinedFieldDefinitions", {**definition, "udfType": 2})
    assert errors == ["The limit of 100 active user defined fields for Contact has been reached."]
    assert (await api.call("DELETE", "UserDefinedFieldDefinitions/1")).status_code == 405


async def test_values_of_a_list_field_come_from_its_list_items(api: Api) -> None:
    number = await api.create("UserDefinedFieldDefinitions", name="Class", udfType=8, dataType=5)
    path = f"UserDefinedFieldDefinitions/{number}/ListItems"
    await api.ok("POST", path, {"valueForDisplay": "Gold", "valueForExport": "G"})
    field = (await api.ok("GET", "ConfigurationItems/entityInformation/userDefinedFields"))["fields"][-1]
    assert (field["isPickList"], [choice["label"] for choice in field["picklistValues"]]) == (True, ["Gold"])
    wrong = device(userDefinedFields=[{"name": "Class", "value": "Silver"}])
    assert await api.errors("POST", "ConfigurationItems", wrong) == ["Picklist value [Silver] does not exist for Class"]
    await api.create("ConfigurationItems", **device(userDefinedFields=[{"name": "Class", "value": "Gold"}]))


async def test_a_renamed_field_keeps_its_values_and_a_switched_off_one_vanishes(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device(userDefinedFields=[LINK]))
    definition = (await api.rows("UserDefinedFieldDefinitions", where("name", "eq", "NinjaOne Link")))[0]["id"]
    await api.ok("PATCH", "UserDefinedFieldDefinitions", {"id": definition, "name": "RMM Link"})
    assert (await udf_values(api, number))["RMM Link"] == LINK["value"]
    await api.ok("PATCH", "UserDefinedFieldDefinitions", {"id": definition, "isActive": False})
    assert set(await udf_values(api, number)) == {"Operating System"}


async def test_a_tenant_can_start_without_a_field_that_the_sync_needs(api: Api) -> None:
    await api.control("DELETE", "udfs/NinjaOne%20Link")
    fields = (await api.ok("GET", "ConfigurationItems/entityInformation/userDefinedFields"))["fields"]
    assert [field["name"] for field in fields] == ["Operating System"]
    assert "no user-defined field" in (await api.control("DELETE", "udfs/NinjaOne%20Link", 404))["error"]
    await api.control("POST", "udfs", name="NinjaOne Link")
    await api.create("ConfigurationItems", **device(userDefinedFields=[LINK]))


async def test_fields_are_associated_with_categories_and_copied_with_them(api: Api) -> None:
    definition = (await api.rows("UserDefinedFieldDefinitions", where("id", "gte", 0)))[0]["id"]
    path = "ConfigurationItemCategories/3/UdfAssociations"
    await api.ok("POST", path, {"userDefinedFieldDefinitionID": definition, "isRequired": False})
    assert "already" in (await api.errors("POST", path, {"userDefinedFieldDefinitionID": definition}))[0]
    body = {"id": 3, "name": "Copy", "isActive": True, "displayColorRGB": 2}
    copy = await api.create("ConfigurationItemCategories", **body)
    listed = (await api.ok("GET", f"ConfigurationItemCategories/{copy}/UdfAssociations"))["items"]
    assert [row["userDefinedFieldDefinitionID"] for row in listed] == [definition]


async def test_item_types_are_a_picklist_that_grows_and_shrinks(api: Api) -> None:
    number = await api.create("ConfigurationItemTypes", name="Hypervisor", isActive=True)
    assert (await labels(api, "ConfigurationItems", "configurationItemType"))["Hypervisor"] == str(number)
    await api.create("ConfigurationItems", **device(configurationItemType=number))
    assert "in use" in (await api.errors("DELETE", f"ConfigurationItemTypes/{number}"))[0]
    spare = await api.create("ConfigurationItemTypes", name="Spare", isActive=True)
    assert (
        "already exists" in (await api.errors("POST", "ConfigurationItemTypes", {"name": "SPARE", "isActive": True}))[0]
    )
    await api.ok("DELETE", f"ConfigurationItemTypes/{spare}")
    assert "Spare" not in await labels(api, "ConfigurationItems", "configurationItemType")


# -- metadata ------------------------------------------------------------------------------------------------------


async def test_picklist_values_are_text_in_metadata_and_numbers_in_records(api: Api) -> None:
    priorities = await labels(api, "Tickets", "priority")
    assert priorities == {"Critical": "4", "High": "1", "Medium": "2", "Low": "3"}
    row = await api.item("Tickets", await api.create("Tickets", **ticket(priority=int(priorities["Critical"]))))
    assert row["priority"] == 4


async def test_the_tenant_has_the_names_that_a_default_policy_uses(api: Api) -> None:
    wanted = {
        ("Tickets", "queueID"): {"Monitoring", "NOC", "Service Desk"},
        ("Tickets", "status"): {"New", "In Progress", "Waiting Customer", "Complete", "Closed - No Action"},
        ("Tickets", "ticketType"): {"Incident"},
        ("Tickets", "source"): {"Monitoring Alert"},
        ("TicketNotes", "noteType"): {"Task Notes"},
        ("ConfigurationItems", "configurationItemType"): {"Server", "Workstation", "Network Device"},
    }
    for (entity, field), names in wanted.items():
        assert names <= set(await labels(api, entity, field)), field
    products = await api.rows("Products", where("isActive", "eq", True))
    assert {"Managed Server", "Managed Device", "Managed Network Device"} <= {row["name"] for row in products}


async def test_metadata_tells_lengths_requirements_references_and_parents(api: Api) -> None:
    fields = {field["name"]: field for field in (await api.ok("GET", "Tickets/entityInformation/fields"))["fields"]}
    assert (fields["externalID"]["length"], fields["externalID"]["dataType"]) == (50, "string")
    assert (fields["companyID"]["isRequired"], fields["companyID"]["referenceEntityType"]) == (True, "Company")
    assert (fields["rmmAlertID"]["isReadOnly"], fields["creatorType"]["isQueryable"]) == (True, False)
    assert fields["subIssueType"]["picklistParentValueField"] == "issueType"
    assert "label" not in fields["title"]
    info = (await api.ok("GET", "ConfigurationItems/entityInformation"))["info"]
    assert (info["canCreate"], info["canDelete"], info["hasUserDefinedFields"]) == (True, False, True)
    assert info["supportsWebhookCallouts"] is True


async def test_labels_of_field_types_may_be_the_old_ones(api: Api) -> None:
    await api.switch(udf_type_labels="legacy")
    assert {"Account", "Installed Product"} <= set(await labels(api, "UserDefinedFieldDefinitions", "udfType"))


async def test_every_entity_answers_its_metadata_and_queries(api: Api) -> None:
    for entity in await api.control("GET", "state"):
        name = entity[0].upper() + entity[1:]
        answer = await api.call("GET", f"{name}/entityInformation/fields")
        if answer.status_code == 404:
            assert entity in ("simulator", "counters", "webhookDeliveries", "apiUser", "history")
            continue
        column = "ticketID" if name == "TicketHistory" else "id"
        body = {"filter": [where(column, "eq" if column == "ticketID" else "exist", 1)]}
        assert "items" in await api.ok("POST", f"{name}/query", body)
        assert "info" in await api.ok("GET", f"{name}/entityInformation")
