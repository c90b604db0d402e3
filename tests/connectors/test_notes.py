"""Notes both ways at the vendors' edge: acknowledgements read from activities, technicians' notes read beside the poll."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.autotask.notes import NoteReader
from connectors.autotask.poller import AutotaskPoller
from connectors.errors import CallFailed
from connectors.personal import PersonalStore
from connectors.sandbox.autotask_seed import TECHNICIANS
from schemas.commands import ReopenTicket
from schemas.facts import AlertAcknowledged, TicketNoteObserved
from schemas.personal import PersonalValue, record_key
from schemas.topics import AUTOTASK_TICKETS, PERSONAL
from tests.connectors.autotask_lab import DEVICE, Lab, append_note, complete_ticket, create_ticket, lab
from tests.connectors.autotask_tenant import Board, running_board
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


def poller(it: Lab, wanted: str = "digest") -> AutotaskPoller:
    async def asked() -> str:
        return wanted

    kept = it.log.compacted.setdefault(PERSONAL, {})
    store = PersonalStore(it.log, kept, now=it.client.now)
    notes = NoteReader(it.client, it.log, wanted=asked, personal=store)
    return AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5, notes=notes)


async def opened(it: Lab) -> int:
    effect = await it.effects.perform(create_ticket())
    assert effect.ticket_id is not None
    return effect.ticket_id


async def written(it: Lab, ticket: int, **values: Any) -> int:
    made = await it.api.control("POST", f"tickets/{ticket}/note", 200, **values)
    return int(made["itemId"])


def noted(it: Lab) -> list[TicketNoteObserved]:
    return [fact for fact in it.log.facts(TicketNoteObserved) if isinstance(fact, TicketNoteObserved)]


async def test_a_technicians_note_is_told_with_who_and_when_but_without_its_text(it: Lab) -> None:
    ticket = await opened(it)
    number = await written(it, ticket, title="Called back", description="It is the UPS.", publish=2)
    await poller(it).poll_tickets()
    [publication] = it.log.of(TicketNoteObserved)
    [fact] = noted(it)
    assert (publication.topic, publication.key, publication.correlation_id) == (
        AUTOTASK_TICKETS,
        DEVICE,
        create_ticket().external_id,
    )
    assert (fact.ticket_id, fact.note_id, fact.creator_resource_id) == (ticket, number, TECHNICIANS[0])
    assert (fact.title, fact.internal, fact.by_contact, fact.text_length) == ("", True, False, 14)
    assert len(fact.text_digest) == 32
    assert fact.text is None
    assert fact.created_at == publication.time > 0
    assert "UPS" not in fact.to_json().decode()
    assert "Called" not in fact.to_json().decode()


async def test_the_text_is_told_where_the_policy_says_so_and_what_the_customer_sees_is_marked(it: Lab) -> None:
    ticket = await opened(it)
    await written(it, ticket, title="Called", description="It is the UPS.", publish=1)
    await poller(it, "text").poll_tickets()
    [fact] = noted(it)
    kept = {name: PersonalValue.from_json(value) for name, value in it.log.compacted[PERSONAL].items()}
    assert {name: record.value for name, record in kept.items()} == {
        record_key(DEVICE, fact.title): "Called",
        record_key(DEVICE, fact.text or ""): "It is the UPS.",
    }
    assert (fact.internal, fact.text_digest) == (False, "")
    assert {record.incident for record in kept.values()} == {create_ticket().external_id}
    assert "UPS" not in fact.to_json().decode()


async def test_a_text_is_kept_before_the_fact_that_names_it_is_published(it: Lab) -> None:
    await written(it, await opened(it), description="It is the UPS.")
    it.log.writes.clear()
    await poller(it, "text").poll_tickets()
    order = [entry.split()[1] for entry in it.log.writes if "personal" in entry or "Note" in entry]
    assert order == ["personal", "personal", "TicketNoteObserved"]


async def test_where_the_policy_wants_none_no_note_is_read(it: Lab) -> None:
    await written(it, await opened(it))
    mark = await it.mark()
    await poller(it, "ignore").poll_tickets()
    assert await it.made(mark) == ["POST Tickets/query"]
    assert noted(it) == []


async def test_our_own_notes_are_not_told(it: Lab) -> None:
    ticket = await opened(it)
    await it.effects.perform(append_note(ticket, "ls-0123456789"))
    await it.effects.perform(complete_ticket(ticket))
    await it.effects.perform(
        ReopenTicket(key=DEVICE, effect_key="r", ticket_id=ticket, status="New", note="Raised again")
    )
    await poller(it).poll_tickets()
    assert noted(it) == []


async def test_what_our_api_user_wrote_is_not_told_whatever_its_title(it: Lab) -> None:
    ticket = await opened(it)
    body = {"ticketID": ticket, "title": "By hand", "description": "x", "noteType": 3, "publish": 2}
    await it.client.create(f"Tickets/{ticket}/Notes", body, endpoint="TicketNotes")
    await poller(it).poll_tickets()
    assert noted(it) == []


async def test_they_are_known_by_their_marks_where_the_api_user_cannot_be_read(it: Lab) -> None:
    ticket = await opened(it)
    await it.effects.perform(append_note(ticket, "ls-0123456789"))
    theirs = await written(it, ticket)
    await it.api.fault("status", match={"entity": "Resources"}, params={"code": 403, "body": ""}, count=-1)
    await poller(it).poll_tickets()
    assert [fact.note_id for fact in noted(it)] == [theirs]


async def test_a_note_is_told_once_and_tickets_that_did_not_change_cost_no_call(it: Lab) -> None:
    ticket = await opened(it)
    await written(it, ticket)
    reading = poller(it)
    await reading.poll_tickets()
    mark = await it.mark()
    await reading.poll_tickets()
    assert await it.made(mark) == ["POST Tickets/query"]
    await it.api.control("POST", "clock", advance=1)
    await written(it, ticket)
    mark = await it.mark()
    await reading.poll_tickets()
    assert await it.made(mark) == ["POST Tickets/query", "POST TicketNotes/query"]
    assert len(noted(it)) == 2
    assert len({entry.id for entry in it.log.of(TicketNoteObserved)}) == 2


async def test_a_restart_tells_the_same_notes_under_the_same_ids(it: Lab) -> None:
    await written(it, await opened(it))
    await poller(it).poll_tickets()
    await poller(it).poll_tickets()
    assert len({entry.id for entry in it.log.of(TicketNoteObserved)}) == 1


async def test_notes_from_before_the_first_start_are_no_news(it: Lab) -> None:
    ticket = await opened(it)
    await written(it, ticket)
    await it.api.control("POST", "clock", advance=3600)
    await it.api.control("PATCH", f"tickets/{ticket}", 200, title="moved on")
    await poller(it).poll_tickets()
    assert noted(it) == []


async def test_without_the_right_to_read_notes_the_tickets_are_polled_all_the_same(it: Lab) -> None:
    await written(it, await opened(it))
    await it.api.fault("status", match={"entity": "TicketNotes"}, params={"code": 403, "body": ""}, count=-1)
    reading = poller(it)
    assert await reading.poll_tickets() == 1
    assert reading.notes_failing is not None
    await it.api.control("DELETE", "faults")
    await reading.poll_tickets()
    assert reading.notes_failing is None
    assert len(noted(it)) == 1


async def test_a_failure_that_passes_is_made_up_for_in_the_next_round(it: Lab) -> None:
    await written(it, await opened(it))
    await it.api.fault("status", match={"entity": "TicketNotes"}, params={"code": 503, "body": ""}, count=1)
    reading = poller(it)
    with pytest.raises(CallFailed):
        await reading.poll_tickets()
    await reading.poll_tickets()
    assert len(noted(it)) == 1


async def test_an_acknowledgement_is_told_by_webhook_or_poll_without_its_text_and_once() -> None:
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        uid = await made.lab.alert()
        await made.lab.control("POST", f"alerts/{uid}/acknowledge", {"userId": 12, "message": "Ada acknowledged it"})
        await connector.poller.poll()
        await connector.poller.poll()
    [publication] = made.log.of(AlertAcknowledged)
    fact = publication.fact
    assert (publication.topic, fact.uid, fact.user_id) == ("ninjaone.alerts", uid, 12)
    assert fact.acknowledged_at > 0
    assert "Ada" not in fact.to_json().decode()
