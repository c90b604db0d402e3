"""Both sandboxes of one process on loopback, for the command line, and for tests inside or beside an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.autotask import AutotaskVendor
from connectors.sandbox.clock import Clock
from connectors.sandbox.kernel import running_vendor
from connectors.sandbox.ninjaone import NinjaVendor
from connectors.sandbox.world import World


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunningSandbox:
    """Where the two simulators listen and the credentials they accept.

    ``ninjaone`` and ``autotask`` are the vendors themselves (rows, settings, faults) for tests in the same loop;
    other tests use the control calls under ``<url>/_sandbox``.
    """

    ninjaone_url: str
    client_id: str
    client_secret: str
    autotask_url: str
    autotask_discovery_url: str
    username: str
    secret: str
    integration_code: str
    ninjaone: NinjaVendor
    autotask: AutotaskVendor
    clock: Clock

    def addresses(self) -> dict[str, dict[str, str]]:
        """The first line on standard output of ``lockstep sandbox`` (design section 10)."""
        return {
            "ninjaone": {
                "base_url": self.ninjaone_url,
                "client_id": self.client_id,
                "client_secret": self.client_secret,
            },
            "autotask": {
                "discovery_url": self.autotask_discovery_url,
                "username": self.username,
                "secret": self.secret,
                "integration_code": self.integration_code,
            },
        }


@asynccontextmanager
async def running_sandbox(
    *,
    seed: int = 1,
    organizations: int = 3,
    devices: int = 60,
    ninjaone_port: int = 0,
    autotask_port: int = 0,
) -> AsyncIterator[RunningSandbox]:
    """Start both simulators in this event loop; they end with the block. Port 0 takes any free one.

    Raises ``OSError`` when a port is taken.
    """
    clock = Clock()
    world = World(seed=seed, organizations=organizations, devices=devices)
    ninjaone = NinjaVendor(world=world, clock=clock)
    autotask = AutotaskVendor(world=world, clock=clock)
    async with (
        running_vendor(ninjaone, ninjaone_port) as ninjaone_url,
        running_vendor(autotask, autotask_port) as autotask_url,
    ):
        yield RunningSandbox(
            ninjaone_url=ninjaone_url,
            client_id=ninjaone.client_id,
            client_secret=ninjaone.client_secret,
            autotask_url=autotask_url,
            autotask_discovery_url=f"{autotask_url}/atservicesrest/",
            username=autotask.username,
            secret=autotask.secret,
            integration_code=autotask.integration_code,
            ninjaone=ninjaone,
            autotask=autotask,
            clock=clock,
        )


async def serve(
    *,
    ninjaone_port: int = 0,
    autotask_port: int = 0,
    seed: int = 1,
    organizations: int = 3,
    devices: int = 60,
    announce: Callable[[dict[str, Any]], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run both simulators until ``stop`` is set or the task is cancelled; ``announce`` gets the addresses once."""
    async with running_sandbox(
        seed=seed,
        organizations=organizations,
        devices=devices,
        ninjaone_port=ninjaone_port,
        autotask_port=autotask_port,
    ) as sandbox:
        announce(sandbox.addresses())
        await (stop or asyncio.Event()).wait()


@contextmanager
def sandbox_in_thread(*, seed: int = 1, organizations: int = 3, devices: int = 60) -> Iterator[RunningSandbox]:
    """The same in a background thread, for synchronous tests; use only its addresses and control calls."""
    started: list[RunningSandbox] = []
    ready = threading.Event()
    ending: list[Callable[[], None]] = []
    trouble: list[BaseException] = []

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)

        ending.append(end)
        async with running_sandbox(seed=seed, organizations=organizations, devices=devices) as sandbox:
            started.append(sandbox)
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            trouble.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="lockstep-sandbox", daemon=True)
    thread.start()
    ready.wait()
    if trouble:
        raise trouble[0]
    try:
        yield started[0]
    finally:
        ending[0]()
        thread.join()
    if trouble:
        raise trouble[0]
