"""Webhook deliveries of the simulated NinjaOne: in their own shapes, lost, doubled, late, given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.connectors.ninja_lab import Lab, Receiver, eventually, lab, receiver

UID = "7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21"


def codes(bodies: list[Any]) -> list[str]:
    return [body["statusCode"] for body in bodies]


class TestWebhook:
    async def test_each_activity_is_pushed_in_its_own_shape_with_the_configured_headers(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(
                there.url,
                expand=["device", "organization", "location"],
                headers=[{"name": "X-Lockstep-Token", "value": "hush"}],
            )
            uid = await it.alert(deviceId=1001)
            (body,) = await there.wait(1)
            assert there.headers[0]["x-lockstep-token"] == "hush"
            (activity,) = (await it.rows("activities", type="CONDITION"))["activities"]
            device = body.pop("device")
            assert body == activity
            assert body["seriesUid"] == uid
            assert "organizationId" not in body
            assert device["references"]["organization"]["name"]
            assert device["references"]["location"]["id"] == device["locationId"]
            assert "os" not in device

    async def test_without_expand_there_is_no_device(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(there.url)
            await it.alert()
            assert "device" not in (await there.wait(1))[0]

    async def test_trigger_clear_and_api_reset_are_pushed_in_order(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(there.url)
            first, second = await it.alert(), await it.alert()
            await it.control("POST", f"alerts/{first}/clear")
            await it.api.delete(f"/v2/alert/{second}")
            bodies = await there.wait(4)
            assert codes(bodies) == ["TRIGGERED", "TRIGGERED", "RESET", "RESET"]
            assert [body["id"] for body in bodies] == sorted(body["id"] for body in bodies)

    async def test_an_alert_raised_without_push_stays_silent(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(there.url)
            await it.alert(push=False)
            await it.alert()
            bodies = await there.wait(1)
            assert len((await it.rows("activities", type="CONDITION"))["activities"]) == 2
            assert len(bodies) == 1

    async def test_a_deleted_device_is_pushed_with_what_it_was(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(there.url, expand=["device"])
            await it.control("DELETE", "devices/1002")
            (body,) = await there.wait(1)
            assert (body["statusCode"], body["device"]["id"]) == ("NODE_DELETED", 1002)

    async def test_types_status_codes_and_organizations_choose_what_is_pushed(self) -> None:
        async with lab() as it, receiver() as there:
            home = (await it.rows("device/1001"))["organizationId"]
            other = next(row["id"] for row in await it.rows("devices") if row["organizationId"] != home)
            await it.webhook(there.url, activities={"CONDITION": ["RESET"]}, organizationIds=[home])
            for device in (1001, other):
                uid = await it.alert(deviceId=device)
                await it.control("POST", f"alerts/{uid}/clear")
            await it.control("PATCH", "devices/1001", {"displayName": "X"})
            await there.wait(1)
            await asyncio.sleep(0.05)
            assert [(body["statusCode"], body["deviceId"]) for body in there.bodies] == [("RESET", 1001)]

    async def test_delete_silences_it(self) -> None:
        async with lab() as it, receiver() as there:
            await it.webhook(there.url)
            assert (await it.api.delete("/v2/webhook")).status_code == 204
            await it.alert()
            await asyncio.sleep(0.05)
            assert there.bodies == []
            assert (await it.state())["webhook"] is None

    @pytest.mark.parametrize(
        "change",
        [
            {"url": "nonsense"},
            {"url": "http://example.com/hook"},
            {"activities": {"statusCode": ["TRIGGERED"]}},
            {"activities": {"CONDITION": "TRIGGERED"}},
            {"expand": ["everything"]},
            {"headers": {"X": "y"}},
            {"organizationIds": ["a"]},
        ],
    )
    async def test_a_bad_configuration_is_a_400(self, change: dict[str, Any]) -> None:
        async with lab() as it:
            answer = await it.api.put("/v2/webhook", json={"url": "https://x.example/hook", **change})
            assert answer.status_code == 400
            assert (await it.state())["webhook"] is None

    async def test_it_may_be_forbidden_to_client_credentials(self) -> None:
        async with lab() as it:
            await it.setting(webhook_client_credentials="forbidden")
            assert (await it.api.put("/v2/webhook", json={"url": "https://x.example/"})).status_code == 403

    async def test_the_state_masks_header_values_and_the_console_shows_a_nameless_channel(self) -> None:
        async with lab() as it:
            await it.webhook("http://127.0.0.1:9/x", headers=[{"name": "X-T", "value": "hush"}])
            assert (await it.state())["webhook"]["headers"] == [{"name": "X-T", "value": "********"}]
            assert any("name" not in row for row in await it.rows("notification-channels"))


class TestDeliveryFaults:
    async def start(self, it: Lab, there: Receiver, **settings: Any) -> None:
        await it.setting(**settings)
        await it.webhook(there.url)

    async def test_a_lost_delivery_never_comes(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            await it.fault("webhook_lost", match={"statusCode": "TRIGGERED"})
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            assert codes(await there.wait(1)) == ["RESET"]
            assert next(row["outcome"] for row in (await it.state())["deliveries"]) == "lost"

    async def test_a_doubled_delivery_comes_twice(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            await it.fault("webhook_double")
            await it.alert()
            first, second = await there.wait(2)
            assert first == second

    async def test_held_deliveries_come_when_the_fault_is_deleted(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            fault = await it.fault("webhook_hold", match={"statusCode": "TRIGGERED"}, count=-1)
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            assert codes(await there.wait(1)) == ["RESET"]
            await it.control("DELETE", f"faults/{fault}")
            assert codes(await there.wait(2)) == ["RESET", "TRIGGERED"]

    async def test_a_delayed_delivery_is_overtaken(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            await it.fault("webhook_delay", params={"seconds": 0.15})
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            assert codes(await there.wait(2)) == ["RESET", "TRIGGERED"]

    async def test_an_instance_may_double_lose_and_disorder_by_itself(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there, webhook_double_every=2, webhook_lose_every=3)
            for _ in range(3):
                await it.alert()
            await there.wait(3)
            await asyncio.sleep(0.05)
            assert len(there.bodies) == 3, "one once, one twice, one never"
        async with lab() as it, receiver() as there:
            await self.start(it, there, webhook_order="out_of_order")
            await it.alert()
            await it.alert()
            bodies = await there.wait(2)
            assert bodies[0]["id"] > bodies[1]["id"]

    async def test_a_failed_delivery_is_tried_again_by_the_sandbox_clock(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            there.status = 503
            await it.alert()
            await there.wait(1)
            there.status = 204
            await asyncio.sleep(0.05)
            assert len(there.bodies) == 1
            await it.control("POST", "clock", {"advance": 31})
            assert len(await there.wait(2)) == 2

            async def delivered() -> bool:
                (delivery,) = (await it.state())["deliveries"]
                return [row.get("status") for row in delivery["attempts"]] == [503, 204] and (
                    delivery["outcome"] == "delivered"
                )

            await eventually(delivered)

    @pytest.mark.parametrize("at_once", [1, 3])
    async def test_as_many_deliveries_are_under_way_as_the_switch_says(self, at_once: int) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there, webhook_at_once=at_once)
            there.answering.clear()
            for _ in range(5):
                await it.alert()
            await there.wait(at_once)
            await asyncio.sleep(0.1)
            assert len(there.bodies) == at_once
            there.answering.set()
            assert len(await there.wait(5)) == 5

    async def test_too_many_failures_disable_it_until_it_is_put_again(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there, webhook_attempts=1, webhook_disable_after=2)
            there.status = 500
            await it.alert()
            await it.alert()

            async def disabled() -> bool:
                return bool((await it.state())["webhook"]["disabled"])

            await eventually(disabled)
            there.status = 204
            await it.alert()
            await asyncio.sleep(0.05)
            assert len(there.bodies) == 2
            await it.webhook(there.url)
            await it.alert()
            await there.wait(3)

    async def test_one_success_forgives_earlier_failures(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there, webhook_attempts=1, webhook_disable_after=2)
            for status in (500, 204, 500, 204):
                there.status = status
                count = len(there.bodies)
                await it.alert()
                await there.wait(count + 1)
            assert not (await it.state())["webhook"]["disabled"]

    async def test_a_receiver_that_is_not_there_counts_as_a_failure(self) -> None:
        async with lab() as it:
            await it.setting(webhook_attempts=1)
            await it.webhook("http://127.0.0.1:9/nobody")
            await it.alert()

            async def failed() -> bool:
                (delivery,) = (await it.state())["deliveries"]
                return delivery["outcome"] == "failed" and delivery["attempts"][0]["error"] == "ConnectError"

            await eventually(failed)

    async def test_recorded_deliveries_can_be_sent_again_in_either_order(self) -> None:
        async with lab() as it, receiver() as there:
            await self.start(it, there)
            uid = await it.alert()
            await it.control("POST", f"alerts/{uid}/clear")
            await there.wait(2)
            assert (await it.control("POST", "webhooks/redeliver", {"last": 2}))["redelivered"] == 2
            await there.wait(4)
            await it.control("POST", "webhooks/redeliver", {"last": 2, "order": "reversed"})
            bodies = await there.wait(6)
            assert codes(bodies) == ["TRIGGERED", "RESET", "TRIGGERED", "RESET", "RESET", "TRIGGERED"]
            assert bodies[0] == bodies[2] == bodies[5]
