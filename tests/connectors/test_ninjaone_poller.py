"""The alert poller on the sandbox: nothing missed, nothing twice, whatever fails in between."""

import orjson
import pytest

from connectors.errors import CallFailed
from connectors.ports import CallsSuspended
from schemas.facts import AlertGone, AlertObserved, AlertReset, AlertTriggered
from tests.connectors.ninja_connected import bench, started


def uids(facts):
    return [fact.uid for fact in facts]


async def test_the_first_start_takes_what_is_active_and_no_old_activities():
    async with bench() as made:
        active, over = await made.lab.alert(), await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        await made.lab.control("POST", f"alerts/{over}/clear")
        async with started(made) as connector:
            await connector.poller.poll()
        assert uids(made.log.facts(AlertObserved)) == [active]
        assert made.log.facts(AlertTriggered) == made.log.facts(AlertReset) == []


async def test_without_backfill_the_first_start_leaves_what_is_active_alone_and_takes_what_follows():
    async with bench() as made:
        old = await made.lab.alert()
        async with started(made, backfill="none") as connector:
            await connector.poller.poll()
            new = await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
            await connector.poller.poll()
            await made.lab.control("POST", f"alerts/{old}/clear", {"push": False})
            await connector.poller.poll()
        assert made.log.facts(AlertObserved) == []
        assert uids(made.log.facts(AlertTriggered)) == [new]
        assert made.log.facts(AlertGone) == []


async def test_a_trigger_carries_its_whole_context_and_the_source_type_from_the_list():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert(deviceId=1002, sourceType="AGENT_OFFLINE", severity="CRITICAL", subject="x")
        await connector.poller.poll()
        [publication] = made.log.of(AlertTriggered)
        fact = publication.fact
        device = made.lab.vendor.store.fleet.devices[1002].row
        assert (fact.uid, fact.source_type, fact.severity, fact.alert_subject) == (
            uid,
            "AGENT_OFFLINE",
            "CRITICAL",
            "x",
        )
        assert fact.subject.device_id == 1002
        assert fact.subject.organization_id == device["organizationId"]
        assert fact.subject.organization_name
        assert fact.subject.location_name
        assert fact.subject.role_name
        assert fact.subject.link == "https://eu.ninjarmm.com/#/deviceDashboard/1002/overview"
        assert (publication.topic, publication.key, publication.time) == ("ninjaone.alerts", "1002", fact.raised_at)
        assert made.log.facts(AlertObserved) == []


async def test_polling_again_tells_nothing_again_and_writes_nothing():
    async with bench() as made, started(made) as connector:
        await made.lab.alert()
        await connector.poller.poll()
        await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        await connector.poller.poll()
        await connector.poller.poll()
        written = len(made.log.writes)
        await connector.poller.poll()
        assert made.log.writes[written:] == []
        assert len(made.log.facts()) == len({entry.id for entry in made.log.publications})


async def test_a_restart_goes_on_at_the_cursor_without_repeating_the_overlap():
    async with bench() as made:
        async with started(made) as connector:
            await connector.poller.poll()
            first = await made.lab.alert()
            await connector.poller.poll()
        second = await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        async with started(made) as connector:
            await connector.poller.poll()
        assert uids(made.log.facts(AlertTriggered)) == [first, second]


async def test_the_cursor_is_written_only_after_the_facts_were_acknowledged():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        cursor = made.log.compacted["cursors"]["ninjaone.activities"]
        made.log.refusing = ConnectionError("no broker")
        with pytest.raises(ConnectionError):
            await connector.poller.poll()
        made.log.refusing = None
        assert made.log.compacted["cursors"]["ninjaone.activities"] == cursor
        await connector.poller.poll()
        assert uids(made.log.facts(AlertTriggered)) == [uid]
        told = made.log.writes.index("publish AlertTriggered 1001")
        assert "remember cursors ninjaone.activities" in made.log.writes[told:]


async def test_a_crash_between_facts_and_cursor_repeats_them_under_the_same_ids():
    async with bench() as made:
        async with started(made) as connector:
            await connector.poller.poll()
            kept = dict(made.log.compacted["cursors"])
            await made.lab.alert()
            await connector.poller.poll()
        made.log.compacted["cursors"] = kept
        async with started(made) as connector:
            await connector.poller.poll()
        ids = [entry.id for entry in made.log.of(AlertTriggered)]
        assert len(ids) == 2
        assert len(set(ids)) == 1


async def test_a_cleared_condition_is_a_reset_with_its_activity():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        await made.lab.control("POST", f"alerts/{uid}/clear")
        await connector.poller.poll()
        await connector.poller.poll()
        [fact] = made.log.facts(AlertReset)
        assert (fact.uid, fact.status_code) == (uid, "RESET")
        assert made.log.of(AlertReset)[0].topic == "ninjaone.resets"
        assert made.log.facts(AlertGone) == []


def vanish(made, uid):
    """The alert leaves the list and no activity tells why."""
    del made.lab.vendor.store.alerts[uid]


async def test_an_alert_missing_from_one_list_is_nothing_and_from_two_in_a_row_it_is_gone():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        vanish(made, uid)
        before = made.now()
        await connector.poller.poll()
        after = made.now()
        assert made.log.facts(AlertGone) == []
        await connector.poller.poll()
        [fact] = made.log.facts(AlertGone)
        assert (fact.uid, fact.cause) == (uid, "MissingFromList")
        assert before <= fact.gone_at <= after
        await connector.poller.poll()
        assert len(made.log.facts(AlertGone)) == 1


async def test_an_error_between_two_lists_starts_the_count_anew():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        vanish(made, uid)
        await connector.poller.poll()
        fault = await made.lab.fault("html", count=-1, match={"path": "/v2/alerts"})
        with pytest.raises(CallFailed):
            await connector.poller.poll()
        await made.lab.control("DELETE", f"faults/{fault}")
        await connector.poller.poll()
        assert made.log.facts(AlertGone) == []
        await connector.poller.poll()
        assert uids(made.log.facts(AlertGone)) == [uid]


async def test_an_alert_that_ended_while_nobody_polled_is_missed_after_the_restart():
    async with bench() as made:
        async with started(made) as connector:
            uid = await made.lab.alert(deviceId=1003)
            await connector.poller.poll()
        vanish(made, uid)
        async with started(made) as connector:
            await connector.poller.poll()
            await connector.poller.poll()
        [publication] = made.log.of(AlertGone)
        assert (publication.fact.uid, publication.key) == (uid, "1003")
        assert publication.fact.subject.organization_name


async def test_an_alert_without_any_activity_is_observed_from_the_list():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        store = made.lab.vendor.store
        store.activities.pop()
        store._ids.pop()
        await connector.poller.poll()
        await connector.poller.poll()
        assert uids(made.log.facts(AlertObserved)) == [uid]
        await connector.poller.poll()
        assert len(made.log.facts(AlertObserved)) == 1


async def test_an_alert_that_was_told_as_gone_and_stands_in_the_list_again_is_raised_again():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        row = made.lab.vendor.store.alerts.pop(uid)
        await connector.poller.poll()
        await connector.poller.poll()
        made.lab.vendor.store.alerts[uid] = row
        await connector.poller.poll()
        await connector.poller.poll()
        assert len(made.log.facts(AlertObserved)) == 1, "a lagging list raises nothing"
        await made.advance(61)
        await connector.poller.poll()
        await connector.poller.poll()
        first, again = made.log.facts(AlertObserved)
        [gone] = made.log.facts(AlertGone)
        assert first.raised_at < gone.gone_at < again.raised_at


async def test_activities_go_out_while_the_alert_list_is_broken():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        await made.lab.fault("status", count=-1, match={"path": "/v2/alerts"}, params={"code": 500})
        with pytest.raises(CallFailed):
            await connector.poller.poll()
        [fact] = made.log.facts(AlertTriggered)
        assert (fact.uid, fact.source_type) == (uid, None)


@pytest.mark.parametrize("code", [404, 500])
async def test_what_is_active_is_told_while_the_activities_are_broken(code):
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        await made.lab.fault("status", count=-1, match={"path": "/v2/activities"}, params={"code": code})
        for _ in range(3):
            with pytest.raises(CallFailed):
                await connector.poller.poll()
        assert uids(made.log.facts(AlertObserved)) == [uid]
        await made.lab.control("DELETE", "faults")
        await connector.poller.poll()
        assert uids(made.log.facts(AlertTriggered)) == [uid]


async def test_a_host_in_trouble_is_not_believed_that_an_alert_is_over():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        vanish(made, uid)
        await made.lab.fault("status", count=-1, match={"path": "/v2/activities"}, params={"code": 503})
        for _ in range(4):
            with pytest.raises(CallFailed):
                await connector.poller.poll()
        assert made.log.facts(AlertGone) == []
        await made.lab.control("DELETE", "faults")
        await connector.poller.poll()
        assert uids(made.log.facts(AlertGone)) == [uid]


@pytest.mark.parametrize("between", ["activities fail", "gate closes"])
async def test_a_round_that_never_came_to_its_list_starts_the_count_anew(between):
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        vanish(made, uid)
        await connector.poller.poll()
        if between == "gate closes":
            made.gate.closed = "locked"
        else:
            await made.lab.fault("drop_before_commit", count=-1, match={"path": "/v2/activities"})
        with pytest.raises((CallFailed, CallsSuspended)):
            await connector.poller.poll()
        made.gate.closed = None
        await made.lab.control("DELETE", "faults")
        await connector.poller.poll()
        assert made.log.facts(AlertGone) == []
        await connector.poller.poll()
        assert uids(made.log.facts(AlertGone)) == [uid]


async def test_an_unreadable_row_becomes_one_dead_letter_and_nothing_counts_as_missing():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert()
        await connector.poller.poll()
        await made.lab.fault(
            "status", count=-1, match={"path": "/v2/alerts"}, params={"code": 200, "body": [{"uid": None, "a": 1}]}
        )
        for _ in range(3):
            await connector.poller.poll()
        assert [letter.stage for letter in made.log.dead_letters] == ["ninjaone alerts"]
        assert "uid" in made.log.dead_letters[0].error
        assert made.log.facts(AlertGone) == []
        assert uids(made.log.facts(AlertObserved)) == [uid]


async def test_an_alert_of_an_unknown_device_is_told_under_no_organization_to_be_seen_as_parked():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.lab.alert(deviceId=4711, allowUnknownDevice=True)
        await connector.poller.poll()
        [publication] = made.log.of(AlertTriggered)
        assert publication.key == "4711"
        assert publication.fact.subject.organization_id == 0


async def test_an_alert_without_a_device_has_the_key_of_its_organization():
    async with bench() as made, started(made) as connector:
        organization = next(iter(made.lab.vendor.store.fleet.organizations))
        await made.lab.alert(deviceId=None, organizationId=organization)
        await connector.poller.poll()
        [publication] = made.log.of(AlertObserved)
        assert publication.key == f"o{organization}"
        assert publication.fact.subject.organization_name


async def test_one_device_that_cannot_be_read_holds_nobody_else_up_and_is_told_after_five_rounds():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        connector.directory._devices.pop(1004)
        stuck = await made.lab.alert(deviceId=1004)
        fine = await made.lab.alert(deviceId=1005, sourceType="CONDITION_AGENT_CPU")
        await made.lab.fault("status", count=-1, match={"path": "/v2/device/1004$"}, params={"code": 500})
        for _ in range(5):
            with pytest.raises(CallFailed):
                await connector.poller.poll()
            assert uids(made.log.facts(AlertTriggered)) == [fine]
        await connector.poller.poll()
        assert uids(made.log.facts(AlertTriggered)) == [fine, stuck]
        cursor = orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])
        assert len(cursor["published"]) == 2


async def test_a_storm_wider_than_a_page_is_told_whole():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        for number in range(1100):
            made.lab.vendor.alerts.trigger({"deviceId": 1001, "subject": str(number)})
        await connector.poller.poll()
        assert [fact.alert_subject for fact in made.log.facts(AlertTriggered)] == [str(n) for n in range(1100)]


async def test_the_cursor_stays_five_minutes_behind_and_moves_on():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.lab.alert()
        await connector.poller.poll()
        first = orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])
        await made.advance(400)
        await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        await connector.poller.poll()
        second = orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])
        assert second["activity"] > first["activity"]
        assert (len(first["published"]), len(second["published"])) == (1, 1)


async def test_what_is_over_when_it_is_read_stands_beside_its_end_in_one_write_and_all_else_in_its_order():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        raised = [
            str(made.lab.vendor.alerts.trigger({"deviceId": 1001, "subject": str(number)})["uid"])
            for number in range(1100)
        ]
        over = raised[::100]
        for uid in over:
            await made.lab.control("POST", f"alerts/{uid}/clear")
        written: list[set[str]] = []
        publish = made.log.publish

        async def noted(publications):
            written.append({entry.fact.uid for entry in publications if entry.fact.uid in over})
            await publish(publications)

        made.log.publish = noted
        await connector.poller.poll()
        facts = made.log.facts()[-1100 - len(over) :]
        active = [fact.uid for fact in facts if fact.uid not in over]
        assert active == [uid for uid in raised if uid not in over]
        for uid in over:
            places = [place for place, fact in enumerate(facts) if fact.uid == uid]
            assert [type(facts[place]) for place in places] == [AlertTriggered, AlertReset]
            assert places[1] == places[0] + 1
        assert len(written) > 1
        assert sum(len(uids) for uids in written) == len(over)
