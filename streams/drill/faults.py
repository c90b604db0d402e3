"""Every kind of fault: how it is brought about, and how it is healed. ``FAULTS[kind](scene, parameters)``.

Each is a context: entering it injects the fault and tells to whom (one short text), leaving it heals. The kinds and
their parameters are those of ``streams.drill.schedule``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from streams.drill.disk import disk_full_on
from streams.drill.planting import plant
from streams.drill.scene import Scene
from streams.drill.vendor_faults import VENDOR_FAULTS, WEBHOOK_FAULTS

Parameters = Mapping[str, Any]
Fault = Callable[[Scene, Parameters], AbstractAsyncContextManager[str]]


def _signalled(number: signal.Signals) -> Fault:
    @asynccontextmanager
    async def fault(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
        pid = await scene.pid(parameters["role"])
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself this very moment
            os.kill(pid, number)
        yield f"{parameters['role']} (process {pid})"

    return fault


@asynccontextmanager
async def _asleep(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    pid = await scene.pid(parameters["role"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield f"{parameters['role']} (process {pid})"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _broker_killed(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    pid = await scene.broker_pid(parameters["broker"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    yield f"{_which(scene, parameters)} (process {pid})"


@asynccontextmanager
async def _disk_full(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    with disk_full_on(scene.broker(parameters["broker"]).data_dir):
        yield f"{_which(scene, parameters)} cannot make a file longer"


def _which(scene: Scene, parameters: Parameters) -> str:
    return f"broker {parameters['broker']} of 3" if len(scene.theatre.brokers) > 1 else "the broker"


@asynccontextmanager
async def _rebalanced(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    supervisor, roles = scene.supervisor, scene.theatre.installation.roles()
    template = roles["worker-2"]
    # Those that come for a while are no static members: their partitions move on as soon as they leave.
    extra = {
        name: [name if word == "worker-2" else word for word in template if word != "--static"]
        for name in ("worker-3", "worker-4")
    }

    async def steps() -> None:
        await supervisor.dismiss("worker-2")
        await asyncio.sleep(parameters["step_s"])
        for name, argv in {"worker-2": template, **extra}.items():
            await supervisor.engage(name, argv)
        await asyncio.sleep(parameters["step_s"])
        await asyncio.gather(*(supervisor.dismiss(name) for name in ("worker-2", *extra)))

    moving = asyncio.create_task(steps())
    try:
        yield "workers 2, 1, 4, 1, 2"
    finally:
        await asyncio.gather(moving, return_exceptions=True)
        for name in extra:
            if name in supervisor.children and not supervisor.children[name].dismissed:
                await supervisor.dismiss(name)
        await supervisor.engage("worker-2", template)
        moving.result()


@asynccontextmanager
async def _user_locked(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    await scene.theatre.psa.patch("api-user", locked=True)
    try:
        yield "the API user of Autotask"
    finally:
        await scene.theatre.psa.patch("api-user", locked=False)
        await scene.operator_tests_until_it_works("autotask")


@asynccontextmanager
async def _client_inactive(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    await scene.theatre.ninja.patch("client", active=False)
    try:
        yield "the API client of NinjaOne"
    finally:
        await scene.theatre.ninja.patch("client", active=True)
        await scene.operator_tests_until_it_works("ninjaone")


@asynccontextmanager
async def _clock_jumps(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    await scene.theatre.psa.post("clock", advance=parameters["seconds"])
    yield f"{parameters['seconds']} s pass at once"


@asynccontextmanager
async def _planted(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    what = parameters.get("what", "newer_version")
    place = await plant(scene.theatre.options, what, parameters["topic"], parameters["partition"])
    scene.planted[place] = what
    yield f"{what} at {place[0]}[{place[1]}]@{place[2]}"


@asynccontextmanager
async def _at_the_vendor(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    vendor, body = parameters["vendor"], parameters["fault"]
    number = (await scene.remote(vendor).post("faults", **body))["id"]
    try:
        yield _told(vendor, body)
    finally:
        await scene.lift(vendor, number)


@asynccontextmanager
async def _an_hour_late(scene: Scene, parameters: Parameters) -> AsyncIterator[str]:
    vendor, body = parameters["vendor"], parameters["fault"]
    number = (await scene.remote(vendor).post("faults", **body))["id"]
    scene.at_end.append(lambda: scene.lift(vendor, number))
    yield _told(vendor, body)


def _told(vendor: str, body: Mapping[str, Any]) -> str:
    match = body["match"]
    which = " ".join(str(match[key]) for key in ("method", "entity", "path") if key in match) or "any"
    return f"{vendor}: {body['kind']} on {which}, {body['count']} times"


FAULTS: Mapping[str, Fault] = {
    "kill": _signalled(signal.SIGKILL),
    "terminate": _signalled(signal.SIGTERM),
    "sleep": _asleep,
    "broker_kill": _broker_killed,
    "disk_full": _disk_full,
    "rebalance": _rebalanced,
    "api_user_locked": _user_locked,
    "api_client_inactive": _client_inactive,
    "clock_jump": _clock_jumps,
    "poison": _planted,
    "newer_version": _planted,
    **dict.fromkeys((*VENDOR_FAULTS, *WEBHOOK_FAULTS), _at_the_vendor),
    "webhook_hour_late": _an_hour_late,
}
