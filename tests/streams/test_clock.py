"""The clock of a role: the machine's own, or that of a sandbox on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from connectors.sandbox.clock import Clock as SandboxClock
from streams.clock import Clock, ClockError, clock_of


@contextlib.asynccontextmanager
async def serving(*routes: Route) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=list(routes)), log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


async def test_without_the_variable_it_is_the_machines_clock() -> None:
    async with clock_of({}) as clock:
        before = time.time_ns() // 1_000_000
        assert before <= clock.now() <= time.time_ns() // 1_000_000


async def test_it_follows_the_sandboxs_clock_within_a_second_and_wakes_who_sleeps() -> None:
    sandbox = SandboxClock(offset=3600)

    async def tell(request):
        return JSONResponse(sandbox.reading())

    async with serving(Route("/_sandbox/clock", tell)) as url, clock_of({"LOCKSTEP_CLOCK": url}) as clock:
        assert abs(clock.now() - sandbox.now() * 1000) < 50
        sleeper = asyncio.create_task(clock.sleep(600))
        await asyncio.sleep(0)
        sandbox.advance(7200)
        async with asyncio.timeout(1.5):
            await sleeper
        assert abs(clock.now() - sandbox.now() * 1000) < 50


async def test_a_sandbox_that_stops_leaves_the_clock_where_it_was() -> None:
    async def tell(request):
        return JSONResponse({"now": 0, "offset": 50.0})

    async with serving(Route("/_sandbox/clock", tell)) as url:
        clock = Clock(url)
        await clock.start()
    await asyncio.sleep(0.7)
    assert abs(clock.now() - time.time() * 1000 - 50_000) < 50
    await clock.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://clock.example.org",
        "http://10.0.0.1:80",
        "https://127.0.0.1:1",
        "file:///etc/passwd",
        "http://127.0.0.1.example.org",
    ],
)
def test_a_clock_beyond_this_machine_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(
        ClockError, match=r"LOCKSTEP_CLOCK: '.*' is not a sandbox on this machine \(http://127\.0\.0\.1:PORT\)"
    ):
        clock_of({"LOCKSTEP_CLOCK": url})


async def test_a_sandbox_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(ClockError, match=r"the sandbox at http://127\.0\.0\.1:1 does not tell its time") as caught:
        await Clock("http://127.0.0.1:1").start()
    assert "\n" not in str(caught.value)


async def test_a_redirect_is_not_followed_off_this_machine() -> None:
    async def elsewhere(request):
        return RedirectResponse("http://clock.example.org/_sandbox/clock")

    async with serving(Route("/_sandbox/clock", elsewhere)) as url:
        with pytest.raises(ClockError, match="does not tell its time"):
            await Clock(url).start()
