"""A NinjaOne sandbox with a client, a control client and webhook receivers, all over real HTTP on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response

from connectors.sandbox.clock import Clock
from connectors.sandbox.kernel import running_vendor
from connectors.sandbox.ninjaone import NinjaVendor
from connectors.sandbox.transport import RunningServer
from connectors.sandbox.world import World


@dataclass
class Lab:
    """``api`` carries a bearer token; ``plain`` does not. Control calls raise when they are refused."""

    vendor: NinjaVendor
    api: httpx.AsyncClient
    plain: httpx.AsyncClient

    async def token(self, **changes: Any) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.vendor.client_id,
            "client_secret": self.vendor.client_secret,
            "scope": "monitoring management",
        }
        return await self.plain.post("/ws/oauth/token", data={**form, **changes})

    async def rows(self, path: str, **query: Any) -> Any:
        answer = await self.api.get(f"/v2/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.plain.request(method, f"/_sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fault(self, kind: str, **rest: Any) -> str:
        return str((await self.control("POST", "faults", {"kind": kind, **rest}))["id"])

    async def setting(self, **values: Any) -> None:
        await self.control("PATCH", "settings", values)

    async def alert(self, **spec: Any) -> str:
        return str((await self.control("POST", "alerts", {"deviceId": 1001, **spec}))["uid"])

    async def state(self) -> Any:
        return await self.control("GET", "state")

    async def webhook(self, url: str, **changes: Any) -> None:
        body = {"url": url, "activities": {"CONDITION": ["*"], "SYSTEM": ["*"]}, **changes}
        answer = await self.api.put("/v2/webhook", json=body)
        assert answer.status_code == 204, answer.text


@asynccontextmanager
async def lab(**world: Any) -> AsyncIterator[Lab]:
    """A sandbox of its own for one test."""
    vendor = NinjaVendor(world=World(**world), clock=Clock())
    async with (
        running_vendor(vendor) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as api,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as plain,
    ):
        made = Lab(vendor, api, plain)
        answer = await made.token()
        api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield made


@dataclass
class Receiver:
    """A real HTTP receiver: keeps what came, answers ``status``."""

    url: str = ""
    status: int = 204
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    #: Cleared: deliveries are taken in and not answered.
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.bodies.append(orjson.loads(await request.body()))
        self.headers.append(dict(request.headers))
        await self.answering.wait()
        await Response(status_code=self.status)(scope, receive, send)

    async def wait(self, count: int) -> list[Any]:
        """The bodies, once there are ``count`` (two real seconds at most)."""
        async with asyncio.timeout(2):
            while len(self.bodies) < count:
                await asyncio.sleep(0.005)
        return self.bodies


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    made.answering.set()
    server = RunningServer(made, 0)
    await server.start()
    made.url = f"{server.url}/webhooks/ninjaone"
    try:
        yield made
    finally:
        await server.stop()


async def eventually(check: Any) -> Any:
    """Await ``check()`` until it is true (two real seconds at most)."""
    async with asyncio.timeout(2):
        while not (result := await check()):
            await asyncio.sleep(0.005)
    return result


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]
