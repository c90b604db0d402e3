"""The Autotask webhook: the sandbox delivers over real HTTP to the real receiver."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from connectors.autotask.metadata import Metadata
from connectors.autotask.poller import AutotaskPoller
from connectors.autotask.webhook import AutotaskWebhook
from connectors.autotask.webhook_setup import WebhookSetup
from connectors.receiver import create_receiver
from connectors.sandbox.transport import RunningServer
from schemas.facts import TicketObserved
from tests.connectors.autotask_lab import Lab, complete_ticket, create_ticket, lab
from tests.connectors.autotask_tenant import Board, running_board, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "webhook-secret-1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


class Receiving:
    """A receiver with the handler, and the set-up that points the tenant to it."""

    def __init__(self, it: Lab, url: str) -> None:
        self.url = f"{url}/webhooks/autotask"
        self.setup = WebhookSetup(it.client, Metadata(it.client), public_url=self.url, secret=SECRET)
        self.looks = 0

    async def looked(self) -> None:
        self.looks += 1


@asynccontextmanager
async def receiving(it: Lab) -> AsyncIterator[Receiving]:
    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0.01)

    noticed: list[int] = []

    async def on_deactivated() -> None:
        noticed.append(1)
        found.looks += 1

    handler = AutotaskWebhook(it.client, it.log, secret=SECRET, sleep=at_once, on_deactivated=on_deactivated)
    server = RunningServer(create_receiver(ninjaone=None, autotask=handler), 0)
    await server.start()
    found = Receiving(it, server.url)
    try:
        yield found
    finally:
        await server.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def delivered(it: Lab) -> list[dict[str, Any]]:
    return [row for row in it.api.vendor.callouts.sender.shown() if row["outcome"] != "pending"]


async def test_setting_up_makes_the_webhook_with_its_fields_and_keeps_our_own_writes_out(it: Lab) -> None:
    async with receiving(it) as receiver:
        state = await receiver.setup.ensure()
        assert (state.delivering, state.findings) == (True, ())
        fields = await it.api.rows("TicketWebhookFields", {"op": "gte", "field": "id", "value": 0})
        assert len(fields) == 8
        assert all(field["isDisplayAlwaysField"] for field in fields)
        assert max(row["inflight"] for row in await it.calls()) == 1
        again = await receiver.setup.ensure()
        assert again.id == state.id
        assert len(await it.api.rows("TicketWebhookFields", {"op": "gte", "field": "id", "value": 0})) == 8
        number = (await it.effects.perform(create_ticket())).ticket_id or 0
        await it.effects.perform(complete_ticket(number))
        assert it.api.vendor.callouts.sender.shown() == []


@pytest.mark.parametrize("picklists", ["label", "id"])
@pytest.mark.parametrize("signed", ["raw", "escaped"])
@pytest.mark.parametrize("case", ["pascal", "camel"])
async def test_a_whole_payload_becomes_the_fact_that_the_poll_would_tell_without_a_read(
    it: Lab, picklists: str, signed: str, case: str
) -> None:
    await it.api.switch(webhook_picklists=picklists, webhook_signature=signed, webhook_field_case=case)
    async with receiving(it) as receiver:
        await receiver.setup.ensure()
        number = (await it.effects.perform(create_ticket(title="Käse & Co"))).ticket_id or 0
        mark = await it.mark()
        await it.api.control("POST", f"tickets/{number}/complete")
        await until(lambda: bool(delivered(it)))
        assert [row["outcome"] for row in delivered(it)] == ["delivered"]
        [by_webhook] = it.log.of(TicketObserved)
        assert await it.made(mark) == []
        found = AutotaskPoller(it.client, it.log, sleep=it.client._sleep, jitter=lambda: 0.5)
        await found.poll_tickets()
        by_poll = it.log.of(TicketObserved)[-1]
        assert by_poll == by_webhook


async def test_a_payload_that_lacks_something_costs_one_read_for_all_that_wait(it: Lab) -> None:
    async with receiving(it) as receiver:
        await receiver.setup.ensure()
        tenant = it.api.vendor.tenant
        for row in list(tenant.rows["TicketWebhookFields"]):
            if row["isSubscribedField"] is False:
                tenant.rows["TicketWebhookFields"].remove(row["id"])
        numbers = [(await it.effects.perform(create_ticket(n))).ticket_id or 0 for n in range(1, 6)]
        mark = await it.mark()
        async with httpx.AsyncClient(trust_env=False) as http:
            answers = await asyncio.gather(*(post(http, receiver.url, callout(number)) for number in numbers))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len(it.log.of(TicketObserved)) == 5
        assert await it.made(mark) == ["POST Tickets/query"]


def callout(number: int, **changes: Any) -> bytes:
    return orjson.dumps(
        {
            "Action": "Update",
            "Guid": "g",
            "EntityType": "Ticket",
            "Id": number,
            "Fields": {"Status": "New"},
            "SequenceNumber": number,
            **changes,
        }
    )


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha1=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest()).decode()


async def post(http: httpx.AsyncClient, url: str, body: bytes, signature: str | None = None) -> httpx.Response:
    return await http.post(url, content=body, headers={"X-Hook-Signature": signature or sign(body)})


async def test_unsigned_and_wrongly_signed_bodies_are_refused_and_do_nothing(it: Lab) -> None:
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        for signature in ("sha1=AAAA", sign(callout(1), "other")):
            answer = await post(http, receiver.url, callout(1), signature)
            assert answer.status_code == 401
        assert (await http.post(receiver.url, content=b"nonsense")).status_code == 401
        assert (it.log.publications, it.log.dead_letters, await it.calls()) == ([], [], [])


async def test_a_signed_body_that_is_not_json_is_kept_as_a_dead_letter(it: Lab) -> None:
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        answer = await post(http, receiver.url, b"{broken")
        assert answer.status_code == 200
        assert [(letter.stage, letter.value) for letter in it.log.dead_letters] == [("autotask-webhook", b"{broken")]


async def test_the_same_delivery_twice_is_told_once(it: Lab) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        texts = [(await post(http, receiver.url, callout(number))).text for _ in range(2)]
        assert texts == ["published", "known: delivered before"]
        assert len(it.log.of(TicketObserved)) == 1


async def test_no_200_before_kafka_has_the_fact(it: Lab) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        it.log.refusing = ConnectionError("no broker")
        answer = await post(http, receiver.url, callout(number))
        assert (answer.status_code, answer.text) == (503, "not stored; please deliver again")
        it.log.refusing = None
        assert (await post(http, receiver.url, callout(number))).text == "published"


async def test_a_ticket_that_cannot_be_read_is_asked_to_be_delivered_again(it: Lab) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        await it.api.fault("status", match={"path": "query"}, params={"code": 503}, count=1)
        assert (await post(http, receiver.url, callout(number))).status_code == 503
        assert (await post(http, receiver.url, callout(number))).text == "published"


async def test_while_no_calls_go_out_the_poll_is_left_to_tell_it(it: Lab) -> None:
    number = (await it.effects.perform(create_ticket())).ticket_id or 0
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        it.gate.closed = "locked"
        answer = await post(http, receiver.url, callout(number))
        assert (answer.status_code, "left to the poll" in answer.text) == (200, True)


@pytest.mark.parametrize("changes", [{"EntityType": "Account"}, {"Action": "Delete"}, {"Id": None}])
async def test_callouts_with_nothing_to_tell_are_acknowledged(it: Lab, changes: dict[str, Any]) -> None:
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        assert (await post(http, receiver.url, callout(5, **changes))).status_code == 200
        assert it.log.publications == []


async def test_tickets_of_others_are_acknowledged_and_not_told(it: Lab) -> None:
    number = await it.api.create("Tickets", **ticket())
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        assert (await post(http, receiver.url, callout(number))).text == "nothing new"


async def test_an_unsigned_notice_of_deactivation_only_causes_a_look_and_not_one_after_another(it: Lab) -> None:
    async with receiving(it) as receiver, httpx.AsyncClient(trust_env=False) as http:
        for _ in range(5):
            answer = await http.post(receiver.url, content=callout(1, Action="Deactivated"))
            assert answer.status_code == 200
        assert receiver.looks == 1
        assert it.log.publications == []


async def test_a_webhook_that_was_switched_off_is_seen_and_switched_on_again(it: Lab) -> None:
    async with receiving(it) as receiver:
        state = await receiver.setup.ensure()
        it.api.vendor.tenant.rows["TicketWebhooks"].change(state.id, {"isActive": False})
        seen = await receiver.setup.check()
        assert (seen.delivering, "not active" in seen.findings[0]) == (False, True)
        assert (await receiver.setup.ensure()).delivering
