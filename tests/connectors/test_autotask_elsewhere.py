"""Our Autotask side against an Autotask that is not ours: what another tenant or simulator may do just as faithfully.

The sandbox seen through a lens that changes its answers where the vendor's reference leaves room.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from connectors.autotask.client import AutotaskClient
from connectors.autotask.poller import AutotaskPoller
from connectors.autotask.probe import probe
from connectors.autotask.setup import Setup
from connectors.autotask.webhook_setup import WebhookSetup
from connectors.ports import Verdict
from schemas.facts import CompaniesObserved, TicketObserved
from tests.connectors.autotask_lab import Lab, append_note, complete_ticket, create_ticket, lab, retire, upsert
from tests.connectors.autotask_tenant import Board, Lens, running_board
from tests.connectors.memory_log import SwitchedGate

pytestmark = pytest.mark.asyncio(loop_scope="module")
SUCCESS = "Status: Connection succeeded with provided credentials."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running
    board.lens = None


def client_like(it: Lab) -> AutotaskClient:
    """A client of its own with the same credentials, as ``lockstep test`` has one."""
    return AutotaskClient(
        it.client.access, gate=SwitchedGate("autotask"), now=it.client.now, sleep=it.client._sleep, jitter=lambda: 0.5
    )


def keys(change: Callable[[str], str]) -> Lens:
    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {change(key): changed(item) for key, item in value.items()}
        return [changed(item) for item in value] if isinstance(value, list) else value

    return lambda method, path, status, document: (status, changed(document))


def values(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Lens:
    """A lens on every JSON object of an answer, inner ones first."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return change({key: changed(item) for key, item in value.items()})
        return [changed(item) for item in value] if isinstance(value, list) else value

    return lambda method, path, status, document: (status, changed(document))


def without_what_is_not_set(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in (None, "", []) or key in ("item", "items")}


def with_more_than_we_know(row: dict[str, Any]) -> dict[str, Any]:
    return {"_new": {"deep": [1]}, **row, "zzzFlag": True, "zzzList": [None]}


def numbers_in_picklists(row: dict[str, Any]) -> dict[str, Any]:
    if "parentValue" in row and str(row["value"]).isdigit():
        return {**row, "value": int(row["value"]), "sortOrder": None, "isSystem": None}
    return row


def pages_of_three(method: str, path: str, status: int, document: Any) -> tuple[int, Any]:
    if path.lower().endswith("/query") and len(document.get("items") or []) > 3:
        more = {"count": 3, "requestCount": 3, "prevPageUrl": None, "nextPageUrl": "https://elsewhere/next"}
        return status, {"items": document["items"][:3], "pageDetails": more}
    return status, document


def newest_first(method: str, path: str, status: int, document: Any) -> tuple[int, Any]:
    if path.lower().endswith("/query") and "items" in document:
        return status, {**document, "items": document["items"][::-1]}
    return status, document


def ids_of_writes_as_text(method: str, path: str, status: int, document: Any) -> tuple[int, Any]:
    return status, {"itemId": str(document["itemId"])} if "itemId" in document else document


def words_for_access(row: dict[str, Any]) -> dict[str, Any]:
    said = {0: "None", 1: "All", 2: "Restricted"}
    return {key: said[value] if key.startswith("userAccess") else value for key, value in row.items()}


@pytest.mark.parametrize(
    "lens",
    [
        pytest.param(keys(str.lower), id="lower case keys"),
        pytest.param(keys(lambda key: key[0].upper() + key[1:]), id="upper case keys"),
        pytest.param(values(without_what_is_not_set), id="absent instead of null"),
        pytest.param(values(with_more_than_we_know), id="fields nobody knows"),
        pytest.param(values(lambda row: dict(reversed(row.items()))), id="another order of fields"),
        pytest.param(values(numbers_in_picklists), id="numbers in picklists"),
        pytest.param(pages_of_three, id="small pages"),
        pytest.param(newest_first, id="newest first"),
        pytest.param(ids_of_writes_as_text, id="ids as text"),
        pytest.param(values(words_for_access), id="access in words"),
    ],
)
async def test_a_whole_working_day_at_another_simulator(board: Board, it: Lab, lens: Lens) -> None:
    board.lens = lens
    result = await probe(it.client, fields=["NinjaOne Link"])
    assert (result.line, result.findings) == (SUCCESS, ())
    setup = Setup(it.client)
    assert (
        await setup.check(fields=["NinjaOne Link"], names=[("queue", "Monitoring"), ("product", "Managed Server")])
        == []
    )
    assert (await setup.create_field("Elsewhere")).ok

    effects, poller = it.effects, AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5)
    opened = await effects.perform(create_ticket())
    assert opened.verdict is Verdict.SUCCEEDED
    number = opened.ticket_id or 0
    assert (await effects.look_up(create_ticket())) is not None
    assert (await effects.perform(append_note(number))).verdict is Verdict.SUCCEEDED
    assert (await effects.look_up(append_note(number))) is not None
    assert (await effects.perform(complete_ticket(number))).verdict is Verdict.SUCCEEDED
    assert (await effects.look_up(complete_ticket(number))) is not None
    assert await poller.poll_tickets() == 1
    (fact,) = it.log.facts(TicketObserved)
    assert isinstance(fact, TicketObserved)
    assert (fact.ticket_id, fact.completed, fact.status) == (number, True, 5)
    assert await poller.poll_companies()
    (companies,) = it.log.facts(CompaniesObserved)
    assert isinstance(companies, CompaniesObserved)
    assert len(companies.companies) == len(it.api.vendor.tenant.rows["Companies"])
    assert (await poller.poll_budget()).limit == 10_000

    made = await effects.perform(upsert())
    assert made.verdict is Verdict.SUCCEEDED
    assert (await effects.perform(upsert())).how == "NothingToDo"
    assert (await effects.perform(upsert(title="SRV02"))).written
    assert (await effects.perform(retire())).written

    webhook = WebhookSetup(
        it.client, effects.metadata, public_url="https://psa.example/webhooks/autotask", secret="s" * 16
    )
    assert (await webhook.ensure()).delivering
    assert (await webhook.ensure()).findings == ()


@pytest.mark.parametrize("status", [400, 409, 422, 500])
async def test_a_refusal_is_for_good_whatever_status_it_has(board: Board, it: Lab, status: int) -> None:
    def lens(method: str, path: str, was: int, document: Any) -> tuple[int, Any]:
        return (status if was == 500 else was), document

    board.lens = lens
    effect = await it.effects.perform(create_ticket(company_id=424242))
    assert effect.verdict is Verdict.REJECTED
    assert "companyID" in effect.detail
    await it.api.control("PATCH", "api-user", permissions={"Tickets": {"create": False}})
    refused = await it.effects.perform(create_ticket())
    assert (refused.verdict, refused.reason) == (Verdict.REJECTED, "PermissionDenied")


async def test_the_value_of_a_user_defined_field_may_be_no_text(board: Board, it: Lab) -> None:
    made = await it.effects.perform(upsert(fields={"Operating System": "true"}))

    def typed(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "value": True} if row.get("value") == "true" else row

    board.lens = values(typed)
    again = await it.effects.perform(upsert(fields={"Operating System": "true"}))
    assert (again.how, again.item_id) == ("NothingToDo", made.item_id)


async def test_an_odd_ticket_is_told_once_as_a_dead_letter_and_stops_no_other(it: Lab) -> None:
    effects = it.effects
    odd = await effects.perform(create_ticket(1))
    await effects.perform(create_ticket(2))
    it.api.vendor.tenant.rows["Tickets"].change(odd.ticket_id or 0, {"status": None})
    poller = AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5)
    assert await poller.poll_tickets() == 1
    assert await poller.poll_tickets() == 0
    (letter,) = it.log.dead_letters
    assert (letter.stage, "status" in letter.error) == ("autotask-tickets", True)


async def test_a_test_says_what_is_right_where_version_and_some_metadata_do_not_exist(it: Lab) -> None:
    await it.api.fault("status", match={"path": "/Version$"}, params={"code": 404}, count=-1)
    await it.api.fault("status", match={"path": "TicketNotes/entityInformation"}, params={"code": 405}, count=-1)
    assert (await probe(it.client)).line == SUCCESS


async def test_a_right_that_only_the_call_itself_shows_missing_is_named_too(it: Lab) -> None:
    text = "The logged in Resource does not have the adequate permissions to query this entity type"
    await it.api.fault(
        "status",
        match={"path": "ConfigurationItems/query$"},
        params={"code": 500, "body": {"errors": [text]}},
        count=-1,
    )
    result = await probe(it.client)
    assert result.failed is not None
    assert [step.step for step in result.steps].count("permissions") == 1
    assert (result.failed.step, "read ConfigurationItems" in result.line) == ("permissions", True)


async def test_a_user_who_is_shown_no_company_is_no_success(it: Lab) -> None:
    await it.api.control("PATCH", "api-user", permissions={"Companies": {"query": "empty"}})
    result = await probe(it.client)
    assert result.failed is not None
    assert (result.failed.step, "no company" in result.line) == ("permissions", True)


async def test_a_vendor_that_says_locked_is_quoted_beside_all_three_causes(it: Lab) -> None:
    await it.api.switch(locked_answer="text")
    await it.api.control("PATCH", "api-user", locked=True)
    result = await probe(it.client)
    assert result.failed is not None
    line = result.failed.line
    assert "has been locked" in line
    assert "401" not in line
    assert line.index("Active is") < line.index("Locked is") < line.index("secret is right")


@pytest.mark.parametrize("answer", [401, 500])
async def test_a_tenant_that_moved_is_found_again_after_a_successful_test(it: Lab, answer: int) -> None:
    assert (await it.effects.perform(create_ticket(1))).verdict is Verdict.SUCCEEDED
    await it.api.switch(zone_moved=True, wrong_zone_answer=answer)
    assert (await it.effects.perform(create_ticket(2))).verdict is Verdict.SUSPENDED
    async with client_like(it) as other:
        assert (await probe(other)).line == SUCCESS
    it.gate.closed = None
    assert (await it.effects.perform(create_ticket(2))).verdict is Verdict.SUCCEEDED
    rows = await it.api.control("GET", "calls?since=0")
    assert [row["auth"] for row in rows].count("wrong_zone") == 1


async def test_a_tenant_that_moved_and_redirects_costs_one_call_that_did_nothing(it: Lab) -> None:
    assert (await it.effects.perform(create_ticket(1))).verdict is Verdict.SUCCEEDED
    await it.api.switch(zone_moved=True, wrong_zone_answer=307)
    assert (await it.effects.perform(create_ticket(2))).verdict is Verdict.TRANSIENT
    assert (await it.effects.perform(create_ticket(2))).verdict is Verdict.SUCCEEDED
    await it.api.switch(zone_moved=False)  # for the test's own look
    assert len(await it.tickets()) == 2


async def test_a_discovery_that_is_down_stops_nobody_who_knows_the_zone(it: Lab) -> None:
    await it.client.read("Version", endpoint="Version")
    await it.api.control("POST", "clock", advance=13 * 3600)
    await it.api.fault("status", match={"entity": "ZoneInformation"}, params={"code": 503}, count=-1)
    await it.client.read("Version", endpoint="Version")


async def test_a_double_is_completed_where_no_note_type_has_the_usual_name(board: Board, it: Lab) -> None:
    first, second = [(await it.effects.perform(create_ticket())).ticket_id or 0 for _ in range(2)]

    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "label": f"x {row['label']}"} if str(row.get("label", "")).startswith("Task ") else row

    board.lens = values(renamed)
    effect = await it.effects.complete_as_double(second, str(first))
    assert effect.verdict is Verdict.SUCCEEDED
    (note,) = await it.api.rows("TicketNotes", {"op": "eq", "field": "ticketID", "value": second})
    assert note["noteType"] == 3


@pytest.mark.parametrize("habit", ["merge", "replace"])
async def test_fields_that_others_keep_on_an_item_outlive_our_updates(it: Lab, habit: str) -> None:
    await it.api.switch(udf_patch=habit)
    await it.api.control("POST", "udfs", name="Rack")
    effects = it.effects
    made = await effects.perform(upsert())
    await it.api.control(
        "PATCH", f"configuration-items/{made.item_id}", userDefinedFields=[{"name": "Rack", "value": "B7"}]
    )
    for version in ("2025", "2028"):
        await effects.perform(upsert(fields={**upsert().fields, "Operating System": version}))
        row = await it.api.item("ConfigurationItems", made.item_id or 0)
        kept = {pair["name"]: pair["value"] for pair in row["userDefinedFields"]}
        assert (kept["Rack"], kept["Operating System"]) == ("B7", version)
        assert kept["NinjaOne Link"]


@pytest.mark.parametrize(
    "labels",
    [
        ("Multi-Line Text", "Single-Line Text"),
        ("Text (Multi Line)", "Text"),
        ("Multi Line String", "String"),
    ],
)
async def test_the_plain_text_type_is_found_under_other_labels(board: Board, it: Lab, labels: tuple[str, str]) -> None:
    names = {
        "Text (Single Line)": labels[1],
        "Text (Multi Line)": labels[0],
        "Configuration Item": "ConfigurationItems",
    }

    def renamed(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "label": names.get(row["label"], row["label"])} if "parentValue" in row else row

    board.lens = values(renamed)
    assert (await Setup(it.client).create_field("Elsewhere")).ok
    rows = it.api.vendor.tenant.rows["UserDefinedFieldDefinitions"]
    assert next((row["dataType"], row["udfType"]) for row in rows if row["name"] == "Elsewhere") == (1, 8)


async def test_a_user_who_may_not_read_resources_has_a_webhook_all_the_same(it: Lab) -> None:
    await it.api.control("PATCH", "api-user", permissions={"Resources": {"query": False}})
    webhook = WebhookSetup(
        it.client, it.effects.metadata, public_url="https://psa.example/webhooks/autotask", secret="s" * 16
    )
    state = await webhook.ensure()
    assert (state.delivering, "Lockstep's own writes" in state.findings[0]) == (True, True)
