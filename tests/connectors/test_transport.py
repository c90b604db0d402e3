"""The one way out: what surely did not happen, what may have happened, what was refused; and the limits."""

import asyncio
import socket

import pytest
from starlette.responses import RedirectResponse, Response, StreamingResponse

from connectors.errors import CallFailed, Kind, Situation
from connectors.ports import CallsSuspended
from connectors.redaction import Redactor
from connectors.sandbox.transport import RunningServer
from connectors.transport import FixedHeaders, Limits, Request, Retries, Timeouts, Transport
from tests.connectors.memory_log import SwitchedGate
from tests.connectors.ninja_connected import Naps, bench

READ = Request(method="GET", path="/v2/roles", endpoint="roles")
WRITE = Request(method="DELETE", path="/v2/alert/x", endpoint="alert", write=True)


def transport(url, gate, *, naps=None, **changes):
    return Transport(
        base_url=url, gate=gate, redactor=Redactor(["s3cret"]), sleep=naps or Naps(), jitter=lambda: 0.5, **changes
    )


async def failure(made, request):
    with pytest.raises(CallFailed) as raised:
        await made.call(request)
    return raised.value


class Scripted:
    """An ASGI app that answers what it is told, for what no vendor sandbox does."""

    def __init__(self, answer):
        self.answer = answer
        self.calls = 0
        self.inside = 0
        self.most = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.01)
        await self.answer()(scope, receive, send)
        self.inside -= 1


@pytest.fixture
async def scripted():
    servers = []

    async def start(answer):
        app = Scripted(answer)
        server = RunningServer(app, 0)
        await server.start()
        servers.append(server)
        return app, server.url

    yield start
    for server in servers:
        await server.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_host_that_does_not_answer_was_surely_not_called_not_even_by_a_write():
    gate = SwitchedGate("ninjaone")
    async with transport(f"http://127.0.0.1:{free_port()}", gate) as made:
        seen = await failure(made, WRITE)
    assert (seen.situation, seen.kind, seen.calls) == (Situation.NOT_SENT, Kind.TRANSIENT, 1)
    assert "cannot be reached" in seen.detail
    assert gate.told[0].startswith("troubled")


@pytest.mark.parametrize(
    ("fault", "situation"),
    [
        ({"kind": "drop_after_commit"}, Situation.CUT_OFF),
        ({"kind": "drop_before_commit"}, Situation.CUT_OFF),
        ({"kind": "delay_after_commit", "params": {"seconds": 5}}, Situation.TIMED_OUT),
        ({"kind": "truncated"}, Situation.BROKEN_BODY),
        ({"kind": "html"}, Situation.HTML_PAGE),
        ({"kind": "status", "params": {"code": 500, "after_commit": True}}, Situation.SERVER_ERROR),
    ],
)
async def test_a_write_that_was_sent_and_not_answered_well_is_unknown_and_made_once(fault, situation):
    async with bench() as made:
        uid = await made.lab.alert()
        await made.lab.fault(**fault, count=-1, match={"path": "/v2/alert/"})
        async with made.client(timeouts=Timeouts(connect=1, read=0.2, total=0.3)) as client:
            with pytest.raises(CallFailed) as raised:
                await client.reset_alert(uid)
        assert (raised.value.situation, raised.value.kind, raised.value.calls) == (situation, Kind.UNKNOWN, 1)
        assert len([row for row in await made.calls("alerts") if row["method"] == "DELETE"]) == 1
        assert made.gate.told[-1].startswith("troubled")


async def test_a_read_is_tried_three_times_with_growing_waits_then_given_up():
    async with bench() as made:
        await made.lab.fault("status", count=-1, match={"path": "/v2/roles"}, params={"code": 503})
        async with made.client() as client:
            with pytest.raises(CallFailed) as raised:
                await client.roles()
        assert (raised.value.kind, raised.value.calls) == (Kind.TRANSIENT, 3)
        # 0.5 s and 1 s, each spread over 50 to 100 % by the jitter of one half.
        assert made.naps.taken == [0.375, 0.75]


@pytest.mark.parametrize("kind", ["drop_before_commit", "truncated", "html"])
async def test_a_read_that_fails_once_succeeds_unnoticed_by_its_caller(kind):
    async with bench() as made:
        await made.lab.fault(kind, count=1, match={"path": "/v2/roles"})
        async with made.client() as client:
            assert (await client.roles()).complete
        assert made.gate.told[-1] == "worked"


@pytest.mark.parametrize("seconds", [7, 1.5])
async def test_flow_control_waits_as_long_as_the_vendor_asks_and_is_no_trouble(seconds):
    async with bench() as made:
        await made.lab.fault("throttle", count=1, match={"path": "/v2/roles"}, params={"retry_after": seconds})
        async with made.client() as client:
            await client.roles()
        assert made.naps.taken == [seconds]
        assert not [line for line in made.gate.told if line.startswith("troubled")]


async def test_a_long_retry_after_is_handed_to_the_caller_instead_of_slept():
    async with bench() as made:
        await made.lab.fault("throttle", count=-1, match={"path": "/v2/roles"}, params={"retry_after": 120})
        async with made.client() as client:
            with pytest.raises(CallFailed) as raised:
                await client.roles()
        assert (raised.value.kind, raised.value.retry_after, made.naps.taken) == (Kind.FLOW_CONTROL, 120.0, [])


async def test_a_throttled_write_is_surely_not_done_and_not_repeated_here():
    async with bench() as made:
        uid = await made.lab.alert()
        await made.lab.fault("throttle", count=-1, match={"path": "/v2/alert/"}, params={"retry_after": 3})
        async with made.client() as client:
            with pytest.raises(CallFailed) as raised:
                await client.reset_alert(uid)
        assert (raised.value.kind, raised.value.calls) == (Kind.FLOW_CONTROL, 1)


async def test_a_retry_after_date_counts_from_the_answers_own_date():
    # Years away from our clock, so that only the answer's own Date gives nine seconds. Written by hand: a web server
    # adds the Date of this machine.
    answer = (
        b"HTTP/1.1 429 Too Many Requests\r\nDate: Tue, 24 Nov 2020 10:00:00 GMT\r\n"
        b"Retry-After: Tue, 24 Nov 2020 10:00:09 GMT\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )

    async def answered(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with transport(url, SwitchedGate("ninjaone"), retries=Retries(attempts=1)) as made:
            assert (await failure(made, READ)).retry_after == 9.0


async def test_no_redirect_is_followed_and_the_line_names_where_it_leads(scripted):
    other, elsewhere = await scripted(lambda: Response("[]", media_type="application/json"))
    _, url = await scripted(lambda: RedirectResponse(f"{elsewhere}/v2/roles"))
    async with transport(url, SwitchedGate("ninjaone"), credentials=FixedHeaders({"Secret": "s3cret"})) as made:
        seen = await failure(made, READ)
    assert (seen.kind, other.calls) == (Kind.PERMANENT, 0)
    assert elsewhere.removeprefix("http://") in seen.detail


async def test_an_absolute_address_of_another_host_is_refused():
    async with transport("https://one.example", SwitchedGate("autotask")) as made:
        assert made.address("https://one.example/v1.0/next") == "https://one.example/v1.0/next"
        for other in ("https://two.example/v1.0/next", "http://one.example/v1.0/next"):
            with pytest.raises(ValueError, match="is not https://one"):
                made.address(other)


async def test_an_answer_is_read_only_up_to_the_limit(scripted):
    sent = []

    def huge():
        async def parts():
            for _ in range(400):
                sent.append(1)
                yield b"[" * 65536
                await asyncio.sleep(0)

        return StreamingResponse(parts(), media_type="application/json")

    _, url = await scripted(huge)
    async with transport(url, SwitchedGate("ninjaone"), limits=Limits(body_bytes=1024 * 1024)) as made:
        seen = await failure(made, READ)
    assert (seen.situation, seen.kind) == (Situation.TOO_LARGE, Kind.PERMANENT)
    assert "1 MiB" in seen.detail
    assert len(sent) < 400


async def test_an_answer_that_trickles_is_cut_off_by_the_total(scripted):
    def trickle():
        async def parts():
            for _ in range(50):
                yield b" "
                await asyncio.sleep(0.02)

        return StreamingResponse(parts(), media_type="application/json")

    _, url = await scripted(trickle)
    timeouts = Timeouts(connect=1, read=1, total=0.2)
    async with transport(url, SwitchedGate("ninjaone"), timeouts=timeouts, retries=Retries(attempts=1)) as made:
        assert (await failure(made, READ)).situation is Situation.TIMED_OUT


async def test_text_that_is_not_json_is_named_by_its_type(scripted):
    _, url = await scripted(lambda: Response("fine", media_type="text/plain"))
    async with transport(url, SwitchedGate("ninjaone"), retries=Retries(attempts=1)) as made:
        assert "text/plain" in (await failure(made, READ)).detail


@pytest.mark.parametrize("allowed", [1, 2])
async def test_no_more_calls_run_side_by_side_per_endpoint_than_allowed(scripted, allowed):
    app, url = await scripted(lambda: Response("[]", media_type="application/json"))
    async with transport(url, SwitchedGate("ninjaone"), limits=Limits(in_flight=allowed)) as made:
        await asyncio.gather(*(made.call(READ) for _ in range(8)))
    assert (app.calls, app.most) == (8, allowed)


async def test_calls_that_waited_in_line_are_not_made_once_the_gate_has_closed(scripted):
    app, url = await scripted(lambda: Response("", 401))
    gate = SwitchedGate("autotask")
    async with transport(url, gate, credentials=FixedHeaders({"Secret": "s3cret"})) as made:
        outcomes = await asyncio.gather(*(made.call(READ) for _ in range(5)), return_exceptions=True)
    assert app.calls == 1
    assert [type(outcome) for outcome in outcomes] == [CallFailed] + [CallsSuspended] * 4
    assert gate.closed is not None


async def test_a_closed_gate_means_no_call_at_all():
    async with bench() as made:
        made.gate.closed = "locked since 12:00"
        async with made.client() as client:
            with pytest.raises(CallsSuspended, match="locked since"):
                await client.roles()
        assert await made.calls("roles") == []


async def test_a_vendors_words_are_told_in_one_line_without_our_secret(scripted):
    _, url = await scripted(
        lambda: Response('{"errors":["secret s3cret\\r\\nis wrong"]}', 500, media_type="application/json")
    )
    async with transport(url, SwitchedGate("autotask")) as made:
        seen = await failure(made, WRITE)
    assert "s3cret" not in seen.detail
    assert "\n" not in seen.detail
    assert "is wrong" in seen.detail
