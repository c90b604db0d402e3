"""Filters and reports of the simulated NinjaOne, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.ninja_lab import Lab, ids, lab


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
