"""The NinjaOne client against the sandbox: token, every paging family, tolerance of drifting instances."""

import asyncio

import pytest

from connectors.errors import CallFailed, Kind, Situation, counsel
from connectors.ports import CallsSuspended
from schemas.ninjaone import AlertRow, DeviceRow, RowError, milliseconds, read_row
from tests.connectors.ninja_connected import bench


async def tokens(made):
    return [row for row in await made.calls() if row["path"].endswith("/oauth/token")]


async def test_one_token_serves_many_calls_at_once():
    async with bench() as made, made.client() as client:
        before = len(await tokens(made))
        await asyncio.gather(client.roles(), client.alerts(), client.organizations(), client.locations())
        assert len(await tokens(made)) - before == 1


async def test_the_token_is_renewed_ahead_of_its_end():
    async with bench() as made, made.client() as client:
        await client.roles()
        before = len(await tokens(made))
        await made.advance(3200)
        await client.roles()
        assert len(await tokens(made)) == before
        await made.advance(150)
        await client.roles()
        assert len(await tokens(made)) == before + 1
        assert all(row["status"] == 200 for row in await made.calls("roles"))


async def test_a_revoked_token_is_renewed_once_and_nobody_notices():
    async with bench() as made, made.client() as client:
        await client.roles()
        made.lab.vendor._authority.revoke()
        await made.lab.setting(latency_ms=20)
        before = len(await tokens(made))
        outcomes = await asyncio.gather(client.roles(), client.alerts(), client.organizations())
        assert all(outcome.complete for outcome in outcomes)
        assert len(await tokens(made)) - before == 1
        assert made.gate.closed is None


async def test_a_second_refusal_after_the_renewal_closes_the_gate():
    async with bench() as made, made.client() as client:
        await made.lab.fault("status", count=-1, match={"path": "/v2/roles"}, params={"code": 401})
        with pytest.raises(CallFailed) as raised:
            await client.roles()
        assert (raised.value.kind, raised.value.calls) == (Kind.CREDENTIALS, 2)
        assert made.gate.closed == counsel(raised.value)
        with pytest.raises(CallsSuspended):
            await client.alerts()


async def test_a_wrong_secret_closes_the_gate_with_one_refused_call():
    async with bench() as made, made.client() as client:
        made.lab.vendor._authority.secret = "rotated-by-somebody-else"
        before = len(await tokens(made))
        with pytest.raises(CallFailed) as raised:
            await client.roles()
        assert raised.value.situation is Situation.WRONG_SECRET
        assert len(await tokens(made)) - before == 1
        assert made.gate.closed is not None
        assert made.config.client_secret not in f"{raised.value} {raised.value.detail} {made.config!r} {client!r}"


async def test_lists_are_read_whole_over_a_page_cap_of_the_instance():
    async with bench(devices=23) as made, made.client() as client:
        await made.lab.setting(max_page_size=5)
        listing = await client.devices_detailed()
        expected = [
            id_
            for id_, device in made.lab.vendor.store.fleet.devices.items()
            if device.row["approvalStatus"] == "APPROVED"
        ]
        assert sorted(row.id for row in listing.rows) == sorted(expected)
        assert len(listing.rows) == 23


@pytest.mark.parametrize("end", ["no_cursor", "zero_rows"])
async def test_reports_are_read_to_the_end_of_their_cursor(end):
    async with bench(devices=23) as made, made.client() as client:
        await made.lab.setting(report_end=end)
        rows = await client.report("computer-systems")
        assert len({row["deviceId"] for row in rows}) >= 20


async def test_activities_above_a_cursor_come_oldest_first_over_many_pages():
    async with bench() as made, made.client() as client:
        start = await client.newest_activity()
        for number in range(30):
            await made.lab.alert(sourceType="CONDITION_AGENT_CPU", subject=str(number))
        before = len(await made.calls("activities"))
        read = await client.activities_above(start, page_size=10)
        assert [row.subject for row in read.rows] == [str(number) for number in range(30)]
        assert len(await made.calls("activities")) - before > 3


async def test_a_device_that_does_not_exist_is_none():
    async with bench() as made, made.client() as client:
        assert await client.device(999_999) is None


async def test_an_older_instance_with_unknown_enums_is_understood():
    async with bench() as made, made.client() as client:
        await made.lab.setting(instance_drift="older", unknown_enums="on", psa_ticket_id="object", device_uid="absent")
        await made.lab.alert()
        alerts = await client.alerts()
        assert alerts.complete
        assert alerts.rows[-1].severity == ""
        assert (await client.devices_detailed()).complete


async def test_a_row_without_its_identity_makes_the_list_incomplete_and_is_kept():
    async with bench() as made, made.client() as client:
        await made.lab.fault(
            "status", count=1, match={"path": "/v2/alerts"}, params={"code": 200, "body": [{"uid": "u-1"}, {"no": "uid"}]}
        )  # fmt: skip
        listing = await client.alerts()
        assert [row.uid for row in listing.rows] == ["u-1"]
        assert not listing.complete
        assert listing.unreadable[0].value == b'{"no":"uid"}'


async def test_an_object_where_a_list_was_promised_is_a_broken_answer():
    async with bench() as made, made.client() as client:
        await made.lab.fault("status", count=-1, match={"path": "/v2/alerts"}, params={"code": 200, "body": {"a": 1}})
        with pytest.raises(CallFailed, match="not a list"):
            await client.alerts()


def test_a_field_of_another_type_is_left_out_and_the_row_kept():
    row = read_row(DeviceRow, {"id": 7, "organizationId": 3, "tags": {"odd": 1}, "displayName": None, "systemName": 12})
    assert (row.id, row.tags, row.name) == (7, (), "12")


def test_a_row_without_identity_is_refused_by_the_name_of_the_field():
    with pytest.raises(RowError, match="uid"):
        read_row(AlertRow, {"deviceId": 7})
    with pytest.raises(RowError):
        read_row(AlertRow, "text")


def test_seconds_with_a_fraction_become_milliseconds_and_milliseconds_stay():
    assert milliseconds(1760000100.512) == 1760000100512
    assert milliseconds(1760000100512) == 1760000100512
    assert milliseconds(None) is None
