"""Webhooks of the Autotask sandbox: set-up, payload, signature, retries, deactivation, faults. The receiver is real."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from connectors.sandbox.autotask_payloads import escaped
from connectors.sandbox.transport import RunningServer
from tests.connectors.autotask_tenant import Api, Board, device, running_board, ticket, where

SECRET = "a-secret-of-some-length"


@dataclass
class Receiver:
    """A webhook endpoint that answers with ``status`` and keeps what it got."""

    url: str = ""
    status: int = 200
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.got.append((scope["path"], headers, body))
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)

    async def count(self, wanted: int) -> list[dict[str, Any]]:
        await self.until(lambda: len(self.got) >= wanted)
        return self.events()


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(board: Board) -> AsyncIterator[Api]:
    async with board.tenant() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    app = Receiver()
    server = RunningServer(app, 0)
    app.url = server.url
    await server.start()
    yield app
    await server.stop()


async def subscribe(
    api: Api,
    receiver: Receiver,
    *,
    kind: str = "Ticket",
    path: str = "/hook",
    fields: tuple[str, ...] = ("status", "title"),
    always: tuple[str, ...] = ("externalID",),
    **more: Any,
) -> int:
    """Set a webhook up in the vendor's order; returns its id."""
    body = {
        "name": "Lockstep",
        "webhookUrl": receiver.url + path,
        "deactivationUrl": receiver.url + "/gone",
        "secretKey": SECRET,
        "isActive": True,
        "isSubscribedToCreateEvents": True,
        "isSubscribedToUpdateEvents": True,
        "isSubscribedToDeleteEvents": True,
        **more,
    }
    number = await api.create(f"{kind}Webhooks", **body)
    listed = (await api.ok("GET", f"{kind}WebhookFields/entityInformation/fields"))["fields"]
    choices = next(entry for entry in listed if entry["name"] == "fieldID")["picklistValues"]
    ids = {choice["label"].lower(): int(choice["value"]) for choice in choices}
    for name in (*fields, *always):
        row = {
            "fieldID": ids[name.lower()],
            "isSubscribedField": name in fields,
            "isDisplayAlwaysField": name in always,
            "webhookID": number,
        }
        await api.ok("POST", f"{kind}Webhooks/{number}/Fields", row)
    return number


async def test_a_webhook_is_ready_once_it_has_a_field(api: Api, receiver: Receiver) -> None:
    number = await subscribe(api, receiver, fields=(), always=())
    row = await api.item("TicketWebhooks", number)
    assert (row["isActive"], row["isReady"], row["ownerResourceID"]) == (True, False, 29_682_899)
    assert len(row["webhookGUID"]) == 36
    assert row["secretKey"] == "*****"
    await api.create("Tickets", **ticket())
    await api.ok(
        "POST", f"TicketWebhooks/{number}/Fields", {"fieldID": 500, "isSubscribedField": True, "webhookID": number}
    )
    assert (await api.item("TicketWebhooks", number))["isReady"] is True
    await api.create("Tickets", **ticket())
    assert len(await receiver.count(1)) == 1


async def test_a_webhook_without_its_last_field_is_not_ready_any_more(api: Api, receiver: Receiver) -> None:
    number = await subscribe(api, receiver, fields=("status", "title"), always=())
    first, second = (row["id"] for row in (await api.ok("GET", f"TicketWebhooks/{number}/Fields"))["items"])
    await api.ok("DELETE", f"TicketWebhooks/{number}/Fields/{first}")
    assert (await api.item("TicketWebhooks", number))["isReady"] is True
    await api.ok("DELETE", f"TicketWebhooks/{number}/Fields/{second}")
    assert (await api.item("TicketWebhooks", number))["isReady"] is False


@pytest.mark.parametrize(("rule", "active"), [(True, False), (False, True)])
async def test_a_deactivated_owner_takes_the_webhook_along_and_does_not_bring_it_back(
    api: Api, receiver: Receiver, rule: bool, active: bool
) -> None:
    number = await subscribe(api, receiver)
    await api.switch(webhook_owner_rule=rule)
    await api.control("PATCH", "api-user", active=False)
    await api.control("PATCH", "api-user", active=True)
    assert (await api.item("TicketWebhooks", number))["isActive"] is active


async def test_an_event_has_the_documented_keys_and_a_signature_over_its_bytes(api: Api, receiver: Receiver) -> None:
    hook = await subscribe(api, receiver)
    number = await api.create("Tickets", **ticket(title="Größe & <Zeit>", externalID="ls.1.a"))
    event = (await receiver.count(1))[0]
    guid = (await api.item("TicketWebhooks", hook))["webhookGUID"]
    assert event == {
        "Action": "Create",
        "Guid": guid,
        "EntityType": "Ticket",
        "Id": number,
        "Fields": {"Status": "New", "Title": "Größe & <Zeit>", "ExternalID": "ls.1.a"},
        "EventTime": event["EventTime"],
        "SequenceNumber": 1,
        "PersonID": 29_682_899,
    }
    _, headers, body = receiver.got[0]
    digest = hmac.new(SECRET.encode(), body, hashlib.sha1).digest()
    assert headers["x-hook-signature"] == "sha1=" + base64.b64encode(digest).decode()


async def test_the_signature_may_be_over_the_escaped_form(api: Api, receiver: Receiver) -> None:
    await api.switch(webhook_signature="escaped")
    await subscribe(api, receiver)
    await api.create("Tickets", **ticket(title="a & b é"))
    await receiver.count(1)
    _, headers, body = receiver.got[0]
    assert b"\\u0026" in escaped(body)
    assert b"\\u00E9" in escaped(body)
    digest = hmac.new(SECRET.encode(), escaped(body), hashlib.sha1).digest()
    assert headers["x-hook-signature"] == "sha1=" + base64.b64encode(digest).decode()


async def test_an_update_carries_what_changed_of_the_subscribed_and_what_is_always_shown(
    api: Api, receiver: Receiver
) -> None:
    await subscribe(api, receiver, isSubscribedToCreateEvents=False)
    number = await api.create("Tickets", **ticket(externalID="ls.1.a"))
    await api.ok("PATCH", "Tickets", {"id": number, "description": "not subscribed"})
    await api.ok("PATCH", "Tickets", {"id": number, "status": 5, "priority": 1})
    events = await receiver.count(1)
    assert [event["Fields"] for event in events] == [{"Status": "Complete", "ExternalID": "ls.1.a"}]


async def test_a_technicians_change_names_the_technician(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver)
    number = await api.create("Tickets", **ticket())
    await api.control("POST", f"tickets/{number}/complete")
    events = await receiver.count(2)
    assert [event["PersonID"] for event in events] == [29_682_899, 29_682_885]


async def test_changes_by_an_excluded_resource_are_not_called_out(api: Api, receiver: Receiver) -> None:
    hook = await subscribe(api, receiver)
    excluded = {"resourceID": 29_682_899, "webhookID": hook}
    await api.ok("POST", f"TicketWebhooks/{hook}/ExcludedResources", excluded)
    number = await api.create("Tickets", **ticket())
    await api.control("POST", f"tickets/{number}/complete")
    events = await receiver.count(1)
    assert [event["Action"] for event in events] == ["Update"]


async def test_a_deleted_ticket_is_called_out_with_or_without_fields(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver, isSubscribedToCreateEvents=False)
    first, second = [await api.create("Tickets", **ticket(externalID="ls.1.a")) for _ in range(2)]
    await api.control("DELETE", f"tickets/{first}")
    await api.switch(webhook_delete_fields=False)
    await api.control("DELETE", f"tickets/{second}")
    events = await receiver.count(2)
    assert [(event["Action"], event["Id"], "Fields" in event) for event in events] == [
        ("Delete", first, True),
        ("Delete", second, False),
    ]
    assert events[0]["Fields"]["ExternalID"] == "ls.1.a"


async def test_casing_picklists_names_and_guid_follow_their_switches(api: Api, receiver: Receiver) -> None:
    await api.switch(
        webhook_field_case="camel",
        webhook_picklists="id",
        webhook_entity_type="collection",
        webhook_guid="event",
        time_designator="none",
    )
    hook = await subscribe(api, receiver)
    for _ in range(2):
        await api.create("Tickets", **ticket())
    events = await receiver.count(2)
    assert events[0]["Fields"] == {"status": 1, "title": "Disk failing", "externalID": None}
    assert events[0]["EntityType"] == "Tickets"
    guids = {event["Guid"] for event in events}
    assert len(guids) == 2
    assert (await api.item("TicketWebhooks", hook))["webhookGUID"] not in guids
    assert not events[0]["EventTime"].endswith("Z")


async def test_items_have_their_old_name_and_user_defined_fields_flat_or_nested(api: Api, receiver: Receiver) -> None:
    hook = await subscribe(api, receiver, kind="ConfigurationItem", fields=("isActive",), always=("referenceNumber",))
    udf = (await api.rows("UserDefinedFieldDefinitions", where("name", "eq", "NinjaOne Link")))[0]["id"]
    path = f"ConfigurationItemWebhooks/{hook}/UdfFields"
    await api.ok("POST", path, {"udfFieldID": udf, "isSubscribedField": True, "webhookID": hook})
    link = [{"name": "NinjaOne Link", "value": "https://rmm.example/7"}]
    number = await api.create("ConfigurationItems", **device(userDefinedFields=link))
    await api.switch(webhook_udfs="nested")
    changed = [{"name": "NinjaOne Link", "value": "https://rmm.example/8"}]
    await api.ok("PATCH", "ConfigurationItems", {"id": number, "userDefinedFields": changed})
    events = await receiver.count(2)
    assert events[0]["EntityType"] == "InstalledProduct"
    assert events[0]["Fields"]["NinjaOne Link"] == "https://rmm.example/7"
    assert events[1]["Fields"]["UserDefinedFields"] == changed


async def test_events_keep_their_order_through_failures_and_are_tried_again(api: Api, receiver: Receiver) -> None:
    await api.switch(webhook_time_scale=0.002)  # 30 s become 60 ms
    await subscribe(api, receiver)
    receiver.status = 503
    number = await api.create("Tickets", **ticket())
    await api.ok("PATCH", "Tickets", {"id": number, "status": 5})
    assert [event["Action"] for event in (await receiver.count(3))[:3]] == ["Create"] * 3
    receiver.status = 204
    await receiver.until(lambda: receiver.events()[-1]["Action"] == "Update")
    actions = [event["Action"] for event in receiver.events()]
    assert actions == ["Create"] * (len(actions) - 1) + ["Update"]
    assert len({event["SequenceNumber"] for event in receiver.events()[:-1]}) == 1


async def test_the_pause_between_attempts_is_thirty_seconds_of_the_sandbox_clock(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver)
    receiver.status = 500
    await api.create("Tickets", **ticket())
    await receiver.count(1)
    await api.control("POST", "clock", advance=29)
    assert len(receiver.got) == 1
    await api.control("POST", "clock", advance=2)
    await receiver.count(2)


async def test_after_five_attempts_an_event_is_dropped_and_logged(api: Api, receiver: Receiver) -> None:
    await api.switch(webhook_time_scale=0)
    hook = await subscribe(api, receiver, kind="Company", fields=("companyName",), always=())
    receiver.status = 500
    await api.ok("PATCH", "Companies", {"id": 0, "companyName": "Renamed"})
    await receiver.count(5)
    await receiver.until(lambda: len(api.vendor.tenant.rows["WebhookEventErrorLogs"]) == 1)
    assert len(receiver.got) == 5
    log = (await api.rows("WebhookEventErrorLogs", where("id", "gte", 0)))[0]
    assert (log["accountWebhookID"], log["errorMessage"], log["sequenceNumber"]) == (hook, "HTTP 500", 1)
    assert json.loads(log["payload"])["EntityType"] == "Account"


async def test_failed_events_in_a_row_disable_the_webhook_with_an_unsigned_notice(api: Api, receiver: Receiver) -> None:
    await api.switch(webhook_time_scale=0, webhook_attempts=1, webhook_disable_after=3)
    hook = await subscribe(api, receiver)
    receiver.status = 500
    for _ in range(4):
        await api.create("Tickets", **ticket())
    await receiver.until(lambda: receiver.got[-1][0] == "/gone")
    path, headers, body = receiver.got[-1]
    assert (path, json.loads(body)["Action"], json.loads(body)["Id"]) == ("/gone", "Deactivated", hook)
    assert "x-hook-signature" not in headers
    assert (await api.item("TicketWebhooks", hook))["isActive"] is False
    assert len([entry for entry in receiver.got if entry[0] == "/hook"]) == 3
    deliveries = (await api.control("GET", "state"))["webhookDeliveries"]
    assert [row["outcome"] for row in deliveries[:4]] == ["failed", "failed", "failed", "cancelled"]


async def test_a_success_between_failures_starts_the_count_anew(api: Api, receiver: Receiver) -> None:
    await api.switch(webhook_time_scale=0, webhook_attempts=1, webhook_disable_after=2)
    hook = await subscribe(api, receiver)
    for position, status in enumerate((500, 200, 500), 1):
        receiver.status = status
        await api.create("Tickets", **ticket())
        await receiver.count(position)
    assert (await api.item("TicketWebhooks", hook))["isActive"] is True


async def test_an_exact_duplicate_is_not_called_separately_and_may_be_refused(api: Api, receiver: Receiver) -> None:
    first = await subscribe(api, receiver)
    await subscribe(api, receiver)
    await subscribe(api, receiver, path="/other")
    await api.create("Tickets", **ticket())
    await receiver.count(2)
    assert sorted(path for path, _, _ in receiver.got) == ["/hook", "/other"]
    await api.ok("PATCH", "TicketWebhooks", {"id": first, "isActive": False})
    await api.create("Tickets", **ticket())
    await receiver.count(3)
    assert [path for path, _, _ in receiver.got[2:]] == ["/other"]
    await api.switch(webhook_duplicate_create="reject")
    body = {"name": "x", "webhookUrl": f"{receiver.url}/hook", "deactivationUrl": receiver.url, "secretKey": SECRET}
    assert "already exists" in (await api.errors("POST", "TicketWebhooks", body))[0]


async def test_urls_must_be_https_or_loopback_and_the_number_of_webhooks_is_a_permission(
    api: Api, receiver: Receiver
) -> None:
    body = {"name": "x", "webhookUrl": "http://rmm.example/x", "deactivationUrl": receiver.url, "secretKey": SECRET}
    assert "webhookUrl" in (await api.errors("POST", "TicketWebhooks", body))[0]
    await api.switch(webhooks_maximum=0)
    errors = await api.errors("POST", "TicketWebhooks", {**body, "webhookUrl": receiver.url})
    assert errors == ["The logged in Resource does not have the adequate permissions to create this entity type"]


async def test_a_deleted_webhook_is_silent_and_takes_its_children_along(api: Api, receiver: Receiver) -> None:
    hook = await subscribe(api, receiver)
    assert await api.ok("DELETE", f"TicketWebhooks/{hook}") == {"itemId": hook}
    assert await api.rows("TicketWebhookFields", where("id", "gte", 0)) == []
    await api.create("Tickets", **ticket())
    assert (await api.control("GET", "state"))["webhookDeliveries"] == []


async def test_notes_are_called_out_too(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver, kind="TicketNote", fields=("title",), always=("ticketID",))
    number = await api.create("Tickets", **ticket())
    await api.control("POST", f"tickets/{number}/note", title="Called the customer")
    event = (await receiver.count(1))[0]
    assert (event["EntityType"], event["Fields"]) == (
        "TicketNote",
        {"Title": "Called the customer", "TicketID": number},
    )


async def test_deliveries_can_be_lost_doubled_and_held(api: Api, receiver: Receiver) -> None:
    await subscribe(api, receiver)
    await api.fault("webhook_lost", match={"entity": "Tickets"})
    await api.create("Tickets", **ticket(title="lost"))
    await api.create("Tickets", **ticket(title="kept"))
    assert (await receiver.count(1))[0]["Fields"]["Title"] == "kept"
    await api.fault("webhook_double")
    await api.create("Tickets", **ticket(title="twice"))
    events = await receiver.count(3)
    assert events[1] == events[2]
    await api.fault("webhook_hold", count=-1)
    await api.create("Tickets", **ticket(title="held"))
    await asyncio.sleep(0.05)
    assert len(receiver.got) == 3
    await api.control("DELETE", "faults")
    assert (await receiver.count(4))[3]["Fields"]["Title"] == "held"
