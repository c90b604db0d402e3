"""The connector on a NinjaOne that is not our sandbox: nothing lost, nothing doubled, no endless reading, no crash."""

import orjson
import pytest
from starlette.responses import JSONResponse, Response

from connectors.errors import CallFailed, Situation
from connectors.ninjaone.effects import NinjaOneEffects
from connectors.ninjaone.probe import probe
from connectors.ports import Verdict
from schemas.commands import ResetAlert
from schemas.facts import AlertGone, AlertObserved, AlertReset, AlertTriggered, DeviceObserved, DeviceRemoved
from tests.connectors.ninja_connected import TOKEN, started
from tests.connectors.other_ninjaone import SERIES, other_bench, overload_page
from tests.connectors.test_receiver import receiving

QUIRKS = [
    (), ("inclusive",), ("capped",), ("capped", "inclusive"), ("capped", "oldest first"), ("oldest first", "inclusive"),
    ("repeats",), ("repeats", "capped"), ("whole lists",), ("nulls",), ("more fields",), ("text ids",),
    ("whole seconds",), ("milliseconds",), ("no times",), ("no head",), ("no condition",), ("no names",),
    ("short tokens",), ("token with all",),
    ("capped", "inclusive", "repeats", "nulls", "more fields", "text ids", "no head", "whole seconds"),
]  # fmt: skip


def reset_of(uid, device_id=101):
    return ResetAlert(organization_id=12, key=str(device_id), effect_key=uid, uid=uid, device_id=device_id)


@pytest.mark.parametrize("quirks", QUIRKS, ids=" + ".join)
async def test_every_alert_and_reset_is_told_once_however_the_instance_shows_it(quirks):
    async with other_bench(*quirks) as (other, made), started(made) as connector:
        assert len(made.log.facts(DeviceObserved)) == 40
        other.write("SYSTEM", "SOMETHING_NEW")
        await connector.poller.poll()
        first = [other.trigger(number) for number in range(1, 31)]
        await connector.poller.poll()
        for uid in first[:15]:
            other.reset(uid)
        second = [other.trigger(number) for number in range(31, 36)]
        before = len(other.calls)
        for _ in range(4):
            await connector.poller.poll()
        assert len(other.calls) - before < 60
        triggered = made.log.of(AlertTriggered)
        assert sorted(entry.fact.uid for entry in triggered) == sorted(first + second)
        assert {entry.fact.source_type for entry in triggered} == {"CONDITION_AGENT_DISK_FREE_SPACE"}
        assert {entry.fact.subject.organization_id for entry in triggered} == {12}
        assert sorted(fact.uid for fact in made.log.facts(AlertReset)) == sorted(first[:15])
        assert made.log.facts(AlertGone) == []
        # The list has news of an alert that an activity told of only where it names a ticket of another integration that the
        # activity did not come with.
        named = sorted(first + second) if "more fields" in quirks else []
        sightings = made.log.facts(AlertObserved)
        with_tickets = [entry.fact for entry in triggered if entry.fact.psa_ticket_id is not None] + sightings
        assert sorted(fact.uid for fact in with_tickets) == named
        assert {fact.psa_ticket_id for fact in with_tickets} <= {"x"}
        assert made.log.dead_letters == []
        await connector.inventory.sweep()
        await connector.inventory.sweep()
        assert len(made.log.facts(DeviceObserved)) == 40
        assert made.log.facts(DeviceRemoved) == []


@pytest.mark.parametrize("quirks", [(), ("no times",), ("capped", "inclusive"), ("milliseconds",)], ids=" + ".join)
async def test_a_restart_repeats_nothing_and_skips_nothing(quirks):
    async with other_bench(*quirks) as (other, made):
        async with started(made) as connector:
            await connector.poller.poll()
            told = [other.trigger(number) for number in range(1, 20)]
            await connector.poller.poll()
        told.append(other.trigger(20))
        async with started(made) as connector:
            await connector.poller.poll()
        assert sorted(fact.uid for fact in made.log.facts(AlertTriggered)) == sorted(told)


async def test_the_cursor_moves_on_where_activities_carry_no_times():
    async with other_bench("no times") as (other, made), started(made) as connector:
        await connector.poller.poll()
        other.trigger(1)
        await connector.poller.poll()
        assert orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])["activity"] == 7


async def test_an_account_whose_ids_begin_anew_is_followed_from_its_newest_activity(caplog):
    async with other_bench() as (other, made), started(made) as connector:
        other.activities = [{"id": 5000, "activityTime": 1.0, "activityType": "SYSTEM", "statusCode": "X"}]
        await connector.poller.poll()
        other.activities.clear()
        other.write("SYSTEM", "X")
        await connector.poller.poll()
        assert "the newest activity is 7, 5000 was read before" in caplog.text
        uid = other.trigger(1)
        await connector.poller.poll()
        assert [fact.uid for fact in made.log.facts(AlertTriggered)] == [uid]


async def test_an_instance_that_names_no_newest_activity_while_there_is_no_news_begins_nothing_anew():
    async with other_bench() as (other, made), started(made) as connector:
        told = other.trigger(1)
        await connector.poller.poll()
        other.scripted["/v2/activities"] = [JSONResponse({"lastActivityId": 0, "activities": []})]
        await connector.poller.poll()
        await connector.poller.poll()
        assert [fact.uid for fact in made.log.facts(AlertObserved)] == [told]
        assert made.log.facts(AlertTriggered) == []


async def test_one_failed_attempt_at_the_list_is_an_error_between_two_lists():
    async with other_bench() as (other, made), started(made) as connector:
        uid = other.trigger(1)
        await connector.poller.poll()
        del other.alerts[uid]
        other.tick()
        await connector.poller.poll()
        other.scripted["/v2/alerts"] = [Response(status_code=502)]
        await connector.poller.poll()
        assert made.log.facts(AlertGone) == []
        await connector.poller.poll()
        assert [fact.uid for fact in made.log.facts(AlertGone)] == [uid]


@pytest.mark.parametrize("answer", [overload_page(404), overload_page(403), overload_page(200)])
async def test_a_gateways_page_says_nothing_about_the_alert_or_the_device(answer):
    async with other_bench() as (other, made), started(made) as connector:
        uid = other.trigger(1)
        other.scripted[f"/v2/alert/{uid}"] = [answer]
        async with made.client() as client:
            effect = await NinjaOneEffects(client).perform(reset_of(uid))
        assert effect.verdict is Verdict.UNKNOWN
        other.scripted["/v2/device/101"] = [answer] * 3
        with pytest.raises(CallFailed):
            await connector.inventory.look(101, deleted_at=made.now())
        assert made.log.facts(DeviceRemoved) == []


@pytest.mark.parametrize("status", [404, 403, 400, 302])
async def test_a_token_that_cannot_be_had_is_never_the_answer_of_the_call_it_was_for(status):
    async with other_bench() as (other, made):
        uid = other.trigger(1)
        refusal = JSONResponse({"resultCode": "FAILURE", "errorMessage": "something else"}, status)
        other.scripted["/ws/oauth/token"] = [refusal] * 9
        async with made.client() as client:
            effects = NinjaOneEffects(client)
            assert (await effects.perform(reset_of(uid))).verdict is Verdict.TRANSIENT
            assert (await effects.look_up(reset_of(uid))).verdict is Verdict.TRANSIENT
            with pytest.raises(CallFailed) as failed:
                await client.device(101)
        assert failed.value.situation is Situation.NO_TOKEN
        assert made.gate.told[-1].startswith("troubled POST /ws/oauth/token")


async def test_a_second_reset_that_is_refused_as_bad_input_is_looked_up_and_done():
    async with other_bench() as (other, made):
        uid = other.trigger(1)
        async with made.client() as client:
            effects = NinjaOneEffects(client)
            assert (await effects.perform(reset_of(uid))).how == "Called"
            again = await effects.perform(reset_of(uid))
            assert (again.verdict, again.how, again.written, again.calls) == (
                Verdict.SUCCEEDED, "NothingToDo", False, 2,
            )  # fmt: skip


async def test_a_reset_that_is_refused_while_the_alert_stands_stays_refused():
    async with other_bench() as (other, made):
        uid = other.trigger(1)
        other.scripted[f"/v2/alert/{uid}"] = [JSONResponse("the body is missing", 400)]
        async with made.client() as client:
            effect = await NinjaOneEffects(client).perform(reset_of(uid))
        assert (effect.verdict, effect.reason) == (Verdict.REJECTED, "RefusedInput")
        assert "the body is missing" in effect.detail


async def test_a_batch_of_activities_in_one_delivery_is_taken_whole():
    async with other_bench() as (other, made), started(made) as connector, receiving(made, connector) as client:
        for number in (1, 2, 3):
            other.trigger(number)
        batch = [*other.activities, {"activityType": "CONDITION"}, other.activities[0]]
        answer = await client.post("/webhooks/ninjaone", json=batch, headers={"x-LOCKSTEP-token": TOKEN})
        assert answer.status_code == 202
        assert [fact.uid for fact in made.log.facts(AlertTriggered)] == [SERIES.format(n) for n in (1, 2, 3)]
        assert [letter.value for letter in made.log.dead_letters] == [b'{"activityType":"CONDITION"}']
        assert (
            await client.post("/webhooks/ninjaone", json=[], headers={"x-lockstep-token": TOKEN})
        ).status_code == 204


async def test_an_activity_that_names_its_device_only_inside_is_an_alert_of_that_device():
    async with other_bench() as (other, made), started(made) as connector, receiving(made, connector) as client:
        other.trigger(1)
        row = {key: value for key, value in other.activities[0].items() if key != "deviceId"}
        row["device"] = {
            "id": 777,
            "references": {"organization": {"id": 12, "name": "Nordwind"}},
            "displayName": "NEW",
        }
        assert (
            await client.post("/webhooks/ninjaone", json=row, headers={"X-Lockstep-Token": TOKEN})
        ).status_code == 204
        [fact] = made.log.facts(AlertTriggered)
        assert (fact.subject.device_id, fact.subject.device_name, fact.subject.organization_id) == (777, "NEW", 12)


@pytest.mark.parametrize("answer", [overload_page(404), JSONResponse({"detail": "Not Found"}, 404)])
async def test_a_host_that_is_something_else_is_told_as_the_wrong_address(answer):
    async with other_bench() as (other, made):
        other.scripted["/ws/oauth/token"] = [answer]
        result = await probe(made.config, now=made.now, sleep=made.naps, jitter=lambda: 0.5)
        assert (result.failed.step, result.reachable) == ("host", True)
        assert "does not answer like NinjaOne" in result.line


@pytest.mark.parametrize("quirks", [(), ("token with all",), ("nulls",)], ids=" + ".join)
async def test_good_credentials_pass_whatever_else_the_token_answer_says(quirks):
    async with other_bench(*quirks) as (_, made):
        result = await probe(made.config, now=made.now, sleep=made.naps, jitter=lambda: 0.5)
        assert result.line == "Status: Connection succeeded with provided credentials."


@pytest.mark.parametrize("error", ["invalid_grant", "unsupported_grant_type", "unauthorized_client"])
async def test_an_app_that_may_not_use_client_credentials_is_told_so(error):
    async with other_bench() as (other, made):
        other.scripted["/ws/oauth/token"] = [JSONResponse({"error": error}, 400)]
        result = await probe(made.config, now=made.now, sleep=made.naps, jitter=lambda: 0.5)
        assert result.failed.step == "scope"
        assert "client credentials" in result.line


async def test_a_webhook_that_fell_silent_is_noticed_by_the_third_alert_that_the_poll_brings():
    async with other_bench() as (other, made), started(made) as connector, receiving(made, connector) as client:
        await connector.poller.poll()
        other.trigger(1)
        other.trigger(2)
        await connector.poller.poll()
        assert not connector.intake.webhook_fell_silent()
        other.write("SYSTEM", "X")
        await client.post("/webhooks/ninjaone", json=other.activities[-1], headers={"X-Lockstep-Token": TOKEN})
        other.trigger(3)
        await connector.poller.poll()
        assert not connector.intake.webhook_fell_silent()
        await client.post("/webhooks/ninjaone", json=other.activities[-1], headers={"X-Lockstep-Token": "a stranger's"})
        other.trigger(4)
        other.trigger(5)
        await connector.poller.poll()
        assert connector.intake.webhook_fell_silent()
        assert not connector.intake.webhook_fell_silent()
