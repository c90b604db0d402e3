"""Both vendors read once for a comparison, over real HTTP: what is asked for, and that nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connectors.autotask.survey import AutotaskSurvey
from connectors.errors import CallFailed
from connectors.ninjaone.survey import NinjaOneSurvey, SurveyIncomplete
from connectors.ports import CallsSuspended
from schemas.facts import AlertGone, AlertObserved, DeviceObserved
from schemas.identity import reference_number
from streams.core.drift.findings import VendorSide
from streams.core.drift.over import reopening
from tests.connectors.autotask_lab import DEVICE, Lab, create_ticket, lab, upsert
from tests.connectors.autotask_tenant import FIRST_COMPANY, running_board
from tests.connectors.ninja_connected import Bench, bench, started


def quiet(what: str) -> None:
    return None


@pytest_asyncio.fixture
async def it() -> AsyncIterator[Lab]:
    async with running_board() as board, lab(board) as running:
        yield running


@pytest_asyncio.fixture
async def psa(it: Lab) -> AutotaskSurvey:
    survey = AutotaskSurvey(it.client)
    await survey.begin()
    return survey


# --- Autotask


async def test_tickets_of_ours_are_read_open_or_recent_and_others_by_their_id(it: Lab, psa: AutotaskSurvey) -> None:
    own = (await it.effects.perform(create_ticket())).ticket_id or 0
    lost = (await it.effects.perform(create_ticket(2))).ticket_id or 0
    other = await it.api.control("POST", "tickets", 200, companyID=FIRST_COMPANY, title="By phone")
    await it.api.control("PATCH", f"tickets/{lost}", 200, externalID=None)
    found = await psa.tickets(key=None, since=it.client.now(), step=quiet)
    assert set(found) == {own}
    assert (found[own].company_id, found[own].external_id) == (FIRST_COMPANY, create_ticket().external_id)
    assert set(await psa.tickets_of({lost, other["itemId"] + 1000}, quiet)) == {lost}
    assert set(await psa.tickets(key=DEVICE, since=0, step=quiet)) == {own}
    assert await psa.tickets(key="40", since=0, step=quiet) == {}


async def test_a_completed_ticket_is_read_as_long_as_it_is_recent(it: Lab, psa: AutotaskSurvey) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    await it.api.control("POST", f"tickets/{number}/complete", 200)
    now = it.client.now()
    assert set(await psa.tickets(key=None, since=now - 60_000, step=quiet)) == {number}
    assert await psa.tickets(key=None, since=now + 60_000, step=quiet) == {}


async def test_what_differs_of_an_item_is_named_and_what_people_own_is_not(it: Lab, psa: AutotaskSurvey) -> None:
    number = (await it.effects.perform(upsert())).item_id or 0
    items = await psa.items(key=None, step=quiet)
    assert items[number].reference_number == reference_number(DEVICE)
    assert await psa.foreign({DEVICE: upsert()}, {DEVICE: items[number]}, quiet) == {}
    theirs = {"referenceTitle": "X", "userDefinedFields": [{"name": "NinjaOne Link", "value": None}], "notes": "ours"}
    await it.api.control("PATCH", f"configuration-items/{number}", 200, **theirs)
    changed = (await psa.items_of({number}, quiet))[number]
    found = await psa.foreign({DEVICE: upsert()}, {DEVICE: changed}, quiet)
    assert found == {DEVICE: ("referenceTitle", "NinjaOne Link")}
    unknown = upsert(product="No Such Product")
    assert await psa.foreign({DEVICE: unknown}, {DEVICE: changed}, quiet) == {}


async def test_items_with_a_serial_number_are_read_whoever_made_them(it: Lab, psa: AutotaskSurvey) -> None:
    theirs = {"companyID": FIRST_COMPANY, "serialNumber": "5CG1234XYZ", "referenceTitle": "entered by hand"}
    number = (await it.api.control("POST", "configuration-items", 200, **theirs))["itemId"]
    await it.api.control("POST", "configuration-items", 200, **{**theirs, "isActive": False})
    assert set(await psa.items_like({"5CG1234XYZ", "NOBODYS"}, quiet)) == {number}


@pytest.mark.parametrize(
    ("history", "sure"), [("fields", True), ("unnamed", False), ("creation", False), ("refused", False)]
)
async def test_the_history_of_a_ticket_tells_whether_somebody_completed_and_reopened_it(
    it: Lab, psa: AutotaskSurvey, history: str, sure: bool
) -> None:
    if history == "refused":
        await it.api.control("PATCH", "api-user", 200, permissions={"TicketHistory": {"query": False}})
    else:
        await it.api.switch(ticket_history=history)
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    other = (await it.effects.perform(create_ticket(2))).ticket_id or 0
    await it.api.control("POST", f"tickets/{number}/complete", 200)
    await it.api.control("POST", f"tickets/{number}/reopen", 200)
    await it.api.control("POST", f"tickets/{other}/note", 200)
    found, pasts = await psa.tickets(key=None, since=0, step=quiet), await psa.pasts([number, other], quiet)
    side = VendorSide(asked_at=0, tickets=found, pasts=pasts, status_names=await psa.status_names())
    past = reopening({}, found[number], create_ticket(), side)
    assert past is not None
    assert (past.sure, "resource 29682885" in past.what or history == "creation") == (sure, True)
    only_a_note = reopening({}, found[other], create_ticket(2), side)
    assert (only_a_note is None) == (history != "refused")


async def test_the_history_of_more_than_fifty_tickets_is_not_asked_for(it: Lab, psa: AutotaskSurvey) -> None:
    mark = await it.mark()
    pasts = await psa.pasts(range(1, 53), quiet)
    assert [pasts[number] for number in (1, 50, 51, 52)] == [(), (), None, None]
    assert len([call for call in await it.made(mark) if "TicketHistory" in call]) == 50


async def test_reading_stops_where_bulk_work_has_to_and_says_so(it: Lab) -> None:
    await it.api.switch(neighbour=4_700, latency_scale=0.0)
    survey = AutotaskSurvey(it.client)
    await survey.begin()
    mark = await it.mark()
    with pytest.raises(CallsSuspended, match=r"4\d\d\d of the tenant's 10000 requests.*bulk work waits: run it again"):
        await survey.tickets(key=None, since=0, step=quiet)
    assert await it.made(mark) == []


async def test_a_closed_gate_is_not_passed(it: Lab) -> None:
    it.gate.closed = "Autotask is Unhealthy since 09:00: the user is locked"
    with pytest.raises(CallsSuspended, match="the user is locked"):
        await AutotaskSurvey(it.client).begin()


# --- NinjaOne


def survey_of(made: Bench) -> NinjaOneSurvey:
    return NinjaOneSurvey.create(made.config, gate=made.gate, now=made.now, sleep=made.naps, jitter=lambda: 0.5)


async def test_a_survey_tells_devices_and_alerts_as_the_connector_does() -> None:
    async with bench(devices=12) as made, started(made) as connector:
        uid = await made.lab.alert(sourceType="CONDITION_AGENT_CPU", push=False)
        await connector.inventory.sweep()
        await connector.poller.poll()
        survey = survey_of(made)
        seen = await survey.read({}, quiet)
        told = {fact.subject.key: fact.digest for fact in made.log.facts(DeviceObserved)}  # type: ignore[attr-defined]
        facts = {key: publication.fact for key, publication in seen.devices.items()}
        assert {key: fact.digest for key, fact in facts.items() if isinstance(fact, DeviceObserved)} == told
        listed = [entry for entry in made.log.of(AlertObserved) if getattr(entry.fact, "uid", "") == uid]
        assert [entry.id for entry in listed] == [seen.alerts[uid].id]
        await survey.close()


async def test_an_alert_can_be_told_as_seen_now_or_with_its_ticket() -> None:
    async with bench(devices=6) as made:
        uid = await made.lab.alert(sourceType="CONDITION_AGENT_CPU")
        survey = survey_of(made)
        seen = await survey.read({}, quiet)
        again = (await survey.alert(uid, again_at=seen.asked_at)).fact
        named = (await survey.alert(uid, ticket_id=77)).fact
        assert isinstance(again, AlertObserved)
        assert isinstance(named, AlertObserved)
        assert (again.raised_at, named.psa_ticket_id) == (seen.asked_at, "77")
        over = survey.gone(uid, "1001", 17, asked_at=seen.asked_at).fact
        assert isinstance(over, AlertGone)
        assert (over.gone_at, over.subject.key) == (seen.asked_at, "1001")
        await survey.close()


async def test_a_device_that_is_not_listed_is_asked_for_before_it_counts_as_gone() -> None:
    async with bench(devices=6) as made:
        hidden = await made.lab.control("POST", "devices", {"approvalStatus": "PENDING", "push": False})
        survey = survey_of(made)
        seen = await survey.read({}, quiet)
        assert str(hidden["id"]) not in seen.devices
        await survey.look_for({str(hidden["id"]), "987654"}, seen, quiet)
        assert seen.hidden == {str(hidden["id"])}
        await survey.close()


async def test_a_list_that_fails_or_cannot_be_read_whole_is_not_compared() -> None:
    async with bench(devices=6) as made:
        survey = survey_of(made)
        fault = await made.lab.fault("status", match={"path": "/v2/alerts"}, count=-1, params={"code": 500})
        with pytest.raises(CallFailed):
            await survey.read({}, quiet)
        await made.lab.control("DELETE", f"faults/{fault}")
        unreadable = [{"uid": None, "message": "no uid"}]
        await made.lab.fault("status", match={"path": "/v2/alerts"}, count=-1, params={"code": 200, "body": unreadable})
        with pytest.raises(SurveyIncomplete, match="1 of NinjaOne's active alerts cannot be understood"):
            await survey.read({}, quiet)
        await survey.close()
