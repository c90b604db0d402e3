"""What changes in the simulated NinjaOne: by its API, by its control routes, and by being another instance."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.ninja_lab import Lab, ids, lab


class TestWriting:
    async def test_a_patch_changes_the_device_and_writes_an_activity(self) -> None:
        async with lab() as it:
            answer = await it.api.patch("/v2/device/1002", json={"displayName": "Reception"})
            assert answer.status_code == 204
            assert (await it.rows("device/1002"))["displayName"] == "Reception"
            (activity,) = (await it.rows("activities", type="SYSTEM"))["activities"]
            assert (activity["statusCode"], activity["deviceId"]) == ("NODE_UPDATED", 1002)

    async def test_an_organization_move_takes_a_location_of_the_new_one(self) -> None:
        async with lab() as it:
            assert (await it.api.patch("/v2/device/1002", json={"organizationId": 13})).status_code == 204
            row = await it.rows("device/1002")
            assert row["locationId"] in ids(await it.rows("organization/13/locations"))
            wrong = await it.api.patch("/v2/device/1002", json={"locationId": 31})
            assert wrong.status_code == 400

    async def test_custom_fields_are_set_cleared_and_checked(self) -> None:
        async with lab() as it:
            path = "/v2/device/1001/custom-fields"
            assert (await it.api.patch(path, json={"assetTag": "A-7", "psaTicket": "T1"})).status_code == 204
            await it.api.patch(path, json={"psaTicket": None})
            assert (await it.api.get(path)).json() == {"assetTag": "A-7"}
            assert (await it.api.patch(path, json={"colour": "red"})).status_code == 400
            assert (await it.rows("device-custom-fields"))["results"]

    async def test_organizations_have_custom_fields_too(self) -> None:
        async with lab() as it:
            path = "/v2/organization/11/custom-fields"
            assert (await it.api.get(path)).json() == {}
            assert (await it.api.patch(path, json={"assetTag": "HQ"})).status_code == 204
            assert (await it.api.get(path)).json() == {"assetTag": "HQ"}

    async def test_maintenance_shows_on_the_device_until_it_ends(self) -> None:
        async with lab() as it:
            now = (await it.control("GET", "clock"))["now"]
            body = {"disabledFeatures": ["ALERTS"], "end": int((now + 600) * 1000), "reasonMessage": "patching"}
            assert (await it.api.put("/v2/device/1001/maintenance", json=body)).status_code == 204
            window = (await it.rows("device/1001"))["maintenance"]
            assert (window["status"], window["reasonMessage"]) == ("IN_MAINTENANCE", "patching")
            await it.control("POST", "clock", {"advance": 601})
            assert "maintenance" not in (await it.rows("device/1001"))
            await it.api.put("/v2/device/1001/maintenance", json={**body, "end": "2099-01-01T00:00:00Z"})
            assert "maintenance" in (await it.rows("device/1001"))
            assert (await it.api.delete("/v2/device/1001/maintenance")).status_code == 204
            assert "maintenance" not in (await it.rows("device/1001"))

    async def test_maintenance_that_is_set_by_control_shows_everywhere_and_writes_no_activity(self) -> None:
        async with lab() as it:
            now = (await it.control("GET", "clock"))["now"]
            await it.setting(alert_device="present")
            await it.alert(deviceId=1001)
            before = (await it.rows("activities"))["lastActivityId"]
            await it.control("PATCH", "devices/1001", {"maintenance": {"start": now + 60, "end": now + 600}})
            assert (await it.rows("device/1001"))["maintenance"]["status"] == "PENDING"
            await it.control("POST", "clock", {"advance": 61})
            filtered = await it.rows("devices", df="id in (1001,1002)")
            assert [row.get("maintenance", {}).get("status") for row in filtered] == ["IN_MAINTENANCE", None]
            assert (await it.rows("alerts"))[0]["device"]["maintenance"]["end"] == now + 600
            await it.control("PATCH", "devices/1001", {"maintenance": None})
            assert "maintenance" not in (await it.rows("device/1001"))
            assert (await it.rows("activities"))["lastActivityId"] == before

    @pytest.mark.parametrize("body", [{}, {"disabledFeatures": ["X"], "end": 1}, {"disabledFeatures": ["ALERTS"]}])
    async def test_a_maintenance_without_features_or_end_is_a_400(self, body: object) -> None:
        async with lab() as it:
            assert (await it.api.put("/v2/device/1001/maintenance", json=body)).status_code == 400

    async def test_a_reboot_is_an_activity_and_a_new_boot_time(self) -> None:
        async with lab() as it:
            before = (await it.rows("device/1001"))["os"]["lastBootTime"]
            answer = await it.api.post("/v2/device/1001/reboot/NORMAL", json={"reason": "patch"})
            assert answer.status_code == 204
            assert (await it.rows("device/1001"))["os"]["lastBootTime"] > before
            assert (await it.rows("activities", status="SYSTEM_REBOOTED"))["activities"]


class TestControlledInventory:
    async def codes(self, it: Lab) -> list[tuple[str, int | None]]:
        rows = (await it.rows("activities", type="SYSTEM"))["activities"]
        return [(row["statusCode"], row.get("deviceId")) for row in reversed(rows)]

    async def test_devices_come_change_and_go_with_their_activities(self) -> None:
        async with lab() as it:
            made = await it.control(
                "POST",
                "devices",
                {"organizationId": 12, "nodeClass": "WINDOWS_SERVER", "system": {"serialNumber": "S-9"}},
            )
            number = made["id"]
            assert (await it.rows(f"device/{number}"))["system"]["serialNumber"] == "S-9"
            assert made["system"]["manufacturer"], "what is not given is made up like the fleet"
            await it.control(
                "PATCH", f"devices/{number}", {"displayName": "DC-2", "os": {"name": "Windows Server 2025"}}
            )
            row = await it.rows(f"device/{number}")
            assert (row["displayName"], row["os"]["name"]) == ("DC-2", "Windows Server 2025")
            assert "buildNumber" in row["os"]
            await it.control("DELETE", f"devices/{number}")
            assert (await it.api.get(f"/v2/device/{number}")).status_code == 404
            assert await self.codes(it) == [(f"NODE_{what}", number) for what in ("CREATED", "UPDATED", "DELETED")]

    async def test_an_id_is_never_given_twice(self) -> None:
        async with lab() as it:
            first = (await it.control("POST", "devices", {}))["id"]
            await it.control("DELETE", f"devices/{first}")
            assert (await it.control("POST", "devices", {}))["id"] == first + 1

    async def test_a_deleted_device_takes_its_alerts_out_of_the_list_without_a_reset(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1001)
            kept = await it.alert(deviceId=1002)
            await it.control("DELETE", "devices/1001")
            assert [row["uid"] for row in await it.rows("alerts")] == [kept]
            assert (await it.rows("activities", status="RESET"))["activities"] == []

    async def test_going_offline_is_no_inventory_activity(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "devices/1001", {"offline": True})
            assert (await it.rows("device/1001"))["offline"] is True
            assert await self.codes(it) == []

    async def test_null_removes_a_field(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "devices/1001", {"displayName": None, "system": {"serialNumber": None}})
            row = await it.rows("device/1001")
            assert "displayName" not in row
            assert "serialNumber" not in row["system"]

    async def test_organizations_come_and_change(self) -> None:
        async with lab() as it:
            made = await it.control("POST", "organizations", {"name": "Newcomer Ltd"})
            assert made["locations"]
            await it.control("PATCH", f"organizations/{made['id']}", {"name": "Newcomer Limited"})
            assert (await it.rows(f"organization/{made['id']}"))["name"] == "Newcomer Limited"
            assert [code for code, _ in await self.codes(it)] == ["CLIENT_CREATED", "CLIENT_UPDATED"]

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "words"),
        [
            ("PATCH", "devices/1001", {"colour": "red"}, 400, "'colour' cannot be set"),
            ("PATCH", "devices/1001", {"id": 5}, 400, "'id' cannot be set"),
            ("PATCH", "devices/1001", {"organizationId": 5}, 400, "organizationId 5 does not exist"),
            ("PATCH", "devices/99", {}, 404, "no device 99"),
            ("DELETE", "devices/x", None, 404, "not a number"),
            ("POST", "devices", {"id": 1001}, 409, "exists already"),
            ("POST", "organizations", {}, 400, "name is missing"),
            ("PATCH", "client", {"secret": ""}, 400, "secret must be"),
            ("POST", "alerts", {}, 400, "deviceId is missing"),
            ("POST", "alerts", {"deviceId": 5}, 400, "no device 5"),
            ("POST", "alerts", {"deviceId": 1001, "severity": "HUGE"}, 400, "severity cannot be 'HUGE'"),
            ("POST", "alerts", {"deviceId": 1001, "devicId": 1}, 400, "unknown key 'devicId'"),
            ("POST", "alerts/none/clear", {}, 404, "no active alert none"),
            ("POST", "webhooks/redeliver", {"last": 1}, 409, "no webhook is configured"),
        ],
    )
    async def test_a_control_call_that_cannot_be_done_says_why(
        self, method: str, path: str, body: Any, status: int, words: str
    ) -> None:
        async with lab() as it:
            answer = await it.plain.request(method, f"/_sandbox/{path}", json=body)
            assert answer.status_code == status
            assert words in answer.json()["error"]


class TestDrift:
    async def test_an_older_instance_lacks_newer_paths_and_fields(self) -> None:
        async with lab() as it:
            await it.alert()
            await it.setting(instance_drift="older")
            assert (await it.api.get("/v2/notification-channels")).status_code == 404
            assert (await it.api.get("/v2/queries/device-health")).status_code == 404
            assert (await it.api.get("/v2/organizations")).status_code == 200
            assert not {"severity", "priority", "conditionName"} & set((await it.rows("alerts"))[0])
            assert "uid" not in await it.rows("device/1001")
            assert (await it.api.delete("/v2/webhook")).status_code == 404
            assert (await it.api.delete("/v2/webhook/1")).status_code == 204

    async def test_single_paths_can_be_missing(self) -> None:
        async with lab() as it:
            await it.setting(missing_paths="devices-detailed$")
            assert (await it.api.get("/api/v2/devices-detailed")).status_code == 404
            assert (await it.api.get("/v2/devices")).status_code == 200

    async def test_unknown_enum_values_turn_up(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1001)
            await it.setting(unknown_enums="on")
            assert any(row["nodeClass"].startswith("SIMULATED") for row in await it.rows("devices"))
            (alert,) = await it.rows("alerts")
            assert alert["severity"].startswith("SIMULATED")

    async def test_references_show_on_detailed_lists_where_the_instance_has_them(self) -> None:
        async with lab() as it:
            assert "references" not in (await it.rows("devices-detailed"))[0]
            await it.setting(references_on_detailed="present")
            row = (await it.rows("devices-detailed"))[0]
            assert row["references"]["organization"]["id"] == row["organizationId"]

    async def test_rate_limits_show_in_three_styles(self) -> None:
        async with lab() as it:
            await it.setting(rate_limit_per_minute=2)
            assert [(await it.api.get("/v2/roles")).status_code for _ in range(3)] == [200, 200, 429]
            assert int((await it.api.get("/v2/roles")).headers["retry-after"]) >= 1
            await it.setting(throttle_style="429")
            assert "retry-after" not in (await it.api.get("/v2/roles")).headers
            await it.setting(throttle_style="html_200")
            answer = await it.api.get("/v2/roles")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
            await it.control("POST", "clock", {"advance": 61})
            assert (await it.api.get("/v2/roles")).json()
