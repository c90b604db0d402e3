"""Our Autotask side against the sandbox over real HTTP: what the tests of ``connectors.autotask`` share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.autotask.client import Access, AutotaskClient
from connectors.autotask.effects import AutotaskEffects
from connectors.transport import Retries, Timeouts
from schemas.commands import (
    AppendTicketNote,
    CompleteTicket,
    CreateTicket,
    RetireConfigurationItem,
    UpsertConfigurationItem,
)
from schemas.identity import external_id, reference_number
from tests.connectors.autotask_tenant import FIRST_COMPANY, Api, Board
from tests.connectors.memory_log import MemoryLog, SwitchedGate

UID = "0b6c2a1e-5d0f-4d0a-9a0e-0123456789ab"
DEVICE = "407"
DEVICE_UID = "5f3c9f1e-1111-4222-8333-444455556666"
MACS = ("00:15:5D:01:02:03", "00:15:5D:01:02:04")
MATCH = ("device_key", "device_uid", "serial", "mac", "hostname")


@dataclass
class Lab:
    """A tenant, a client of it, and what they were told."""

    api: Api
    client: AutotaskClient
    gate: SwitchedGate
    log: MemoryLog
    waits: list[float] = field(default_factory=list)

    @property
    def effects(self) -> AutotaskEffects:
        return AutotaskEffects(self.client)

    async def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The sandbox's own record, without discovery and metadata."""
        rows = await self.api.control("GET", f"calls?since={since}")
        return [
            row
            for row in rows
            if row["entity"] != "ZoneInformation"
            and "entityinformation" not in row["path"].lower()
            and row["entity"] not in ("Products", "ConfigurationItemCategories")
        ]

    async def mark(self) -> int:
        rows = await self.api.control("GET", "calls?since=0")
        return rows[-1]["seq"] if rows else 0

    async def made(self, since: int) -> list[str]:
        """What was called since a mark, as ``POST Tickets``."""
        return [f"{row['method']} {row['path'].split('/V1.0/')[-1]}" for row in await self.calls(since)]

    async def tickets(self, **values: Any) -> list[dict[str, Any]]:
        conditions = [{"op": "eq", "field": name, "value": value} for name, value in values.items()]
        return await self.api.rows("Tickets", *(conditions or [{"op": "gte", "field": "id", "value": 0}]))


@asynccontextmanager
async def lab(
    board: Board, *, timeouts: Timeouts | None = None, in_flight: int = 2, **access: str
) -> AsyncIterator[Lab]:
    """A fresh tenant and a client with the right credentials unless told otherwise; pauses take no time."""
    async with board.tenant() as api:
        gate, waits = SwitchedGate("autotask"), []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            await asyncio.sleep(0)

        known = {
            "username": api.vendor.username,
            "secret": api.vendor.secret,
            "integration_code": api.vendor.integration_code,
            "discovery_url": f"{api.base}/atservicesrest/",
            **access,
        }
        client = AutotaskClient(
            Access(in_flight=in_flight, **known),
            gate=gate,
            now=api.vendor.tenant.now,
            sleep=sleep,
            jitter=lambda: 0.5,
            timeouts=timeouts,
            retries=Retries(attempts=1),
        )
        async with client:
            yield Lab(api, client, gate, MemoryLog(), waits)


def create_ticket(ordinal: int = 1, **changes: Any) -> CreateTicket:
    identity = external_id(DEVICE, UID, ordinal)
    values: dict[str, Any] = {
        "key": DEVICE,
        "effect_key": identity,
        "incident": identity,
        "external_id": identity,
        "company_id": FIRST_COMPANY,
        "title": "SRV01: disk almost full",
        "description": "Disk C: has 2 % left",
        "queue": "Monitoring",
        "status": "New",
        "priority": "Critical",
        "ticket_type": "Incident",
        "source": "Monitoring Alert",
        "due_at": 1_796_000_000_000,
    }
    return CreateTicket(**{**values, **changes})


def complete_ticket(ticket_id: int, **changes: Any) -> CompleteTicket:
    values: dict[str, Any] = {"status": "Complete", "resolution": "The alert cleared"}
    return CompleteTicket(key=DEVICE, effect_key=f"complete {ticket_id}", ticket_id=ticket_id, **{**values, **changes})


def append_note(ticket_id: int, mark: str = "ls-a1b2", **changes: Any) -> AppendTicketNote:
    values: dict[str, Any] = {"title": "Alert repeated", "text": "Seen again", "note_type": "Task Notes"}
    return AppendTicketNote(key=DEVICE, effect_key=mark, ticket_id=ticket_id, mark=mark, **{**values, **changes})


def upsert(device: str = DEVICE, **changes: Any) -> UpsertConfigurationItem:
    values: dict[str, Any] = {
        "key": device,
        "effect_key": device,
        "company_id": FIRST_COMPANY,
        "reference_number": reference_number(device),
        "title": "SRV01",
        "product": "Managed Server",
        "item_type": "Server",
        "serial": "5CG1234XYZ",
        "device_uid": DEVICE_UID,
        "mac_addresses": MACS,
        "hostname": "srv01",
        "match": MATCH,
        "fields": {
            "NinjaOne Link": f"https://eu.ninjarmm.com/#/deviceDashboard/{device}/overview",
            "Operating System": "Windows Server 2022",
        },
    }
    return UpsertConfigurationItem(**{**values, **changes})


def retire(device: str = DEVICE, **changes: Any) -> RetireConfigurationItem:
    values: dict[str, Any] = {
        "key": device,
        "effect_key": device,
        "company_id": FIRST_COMPANY,
        "reference_number": reference_number(device),
    }
    return RetireConfigurationItem(**{**values, **changes})
