"""A NinjaOne that is not our sandbox: as faithful to the reference, and different wherever the reference leaves room.

Each quirk is one way in which a real instance (or somebody else's simulator) may differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from connectors.ninjaone.config import NinjaOneConfig
from connectors.sandbox.transport import RunningServer
from tests.connectors.memory_log import MemoryLog, SwitchedGate
from tests.connectors.ninja_connected import Bench, Naps

SERIES = "00000000-0000-4000-8000-{:012d}"


class OtherNinjaOne:
    """Rows are plain and may be changed by tests; ``quirks`` says how they are shown."""

    def __init__(self, *quirks: str, devices: int = 40) -> None:
        self.quirks = set(quirks)
        self.now = 1_760_000_000.25
        self.devices = {100 + n: self._device(100 + n) for n in range(devices)}
        self.alerts: dict[str, dict[str, Any]] = {}
        self.activities: list[dict[str, Any]] = []
        self.tokens = 0
        self.calls: list[str] = []
        #: Answers for the next calls of a path, first come first served.
        self.scripted: dict[str, list[Response]] = {}

    def trigger(self, number: int, **changes: Any) -> str:
        """A condition fires; ids have gaps."""
        uid, when = SERIES.format(number), self.tick()
        about = {"deviceId": 100 + number % len(self.devices), "sourceName": "C:", "subject": "C:", "message": "full"}
        self.alerts[uid] = {
            "uid": uid,
            **about,
            "createTime": when,
            "updateTime": when,
            "sourceType": "CONDITION_AGENT_DISK_FREE_SPACE",
            "sourceConfigUid": SERIES.format(999),
            **changes,
        }
        self.write("CONDITION", "TRIGGERED", seriesUid=uid, activityTime=when, **about)
        return uid

    def reset(self, uid: str) -> None:
        alert = self.alerts.pop(uid)
        self.write("CONDITION", "RESET", seriesUid=uid, deviceId=alert["deviceId"], activityTime=self.tick())

    def write(self, kind: str, code: str, **fields: Any) -> None:
        self.activities.append({
            "id": 7 * (len(self.activities) + 1), "activityTime": self.tick(), "activityType": kind, "statusCode": code,
            "sourceConfigUid": None if "no condition" in self.quirks else SERIES.format(999), **fields,
        })  # fmt: skip

    def tick(self) -> float:
        self.now += 0.5
        return self.now

    def _device(self, number: int) -> dict[str, Any]:
        return {
            "id": number, "organizationId": 12, "locationId": 31, "nodeClass": "WINDOWS_SERVER", "nodeRoleId": 1,
            "approvalStatus": "APPROVED", "offline": False, "systemName": f"HOST{number}", "deviceType": "AgentDevice",
            "system": {"serialNumber": f"SN{number}"}, "ipAddresses": ["10.0.0.1", "10.0.0.2"],
        }  # fmt: skip

    # What is answered

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.calls.append(f"{request.method} {request.url.path}")
        waiting = self.scripted.get(request.url.path)
        answer = waiting.pop(0) if waiting else self._refusal(request)
        await (answer or self._app)(scope, receive, send)

    @property
    def _app(self) -> Starlette:
        def rows(read: Any) -> Any:
            async def handle(request: Request) -> Response:
                return JSONResponse(self._shown(read(request)))

            return handle

        return Starlette(
            routes=[
                Route("/ws/oauth/token", self._token, methods=["POST"]),
                Route("/v2/organizations", rows(lambda r: self._page(r, [{"id": 12, "name": "Nordwind"}]))),
                Route("/v2/locations", rows(lambda r: self._page(r, [{"id": 31, "name": "Main", "organizationId": 12}]))),
                Route("/v2/roles", rows(lambda r: [{"id": 1, "name": "Windows Server"}])),
                Route("/v2/devices-detailed", rows(lambda r: self._page(r, list(self.devices.values())))),
                Route("/v2/device/{id:int}", self._one_device),
                Route("/v2/device/{id:int}/alerts", rows(self._device_alerts)),
                Route("/v2/alerts", rows(lambda r: list(self.alerts.values()))),
                Route("/v2/activities", rows(self._activities)),
                Route("/v2/alert/{uid}", self._reset_alert, methods=["DELETE"]),
            ]
        )  # fmt: skip

    def _refusal(self, request: Request) -> Response | None:
        if request.url.path == "/ws/oauth/token":
            return None
        if request.headers.get("authorization") != f"Bearer t{self.tokens}":
            return JSONResponse({"error": "not_authenticated", "error_code": 10}, 401)
        if "short tokens" in self.quirks and len(self.calls) % 5 == 0:
            self.tokens += 1
            return JSONResponse({"error": "not_authenticated", "error_code": 10}, 401)
        if "no names" in self.quirks and request.url.path in ("/v2/roles", "/v2/locations"):
            return JSONResponse({"resultCode": "FAILURE", "errorMessage": "HTTP 404 Not Found"}, 404)
        return None

    async def _token(self, request: Request) -> Response:
        self.tokens += 1
        answer: dict[str, Any] = {"token_type": "bearer", "access_token": f"t{self.tokens}", "expires_in": "120"}
        if "token with all" in self.quirks:
            answer |= {"scope": "monitoring,management", "refresh_token": "r", "expires_in": 120.0, "jti": 1}
        if "nulls" in self.quirks:
            answer |= {"refresh_token": None, "scope": None}
        return JSONResponse(answer)

    def _page(self, request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        after, size = int(request.query_params.get("after", 0)), int(request.query_params.get("pageSize", 50))
        if "whole lists" in self.quirks:
            return rows
        edge = 1 if "inclusive" in self.quirks else 0
        return [row for row in rows if row["id"] > after - edge][: min(size, self._cap())]

    def _activities(self, request: Request) -> dict[str, Any]:
        query, edge = request.query_params, 1 if "inclusive" in self.quirks else 0
        older, newer = int(query.get("olderThan", 10**9)), int(query.get("newerThan", 0))
        size = min(int(query.get("pageSize", 200)), self._cap())
        rows = [row for row in self.activities if newer - edge < row["id"] < older + edge]
        if "oldest first" in self.quirks and "newerThan" in query:
            page = rows[:size]
        else:
            page = list(reversed(rows))[:size]
        if "repeats" in self.quirks:
            page = [row for row in page for _ in range(2)]
        head = (
            {} if "no head" in self.quirks else {"lastActivityId": max((r["id"] for r in self.activities), default=0)}
        )
        return {**head, "activities": page}

    def _cap(self) -> int:
        return 12 if "capped" in self.quirks else 1000

    async def _one_device(self, request: Request) -> Response:
        row = self.devices.get(request.path_params["id"])
        if row is None:
            return JSONResponse({"resultCode": "FAILURE", "errorMessage": "HTTP 404 Not Found"}, 404)
        return JSONResponse(self._shown(row))

    def _device_alerts(self, request: Request) -> list[dict[str, Any]]:
        return [row for row in self.alerts.values() if row["deviceId"] == request.path_params["id"]]

    async def _reset_alert(self, request: Request) -> Response:
        uid = request.path_params["uid"]
        if uid not in self.alerts:
            return JSONResponse({"errorMessage": {"code": "alert_not_found", "params": {}}}, 400)
        self.reset(uid)
        return JSONResponse({"resultCode": "SUCCESS"})

    def _shown(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._shown(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        row = {key: self._shown(entry) for key, entry in value.items()}
        if "no condition" in self.quirks:
            row.pop("sourceConfigUid", None)
        for key in ("createTime", "updateTime", "activityTime"):
            if key in row and "whole seconds" in self.quirks:
                row[key] = int(row[key])
            if key in row and "milliseconds" in self.quirks:
                row[key] = round(row[key] * 1000)
            if "no times" in self.quirks:
                row.pop(key, None)
        if "text ids" in self.quirks:
            row |= {key: str(row[key]) for key in ("id", "deviceId", "organizationId", "lastActivityId") if key in row}
        if "nulls" in self.quirks:
            row |= dict.fromkeys(("severity", "userId", "tags", "device", "references", "data", "uid2", "cursor"))
        if "more fields" in self.quirks:
            row = {"aNewField": {"deep": [1, None]}, **dict(reversed(row.items())), "psaTicketId": {"id": "x"}}
        return row


@asynccontextmanager
async def other_bench(*quirks: str, devices: int = 40) -> AsyncIterator[tuple[OtherNinjaOne, Bench]]:
    """The connector's surroundings on such an instance; the clock is the instance's."""
    other = OtherNinjaOne(*quirks, devices=devices)
    server = RunningServer(other, 0)
    await server.start()
    config = NinjaOneConfig(base_url=server.url, client_id="id", client_secret="a-secret-of-theirs")

    class Clocked(Bench):
        def now(self) -> int:
            return round(other.now * 1000)

    try:
        yield other, Clocked(None, config, MemoryLog(), SwitchedGate("ninjaone"), Naps())  # type: ignore[arg-type]
    finally:
        await server.stop()
        await asyncio.sleep(0)


def overload_page(status: int) -> Response:
    """What a gateway says in its own words."""
    return HTMLResponse("<html><body>too many requests</body></html>", status)
