"""The ASGI application around one simulated vendor: faults, latency, auth, the handler, the call log.

A vendor call passes: fault before, latency, auth and limits, handler, fault after, log. Paths under ``/_sandbox``
are control calls: never logged, never faulted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from starlette.requests import Request

from connectors.sandbox.answers import Answer, html_answer
from connectors.sandbox.calls import CallLog, LoggedCall
from connectors.sandbox.control import control_app
from connectors.sandbox.faults import LATER_PAGE_KINDS, Fault, Occasion
from connectors.sandbox.transport import RunningServer, drop_connection
from connectors.sandbox.vendor import Call, Vendor

log = logging.getLogger(__name__)

#: On every answer, so that nobody takes the sandbox for the vendor.
SIMULATOR_HEADER = {"X-Lockstep-Sandbox": "simulator"}

#: Faults that answer before anything is done.
_BEFORE = frozenset({"drop_before_commit", "throttle", "html"})

#: Query parameters that name a place in a list.
_LATER_PAGE = ("after", "olderThan", "cursor")


@asynccontextmanager
async def running_vendor(vendor: Vendor, port: int = 0) -> AsyncIterator[str]:
    """Serve one vendor on loopback; yields its base address. Port 0 takes any free one.

    The vendor learns its address before it starts, because answers name it (dashboard-url, zoneInformation).
    Raises ``OSError`` when the port is taken.
    """
    kernel = Kernel(vendor)
    server = RunningServer(kernel, port)
    vendor.base_url = server.url
    await vendor.start()
    await server.start()
    try:
        yield server.url
    finally:
        kernel.stop()
        await server.stop()
        await vendor.stop()


class Dropped(Exception):
    """The connection shall be closed without an answer."""


class Kernel:
    """The ASGI app of one vendor's port."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.calls = CallLog()
        self._stopping = asyncio.Event()
        self._control = control_app(vendor, self.calls)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/_sandbox" or scope["path"].startswith("/_sandbox/"):
            await self._control(scope, receive, send)
            return
        request = Request(scope, receive)
        call = Call(
            method=scope["method"],
            path=scope["path"],
            query_string=scope["query_string"].decode("latin-1"),
            headers={key.lower(): value for key, value in request.headers.items()},
            body=await request.body(),
            t=self.vendor.clock.now(),
        )
        try:
            answer = await self._answer(call)
        except Dropped:
            await drop_connection(scope, receive)
            return
        await _send(answer.with_headers(SIMULATOR_HEADER), send)

    def stop(self) -> None:
        """Let calls that a fault delays end now, without an answer."""
        self._stopping.set()

    async def _answer(self, call: Call) -> Answer:
        self.vendor.identify(call)
        row = self.calls.begin(t=call.t, method=call.method, path=call.path, entity=call.entity, item_id=call.item_id)
        call.inflight = row.inflight
        try:
            answer = await self._through_faults(call, row)
            row.status = answer.status
            return answer
        finally:
            self.calls.end(row)

    async def _through_faults(self, call: Call, row: LoggedCall) -> Answer:
        occasion = Occasion(
            method=call.method,
            path=call.path,
            entity=call.entity,
            status_code=self.vendor.status_code(call),
            later_page=any(call.query(name) not in (None, "", "0") for name in _LATER_PAGE),
        )
        fault = self.vendor.faults.strike_call(occasion)
        if fault is not None:
            row.refusedWhy = f"fault {fault.kind}" if _answers_before(fault) else None
            early = await self._before(fault)
            if early is not None:
                return early
            call.stale = fault.kind == "stale_status"
            call.page_fault = fault.kind if fault.kind in LATER_PAGE_KINDS else ""
        wait = self.vendor.settings["latency_ms"] / 1000 + self.vendor.delay(call)
        if wait > 0:
            await self._pause(wait)
        answer = self._handled(call, row)
        return answer if fault is None else await self._after(fault, answer)

    def _handled(self, call: Call, row: LoggedCall) -> Answer:
        """Auth and the handler in one step without a pause between them, so that a refusal is never half done."""
        call.t = self.vendor.clock.now()
        refusal = self.vendor.refuse(call)
        if refusal is not None:
            row.auth, row.refusedWhy = refusal.auth, refusal.why
            return refusal.answer
        row.auth = call.auth
        try:
            answer = self.vendor.handle(call)
            row.itemId = call.item_id  # a create knows its item only now
            return answer
        except Exception:
            log.exception("sandbox: %s %s failed inside the simulator", call.method, call.path)
            return self.vendor.error(500)

    async def _before(self, fault: Fault) -> Answer | None:
        if fault.kind == "drop_before_commit":
            raise Dropped
        if fault.kind == "delay":
            await self._pause(fault.params["seconds"])
        if fault.kind == "throttle":
            return self.vendor.error(429, fault.params.get("retry_after"))
        if fault.kind == "html":
            return html_answer(int(fault.params.get("code", 200)))
        if fault.kind == "status" and not fault.params.get("after_commit"):
            return self._status_answer(fault)
        return None

    async def _after(self, fault: Fault, answer: Answer) -> Answer:
        if fault.kind == "drop_after_commit":
            raise Dropped
        if fault.kind == "delay_after_commit":
            await self._pause(fault.params["seconds"])
        if fault.kind == "status" and fault.params.get("after_commit"):
            return self._status_answer(fault)
        if fault.kind == "truncated":
            # A body of one byte or none cannot be cut into something broken, so an opening brace stands for it.
            cut = answer.body[: len(answer.body) // 2] if len(answer.body) > 1 else b"{"
            return Answer(200 if answer.status == 204 else answer.status, cut, _json_type(answer))
        return answer

    def _status_answer(self, fault: Fault) -> Answer:
        standard = self.vendor.error(int(fault.params["code"]))
        headers = {**standard.headers, **{str(k): str(v) for k, v in (fault.params.get("headers") or {}).items()}}
        body = fault.params.get("body")
        return Answer(standard.status, standard.body if body is None else _as_bytes(body), headers)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
            raise Dropped


def _answers_before(fault: Fault) -> bool:
    return fault.kind in _BEFORE or (fault.kind == "status" and not fault.params.get("after_commit"))


def _json_type(answer: Answer) -> dict[str, str]:
    return {"Content-Type": "application/json", **answer.headers}


def _as_bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return orjson.dumps(body)


async def _send(answer: Answer, send: Any) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
