"""The simulated NinjaOne API: what the reference page says, sentence by sentence, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.sandbox.clock import Clock
from connectors.sandbox.ninjaone import NinjaVendor
from connectors.sandbox.world import World
from tests.connectors.ninja_lab import ids, lab


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
