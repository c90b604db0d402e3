"""Lockstep's NinjaOne side on a sandbox over real HTTP, with Kafka in memory, the sandbox's clock and no sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.config import NinjaOneConfig, WebhookConfig
from connectors.ninjaone.connector import NinjaOneConnector
from connectors.personal import PersonalStore
from connectors.transport import Limits, Timeouts
from schemas.topics import PERSONAL
from tests.connectors.memory_log import MemoryLog, SwitchedGate
from tests.connectors.ninja_lab import Lab, lab

TOKEN = "a-webhook-token-of-ours"


@dataclass
class Naps:
    """Records what was slept instead of sleeping."""

    taken: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Bench:
    lab: Lab
    config: NinjaOneConfig
    log: MemoryLog
    gate: SwitchedGate
    naps: Naps

    def now(self) -> int:
        return round(self.lab.vendor.clock.now() * 1000)

    def connector(self, **changes: Any) -> NinjaOneConnector:
        """A process of the role; a second one is what a restart looks like."""
        return NinjaOneConnector.create(
            replace(self.config, **changes),
            WebhookConfig(secret=TOKEN, public_url="https://lockstep.example/webhooks/ninjaone"),
            gate=self.gate,
            log=self.log,
            now=self.now,
            sleep=self.naps,
            jitter=lambda: 0.5,
            personal=PersonalStore(self.log, self.log.compacted.setdefault(PERSONAL, {}), now=self.now),
        )

    def client(self, *, in_flight: int = 2, timeouts: Timeouts | None = None) -> NinjaOneClient:
        return NinjaOneClient.create(
            self.config,
            gate=self.gate,
            now=self.now,
            sleep=self.naps,
            jitter=lambda: 0.5,
            limits=Limits(in_flight=in_flight),
            timeouts=timeouts,
        )

    async def calls(self, entity: str | None = None) -> list[Any]:
        """The sandbox's own record of the calls, without those of the lab's helpers (tokens)."""
        rows: list[Any] = await self.lab.control("GET", "calls")
        return [row for row in rows if entity is None or row["entity"] == entity]

    async def advance(self, seconds: float) -> None:
        await self.lab.control("POST", "clock", {"advance": seconds})


@asynccontextmanager
async def bench(**world: Any) -> AsyncIterator[Bench]:
    async with lab(**{"seed": 1, "organizations": 2, "devices": 8, **world}) as made:
        config = NinjaOneConfig(
            base_url=made.vendor.base_url,
            client_id=made.vendor.client_id,
            client_secret=made.vendor.client_secret,
            console_url="https://eu.ninjarmm.com",
        )
        yield Bench(made, config, MemoryLog(), SwitchedGate("ninjaone"), Naps())


@asynccontextmanager
async def started(made: Bench, **changes: Any) -> AsyncIterator[NinjaOneConnector]:
    """A connector that has loaded and swept once."""
    connector = made.connector(**changes)
    try:
        await connector.load()
        await connector.inventory.sweep()
        yield connector
    finally:
        await connector.client.close()
