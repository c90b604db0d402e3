"""NinjaOne's own maintenance mode, from the device's row to the alert's fact: honoured in time, and with few calls."""

import asyncio

import orjson
import pytest

from connectors.ninjaone.intake import ACTIVITIES
from connectors.ninjaone.translate import Meaning, meaning
from schemas.facts import AlertObserved, AlertTriggered
from schemas.ninjaone import ActivityRow, read_row
from tests.connectors.ninja_connected import bench, started

HOUR = 3600


async def maintain(made, device, seconds=HOUR, **body):
    end = made.now() + seconds * 1000
    answer = await made.lab.api.put(
        f"/v2/device/{device}/maintenance", json={"disabledFeatures": ["ALERTS"], "end": end, **body}
    )
    assert answer.status_code == 204
    return end


async def finish(made, device):
    assert (await made.lab.api.delete(f"/v2/device/{device}/maintenance")).status_code == 204


async def looks(made):
    return [row for row in await made.calls("devices") if row["method"] == "GET" and row["path"] == "/v2/devices"]


def told(made, kind):
    return [(fact.uid, fact.in_maintenance, fact.maintenance_ends_at) for fact in made.log.facts(kind)]


async def test_an_alert_of_a_device_in_maintenance_says_so_and_until_when():
    async with bench() as made:
        ends = await maintain(made, 1001)
        async with started(made) as connector:
            await connector.poller.poll()
            inside, outside = await made.lab.alert(deviceId=1001), await made.lab.alert(deviceId=1002)
            await connector.poller.poll()
        assert sorted(told(made, AlertTriggered)) == sorted([(inside, True, ends), (outside, False, None)])
        [fact] = [fact for fact in made.log.facts(AlertTriggered) if not fact.in_maintenance]
        assert fact.maintenance_seen_at is None


async def test_devices_that_the_sweep_has_just_seen_cost_no_look():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.lab.alert()
        await connector.poller.poll()
        assert await looks(made) == []


async def test_a_maintenance_that_began_after_the_sweep_is_honoured_with_one_look_for_all_devices():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.advance(60)
        ends = await maintain(made, 1003)
        uids = {device: await made.lab.alert(deviceId=device) for device in (1001, 1002, 1003)}
        await connector.poller.poll()
        assert [row for row in told(made, AlertTriggered) if row[1]] == [(uids[1003], True, ends)]
        assert len(await looks(made)) == 1
        await made.lab.alert(deviceId=1002, sourceType="CONDITION_AGENT_CPU")
        await connector.poller.poll()
        assert len(await looks(made)) == 1


async def test_an_alert_that_only_the_list_tells_of_says_so_too():
    async with bench() as made:
        uid = await made.lab.alert(deviceId=1001)
        ends = await maintain(made, 1001)
        async with started(made) as connector:
            await connector.poller.poll()
        assert told(made, AlertObserved) == [(uid, True, ends)]


async def test_a_pushed_alert_is_honoured_by_the_maintenance_that_its_device_shows_without_a_call():
    async with bench() as made, started(made) as connector:
        await made.advance(60)
        ends = await maintain(made, 1001)
        await push(made, connector, uid := await made.lab.alert(deviceId=1001))
        assert told(made, AlertTriggered) == [(uid, True, ends)]
        assert await looks(made) == []


async def test_a_pushed_alert_whose_device_shows_no_maintenance_looks_once():
    async with bench() as made, started(made) as connector:
        await made.advance(60)
        ends = await maintain(made, 1001)
        await push(made, connector, uid := await made.lab.alert(deviceId=1001), shown=False)
        assert told(made, AlertTriggered) == [(uid, True, ends)]
        assert len(await looks(made)) == 1


async def test_a_storm_of_pushed_alerts_is_looked_at_together():
    async with bench(devices=40) as made, started(made) as connector:
        await made.advance(60)
        uids = [await made.lab.alert(deviceId=device, push=False) for device in range(1001, 1041)]
        await maintain(made, 1040)
        await asyncio.gather(*(push(made, connector, uid, shown=False) for uid in uids))
        assert [uid for uid, inside, _ in told(made, AlertTriggered) if inside] == [uids[-1]]
        assert len(await looks(made)) <= 3


async def test_devices_that_had_an_alert_lately_are_looked_at_along_with_others_before_they_wait_for_it():
    async with bench(devices=12) as made, started(made) as connector:
        await made.advance(60)
        first, new = range(1001, 1005), 1009
        for device in first:
            await push(made, connector, await made.lab.alert(deviceId=device, push=False), shown=False)
        assert len(await looks(made)) == len(first)
        await made.advance(6)
        await push(made, connector, await made.lab.alert(deviceId=new, push=False), shown=False)
        await made.advance(6)
        await maintain(made, 1002)
        for device in first:
            uid = await made.lab.alert(deviceId=device, push=False, sourceType="CONDITION_PING")
            await push(made, connector, uid, shown=False)
        assert len(await looks(made)) == len(first) + 1
        await made.advance(70)
        for device in (1012, 1001):
            await push(made, connector, await made.lab.alert(deviceId=device, push=False), shown=False)
        assert len(await looks(made)) == len(first) + 3, "after a minute without an alert nobody asks about a device"


async def test_a_look_that_fails_holds_no_alert_up_and_is_not_repeated_at_once():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.advance(60)
        await made.lab.fault("status", count=-1, match={"path": "/v2/devices$"}, params={"code": 503})
        uids = [await made.lab.alert(deviceId=1001, sourceType=kind) for kind in ("AGENT_OFFLINE", "CONDITION_PING")]
        await connector.poller.poll()
        assert sorted(told(made, AlertTriggered)) == sorted((uid, False, None) for uid in uids)
        assert len(await looks(made)) == 1


async def test_maintenance_that_is_switched_off_before_its_end_is_told_once_of_every_alert_that_waits_for_it():
    async with bench() as made, started(made) as connector:
        await maintain(made, 1001)
        await connector.poller.poll()
        await made.advance(60)
        uids = [await made.lab.alert(deviceId=1001, sourceType=kind) for kind in ("AGENT_OFFLINE", "CONDITION_PING")]
        other = await made.lab.alert(deviceId=1002)
        for _ in range(2):
            await connector.poller.poll()
        assert made.log.facts(AlertObserved) == []
        await finish(made, 1001)
        for _ in range(3):
            await made.advance(60)
            await connector.poller.poll()
        assert sorted(told(made, AlertObserved)) == sorted((uid, False, None) for uid in uids)
        assert other not in {fact.uid for fact in made.log.facts(AlertObserved)}
        raised = {fact.uid: fact.raised_at for fact in made.log.facts(AlertTriggered)}
        assert all(raised[f.uid] == f.raised_at < f.maintenance_seen_at for f in made.log.facts(AlertObserved))
        assert len({entry.id for entry in made.log.publications}) == len(made.log.publications)


async def test_a_maintenance_whose_end_is_moved_is_told_with_its_new_end():
    async with bench() as made, started(made) as connector:
        await maintain(made, 1001)
        await connector.poller.poll()
        await made.advance(60)
        uid = await made.lab.alert(deviceId=1001)
        await connector.poller.poll()
        await made.advance(60)
        ends = await maintain(made, 1001, 2 * HOUR)
        await connector.poller.poll()
        assert told(made, AlertObserved) == [(uid, True, ends)]


async def test_the_next_process_knows_which_alerts_wait_for_the_end_of_a_maintenance():
    async with bench() as made:
        await maintain(made, 1001)
        async with started(made) as connector:
            await connector.poller.poll()
            uid = await made.lab.alert(deviceId=1001)
            await connector.poller.poll()
        await finish(made, 1001)
        await made.advance(60)
        async with started(made) as connector:
            await connector.poller.poll()
        assert told(made, AlertObserved) == [(uid, False, None)]


async def test_an_alert_that_the_first_start_left_alone_is_not_told_when_its_maintenance_ends():
    async with bench() as made:
        await made.lab.alert(deviceId=1001)
        await maintain(made, 1001)
        async with started(made, backfill="none") as connector:
            await connector.poller.poll()
            await finish(made, 1001)
            await made.advance(60)
            await connector.poller.poll()
        assert made.log.facts(AlertObserved) == []


async def test_what_waited_until_the_end_is_not_told_again():
    async with bench() as made, started(made) as connector:
        await maintain(made, 1001, 90)
        await connector.poller.poll()
        await made.lab.alert(deviceId=1001)
        await connector.poller.poll()
        await made.advance(120)
        await connector.poller.poll()
        assert made.log.facts(AlertObserved) == []
        assert await looks(made) == []


async def test_a_maintenance_that_is_planned_counts_from_its_begin_on():
    async with bench() as made, started(made) as connector:
        begins = made.now() + 100_000
        ends = await maintain(made, 1001, start=begins)
        await connector.inventory.sweep()
        await connector.poller.poll()
        before = await made.lab.alert(deviceId=1001, sourceType="AGENT_OFFLINE")
        await connector.poller.poll()
        await made.lab.fault("status", count=-1, match={"path": "/v2/devices$"}, params={"code": 503})
        await made.advance(120)
        after = await made.lab.alert(deviceId=1001, sourceType="CONDITION_PING")
        await connector.poller.poll()
        assert told(made, AlertTriggered) == [(before, False, None), (after, True, ends)]


@pytest.mark.parametrize(
    ("window", "inside"),
    [
        ({"status": "IN_MAINTENANCE"}, True),
        ({"status": "IN_MAINTENANCE", "start": 9e12, "end": None}, True),
        ({"status": "FAILED", "start": 1.0}, False),
        ({"status": "PENDING", "start": 9e12}, False),
        ({"status": "IN_MAINTENANCE", "end": 1.0}, False),
        ({"status": 5, "start": "soon"}, True),
    ],
)
async def test_a_maintenance_is_read_tolerantly(window, inside):
    async with bench() as made, started(made) as connector:
        document = {
            "id": 990_001,
            "activityType": "CONDITION",
            "statusCode": "TRIGGERED",
            "seriesUid": "u",
            "deviceId": 5,
        }
        document["device"] = {"id": 5, "organizationId": 1, "maintenance": window}
        row = read_row(ActivityRow, document)
        publication = await connector.intake.publication(row, source=ACTIVITIES, quick=True)
        assert publication.fact.in_maintenance is inside


async def test_an_activity_of_the_maintenance_mode_makes_the_next_alert_look():
    row = ActivityRow(id=1, activity_type="SYSTEM", status_code="MAINTENANCE_MODE_CONFIGURED", device_id=1001)
    assert meaning(row) is Meaning.DEVICE
    async with bench() as made, started(made) as connector:
        ends = await maintain(made, 1001)
        assert await connector.intake.publication(row, source=ACTIVITIES, quick=True) is None
        await push(made, connector, uid := await made.lab.alert(deviceId=1001), shown=False)
        assert told(made, AlertTriggered) == [(uid, True, ends)]


async def push(made, connector, uid, *, shown=True):
    """What the webhook delivers of an alert, with its device; ``shown``: this instance shows maintenance in it."""
    state = made.lab.vendor.store
    row = next(row for row in state.activities if row.get("seriesUid") == uid)
    device = made.lab.vendor._views.device_base(state.fleet.devices[row["deviceId"]])
    if not shown:
        device.pop("maintenance", None)
    body = orjson.dumps({**row, "device": device})
    assert (await connector.webhook.handle({"x-lockstep-token": "a-webhook-token-of-ours"}, body))[0] == 204
