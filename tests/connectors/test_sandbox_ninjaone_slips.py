"""A slip in a control call of the NinjaOne sandbox is one line with status 400, and the tenant stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.ninja_lab import lab

#: What no key takes in any of its forms, or only where it belongs.
JUNK = ["x", "", 1.5, -1, 10**12, True, [], [1], {"a": 1}, None]
KEYS = {
    "alerts": ["deviceId", "organizationId", "sourceType", "subject", "message", "severity", "uid", "data", "push"],
    "devices": ["id", "organizationId", "locationId", "nodeRoleId", "os", "system", "volumes", "approvalStatus",
                "tags", "created", "maintenance", "displayName", "push"],
    "devices/1002": ["organizationId", "locationId", "nodeClass", "offline", "memory", "processors", "lastUpdate"],
    "organizations/11": ["name", "description", "nodeApprovalMode", "push"],
}  # fmt: skip
LISTS = ("devices-detailed", "alerts", "activities", "queries/computer-systems", "organizations-detailed")


class TestSlips:
    @pytest.mark.parametrize("path", KEYS)
    async def test_no_value_of_whatever_type_breaks_a_control_call_or_a_list_afterwards(self, path: str) -> None:
        async with lab() as it:
            method = "PATCH" if "/" in path else "POST"
            for key in KEYS[path]:
                for value in JUNK:
                    body = {**({"deviceId": 1001} if path == "alerts" else {}), key: value}
                    answer = await it.plain.request(method, f"/_sandbox/{path}", json=body)
                    assert answer.status_code in (200, 400), f"{key}={value!r}: {answer.status_code}"
                    if answer.status_code == 400:
                        assert "\n" not in answer.json()["error"]
            for name in LISTS:
                await it.rows(name)

    @pytest.mark.parametrize(
        ("method", "path", "body", "words"),
        [
            ("POST", "alerts", {"deviceId": [1]}, "deviceId cannot be [1]; it must be a whole number"),
            ("POST", "alerts", {"deviceId": 1001, "uid": "a/b"}, "uid cannot be 'a/b'"),
            ("POST", "alerts", {"deviceId": 1001, "push": "no"}, "push cannot be 'no'; it must be true or false"),
            ("PATCH", "devices/1001", {"os": "Windows"}, "os cannot be 'Windows'; it must be an object"),
            ("PATCH", "devices/1001", {"nodeClass": None}, "'nodeClass' cannot be removed"),
            ("PATCH", "devices/1001", {"locationId": 32}, "location 32 is not one of its organization"),
            ("POST", "devices", {"organizationId": "11"}, "organizationId cannot be '11'"),
            ("PATCH", "devices/1001", {"maintenance": {"end": "x"}}, "start and end in epoch seconds"),
            ("PATCH", "organizations/11", {"name": None}, "'name' must be a text that is not empty, not null"),
            ("POST", "clock", {"advance": 1e300}, "a hundred years"),
            ("POST", "faults", {"kind": ["html"]}, "unknown kind"),
            ("POST", "faults", {"kind": "status", "params": {"code": 9999}}, "from 200 to 599"),
            ("POST", "faults", {"kind": "status", "params": {"code": 500, "headers": {"X": "a\nb"}}}, "one-line values"),
        ],
    )  # fmt: skip
    async def test_the_line_names_the_key_and_what_it_must_be(
        self, method: str, path: str, body: Any, words: str
    ) -> None:
        async with lab(organizations=2) as it:
            answer = await it.plain.request(method, f"/_sandbox/{path}", json=body)
            assert answer.status_code == 400, answer.text
            assert words in answer.json()["error"]

    @pytest.mark.parametrize("number", ["²", "--5", "9" * 30])
    async def test_a_number_that_is_none_is_refused_and_not_a_server_error(self, number: str) -> None:
        async with lab() as it:
            for path in (f"/v2/devices?pageSize={number}", f"/v2/activities?olderThan={number}"):
                assert (await it.api.get(path)).status_code == 400, path
            assert (await it.api.get(f"/v2/device/{number}")).status_code == 404
            assert (await it.plain.get(f"/_sandbox/calls?since={number}")).status_code == 400
            assert (await it.plain.delete(f"/_sandbox/devices/{number}")).status_code == 404

    async def test_a_client_id_of_any_letters_is_unknown_and_not_a_server_error(self) -> None:
        async with lab() as it:
            assert (await it.token(client_id="ünknown")).status_code == 404

    @pytest.mark.parametrize("value", [[1], {"a": 1}, "x", 1.5, True])
    async def test_a_write_of_a_client_with_a_wrong_type_is_a_400_as_on_the_real_api(self, value: Any) -> None:
        async with lab() as it:
            for key in ("organizationId", "locationId", "nodeRoleId", "policyId", "userData"):
                answer = await it.api.patch("/v2/device/1001", json={key: value})
                assert answer.status_code == (204 if key == "userData" and value == {"a": 1} else 400), key

    @pytest.mark.parametrize("url", ["https://[::1", "https://exa mple.com/", "https://example.com:99999/"])
    async def test_a_webhook_address_that_cannot_be_called_is_a_400(self, url: str) -> None:
        async with lab() as it:
            assert (await it.api.put("/v2/webhook", json={"url": url})).status_code == 400
            headers = [{"name": "X", "value": "a\nb"}]
            body = {"url": "https://example.com/hook", "headers": headers}
            assert (await it.api.put("/v2/webhook", json=body)).status_code == 400


class TestUnsettled:
    async def test_a_refused_call_carries_the_request_id_too(self) -> None:
        async with lab() as it:
            for answer in (await it.plain.get("/v2/roles"), await it.token(client_id="nobody")):
                assert answer.headers["x-nj-request-id"]

    @pytest.mark.parametrize("status", [400, 404, 410])
    async def test_a_second_reset_may_be_refused_in_several_ways(self, status: int) -> None:
        async with lab() as it:
            await it.setting(second_reset=status)
            answer = await it.api.delete("/v2/alert/7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21")
            assert (answer.status_code, answer.json()["resultCode"]) == (status, "FAILURE")

    @pytest.mark.parametrize("written", ["DISABLED", "ACKNOWLEDGED", "nothing"])
    async def test_a_reset_by_api_may_write_another_activity_or_none(self, written: str) -> None:
        async with lab() as it:
            await it.setting(api_reset_writes=written)
            uid = await it.alert()
            assert (await it.api.delete(f"/v2/alert/{uid}")).status_code == 204
            newest = (await it.rows("activities", seriesUid=uid))["activities"][0]
            assert newest["statusCode"] == ("TRIGGERED" if written == "nothing" else written)
            assert await it.rows("alerts") == []

    async def test_an_offline_device_may_show_in_the_alert_list_alone(self) -> None:
        async with lab() as it:
            await it.setting(offline_writes="nothing")
            uid = await it.alert(sourceType="AGENT_OFFLINE")
            assert [row["uid"] for row in await it.rows("alerts")] == [uid]
            await it.control("POST", f"alerts/{uid}/clear")
            assert (await it.rows("activities", seriesUid=uid))["activities"] == []

    async def test_times_may_be_whole_seconds(self) -> None:
        async with lab() as it:
            await it.setting(timestamps="whole")
            await it.alert()
            [alert] = await it.rows("alerts")
            [activity] = (await it.rows("activities"))["activities"]
            [device, *_] = await it.rows("devices")
            assert all(
                type(value) is int for value in (alert["createTime"], activity["activityTime"], device["created"])
            )

    async def test_the_scope_of_a_reset_is_a_switch(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            token = (await it.token(scope="monitoring")).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            assert (await it.plain.delete(f"/v2/alert/{uid}", headers=headers)).status_code == 403
            await it.setting(reset_scope="monitoring")
            assert (await it.plain.delete(f"/v2/alert/{uid}", headers=headers)).status_code == 204

    async def test_the_keys_of_the_webhooks_activities_are_a_switch(self) -> None:
        async with lab() as it:
            body = {"url": "https://example.com/hook", "activities": {"statusCode": ["TRIGGERED"]}}
            assert (await it.api.put("/v2/webhook", json=body)).status_code == 400
            await it.setting(webhook_activity_keys="any")
            assert (await it.api.put("/v2/webhook", json=body)).status_code == 204
            await it.fault("webhook_lost", count=-1)
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            assert [row["statusCode"] for row in (await it.state())["deliveries"]] == ["TRIGGERED"]
