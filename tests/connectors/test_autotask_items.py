"""Configuration item commands over real HTTP against the sandbox, judged by the sandbox's own record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from tests.connectors.autotask_lab import DEVICE_UID, MACS, MATCH, Lab, lab, retire, upsert
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, device, running_board

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


QUERY, CREATE, UPDATE = "POST ConfigurationItems/query", "POST ConfigurationItems", "PATCH ConfigurationItems"
GUID_FIELD = "NinjaOne Device GUID"


async def items(it: Lab, **values: Any) -> list[dict[str, Any]]:
    conditions = [{"op": "eq", "field": name, "value": value} for name, value in values.items()]
    return await it.api.rows("ConfigurationItems", *(conditions or [{"op": "gte", "field": "id", "value": 0}]))


def udfs(row: dict[str, Any]) -> dict[str, str | None]:
    return {pair["name"]: pair["value"] for pair in row["userDefinedFields"]}


async def test_a_new_device_is_one_read_and_one_create_with_product_type_and_fields(it: Lab) -> None:
    effects = it.effects
    mark = await it.mark()
    effect = await effects.perform(upsert())
    assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "Called", True)
    assert await it.made(mark) == [QUERY, CREATE]
    row = await it.api.item("ConfigurationItems", effect.item_id or 0)
    assert (row["companyID"], row["productID"], row["isActive"]) == (FIRST_COMPANY, 29682953, True)
    assert (row["referenceTitle"], row["referenceNumber"], row["serialNumber"]) == ("SRV01", "ls.407", "5CG1234XYZ")
    assert udfs(row)["NinjaOne Link"].endswith("/#/deviceDashboard/407/overview")
    assert effect.company_id == FIRST_COMPANY


async def test_an_unchanged_device_is_one_read_and_no_write(it: Lab) -> None:
    effects = it.effects
    created = await effects.perform(upsert())
    mark = await it.mark()
    effect = await effects.perform(upsert(item_id=created.item_id))
    assert (effect.how, effect.written, effect.item_id) == ("NothingToDo", False, created.item_id)
    assert await it.made(mark) == [QUERY]


async def test_only_differences_are_written(it: Lab) -> None:
    effects = it.effects
    created = await effects.perform(upsert())
    mark = await it.mark()
    fields = {**upsert().fields, "Operating System": "Windows Server 2025"}
    effect = await effects.perform(upsert(title="SRV01-NEW", fields=fields))
    assert (effect.item_id, effect.written) == (created.item_id, True)
    # The first time of a process it is looked whether Autotask kept the fields that were left out.
    assert await it.made(mark) == [QUERY, UPDATE, f"GET ConfigurationItems/{created.item_id}"]
    history = (await it.api.control("GET", "state"))["history"]
    assert sorted(history[-1]["after"]) == ["lastModifiedTime", "referenceTitle", "userDefinedFields"]
    mark = await it.mark()
    await effects.perform(upsert(title="SRV01-NEWER", fields={**fields, "Operating System": "Windows Server 2028"}))
    assert await it.made(mark) == [QUERY, UPDATE]


async def test_a_field_that_became_empty_is_cleared_on_our_own_item(it: Lab) -> None:
    effects = it.effects
    created = await effects.perform(upsert())
    await effects.perform(upsert(fields={**upsert().fields, "Operating System": ""}))
    assert udfs(await it.api.item("ConfigurationItems", created.item_id or 0))["Operating System"] is None


@pytest.mark.parametrize(
    ("present", "step"),
    [
        ({"serialNumber": "5cg1234xyz", "referenceTitle": "some old name"}, "serial"),
        ({"referenceTitle": "SRV01"}, "hostname"),
        ({"referenceTitle": "Srv01", "serialNumber": "To be filled by O.E.M."}, "hostname"),
        ({"referenceTitle": "x", "userDefinedFields": [{"name": GUID_FIELD, "value": DEVICE_UID}]}, "device_uid"),
    ],
)
async def test_an_item_that_somebody_else_made_is_adopted(it: Lab, present: dict[str, Any], step: str) -> None:
    await it.api.control("POST", "udfs", name=GUID_FIELD)
    theirs = await it.api.create("ConfigurationItems", **device(**present))
    mark = await it.mark()
    effect = await it.effects.perform(upsert(fields={**upsert().fields, GUID_FIELD: DEVICE_UID}))
    assert (effect.verdict, effect.item_id) == (Verdict.SUCCEEDED, theirs)
    assert f"adopted by {step}" in effect.detail
    assert (await it.made(mark))[:2] == [QUERY, UPDATE]
    assert (await it.api.item("ConfigurationItems", theirs))["referenceNumber"] == "ls.407"
    assert len(await items(it)) == 1


async def test_an_item_is_adopted_by_the_address_that_the_vendors_own_rmm_reported(it: Lab) -> None:
    theirs = await it.api.create("ConfigurationItems", **device(referenceTitle="other"))
    await it.api.control("PATCH", f"configuration-items/{theirs}", rmmDeviceAuditMacAddress="00-15-5D-01-02-04")
    effect = await it.effects.perform(upsert(serial="None"))
    assert (effect.item_id, "adopted by mac" in effect.detail) == (theirs, True)


async def test_an_item_is_adopted_by_the_address_in_a_user_defined_field(it: Lab) -> None:
    await it.api.control("POST", "udfs", name="MAC")
    pair = {"name": "MAC", "value": ", ".join(MACS)}
    theirs = await it.api.create("ConfigurationItems", **device(referenceTitle="x", userDefinedFields=[pair]))
    effect = await it.effects.perform(upsert(fields={**upsert().fields, "MAC": pair["value"]}))
    assert (effect.item_id, "adopted by mac" in effect.detail) == (theirs, True)


@pytest.mark.parametrize(
    "present",
    [
        {"serialNumber": "5CG1234XYZ", "referenceNumber": "ls.999"},
        {"serialNumber": "5CG1234XYZ", "companyID": SECOND_COMPANY},
        {"referenceTitle": "srv01", "serialNumber": "ANOTHER-SERIAL"},
    ],
)
async def test_an_item_of_another_device_or_company_or_machine_is_never_adopted(
    it: Lab, present: dict[str, Any]
) -> None:
    theirs = await it.api.create("ConfigurationItems", **device(**present))
    effect = await it.effects.perform(upsert())
    assert effect.verdict is Verdict.SUCCEEDED
    assert effect.item_id != theirs
    assert len(await items(it)) == 2


async def test_an_inactive_item_of_another_device_may_be_adopted(it: Lab) -> None:
    theirs = await it.api.create(
        "ConfigurationItems", **device(serialNumber="5CG1234XYZ", referenceNumber="ls.999", isActive=False)
    )
    effect = await it.effects.perform(upsert())
    row = await it.api.item("ConfigurationItems", theirs)
    assert effect.item_id == theirs
    assert (row["referenceNumber"], row["isActive"]) == ("ls.407", True)


async def test_placeholder_serials_neither_match_nor_are_written(it: Lab) -> None:
    for _ in range(2):
        await it.api.create("ConfigurationItems", **device(serialNumber="Default string", referenceTitle="other"))
    effect = await it.effects.perform(upsert(serial="Default string"))
    row = await it.api.item("ConfigurationItems", effect.item_id or 0)
    assert row["serialNumber"] == ""
    assert len(await items(it)) == 3


async def test_several_items_with_the_serial_are_told_apart_by_name_or_the_device_waits_for_a_person(it: Lab) -> None:
    first = await it.api.create("ConfigurationItems", **device(serialNumber="5CG1234XYZ", referenceTitle="A"))
    named = await it.api.create("ConfigurationItems", **device(serialNumber="5CG1234XYZ", referenceTitle="SRV01"))
    effects = it.effects
    assert (await effects.perform(upsert())).item_id == named
    other = await effects.perform(upsert("408", title="WS9", hostname="ws9"))
    assert other.item_id == first, "the only one left that belongs to nobody"
    third = await it.api.create("ConfigurationItems", **device(serialNumber="DUP", referenceTitle="A"))
    fourth = await it.api.create("ConfigurationItems", **device(serialNumber="DUP", referenceTitle="B"))
    made = await effects.perform(upsert("409", serial="DUP", title="WS10", hostname="ws10"))
    assert (made.verdict, made.reason, made.item_id) == (Verdict.REJECTED, "AmbiguousItem", None)
    assert f"items {third} 'A', {fourth} 'B'" in made.detail
    assert "'lockstep parked retry 409'" in made.detail
    await it.api.control("PATCH", f"configuration-items/{third}", isActive=False)
    assert (await effects.perform(upsert("409", serial="DUP", title="WS10", hostname="ws10"))).item_id == fourth


async def test_doubles_with_our_key_end_with_one_active_item(it: Lab) -> None:
    old = await it.api.create("ConfigurationItems", **device(referenceNumber="ls.407"))
    young = await it.api.create("ConfigurationItems", **device(referenceNumber="ls.407"))
    effect = await it.effects.perform(upsert())
    assert effect.item_id == old
    assert f"item {young} was a double" in effect.detail
    assert [row["id"] for row in await items(it, isActive=True)] == [old]


async def test_missing_fields_are_named_and_the_rest_is_synced(it: Lab) -> None:
    effect = await it.effects.perform(upsert(fields={**upsert().fields, "No Such Field": "x"}))
    assert effect.verdict is Verdict.SUCCEEDED
    assert "without the user-defined fields No Such Field" in effect.detail
    row = await it.api.item("ConfigurationItems", effect.item_id or 0)
    assert udfs(row)["Operating System"] == "Windows Server 2022"


async def test_a_field_that_an_administrator_made_meanwhile_is_used_soon(it: Lab) -> None:
    effects = it.effects
    command = upsert(fields={**upsert().fields, "Later": "now"})
    await effects.perform(command)
    await it.api.control("POST", "udfs", name="Later")
    await it.api.control("POST", "clock", advance=6)
    effect = await effects.perform(command)
    assert (effect.written, effect.detail) == (True, "")


async def test_a_field_taken_away_meanwhile_costs_one_refusal_and_then_the_sync_goes_on_without(it: Lab) -> None:
    effects = it.effects
    await effects.perform(upsert())
    await it.api.control("DELETE", "udfs/Operating System")
    await it.api.control("POST", "clock", advance=6)
    command = upsert(title="NEW", fields={**upsert().fields, "Operating System": "other"})
    assert (await effects.perform(command)).verdict is Verdict.SUCCEEDED


async def test_protected_fields_that_we_may_not_see_are_left_alone(it: Lab) -> None:
    await it.api.control("POST", "udfs", name="Secret Field", isProtected=True)
    command = upsert(fields={"Secret Field": "a"})
    effects = it.effects
    await effects.perform(command)
    await it.api.control("PATCH", "api-user", protected_data=False)
    effect = await effects.perform(upsert(fields={"Secret Field": "b"}))
    assert (effect.verdict, effect.how) == (Verdict.SUCCEEDED, "NothingToDo")
    assert "Secret Field: protected" in effect.detail


async def test_an_unknown_product_is_refused_with_what_exists(it: Lab) -> None:
    effect = await it.effects.perform(upsert(product="Nothing"))
    assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "UnknownName")
    assert "product 'Nothing' does not exist in Autotask; there are: " in effect.detail
    assert "Managed Server" in effect.detail


async def test_two_devices_with_one_serial_side_by_side_do_not_adopt_the_same_item(it: Lab) -> None:
    await it.api.create("ConfigurationItems", **device(serialNumber="5CG1234XYZ"))
    effects = it.effects
    # With time between read and write, both would see the item while it belongs to nobody.
    await it.api.switch(latency_ms=20)
    await asyncio.gather(effects.perform(upsert()), effects.perform(upsert("408", title="B", hostname="b")))
    assert sorted(row["referenceNumber"] for row in await items(it)) == ["ls.407", "ls.408"]


async def test_a_create_of_unknown_outcome_is_found_and_not_repeated(it: Lab) -> None:
    effects = it.effects
    assert await effects.look_up(upsert()) is None
    await it.api.fault("drop_after_commit", match={"method": "POST", "path": "/ConfigurationItems$"}, count=1)
    assert (await effects.perform(upsert())).verdict is Verdict.UNKNOWN
    found = await effects.look_up(upsert())
    assert found is not None
    assert (found.verdict, found.how) == (Verdict.SUCCEEDED, "FoundByLookUp")
    assert await effects.look_up(upsert(title="changed")) is None
    assert len(await items(it)) == 1


async def test_retiring_reads_then_sets_inactive_and_once_more_does_nothing(it: Lab) -> None:
    effects = it.effects
    created = await effects.perform(upsert())
    assert await effects.look_up(retire()) is None
    mark = await it.mark()
    effect = await effects.perform(retire(item_id=created.item_id))
    assert (effect.written, effect.item_id) == (True, created.item_id)
    assert await it.made(mark) == [QUERY, UPDATE]
    assert (await it.api.item("ConfigurationItems", created.item_id or 0))["isActive"] is False
    again = await effects.perform(retire())
    assert (again.how, again.reason) == ("NothingToDo", "AlreadyInactive")
    assert await effects.look_up(retire()) is not None


async def test_retiring_leaves_an_item_alone_that_another_device_has_adopted(it: Lab) -> None:
    effects = it.effects
    created = await effects.perform(upsert())
    number = created.item_id or 0
    await it.api.control("PATCH", f"configuration-items/{number}", referenceNumber="ls.999")
    effect = await effects.perform(retire(item_id=number))
    assert (effect.how, effect.reason, effect.written) == ("NothingToDo", "AdoptedByAnotherDevice", False)
    assert (await it.api.item("ConfigurationItems", number))["isActive"] is True


async def test_retiring_what_is_not_there_does_nothing(it: Lab) -> None:
    effect = await it.effects.perform(retire(item_id=999_999))
    assert (effect.verdict, effect.how, effect.reason) == (Verdict.SUCCEEDED, "NothingToDo", "NoSuchItem")


async def test_an_item_whose_key_was_erased_in_autotask_is_found_by_its_id(it: Lab) -> None:
    effects = it.effects
    number = (await effects.perform(upsert())).item_id or 0
    await it.api.control(
        "PATCH", f"configuration-items/{number}", referenceNumber="", serialNumber="", referenceTitle="typed over"
    )
    effect = await effects.perform(upsert(item_id=number))
    assert (effect.item_id, effect.written) == (number, True)
    assert len(await items(it)) == 1


async def test_the_order_of_the_policy_decides(it: Lab) -> None:
    by_name = await it.api.create("ConfigurationItems", **device(referenceTitle="SRV01"))
    by_serial = await it.api.create("ConfigurationItems", **device(serialNumber="5CG1234XYZ", referenceTitle="Z"))
    assert (await it.effects.perform(upsert(match=("hostname", "serial")))).item_id == by_name
    assert (await it.effects.perform(upsert("408", title="y", hostname="y", match=MATCH))).item_id == by_serial
