"""The life cycle of alerts in the NinjaOne sandbox, and its activities."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.connectors.ninja_lab import Lab, eventually, lab

UID = "7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21"


def codes(bodies: list[Any]) -> list[str]:
    return [body["statusCode"] for body in bodies]


class TestLifeCycle:
    async def test_a_trigger_is_an_alert_and_an_activity_with_one_uid_and_one_time(self) -> None:
        async with lab() as it:
            uid = await it.alert(uid=UID, sourceType="AGENT_OFFLINE", severity="CRITICAL", message="gone", subject="s")
            assert uid == UID
            (alert,) = await it.rows("alerts")
            assert (alert["uid"], alert["sourceType"], alert["severity"]) == (UID, "AGENT_OFFLINE", "CRITICAL")
            (activity,) = (await it.rows("activities"))["activities"]
            assert (activity["seriesUid"], activity["activityType"], activity["statusCode"]) == (
                UID,
                "CONDITION",
                "TRIGGERED",
            )
            assert activity["activityTime"] == alert["createTime"]
            assert (activity["message"], activity["subject"]) == ("gone", "s")
            assert activity["sourceConfigUid"] == alert["sourceConfigUid"]
            assert "sourceType" not in activity

    async def test_one_condition_has_one_config_uid_for_all_devices(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1001)
            await it.alert(deviceId=1002)
            first, second = await it.rows("alerts")
            assert first["sourceConfigUid"] == second["sourceConfigUid"]
            assert first["uid"] != second["uid"]

    async def test_a_clear_takes_the_alert_from_the_list_and_writes_reset(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            assert await it.rows("alerts") == []
            newest, oldest = (await it.rows("activities"))["activities"]
            assert (newest["statusCode"], oldest["statusCode"]) == ("RESET", "TRIGGERED")
            assert newest["seriesUid"] == oldest["seriesUid"] == uid
            assert newest["id"] > oldest["id"]
            assert (await it.state())["resets"] == []

    async def test_a_psa_callback_can_be_what_cleared_it(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear", {"statusCode": "RESET_BY_PSA_TICKET_CALLBACK"})
            assert (await it.rows("activities"))["activities"][0]["statusCode"] == "RESET_BY_PSA_TICKET_CALLBACK"

    async def test_a_repeat_is_one_more_trigger_of_the_same_series(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/repeat")
            assert len(await it.rows("alerts")) == 1
            rows = (await it.rows("activities", seriesUid=uid))["activities"]
            assert codes(rows) == ["TRIGGERED", "TRIGGERED"]

    async def test_an_active_uid_cannot_be_triggered_again(self) -> None:
        async with lab() as it:
            await it.alert(uid=UID)
            answer = await it.plain.post("/_sandbox/alerts", json={"deviceId": 1001, "uid": UID})
            assert answer.status_code == 409

    async def test_an_alert_may_belong_to_an_organization_alone(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=None, organizationId=12)
            (alert,) = await it.rows("alerts")
            assert "deviceId" not in alert
            assert alert["organizationId"] == 12

    async def test_an_alert_may_name_a_device_nobody_knows(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=4711, allowUnknownDevice=True)
            assert [row["deviceId"] for row in await it.rows("alerts")] == [4711]
            assert (await it.api.get("/v2/device/4711")).status_code == 404

    async def test_alerts_can_be_asked_by_source_type_and_by_device(self) -> None:
        async with lab() as it:
            await it.alert(deviceId=1001, sourceType="AGENT_OFFLINE")
            await it.alert(deviceId=1002, sourceType="CONDITION_AGENT_CPU")
            assert [row["deviceId"] for row in await it.rows("alerts", sourceType="AGENT_OFFLINE")] == [1001]
            assert [row["deviceId"] for row in await it.rows("device/1002/alerts")] == [1002]


class TestReset:
    @pytest.mark.parametrize("how", ["DELETE", "POST"])
    async def test_a_reset_by_api_ends_the_alert_and_is_kept(self, how: str) -> None:
        async with lab() as it:
            uid = await it.alert()
            if how == "DELETE":
                answer = await it.api.delete(f"/v2/alert/{uid}")
            else:
                answer = await it.api.post(f"/api/v2/alert/{uid}/reset", json={"ticket": "T20260101.0001"})
            assert answer.status_code == 204
            assert await it.rows("alerts") == []
            (reset,) = (await it.state())["resets"]
            assert (reset["uid"], reset["method"], reset["by"]) == (uid, how, it.vendor.client_id)
            activity = (await it.rows("activities"))["activities"][0]
            assert (activity["statusCode"], activity["seriesUid"]) == ("RESET", uid)
            if how == "POST":
                assert activity["data"] == {"ticket": "T20260101.0001"}

    async def test_a_reset_may_answer_200(self) -> None:
        async with lab() as it:
            await it.setting(reset_status=200)
            answer = await it.api.delete(f"/v2/alert/{await it.alert()}")
            assert answer.status_code == 200

    @pytest.mark.parametrize("status", [404, 204])
    async def test_the_second_reset_is_404_or_204(self, status: int) -> None:
        async with lab() as it:
            await it.setting(second_reset=status)
            uid = await it.alert()
            await it.api.delete(f"/v2/alert/{uid}")
            again = await it.api.delete(f"/v2/alert/{uid}")
            assert again.status_code == status
            assert (await it.api.delete("/v2/alert/unknown")).status_code == status
            assert len((await it.state())["resets"]) == 1
            assert len((await it.rows("activities", status="RESET"))["activities"]) == 1

    async def test_client_credentials_may_be_refused(self) -> None:
        async with lab() as it:
            await it.setting(reset_client_credentials="forbidden")
            answer = await it.api.delete(f"/v2/alert/{await it.alert()}")
            assert (answer.status_code, answer.json()["resultCode"]) == (403, "user_context_required")
            assert len(await it.rows("alerts")) == 1

    async def test_an_empty_reset_body_may_be_refused(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.setting(empty_reset_body="rejected")
            assert (await it.api.post(f"/v2/alert/{uid}/reset")).status_code == 400
            await it.setting(empty_reset_body="accepted")
            assert (await it.api.post(f"/v2/alert/{uid}/reset")).status_code == 204

    @pytest.mark.parametrize("body", [b"[1]", b"nope"])
    async def test_a_reset_body_that_is_no_object_is_a_400(self, body: bytes) -> None:
        async with lab() as it:
            assert (await it.api.post(f"/v2/alert/{await it.alert()}/reset", content=body)).status_code == 400

    @pytest.mark.parametrize("mode", ["new_uid", "same_uid"])
    async def test_a_condition_that_is_still_true_fires_again_after_a_reset(self, mode: str) -> None:
        async with lab() as it:
            await it.setting(refire_after_reset=mode)
            uid = await it.alert(message="disk full")
            await it.api.delete(f"/v2/alert/{uid}")
            (alert,) = await it.rows("alerts")
            assert (alert["uid"] == uid) is (mode == "same_uid")
            assert alert["message"] == "disk full"
            rows = (await it.rows("activities"))["activities"]
            assert codes(rows) == ["TRIGGERED", "RESET", "TRIGGERED"]

    async def test_it_fires_again_only_after_the_set_time_and_never_once_it_was_cleared(self) -> None:
        async with lab() as it:
            await it.setting(refire_after_reset="new_uid", refire_seconds=60)
            uid = await it.alert()
            await it.api.delete(f"/v2/alert/{uid}")
            assert await it.rows("alerts") == []
            await it.control("POST", "clock", {"advance": 61})
            (again,) = await eventually(lambda: it.rows("alerts"))
            await it.control("POST", f"alerts/{again['uid']}/clear")
            await it.control("POST", "clock", {"advance": 61})
            assert await it.rows("alerts") == []

    async def test_clearing_one_that_waits_to_fire_again_keeps_it_quiet(self) -> None:
        async with lab() as it:
            await it.setting(refire_after_reset="same_uid", refire_seconds=60)
            uid = await it.alert()
            await it.api.delete(f"/v2/alert/{uid}")
            assert await it.control("POST", f"alerts/{uid}/clear") == {"uid": uid, "activityId": None}
            await it.control("POST", "clock", {"advance": 61})
            await asyncio.sleep(0.05)
            assert await it.rows("alerts") == []

    async def test_a_condition_that_is_no_longer_true_stays_quiet(self) -> None:
        async with lab() as it:
            await it.setting(refire_after_reset="new_uid")
            await it.api.delete(f"/v2/alert/{await it.alert(stillTrue=False)}")
            assert await it.rows("alerts") == []


class TestAlertShapes:
    async def shape(self, it: Lab, **settings: Any) -> dict[str, Any]:
        await it.setting(**settings)
        (alert,) = await it.rows("alerts")
        return dict(alert)

    async def test_severity_and_friends_may_be_absent(self) -> None:
        async with lab() as it:
            await it.alert()
            extras = {"severity", "priority", "conditionName"}
            assert extras <= set(await self.shape(it))
            assert not extras & set(await self.shape(it, alert_extras="absent"))

    async def test_the_device_may_stand_inside(self) -> None:
        async with lab() as it:
            await it.alert()
            assert "device" not in await self.shape(it)
            assert (await self.shape(it, alert_device="present"))["device"]["id"] == 1001

    @pytest.mark.parametrize(("wire", "value"), [("int", 4711), ("string", "4711"), ("object", {"id": 4711})])
    async def test_the_psa_ticket_id_has_several_wire_types(self, wire: str, value: Any) -> None:
        async with lab() as it:
            await it.alert()
            assert "psaTicketId" not in await self.shape(it)
            assert (await self.shape(it, psa_ticket_id=wire))["psaTicketId"] == value

    async def test_severity_on_condition_activities_is_a_switch(self) -> None:
        async with lab() as it:
            await it.alert()
            assert "severity" not in (await it.rows("activities"))["activities"][0]
            await it.setting(activity_severity="present")
            assert (await it.rows("activities"))["activities"][0]["severity"] == "MAJOR"


class TestActivities:
    async def many(self, it: Lab, count: int) -> list[int]:
        for place in range(count):
            await it.alert(deviceId=1001 + place % 3)
        return [row["id"] for row in (await it.state())["activities"]]

    async def test_they_come_newest_first_with_growing_ids_that_have_gaps(self) -> None:
        async with lab() as it:
            made = await self.many(it, 30)
            body = await it.rows("activities")
            assert [row["id"] for row in body["activities"]] == made[::-1]
            assert body["lastActivityId"] == made[-1]
            assert made == sorted(set(made))
            assert made[-1] - made[0] > 30

    async def test_older_than_pages_back_until_there_are_none(self) -> None:
        async with lab() as it:
            made = await self.many(it, 25)
            seen: list[int] = []
            query: dict[str, Any] = {"pageSize": 10}
            while rows := (await it.rows("activities", **query))["activities"]:
                seen += [row["id"] for row in rows]
                assert len(seen) <= 25, "a page repeats rows"
                query["olderThan"] = seen[-1]
            assert seen == made[::-1]

    async def test_newer_than_gives_what_came_after_an_id(self) -> None:
        async with lab() as it:
            made = await self.many(it, 12)
            rows = (await it.rows("activities", newerThan=made[-3]))["activities"]
            assert [row["id"] for row in rows] == made[:-3:-1]
            assert (await it.rows("activities", newerThan=made[-1]))["activities"] == []

    async def test_they_can_be_chosen_by_type_status_series_device_and_source(self) -> None:
        async with lab() as it:
            uid = await it.alert(deviceId=1002, sourceType="AGENT_OFFLINE")
            await it.alert(deviceId=1001, sourceType="CONDITION_AGENT_CPU")
            await it.control("POST", f"alerts/{uid}/clear")
            await it.control("PATCH", "devices/1001", {"displayName": "X"})
            config = (await it.state())["conditions"]["AGENT_OFFLINE"]

            async def found(path: str = "activities", **query: Any) -> list[str]:
                return codes((await it.rows(path, **query))["activities"])

            assert await found(type="CONDITION") == ["RESET", "TRIGGERED", "TRIGGERED"]
            assert await found(type="SYSTEM") == ["NODE_UPDATED"]
            assert await found(**{"class": "SYSTEM"}) == ["NODE_UPDATED"]
            assert await found(**{"class": "USER"}) == []
            assert await found(status="RESET") == ["RESET"]
            assert await found(seriesUid=uid) == ["RESET", "TRIGGERED"]
            assert await found(sourceConfigUid=config) == ["RESET", "TRIGGERED"]
            assert await found("device/1001/activities", activityType="CONDITION") == ["TRIGGERED"]
            assert (await it.api.get("/v2/activities?class=OTHER")).status_code == 400

    async def test_a_device_call_names_its_own_last_activity(self) -> None:
        async with lab() as it:
            made = await self.many(it, 4)
            body = await it.rows("device/1002/activities")
            assert (body["lastActivityId"], body["lastNodeActivityId"]) == (made[-1], made[1])

    @pytest.mark.parametrize(("mode", "expected"), [("accepted", 2), ("literal", 0), ("rejected", None)])
    async def test_comma_lists_are_a_switch(self, mode: str, expected: int | None) -> None:
        async with lab() as it:
            await it.control("POST", f"alerts/{await it.alert()}/clear")
            await it.setting(comma_lists=mode)
            answer = await it.api.get("/v2/activities?status=TRIGGERED,RESET")
            assert answer.status_code == (400 if expected is None else 200)
            if expected is not None:
                assert len(answer.json()["activities"]) == expected

    async def test_dates_are_a_switch(self) -> None:
        async with lab() as it:
            await it.alert()
            assert (await it.rows("activities", after="2099-01-01"))["activities"] == []
            assert len((await it.rows("activities", before="2099-01-01"))["activities"]) == 1
            assert (await it.api.get("/v2/activities?after=soon")).status_code == 400
            await it.setting(activity_dates="ignored")
            assert len((await it.rows("activities", after="2099-01-01"))["activities"]) == 1
            await it.setting(activity_dates="rejected")
            assert (await it.api.get("/v2/activities?after=2020-01-01")).status_code == 400

    async def test_texts_are_localized_and_codes_are_not(self) -> None:
        async with lab() as it:
            await it.alert()
            await it.setting(language="sv")
            (row,) = (await it.rows("activities"))["activities"]
            assert (row["status"], row["type"], row["statusCode"]) == ("Utlöst", "Villkor", "TRIGGERED")
            (row,) = (await it.rows("activities", lang="de"))["activities"]
            assert row["status"] == "Ausgelöst"
