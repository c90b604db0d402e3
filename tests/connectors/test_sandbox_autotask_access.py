"""Zones, credentials, permissions and limits of the Autotask sandbox, as a client meets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.connectors.autotask_tenant import Api, Board, device, running_board, ticket, where

ALL = {"filter": [where("id", "gte", 0)]}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


async def test_the_zone_of_the_api_user_is_found_without_credentials(api: Api) -> None:
    url = f"{api.base}/atservicesrest/v1.0/zoneInformation?user={api.vendor.username}"
    zone = await api.ok("GET", url, headers={})
    assert zone["url"] == f"{api.base}/ATServicesRest/"
    assert zone["webUrl"] == f"{api.base}/"
    assert isinstance(zone["ci"], int)


async def test_the_zone_of_a_stranger_is_an_error_with_its_text(api: Api) -> None:
    url = f"{api.base}/atservicesrest/v1.0/zoneInformation?user=nobody@sandbox.example"
    assert await api.errors("GET", url, headers={}) == ["Zone information could not be determined"]


async def test_a_doubled_slash_is_taken_or_must_be_mended_by_the_client(api: Api) -> None:
    assert (await api.call("GET", f"{api.base}/ATServicesRest//V1.0/Version")).status_code == 200
    await api.switch(zone_url_double_slash=True, doubled_slash="404")
    zone = await api.ok("GET", f"{api.base}/atservicesrest/v1.0/zoneInformation?user={api.vendor.username}", headers={})
    assert (await api.call("GET", f"{zone['url']}V1.0/Version")).status_code == 404
    assert (await api.call("GET", f"{zone['url'].rstrip('/')}/V1.0/Version")).status_code == 200


async def test_paths_are_the_same_in_any_case(api: Api) -> None:
    for path in ("atservicesrest/v1.0/tickets/query", "ATServicesRest/V1.0/TICKETS/Query"):
        assert (await api.ok("POST", f"{api.base}/{path}", ALL))["items"] == []
    assert await api.ok("GET", f"{api.base}/atservicesrest/versioninformation", headers={}) == {"apiVersions": ["1.0"]}
    assert (await api.ok("GET", "Version"))["majorVersion"] > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"UserName": "nobody@sandbox.example"}, "bad_user"),
        ({"Secret": "wrong"}, "bad_secret"),
        ({"UserName": ""}, "bad_user"),
        ({"Secret": ""}, "bad_secret"),
        ({"Secret": "wrong", "ApiIntegrationCode": "WRONG"}, "bad_secret"),
    ],
)
async def test_wrong_credentials_get_an_empty_401_and_only_the_log_knows_why(
    api: Api, change: dict[str, str], reason: str
) -> None:
    answer = await api.call("GET", "Version", headers={**api.headers, **change})
    assert answer.status_code == 401
    assert answer.content == b""
    assert answer.headers["content-length"] == "0"
    assert answer.headers["www-authenticate"].startswith("Basic Realm=")
    assert (await api.control("GET", "calls"))[-1]["auth"] == reason


async def test_header_names_do_not_mind_their_case(api: Api) -> None:
    headers = {
        "username": api.vendor.username,
        "SECRET": api.vendor.secret,
        "ApiIntegrationcode": api.vendor.integration_code,
    }
    assert (await api.call("GET", "Version", headers=headers)).status_code == 200


async def test_a_wrong_tracking_identifier_of_a_good_user_is_told(api: Api) -> None:
    headers = {**api.headers, "ApiIntegrationCode": "WRONG"}
    assert await api.errors("GET", "Version", headers=headers) == ["IntegrationCode is invalid."]
    await api.switch(bad_code_status=401)
    assert (await api.call("GET", "Version", headers=headers)).status_code == 401


@pytest.mark.parametrize(("change", "auth"), [({"locked": True}, "locked"), ({"active": False}, "inactive")])
async def test_a_locked_or_deactivated_user_is_refused_like_a_wrong_secret(
    api: Api, change: dict[str, bool], auth: str
) -> None:
    await api.control("PATCH", "api-user", **change)
    answer = await api.call("GET", "Version")
    assert (answer.status_code, answer.content) == (401, b"")
    assert (await api.control("GET", "calls"))[-1]["auth"] == auth
    await api.control("PATCH", "api-user", active=True, locked=False)
    assert (await api.call("GET", "Version")).status_code == 200


async def test_a_locked_user_may_be_told_so_and_a_missing_permission_may_be_403(api: Api) -> None:
    await api.switch(locked_answer="text", permission_status=403)
    await api.control("PATCH", "api-user", permissions={"Tickets": {"create": False}})
    assert (await api.call("POST", "Tickets", ticket())).status_code == 403
    await api.control("PATCH", "api-user", locked=True)
    assert "account has been locked" in (await api.errors("GET", "Version"))[0]


async def test_a_new_secret_replaces_the_old_one(api: Api) -> None:
    old = api.headers
    await api.control("PATCH", "api-user", secret="another-secret")
    assert (await api.call("GET", "Version", headers=old)).status_code == 401
    assert (await api.call("GET", "Version")).status_code == 200


async def test_repeated_failed_logins_lock_the_user_where_the_site_says_so(api: Api) -> None:
    await api.switch(lock_after=3)
    for _ in range(3):
        await api.call("GET", "Version", headers={**api.headers, "Secret": "wrong"})
    assert (await api.call("GET", "Version")).status_code == 401
    assert (await api.control("GET", "api-user"))["locked"] is True


async def test_by_default_failed_logins_are_counted_and_lock_nothing(api: Api) -> None:
    for _ in range(12):
        await api.call("GET", "Version", headers={**api.headers, "Secret": "wrong"})
    assert (await api.control("GET", "state"))["apiUser"]["failedLogins"] == 12
    assert (await api.call("GET", "Version")).status_code == 200


async def test_missing_permissions_are_500_with_a_text_not_403(api: Api) -> None:
    await api.control("PATCH", "api-user", permissions={"Tickets": {"create": False, "update": False}})
    text = "The logged in Resource does not have the adequate permissions to create this entity type"
    assert await api.errors("POST", "Tickets", ticket()) == [text]
    assert "permissions to update" in (await api.errors("PATCH", "Tickets", {"id": 1, "status": 5}))[0]
    info = (await api.ok("GET", "Tickets/entityInformation"))["info"]
    assert (info["userAccessForCreate"], info["userAccessForQuery"], info["canCreate"]) == (0, 1, True)


async def test_a_narrowed_user_sees_empty_results_instead_of_errors(api: Api) -> None:
    number = await api.create("ConfigurationItems", **device())
    await api.control("PATCH", "api-user", permissions={"ConfigurationItems": {"query": "empty"}})
    assert await api.rows("ConfigurationItems", where("id", "gte", 0)) == []
    assert (await api.call("GET", f"ConfigurationItems/{number}")).status_code == 404
    await api.control("PATCH", "api-user", permissions={"ConfigurationItems": {"query": False}})
    assert "permissions to query" in (await api.errors("POST", "ConfigurationItems/query", ALL))[0]


@pytest.mark.parametrize(
    "body",
    [
        {"aktive": True},
        {"active": "yes"},
        {"secret": ""},
        {"permissions": {"Tikets": {}}},
        {"permissions": {"Tickets": {"create": "empty"}}},
    ],
)
async def test_a_wrong_api_user_change_is_one_clear_line(api: Api, body: dict[str, Any]) -> None:
    error = (await api.control("PATCH", "api-user", 400, **body))["error"]
    assert error.startswith("api-user: ")
    assert "\n" not in error


async def test_the_header_to_impersonate_works_for_writes_by_people_only(api: Api) -> None:
    answer = await api.call("POST", "Tickets", ticket(), headers={**api.headers, "ImpersonationResourceId": "29682885"})
    row = await api.item("Tickets", answer.json()["itemId"])
    assert (row["creatorResourceID"], row["impersonatorCreatorResourceID"]) == (29_682_885, 29_682_899)
    refused = {**api.headers, "ImpersonationResourceId": "29682899"}
    assert "impersonate" in (await api.errors("POST", "Tickets", ticket(), headers=refused))[0]
    assert "impersonate" in (await api.errors("POST", "Tickets/query", ALL, headers=refused))[0]


async def test_unknown_paths_and_methods_answer_before_credentials_are_looked_at(api: Api) -> None:
    assert (await api.call("GET", "Nonsense/query", headers={})).status_code == 404
    answer = await api.call("DELETE", "Tickets/5", headers={})
    assert answer.status_code == 405
    assert answer.json() == {"Message": "The requested resource does not support http method 'DELETE'."}


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_threshold_information_counts_every_request_itself_included(api: Api) -> None:
    for _ in range(4):
        await api.ok("GET", "Version")
    assert await api.ok("GET", "ThresholdInformation") == {
        "externalRequestThreshold": 10_000,
        "requestThresholdTimeframe": 60,
        "currentTimeframeRequestCount": 5,
    }


async def test_requests_leave_the_count_after_an_hour(api: Api) -> None:
    await api.ok("GET", "Version")
    await api.control("POST", "clock", advance=3601)
    assert (await api.ok("GET", "ThresholdInformation"))["currentTimeframeRequestCount"] == 1


async def test_other_integrations_use_the_same_budget(api: Api) -> None:
    await api.switch(neighbour=4000)
    assert (await api.ok("GET", "ThresholdInformation"))["currentTimeframeRequestCount"] == 4001


async def test_a_neighbour_with_a_rate_fills_the_hour_evenly_and_leaves_it_evenly(api: Api) -> None:
    async def used() -> int:
        return (await api.ok("GET", "ThresholdInformation"))["currentTimeframeRequestCount"]

    await api.switch(neighbour_requests_per_hour=6000)
    assert await used() <= 2
    await api.control("POST", "clock", advance=1800)
    assert 3000 <= await used() <= 3004
    await api.switch(neighbour_requests_per_hour=0)
    await api.control("POST", "clock", advance=1800)
    assert 3000 <= await used() <= 3005
    await api.control("POST", "clock", advance=900)
    assert 1500 <= await used() <= 1506
    await api.control("POST", "clock", advance=3600)
    assert await used() <= 7


@pytest.mark.parametrize("status", [429, 500])
async def test_beyond_the_hourly_limit_every_request_is_turned_away(api: Api, status: int) -> None:
    await api.switch(neighbour=10_000, over_limit_status=status, retry_after=30, latency_scale=0)
    answer = await api.call("POST", "Tickets", ticket())
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "30"
    assert "10000 requests in 60 minutes" in answer.json()["errors"][0]
    assert (await api.control("GET", "calls"))[-1]["refusedWhy"].startswith("hourly limit")
    assert (await api.control("GET", "state"))["tickets"] == []


@pytest.mark.parametrize(("used", "least", "most"), [(4000, 0.0, 0.04), (5000, 0.05, 0.5), (7500, 0.1, 0.5)])
async def test_from_half_of_the_limit_every_request_is_slowed_down(
    api: Api, used: int, least: float, most: float
) -> None:
    await api.switch(neighbour=used, latency_scale=0.1)  # 0.5 s and 1 s, a tenth of each
    began = asyncio.get_running_loop().time()
    await api.ok("GET", "Version")
    assert least <= asyncio.get_running_loop().time() - began < most + 0.4


async def test_a_fourth_call_at_once_on_one_entity_is_rejected_and_other_entities_are_not(api: Api) -> None:
    await api.switch(latency_ms=150)
    calls = [api.call("POST", "Tickets/query", ALL) for _ in range(4)]
    calls += [api.call("POST", "Companies/query", ALL) for _ in range(3)]
    statuses = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert sorted(statuses[:4]) == [200, 200, 200, 429]
    assert statuses[4:] == [200, 200, 200]
    rejected = [row for row in await api.control("GET", "calls") if row["status"] == 429]
    assert [row["refusedWhy"] for row in rejected] == ["thread limit: 4 at once, 3 allowed"]
    assert rejected[0]["inflight"] == 4


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_status_and_text_of_a_thread_rejection_are_switches(api: Api, status: int) -> None:
    await api.switch(latency_ms=60, thread_limit=1, thread_status=status, thread_text="Too many threads")
    answers = await asyncio.gather(*(api.call("GET", "ThresholdInformation") for _ in range(2)))
    rejected = [answer for answer in answers if answer.status_code != 200]
    assert [(answer.status_code, answer.json()) for answer in rejected] == [(status, {"errors": ["Too many threads"]})]


async def test_metadata_calls_count_to_the_threads_of_their_entity_and_zone_calls_to_none(api: Api) -> None:
    await api.switch(latency_ms=60, thread_limit=1)
    answers = await asyncio.gather(
        api.call("GET", "Tickets/entityInformation/fields"), api.call("POST", "Tickets/query", ALL)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 429]
    zone = f"{api.base}/atservicesrest/v1.0/zoneInformation?user={api.vendor.username}"
    answers = await asyncio.gather(*(api.call("GET", zone) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
