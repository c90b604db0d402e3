"""The simulated NinjaOne API: what the reference page says, sentence by sentence, over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectors.sandbox.clock import Clock
from connectors.sandbox.ninjaone import NinjaVendor
from connectors.sandbox.world import World
from tests.connectors.ninja_lab import Lab, lab


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


class TestToken:
    @pytest.mark.parametrize("path", ["/ws/oauth/token", "/oauth/token"])
    async def test_client_credentials_give_a_bearer_token_on_both_paths(self, path: str) -> None:
        async with lab() as it:
            form = {
                "grant_type": "client_credentials",
                "client_id": it.vendor.client_id,
                "client_secret": it.vendor.client_secret,
                "scope": "monitoring management",
                "redirect_uri": "https://localhost",
            }
            body = (await it.plain.post(path, data=form)).json()
            assert (body["expires_in"], body["token_type"], body["scope"]) == (3600, "Bearer", "monitoring management")
            assert "refresh_token" not in body
            answer = await it.plain.get("/v2/roles", headers={"Authorization": f"Bearer {body['access_token']}"})
            assert answer.status_code == 200

    async def test_the_client_may_stand_in_a_basic_header(self) -> None:
        async with lab() as it:
            auth = httpx.BasicAuth(it.vendor.client_id, it.vendor.client_secret)
            answer = await it.plain.post("/ws/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)
            assert answer.json()["scope"] == "monitoring management control"

    async def test_an_unknown_client_is_a_404(self) -> None:
        async with lab() as it:
            answer = await it.token(client_id="other-region")
            assert answer.status_code == 404
            assert answer.json()["resultCode"] == "Client app not exist"
            assert answer.json()["incidentId"].startswith("WEB_MGMT_SERVICE-")

    @pytest.mark.parametrize("status", [400, 401])
    async def test_a_wrong_secret_is_invalid_client(self, status: int) -> None:
        async with lab() as it:
            await it.setting(wrong_secret_status=status)
            answer = await it.token(client_secret="wrong")
            assert (answer.status_code, answer.json()) == (status, {"error": "invalid_client"})
            assert (await it.control("GET", "calls"))[-1]["auth"] == "wrong_secret"

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({"grant_type": "password"}, "unsupported_grant_type"),
            ({"scope": "everything"}, "invalid_scope"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ],
    )
    async def test_other_token_calls_fail_as_oauth_says(self, form: dict[str, str], error: str) -> None:
        async with lab() as it:
            answer = await it.token(**form)
            assert (answer.status_code, answer.json()) == (400, {"error": error})

    async def test_a_refresh_token_comes_with_offline_access_and_works(self) -> None:
        async with lab() as it:
            first = (await it.token(scope="monitoring offline_access")).json()
            again = (await it.token(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
            assert again["access_token"] != first["access_token"]

    async def test_a_token_dies_after_its_lifetime_on_the_sandbox_clock(self) -> None:
        async with lab() as it:
            await it.control("POST", "clock", {"advance": 3590})
            assert (await it.api.get("/v2/roles")).status_code == 200
            await it.control("POST", "clock", {"advance": 11})
            answer = await it.api.get("/v2/roles")
            assert answer.status_code == 401
            assert (await it.control("GET", "calls"))[-1]["refusedWhy"] == "the token is expired"

    async def test_the_lifetime_is_a_setting(self) -> None:
        async with lab() as it:
            await it.setting(token_lifetime_seconds=60)
            assert (await it.token()).json()["expires_in"] == 60

    @pytest.mark.parametrize(
        ("header", "status", "body"),
        [
            (None, 400, {"error": "missing_header", "error_description": "Missing required header", "error_code": 2}),
            (
                "Token abc",
                400,
                {"error": "invalid_header", "error_description": "Invalid 'Authorization' header", "error_code": 1},
            ),
            (
                "Bearer nonsense",
                401,
                {"error": "not_authenticated", "error_description": "Invalid credentials", "error_code": 10},
            ),
        ],
    )
    async def test_each_refusal_has_its_own_body(self, header: str | None, status: int, body: Any) -> None:
        async with lab() as it:
            answer = await it.plain.get("/v2/devices", headers={"Authorization": header} if header else {})
            assert (answer.status_code, answer.json()) == (status, body)

    async def test_reading_needs_monitoring_and_resetting_needs_management(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            reads = {"Authorization": "Bearer " + (await it.token(scope="monitoring")).json()["access_token"]}
            assert (await it.plain.get("/v2/alerts", headers=reads)).status_code == 200
            assert (await it.plain.delete(f"/v2/alert/{uid}", headers=reads)).status_code == 403
            writes = {"Authorization": "Bearer " + (await it.token(scope="management")).json()["access_token"]}
            assert (await it.plain.get("/v2/alerts", headers=writes)).status_code == 403

    async def test_a_client_that_was_deactivated_is_unknown_and_its_tokens_are_dead(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"active": False})
            assert (await it.api.get("/v2/roles")).status_code == 401
            assert (await it.token()).status_code == 404
            await it.control("PATCH", "client", {"active": True})
            assert (await it.token()).status_code == 200

    async def test_an_app_for_machines_has_no_authorize_page(self) -> None:
        async with lab() as it:
            answer = await it.plain.get("/ws/oauth/authorize?response_type=code&client_id=x")
            assert (answer.status_code, answer.json()["errorMessage"]) == (404, "HTTP 404 Not Found")

    async def test_after_a_new_secret_only_the_new_one_works(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"secret": "brand-new"})
            assert (await it.token()).json() == {"error": "invalid_client"}
            assert (await it.token(client_secret="brand-new")).status_code == 200

    async def test_tokens_may_outlive_a_change_of_the_secret(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"secret": "brand-new", "revokeTokens": False})
            assert (await it.api.get("/v2/roles")).status_code == 200


class TestFleet:
    def test_the_same_seed_gives_the_same_fleet_and_another_seed_another(self) -> None:
        def fleet(seed: int) -> list[dict[str, Any]]:
            vendor = NinjaVendor(world=World(seed=seed, organizations=4, devices=50), clock=Clock())
            return [device.row for device in vendor.store.fleet.devices.values()]

        assert fleet(7) == fleet(7)
        assert fleet(7) != fleet(8)

    def test_no_two_customers_differ_in_their_legal_form_only(self) -> None:
        names = World(organizations=400).organization_names()
        plain = {name.removesuffix(" & Sons") if name.endswith("& Sons") else name.rpartition(" ")[0] for name in names}
        assert len(plain) == len(names) == 400

    @pytest.mark.parametrize("size", [{"organizations": 0}, {"devices": -1}])
    def test_a_world_without_customers_is_refused(self, size: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="a sandbox"):
            World(**size)

    async def test_it_has_the_asked_size_and_every_kind_of_device(self) -> None:
        async with lab(organizations=5, devices=80) as it:
            assert len(await it.rows("organizations")) == 5
            devices = await it.rows("devices-detailed")
            assert len(devices) == 80
            kinds = {row["nodeClass"] for row in devices}
            assert {
                "WINDOWS_SERVER",
                "WINDOWS_WORKSTATION",
                "LINUX_SERVER",
                "MAC",
                "VMWARE_VM_HOST",
                "NMS_SWITCH",
            } <= kinds
            assert {row["organizationId"] for row in devices} == set(ids(await it.rows("organizations")))

    async def test_an_agent_device_carries_hardware_but_neither_disks_nor_interfaces(self) -> None:
        async with lab() as it:
            row = await it.rows("device/1001")
            assert row["deviceType"] == "AgentDevice"
            assert row["system"]["serialNumber"]
            assert row["memory"]["capacity"] == row["system"]["totalPhysicalMemory"]
            assert {"os", "processors", "volumes", "ipAddresses", "macAddresses"} <= set(row)
            assert not {"disks", "networkInterfaces"} & set(row)

    async def test_a_vm_host_has_a_service_tag_and_no_system_block(self) -> None:
        async with lab() as it:
            row = next(row for row in await it.rows("devices-detailed") if row["deviceType"] == "VMHost")
            assert row["serviceTag"]
            assert "system" not in row

    async def test_addresses_and_real_serials_are_unique(self) -> None:
        async with lab(organizations=6, devices=300) as it:
            rows = await it.rows("devices-detailed", pageSize=1000)
            macs = [mac for row in rows for mac in row["macAddresses"]]
            assert len(macs) == len(set(macs))
            serials = [row["system"]["serialNumber"] for row in rows if "system" in row]
            real = [serial for serial in serials if " " not in serial]
            assert len(real) == len(set(real))
            assert len(real) < len(serials), "some boards carry a junk serial, as in life"

    async def test_no_row_holds_a_null(self) -> None:
        async with lab() as it:
            await it.alert()
            state = await it.state()
            for name in ("organizations", "locations", "roles", "devices", "alerts", "activities"):
                assert all(value is not None for row in state[name] for value in row.values()), name

    async def test_a_device_without_display_name_leaves_the_key_out(self) -> None:
        async with lab() as it:
            rows = await it.rows("devices")
            assert 0 < sum("displayName" not in row for row in rows) < len(rows) / 2


class TestReading:
    @pytest.mark.parametrize("prefix", ["/v2", "/api/v2"])
    async def test_both_prefixes_answer_the_same(self, prefix: str) -> None:
        async with lab() as it:
            assert ids((await it.api.get(f"{prefix}/organizations")).json()) == [11, 12, 13]

    async def test_lists_are_bare_arrays_paged_by_after(self) -> None:
        async with lab(devices=25) as it:
            seen: list[int] = []
            after: dict[str, int] = {}
            while True:
                page = await it.rows("devices", pageSize=10, **after)
                seen += ids(page)
                assert len(seen) <= 25, "a page repeats rows"
                if len(page) < 10:
                    break
                after = {"after": page[-1]["id"]}
            assert seen == list(range(1001, 1026))

    async def test_without_page_size_the_default_applies_and_a_great_one_is_capped(self) -> None:
        async with lab(devices=30) as it:
            await it.setting(default_page_size=7, max_page_size=20)
            assert len(await it.rows("devices")) == 7
            assert len(await it.rows("devices", pageSize=1000)) == 20

    async def test_a_page_size_that_is_no_number_is_a_400(self) -> None:
        async with lab() as it:
            for path in ("devices?pageSize=ten", "devices?after=x", "devices?pageSize=0", "activities?pageSize=5"):
                assert (await it.api.get(f"/v2/{path}")).status_code == 400, path

    async def test_organizations_come_plain_and_detailed(self) -> None:
        async with lab() as it:
            assert "locations" not in (await it.rows("organizations"))[0]
            for row in ((await it.rows("organizations-detailed"))[0], await it.rows("organization/11")):
                assert row["locations"]
                assert {"nodeRoleId", "policyId"} == set(row["policies"][0])
                assert "organizationId" not in row["locations"][0]

    async def test_only_the_list_of_all_locations_names_the_organization(self) -> None:
        async with lab() as it:
            assert all("organizationId" in row for row in await it.rows("locations"))
            assert all("organizationId" not in row for row in await it.rows("organization/11/locations"))

    async def test_devices_of_an_organization(self) -> None:
        async with lab() as it:
            rows = await it.rows("organization/12/devices")
            assert rows
            assert {row["organizationId"] for row in rows} == {12}

    async def test_base_rows_have_no_hardware_and_detailed_rows_have(self) -> None:
        async with lab() as it:
            assert "os" not in (await it.rows("devices"))[0]
            assert "os" in (await it.rows("devices-detailed"))[0]

    @pytest.mark.parametrize(
        ("part", "key"),
        [
            ("processors", "numCores"),
            ("disks", "size"),
            ("volumes", "capacity"),
            ("network-interfaces", "macAddress"),
            ("software", "version"),
            ("windows-services", "serviceName"),
        ],
    )
    async def test_parts_of_a_device_have_end_points(self, part: str, key: str) -> None:
        async with lab() as it:
            assert key in (await it.rows(f"device/1001/{part}"))[0]

    async def test_bit_locker_shows_on_request_only(self) -> None:
        async with lab() as it:
            assert "bitLockerStatus" not in (await it.rows("device/1001/volumes"))[0]
            assert "bitLockerStatus" in (await it.rows("device/1001/volumes", include="bl"))[0]

    async def test_a_dashboard_link_opens_the_device_and_can_redirect(self) -> None:
        async with lab() as it:
            link = await it.rows("device/1001/dashboard-url")
            assert link["url"].endswith("/#/deviceDashboard/1001/overview")
            answer = await it.api.get("/v2/device/1001/dashboard-url?redirect=true")
            assert (answer.status_code, answer.headers["location"]) == (302, link["url"])

    async def test_the_link_opens_a_page_that_says_it_is_a_simulator(self) -> None:
        async with lab() as it:
            answer = await it.plain.get("/")
            assert answer.status_code == 200
            assert "This is a simulator of NinjaOne, not NinjaOne." in answer.text
            assert "unsafe-inline" not in answer.headers["content-security-policy"]

    async def test_search_finds_by_name_address_and_serial(self) -> None:
        async with lab() as it:
            device = await it.rows("device/1002")
            for text in (device["systemName"].lower(), device["macAddresses"][0], device["system"]["serialNumber"]):
                found = await it.rows("devices/search", q=text)
                assert found["query"] == text
                assert ids(found["devices"]) == [1002]
                assert {"score", "matchAttr", "matchAttrValue"} <= set(found["devices"][0])

    async def test_roles_policies_users_and_groups(self) -> None:
        async with lab() as it:
            assert "nodeClass" in (await it.rows("roles"))[0]
            assert await it.rows("noderole/list") == await it.rows("roles")
            assert {row["id"] for row in await it.rows("policies")} >= {
                row["rolePolicyId"] for row in await it.rows("devices")
            }
            assert await it.rows("users", userType="TECHNICIAN")
            assert await it.rows("users", userType="END_USER") == []
            group = (await it.rows("groups"))[0]
            members = await it.rows(f"group/{group['id']}/device-ids")
            assert members == ids(await it.rows("devices", df=f"group {group['id']}"))
            assert members

    @pytest.mark.parametrize(
        "path", ["device/999999", "organization/5", "group/1/device-ids", "nonsense", "device/1/alerts"]
    )
    async def test_an_unknown_thing_is_a_404_with_an_application_body(self, path: str) -> None:
        async with lab() as it:
            answer = await it.api.get(f"/v2/{path}")
            assert answer.status_code == 404
            assert set(answer.json()) == {"resultCode", "errorMessage", "incidentId"}

    async def test_a_known_path_with_another_method_is_a_405(self) -> None:
        async with lab() as it:
            assert (await it.api.post("/v2/devices")).status_code == 405

    async def test_answers_carry_a_request_id(self) -> None:
        async with lab() as it:
            assert (await it.api.get("/v2/roles")).headers["x-nj-request-id"]


class TestFilter:
    async def chosen(self, it: Lab, df: str) -> set[int]:
        return set(ids(await it.rows("devices-detailed", df=df, pageSize=1000)))

    async def test_clauses_choose_by_organization_class_and_id(self) -> None:
        async with lab() as it:
            rows = await it.rows("devices")
            by = {row["id"]: row for row in rows}
            everybody = set(by)
            eleven = {n for n in everybody if by[n]["organizationId"] == 11}
            servers = {n for n in everybody if by[n]["nodeClass"] in ("WINDOWS_SERVER", "LINUX_SERVER")}
            cases = {
                "org=11": eleven,
                "organization eq 11": eleven,
                "org != 11": everybody - eleven,
                "org <> 11": everybody - eleven,
                "org in (11, 12)": {n for n in everybody if by[n]["organizationId"] in (11, 12)},
                "org notin (11,12)": {n for n in everybody if by[n]["organizationId"] == 13},
                "org !in (11,12)": {n for n in everybody if by[n]["organizationId"] == 13},
                "class in (WINDOWS_SERVER,LINUX_SERVER)": servers,
                "org=11 AND class in (WINDOWS_SERVER,LINUX_SERVER)": eleven & servers,
                "org=11&&class in (WINDOWS_SERVER,LINUX_SERVER)": eleven & servers,
                "org=11 and class = MAC": {n for n in eleven if by[n]["nodeClass"] == "MAC"},
                "id = 1003": {1003},
                "loc = 31": {n for n in everybody if by[n]["locationId"] == 31},
                "role = 4": {n for n in everybody if by[n]["nodeRoleId"] == 4},
                "online": {n for n in everybody if not by[n]["offline"]},
                "offline": {n for n in everybody if by[n]["offline"]},
                "created after 2000-01-01": everybody,
                "created before 20000101": set(),
                "created > 2000-01-01T00:00:00Z": everybody,
                "": everybody,
            }
            for df, expected in cases.items():
                assert await self.chosen(it, df) == expected, df

    async def test_pending_devices_are_hidden_unless_asked_for(self) -> None:
        async with lab() as it:
            made = await it.control("POST", "devices", {"organizationId": 11, "approvalStatus": "PENDING"})
            assert made["id"] not in ids(await it.rows("devices", pageSize=1000))
            assert await self.chosen(it, "status=PENDING") == {made["id"]}
            answer = await it.api.post("/v2/devices/approval/APPROVE", json={"devices": [made["id"]]})
            assert answer.status_code == 204
            assert made["id"] in ids(await it.rows("devices", pageSize=1000))

    @pytest.mark.parametrize(
        "df",
        [
            "foo",
            "org==",
            "org=abc",
            "org in 11",
            "name = x",
            "org=11 OR org=12",
            "status = MAYBE",
            "created = soon",
            "group 7",
            "org before 3",
        ],
    )
    async def test_a_malformed_filter_is_a_400(self, df: str) -> None:
        async with lab() as it:
            answer = await it.api.get("/v2/devices", params={"df": df})
            assert answer.status_code == 400, df
            assert answer.json()["errorMessage"].startswith("Invalid device filter")

    async def test_alerts_and_activities_take_the_filter_too(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1001)
            await it.alert(deviceId=1002)
            assert [row["deviceId"] for row in await it.rows("alerts", df="id = 1002")] == [1002]
            activities = (await it.rows("activities", df="id = 1001"))["activities"]
            assert [row["deviceId"] for row in activities] == [1001]


REPORTS = (
    "device-health",
    "operating-systems",
    "computer-systems",
    "network-interfaces",
    "volumes",
    "processors",
    "disks",
    "software",
    "windows-services",
    "logged-on-users",
    "antivirus-status",
    "custom-fields",
)


class TestReports:
    async def pages(self, it: Lab, report: str, size: int) -> list[list[Any]]:
        pages: list[list[Any]] = []
        query: dict[str, Any] = {"pageSize": size}
        while True:
            body = await it.rows(f"queries/{report}", **query)
            pages.append(body["results"])
            assert len(pages) < 10, "the report never ends"
            if "cursor" not in body or not body["results"]:
                return pages
            query["cursor"] = body["cursor"]["name"]

    async def test_every_report_answers_and_names_the_device(self) -> None:
        async with lab() as it:
            await it.api.patch("/v2/device/1001/custom-fields", json={"assetTag": "A-1"})
            for report in REPORTS:
                rows = (await it.rows(f"queries/{report}"))["results"]
                assert rows, report
                assert "deviceId" in rows[0], report

    async def test_pages_follow_the_cursor_until_there_is_none(self) -> None:
        async with lab(devices=23) as it:
            pages = await self.pages(it, "device-health", 10)
            assert [len(page) for page in pages] == [10, 10, 3]
            assert [row["deviceId"] for page in pages for row in page] == list(range(1001, 1024))

    async def test_an_instance_may_end_with_a_page_without_rows(self) -> None:
        async with lab(devices=12) as it:
            await it.setting(report_end="zero_rows")
            assert [len(page) for page in await self.pages(it, "device-health", 10)] == [10, 2, 0]

    async def test_a_report_in_one_page_has_no_cursor(self) -> None:
        async with lab() as it:
            assert set(await it.rows("queries/volumes")) == {"results"}

    async def test_an_expired_cursor_is_an_error(self) -> None:
        async with lab() as it:
            cursor = (await it.rows("queries/disks", pageSize=5))["cursor"]
            assert {"name", "offset", "count", "expires"} == set(cursor)
            await it.control("POST", "clock", {"advance": 901})
            await it.setting(token_lifetime_seconds=9999)
            answer = await it.api.get("/v2/queries/disks", params={"cursor": cursor["name"]})
            assert (answer.status_code, answer.json()["resultCode"]) == (400, "INVALID_CURSOR")

    async def test_health_counts_the_alerts_of_a_device(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1003)
            (row,) = (await it.rows("queries/device-health", df="id=1003"))["results"]
            assert (row["alertCount"], row["healthStatus"]) == (1, "NEEDS_ATTENTION")

    async def test_custom_field_reports_hold_the_chosen_fields(self) -> None:
        async with lab() as it:
            await it.api.patch("/v2/device/1002/custom-fields", json={"assetTag": "A-2", "psaTicket": "T1"})
            rows = (await it.rows("queries/custom-fields", fields="assetTag"))["results"]
            assert rows == [{"deviceId": 1002, "fields": {"assetTag": "A-2"}}]


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
