"""Resetting alerts: one call, nothing to do where there is nothing, a look-up after an unknown outcome."""

import pytest

from connectors.ninjaone.effects import NinjaOneEffects
from connectors.ports import Effect, Verdict
from schemas.commands import CompleteTicket, ResetAlert
from tests.connectors.ninja_connected import bench


def reset(uid, **changes):
    return ResetAlert(**{"key": "1001", "effect_key": uid, "uid": uid, "device_id": 1001, **changes})


async def writes(made):
    return [row for row in await made.calls("alerts") if row["method"] != "GET"]


async def test_a_reset_is_one_call_and_the_alert_is_gone():
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        effect = await NinjaOneEffects(client).perform(reset(uid, note="done"))
        assert effect == Effect(verdict=Verdict.SUCCEEDED, how="Called", written=True, calls=1)
        assert [row["method"] for row in await writes(made)] == ["DELETE"]
        assert (await made.lab.state())["alerts"] == []


async def test_with_the_setting_the_note_goes_along_as_activity_data():
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        effect = await NinjaOneEffects(client, annotate=True).perform(reset(uid, note="ticket T1 completed"))
        assert effect.verdict is Verdict.SUCCEEDED
        [row] = await writes(made)
        assert (row["method"], row["path"]) == ("POST", f"/v2/alert/{uid}/reset")


@pytest.mark.parametrize("answer", [404, 204])
async def test_an_alert_that_is_not_active_counts_as_done(answer):
    async with bench() as made, made.client() as client:
        await made.lab.setting(second_reset=answer)
        effect = await NinjaOneEffects(client).perform(reset("7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21"))
        assert effect.verdict is Verdict.SUCCEEDED
        assert effect.how == ("NothingToDo" if answer == 404 else "Called")
        assert effect.written is (answer == 204)


async def test_client_credentials_that_may_not_reset_are_rejected_for_good_and_the_connection_stays():
    async with bench() as made, made.client() as client:
        await made.lab.setting(reset_client_credentials="forbidden")
        effect = await NinjaOneEffects(client).perform(reset(await made.lab.alert()))
        assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "PermissionMissing")
        assert "user_context_required" in effect.detail
        assert made.gate.closed is None


@pytest.mark.parametrize(("kind", "active"), [("drop_after_commit", False), ("drop_before_commit", True)])
@pytest.mark.parametrize("device_id", [1001, None])
async def test_after_an_unknown_outcome_the_look_up_tells_what_happened(kind, active, device_id):
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        await made.lab.fault(kind, count=1, match={"path": "/v2/alert/"})
        effects = NinjaOneEffects(client)
        assert (await effects.perform(reset(uid))).verdict is Verdict.UNKNOWN
        found = await effects.look_up(reset(uid, device_id=device_id))
        if active:
            assert found is None
        else:
            assert found == Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", calls=1)


async def test_a_look_up_at_a_device_that_was_deleted_finds_the_alert_gone():
    async with bench() as made, made.client() as client:
        found = await NinjaOneEffects(client).look_up(reset("7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21", device_id=4711))
        assert found.verdict is Verdict.SUCCEEDED


async def test_a_look_up_that_fails_is_no_answer():
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        await made.lab.fault("status", count=-1, match={"path": "/alerts"}, params={"code": 503})
        assert (await NinjaOneEffects(client).look_up(reset(uid))).verdict is Verdict.TRANSIENT


async def test_behind_a_closed_gate_nothing_is_called():
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        made.gate.closed = "locked"
        effects = NinjaOneEffects(client)
        for effect in (await effects.perform(reset(uid)), await effects.look_up(reset(uid))):
            assert (effect.verdict, effect.detail, effect.calls) == (Verdict.SUSPENDED, "locked", 0)
        assert await made.calls("alerts") == []


async def test_a_revoked_token_costs_one_renewal_and_the_reset_is_done_once():
    async with bench() as made, made.client() as client:
        uid = await made.lab.alert()
        await client.roles()
        made.lab.vendor._authority.revoke()
        effect = await NinjaOneEffects(client).perform(reset(uid))
        assert (effect.verdict, effect.calls) == (Verdict.SUCCEEDED, 2)
        assert [row["status"] for row in await writes(made)] == [401, 204]


async def test_another_vendors_command_is_refused_in_one_line():
    async with bench() as made, made.client() as client:
        other = CompleteTicket(key="1", effect_key="x", ticket_id=1, status=5, resolution="")
        effect = await NinjaOneEffects(client).perform(other)
        assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "UnknownCommand")
