"""A running Autotask sandbox for tests, over real HTTP, and short ways to call it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from connectors.sandbox.autotask import AutotaskVendor
from connectors.sandbox.clock import Clock
from connectors.sandbox.kernel import Kernel
from connectors.sandbox.transport import RunningServer
from connectors.sandbox.world import World

MONITORING = 29_683_354
SERVER_PRODUCT = 29_682_953
TECHNICIAN, OTHER_TECHNICIAN, FORMER = 29_682_885, 29_682_886, 29_682_887
ENGINEER = 29_682_834
FIRST_COMPANY, SECOND_COMPANY = 29_683, 29_690


@dataclass(frozen=True)
class Api:
    """One client of the sandbox, with the right credentials unless told otherwise."""

    vendor: AutotaskVendor
    http: httpx.AsyncClient
    base: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "UserName": self.vendor.username,
            "Secret": self.vendor.secret,
            "ApiIntegrationCode": self.vendor.integration_code,
        }

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        url = path if path.startswith("http") else f"{self.base}/ATServicesRest/V1.0/{path}"
        sent = self.headers if headers is None else headers
        return await self.http.request(method, url, json=body, headers=sent, **more)

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.call(method, path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def errors(self, method: str, path: str, body: Any = None, **more: Any) -> list[str]:
        answer = await self.call(method, path, body, **more)
        assert answer.status_code == 500, answer.text
        return list(answer.json()["errors"])

    async def create(self, entity: str, **values: Any) -> int:
        return int((await self.ok("POST", entity, values))["itemId"])

    async def item(self, entity: str, number: int) -> dict[str, Any]:
        return dict((await self.ok("GET", f"{entity}/{number}"))["item"])

    async def rows(self, entity: str, *conditions: Any, **more: Any) -> list[dict[str, Any]]:
        return list((await self.ok("POST", f"{entity}/query", {"filter": list(conditions), **more}))["items"])

    async def control(self, method: str, path: str, status: int = 200, /, **body: Any) -> Any:
        answer = await self.http.request(method, f"{self.base}/_sandbox/{path}", json=body or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def switch(self, **changes: Any) -> None:
        await self.control("PATCH", "settings", **changes)

    async def fault(self, kind: str, **more: Any) -> str:
        return str((await self.control("POST", "faults", kind=kind, **more))["id"])


def where(field: str, op: str, value: Any = None, **more: Any) -> dict[str, Any]:
    """One condition of a query."""
    return {"op": op, "field": field, "value": value, **more}


def ticket(**values: Any) -> dict[str, Any]:
    """The smallest body that creates a ticket in the seeded tenant."""
    return {
        "companyID": FIRST_COMPANY,
        "title": "Disk failing",
        "status": 1,
        "priority": 2,
        "queueID": MONITORING,
        **values,
    }


def device(**values: Any) -> dict[str, Any]:
    """The smallest body that creates a configuration item."""
    return {"companyID": FIRST_COMPANY, "productID": SERVER_PRODUCT, "isActive": True, **values}


#: What a call was answered, seen through another one's eyes: method, path, status and document to status and document.
Lens = Callable[[str, str, int, Any], tuple[int, Any]]


class Board:
    """One server on one port whose tenant is exchanged for every test: starting a server takes longer than a test.

    ``lens`` changes the JSON of every vendor answer, so that the tenant looks like a simulator that others wrote.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.lens: Lens | None = None
        self.http = http
        self.url = ""
        self._kernel: Kernel | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._kernel is not None
        lens = self.lens if not scope["path"].startswith("/_sandbox") else None
        await self._kernel(scope, receive, send if lens is None else self._through(lens, scope, send))

    @staticmethod
    def _through(lens: Lens, scope: Any, send: Any) -> Any:
        started: dict[str, Any] = {}

        async def changed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                return
            status, body = started["status"], message["body"]
            if body.startswith(b"{"):
                status, document = lens(scope["method"], scope["path"], status, orjson.loads(body))
                body = orjson.dumps(document)
            headers = [entry for entry in started["headers"] if entry[0] != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
            await send({**started, "status": status, "headers": headers})
            await send({**message, "body": body})

        return changed

    @asynccontextmanager
    async def tenant(self, organizations: int = 5) -> AsyncIterator[Api]:
        """A fresh tenant, alone in the sandbox."""
        vendor = AutotaskVendor(world=World(seed=1, organizations=organizations, devices=1), clock=Clock())
        vendor.base_url = self.url
        self._kernel = Kernel(vendor)
        await vendor.start()
        try:
            yield Api(vendor, self.http, self.url)
        finally:
            self._kernel.stop()
            await vendor.stop()


@asynccontextmanager
async def running_board() -> AsyncIterator[Board]:
    """The server for the tests of one module."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        board = Board(http)
        server = RunningServer(board, 0)
        board.url = server.url
        await server.start()
        try:
            yield board
        finally:
            await server.stop()
