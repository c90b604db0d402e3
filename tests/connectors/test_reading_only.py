"""A shadow's transport sends what reads and nothing else, whatever the caller says of the request."""

from __future__ import annotations

import pytest

from connectors.reading_only import WriteRefused, refuse_write
from connectors.redaction import Redactor
from connectors.sandbox.transport import RunningServer
from connectors.transport import Request, Transport
from tests.connectors.memory_log import SwitchedGate
from tests.connectors.ninja_connected import Naps

READS = [
    ("autotask", "GET", "/ATServicesRest/V1.0/Tickets/5"),
    ("autotask", "POST", "/ATServicesRest/V1.0/Tickets/query"),
    ("autotask", "POST", "/atservicesrest/v1.0/ConfigurationItems/query/count"),
    ("ninjaone", "GET", "/v2/alerts"),
    ("ninjaone", "POST", "/ws/oauth/token"),
    ("ninjaone", "POST", "/oauth/token"),
]
WRITES = [
    ("autotask", "POST", "/ATServicesRest/V1.0/Tickets"),
    ("autotask", "PATCH", "/ATServicesRest/V1.0/Tickets"),
    ("autotask", "POST", "/ATServicesRest/V1.0/Tickets/5/Notes"),
    ("autotask", "POST", "/ATServicesRest/V1.0/TicketWebhooks"),
    ("autotask", "DELETE", "/ATServicesRest/V1.0/TicketWebhooks/1/Fields/2"),
    ("autotask", "POST", "/ATServicesRest/V1.0/query/Tickets"),
    ("autotask", "PATCH", "/ATServicesRest/V1.0/Tickets/query"),
    ("ninjaone", "DELETE", "/v2/alert/0b6c2a1e"),
    ("ninjaone", "POST", "/v2/alert/0b6c2a1e/reset"),
    ("ninjaone", "PUT", "/v2/webhook"),
    ("ninjaone", "POST", "/v2/oauth/token/x"),
    ("ninjaone", "POST", "/v2/Tickets/query"),
]


@pytest.mark.parametrize(("connection", "method", "path"), READS)
def test_what_reads_passes(connection, method, path) -> None:
    refuse_write(connection, method, path)


@pytest.mark.parametrize(("connection", "method", "path"), WRITES)
def test_what_could_change_something_is_refused_with_one_line(connection, method, path) -> None:
    with pytest.raises(WriteRefused, match="was not sent: this is a shadow") as raised:
        refuse_write(connection, method.lower(), path)
    assert "\n" not in str(raised.value)


class Counting:
    """A vendor that takes everything and counts it."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        self.methods.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b"{}"})


async def test_a_write_does_not_reach_the_vendor_even_where_the_caller_calls_it_a_read() -> None:
    vendor = Counting()
    server = RunningServer(vendor, 0)
    await server.start()
    try:
        async with Transport(
            base_url=server.url,
            gate=SwitchedGate("autotask"),
            redactor=Redactor([]),
            sleep=Naps(),
            jitter=lambda: 0.5,
            reads_only=True,
        ) as made:
            await made.call(Request(method="POST", path="V1.0/Tickets/query", endpoint="Tickets", json={}))
            for write in (True, False):
                with pytest.raises(WriteRefused):
                    await made.call(
                        Request(method="POST", path="V1.0/Tickets", endpoint="Tickets", write=write, json={})
                    )
    finally:
        await server.stop()
    assert vendor.methods == ["POST"]
