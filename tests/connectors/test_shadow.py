"""A shadow at the vendors, over real HTTP: names kept apart, the other connector's tickets as facts, commands predicted unsent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from connectors.autotask.metadata import Metadata
from connectors.ports import Log, Publication, Verdict
from connectors.shadow.effects import PredictedAutotask, PredictedNinjaOne, PredictingClient
from connectors.shadow.named import NamesApart
from connectors.shadow.tickets import OtherTickets
from schemas.commands import ReopenTicket, ResetAlert
from schemas.facts import AlertObserved
from schemas.identity import is_predicted, predicted_id
from schemas.shadow import AlertTicketNamed, OtherTicketObserved
from schemas.topics import SHADOW
from tests.connectors.autotask_lab import (
    DEVICE,
    Lab,
    append_note,
    complete_ticket,
    create_ticket,
    lab,
    retire,
    upsert,
)
from tests.connectors.autotask_tenant import FIRST_COMPANY, OTHER_TECHNICIAN, TECHNICIAN, Board, running_board
from tests.connectors.memory_log import MemoryLog
from tests.connectors.ninja_connected import bench, started

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


async def native(it: Lab, *, by: int = OTHER_TECHNICIAN, **values: Any) -> int:
    """A ticket of the other connector."""
    fields = {"companyID": FIRST_COMPANY, "title": "SRV01: disk", "resourceID": by, **values}
    return int((await it.api.control("POST", "tickets", 200, **fields))["itemId"])


def watching(it: Lab, *names: int | str, log: Log | None = None, creators: tuple[int, ...] = ()) -> OtherTickets:
    known = {str(name) for name in names}
    return OtherTickets(it.client, log or it.log, Metadata(it.client), names=known, creators=creators)


def seen(it: Lab) -> list[OtherTicketObserved]:
    return [entry.fact for entry in it.log.of(OtherTicketObserved)]  # type: ignore[misc]


def predicting(it: Lab) -> PredictedAutotask:
    client = PredictingClient(
        replace(it.client.access, reads_only=True),
        gate=it.gate,
        now=it.client.now,
        sleep=asyncio.sleep,
        jitter=lambda: 0.5,
    )
    return PredictedAutotask(client)


async def changed(it: Lab, since: int) -> list[str]:
    return [line for line in await it.made(since) if not line.startswith("GET ") and not line.endswith("/query")]


async def test_the_ticket_of_another_integration_is_told_apart_from_its_alert() -> None:
    async with bench() as made:
        log, names = made.log, set[str]()
        made.log = NamesApart(log, names)  # type: ignore[assignment]
        made.log.compacted = log.compacted
        async with started(made) as connector:
            uid = await made.lab.alert(psaTicketId=7001)
            await made.advance(400)
            await connector.poller.poll()
    (alert,) = [fact for fact in log.facts(AlertObserved) if fact.uid == uid]  # type: ignore[attr-defined]
    assert alert.psa_ticket_id is None  # type: ignore[attr-defined]
    assert log.facts(AlertTicketNamed) == [AlertTicketNamed(uid=uid, key="1001", ticket="7001")]
    assert [(entry.topic, entry.key) for entry in log.of(AlertTicketNamed)] == [(SHADOW, uid)]
    assert names == {"7001"}


async def test_a_ticket_that_an_alert_names_is_read_by_id_and_by_number_with_the_labels_of_its_fields(it: Lab) -> None:
    first, second = await native(it, queueID=29_682_833, priority=4), await native(it)
    row = await it.api.item("Tickets", second)
    assert await watching(it, first, row["ticketNumber"].lower()).poll() == 2
    found = {fact.ticket_id: fact for fact in seen(it)}
    assert found.keys() == {first, second}
    assert (found[first].queue, found[first].priority, found[first].status) == ("Service Desk", "Critical", "New")
    assert found[first].creator_resource_id == OTHER_TECHNICIAN


async def test_each_change_is_told_once_and_silence_costs_one_query(it: Lab) -> None:
    number = await native(it)
    watch = watching(it, number)
    await watch.poll()
    mark = await it.mark()
    assert await watch.poll() == 0
    assert await it.made(mark) == ["POST Tickets/query"]
    await it.api.control("POST", f"tickets/{number}/complete", 200, resourceID=OTHER_TECHNICIAN)
    assert await watch.poll() == 1
    assert await watch.poll() == 0
    assert [fact.completed for fact in seen(it)] == [False, True]
    assert seen(it)[-1].completed_at is not None


async def test_a_double_that_no_alert_names_is_seen_by_its_creator_and_a_persons_ticket_is_not(it: Lab) -> None:
    named = [await native(it), await native(it)]
    watch = watching(it, *named)
    await watch.poll()
    double, persons = await native(it), await native(it, by=TECHNICIAN, title="Printer on fire")
    await watch.poll()
    assert double in {fact.ticket_id for fact in seen(it)}
    assert persons not in {fact.ticket_id for fact in seen(it)}


async def test_a_ticket_that_a_person_opened_from_an_alert_brings_none_of_their_others(it: Lab) -> None:
    named = [await native(it), await native(it), await native(it, by=TECHNICIAN)]
    watch = watching(it, *named)
    await watch.poll()
    await native(it, by=TECHNICIAN, title="Birthday list")
    await watch.poll()
    assert {fact.ticket_id for fact in seen(it)} == set(named)
    await it.api.control("POST", f"tickets/{named[2]}/complete", 200)
    assert await watch.poll() == 1, "but the ticket itself is followed"


async def test_what_it_opened_before_it_was_known_by_a_name_is_read_then(it: Lab) -> None:
    watch = watching(it)
    await watch.poll()
    early = await native(it)
    await it.api.control("POST", "clock", 200, advance=3600)
    watch._names.add(str(await native(it)))
    await watch.poll()
    await watch.poll()
    assert early in {fact.ticket_id for fact in seen(it)}


async def test_a_round_that_fails_in_the_middle_is_read_again_from_where_it_began(
    it: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.autotask.client.PAGE", 1)
    watch = watching(it, creators=(OTHER_TECHNICIAN,), log=FailingAtTheSecond(it.log))
    await watch.poll()
    first, second = await native(it), await native(it)
    # The first page tells of a change that is an hour newer than what the second one holds.
    await it.api.control("POST", "clock", 200, advance=3600)
    await it.api.control("PATCH", f"tickets/{first}", 200, priority=4, resourceID=OTHER_TECHNICIAN)
    with pytest.raises(ConnectionError):
        await watch.poll()
    assert {fact.ticket_id for fact in seen(it)} == {first}
    await watch.poll()
    assert {fact.ticket_id for fact in seen(it)} == {first, second}


class FailingAtTheSecond(NamesApart):
    """A log whose second publication fails, once."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log, set())
        self.left = 1

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.left -= 1
        if self.left == -1:
            raise ConnectionError("Kafka is away")
        await super().publish(publications)


async def test_who_opens_them_may_be_said_in_the_settings(it: Lab) -> None:
    watch = watching(it, creators=(OTHER_TECHNICIAN,))
    await watch.poll()
    number = await native(it)
    assert await watch.poll() == 1
    assert seen(it)[0].ticket_id == number


async def test_after_a_restart_what_is_known_is_not_told_again_and_what_changed_meanwhile_is(it: Lab) -> None:
    number = await native(it)
    await watching(it, number).poll()
    it.log.compacted[SHADOW] = {
        "0b6c2a1e": AlertTicketNamed(uid="0b6c2a1e", key=DEVICE, ticket=str(number)).to_json(),
        str(number): seen(it)[0].to_json(),
    }
    await it.api.control("POST", f"tickets/{number}/complete", 200, resourceID=OTHER_TECHNICIAN)
    await it.api.control("POST", "clock", 200, advance=3600)
    double = await native(it)
    again = watching(it)
    assert await again.poll() == 2
    assert {(fact.ticket_id, fact.completed) for fact in seen(it)[-2:]} == {(number, True), (double, False)}
    assert await again.poll() == 0


async def test_a_ticket_that_autotask_does_not_have_is_not_asked_for_in_every_poll(it: Lab) -> None:
    watch = watching(it, 99_999_999, "nonsense")
    mark = await it.mark()
    for _ in range(9):
        await watch.poll()
    assert await it.made(mark) == ["POST Tickets/query"]


async def test_a_ticket_is_predicted_with_a_made_up_id_and_nothing_is_sent(it: Lab) -> None:
    mark = await it.mark()
    effect = await predicting(it).perform(create_ticket())
    assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "Predicted", False)
    assert effect.ticket_id == predicted_id(create_ticket().external_id)
    assert is_predicted(effect.ticket_id)
    assert await changed(it, mark) == []
    assert await it.tickets() == []


async def test_a_name_that_the_tenant_does_not_have_refuses_the_ticket_here_too(it: Lab) -> None:
    effect = await predicting(it).perform(create_ticket(queue="Nowhere"))
    assert (effect.verdict, effect.ticket_id) == (Verdict.REJECTED, None)
    assert "Nowhere" in effect.detail


async def test_every_command_is_predicted_without_a_write_and_without_asking_for_a_made_up_ticket(it: Lab) -> None:
    effects, ticket = predicting(it), predicted_id("x")
    reopen = ReopenTicket(key=DEVICE, effect_key="r", ticket_id=ticket, status="In Progress", note="back")
    commands = [complete_ticket(ticket, only_if_untouched=True), reopen, append_note(ticket), retire(), upsert()]
    mark = await it.mark()
    for command in commands:
        effect = await effects.perform(command)
        assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "Predicted", False), command
        assert await effects.look_up(command) is None
    made = await it.made(mark)
    assert [line for line in made if not line.startswith("GET ") and not line.endswith("/query")] == []
    assert not [line for line in made if "Tickets" in line]


async def test_an_item_that_is_there_is_found_and_one_that_is_not_is_made_up(it: Lab) -> None:
    effects = predicting(it)
    made_up = await effects.perform(upsert())
    assert is_predicted(made_up.item_id)
    mark = await it.mark()
    assert (await effects.perform(retire(item_id=made_up.item_id))).reason == "NoSuchItem"
    assert not [line for line in await it.made(mark) if str(made_up.item_id) in line]
    there = await it.api.control(
        "POST", "configuration-items", 200, companyID=FIRST_COMPANY, referenceTitle="SRV01", serialNumber="5CG1234XYZ"
    )
    found = await effects.perform(upsert(item_id=made_up.item_id))
    assert (found.item_id, found.how) == (there["itemId"], "Predicted")
    assert (await it.api.item("ConfigurationItems", there["itemId"]))["referenceNumber"] == ""


async def test_a_reset_is_predicted() -> None:
    effect = await PredictedNinjaOne().perform(ResetAlert(key=DEVICE, effect_key="u", uid="u"))
    assert (effect.verdict, effect.how, effect.written) == (Verdict.SUCCEEDED, "Predicted", False)
