"""``lockstep test autotask`` and ``lockstep setup``: each step told apart, judged against the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from connectors.autotask.probe import probe
from connectors.autotask.setup import Setup
from tests.connectors.autotask_lab import Lab, lab
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


async def refused_calls(it: Lab) -> list[int]:
    return [row["status"] for row in await it.api.control("GET", "calls?since=0") if row["status"] != 200]


async def test_a_working_connection_answers_the_line_of_the_guide(it: Lab) -> None:
    result = await probe(it.client, fields=["NinjaOne Link"])
    assert (result.ok, result.line, result.findings) == (
        True,
        "Status: Connection succeeded with provided credentials.",
        (),
    )
    assert [step.step for step in result.steps] == [
        "zone",
        "user",
        "credentials",
        "tracking identifier",
        "permissions",
    ]


async def test_a_missing_field_is_a_finding_and_no_refusal(it: Lab) -> None:
    result = await probe(it.client, fields=["NinjaOne Link", "Nope"])
    assert result.ok
    assert len(result.findings) == 1
    assert "'Nope'" in result.findings[0]


async def test_an_unknown_user_is_named_as_such(board: Board) -> None:
    async with lab(board, username="nobody@example.org") as it:
        result = await probe(it.client)
        assert result.failed is not None
        assert result.failed.step == "user"
        assert "'nobody@example.org'" in result.line
        assert await refused_calls(it) == [500]


@pytest.mark.parametrize("trouble", [{"locked": True}, {"active": False}, {"secret": "another-secret"}])
async def test_locked_inactive_and_wrong_secret_are_one_line_that_names_all_three_in_order(
    it: Lab, trouble: dict[str, Any]
) -> None:
    secret = it.api.vendor.secret
    await it.api.control("PATCH", "api-user", **trouble)
    result = await probe(it.client, worked_until="14:05")
    assert result.failed is not None
    assert result.failed.step == "credentials"
    line = result.failed.line
    assert line.index("Active") < line.index("Locked") < line.index("secret is right")
    assert "worked until 14:05 with the same secret" in line
    assert secret not in line
    assert await refused_calls(it) == [401]


async def test_a_wrong_tracking_identifier_is_told_apart_from_the_secret(board: Board) -> None:
    async with lab(board, integration_code="WRONGCODE00000000") as it:
        result = await probe(it.client)
        assert result.failed is not None
        assert (result.failed.step, result.steps[-2].step) == ("tracking identifier", "credentials")
        assert "WRONGCODE" not in result.line
        assert await refused_calls(it) == [500]


async def test_missing_rights_are_named_by_entity_and_action(it: Lab) -> None:
    await it.api.control(
        "PATCH", "api-user", permissions={"TicketNotes": {"create": False}, "Products": {"query": False}}
    )
    result = await probe(it.client)
    assert result.failed is not None
    assert result.failed.step == "permissions"
    assert "create TicketNotes; query Products" in result.line
    assert await refused_calls(it) == []


async def test_a_shadow_needs_the_rights_to_read_only(it: Lab) -> None:
    it.client.access = replace(it.client.access, reads_only=True)
    nothing = {"create": False, "update": False}
    await it.api.control("PATCH", "api-user", permissions={"Tickets": nothing, "ConfigurationItems": nothing})
    assert (await probe(it.client)).ok
    await it.api.control("PATCH", "api-user", permissions={"Tickets": {"query": False}})
    assert "query Tickets" in (await probe(it.client)).line


async def test_an_unreachable_discovery_says_where_it_looked(board: Board) -> None:
    async with lab(board, discovery_url="http://127.0.0.1:9/atservicesrest/") as it:
        result = await probe(it.client)
        assert result.failed is not None
        assert (result.failed.step, result.reachable) == ("zone", False)
        assert "autotask.discovery_url" in result.line
        assert "127.0.0.1:9" in result.line


async def test_a_page_that_is_no_zone_information_is_no_traceback(board: Board) -> None:
    async with lab(board, discovery_url=f"{board.url}/_sandbox/") as it:
        result = await probe(it.client)
        assert (result.ok, result.steps[-1].step) == (False, "zone")


async def test_overload_says_nothing_about_the_credentials(it: Lab) -> None:
    await it.api.fault("status", match={"path": "Version$"}, params={"code": 503}, count=-1)
    result = await probe(it.client)
    assert (result.ok, result.reachable) == (False, False)
    assert "nothing is known to be wrong with the credentials" in result.line


async def test_setup_names_missing_fields_and_makes_them_visible(it: Lab) -> None:
    setup = Setup(it.client)
    assert await setup.missing_fields(["ninjaone link", "NinjaOne Device", "Role"]) == ["NinjaOne Device", "Role"]
    made = await setup.create_field("NinjaOne Device")
    assert (made.ok, made.line) == (True, "user-defined field 'NinjaOne Device' created")
    assert await setup.missing_fields(["NinjaOne Device"]) == []
    tenant = it.api.vendor.tenant
    definition = next(r for r in tenant.rows["UserDefinedFieldDefinitions"] if r["name"] == "NinjaOne Device")
    assert (definition["udfType"], definition["dataType"]) == (8, 1)
    shown = tenant.rows["ConfigurationItemCategoryUdfAssociations"].where(userDefinedFieldDefinitionID=definition["id"])
    active = [row for row in tenant.rows["ConfigurationItemCategories"] if row["isActive"]]
    assert len(shown) == len(active) > 0
    assert (await setup.create_field("NinjaOne Device")).line.endswith("exists already")


async def test_the_old_labels_of_the_udf_type_are_understood(it: Lab) -> None:
    await it.api.switch(udf_type_labels="legacy")
    assert (await Setup(it.client).create_field("Legacy")).ok


async def test_a_missing_right_to_create_fields_says_what_to_do_by_hand(it: Lab) -> None:
    await it.api.control("PATCH", "api-user", permissions={"UserDefinedFieldDefinitions": {"create": False}})
    made = await Setup(it.client).create_field("By Hand")
    assert (made.ok, "by hand" in made.line) == (False, True)


async def test_a_name_that_is_too_long_is_not_sent(it: Lab) -> None:
    made = await Setup(it.client).create_field("x" * 46)
    assert (made.ok, "45" in made.line) == (False, True)
    assert await it.calls() == []


async def test_names_of_the_policy_are_checked_all_at_once(it: Lab) -> None:
    findings = await Setup(it.client).check(
        fields=["NinjaOne Link", "Gone"],
        names=[
            ("queue", "NOC"),
            ("queue", "Nowhere"),
            ("status", "Retired Status"),
            ("product", "Managed Server"),
            ("product", "Nothing"),
            ("item type", "Server"),
            ("item category", 424242),
            ("note type", "Task Notes"),
        ],
    )
    assert [(finding.kind, finding.name, finding.reason) for finding in findings] == [
        ("user-defined field", "Gone", "MissingField"),
        ("queue", "Nowhere", "UnknownName"),
        ("status", "Retired Status", "InactiveName"),
        ("product", "Nothing", "UnknownName"),
        ("item category", "424242", "UnknownName"),
    ]
