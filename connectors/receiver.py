"""The webhook receiver: an ASGI app that hands deliveries to the vendors' handlers, and a health page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

log = logging.getLogger(__name__)

#: 256 KiB: a hundred times the largest delivery on record (about 2 KiB).
BODY_LIMIT = 256 * 1024


class WebhookHandler(Protocol):
    """One vendor's webhook: authenticates, stores, answers."""

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Answer a delivery with a status and one line; header names are lower case. A 2xx says: it is in Kafka."""
        ...


#: What ``GET /healthz`` says of the process beside "ok"; must not block.
Health = Callable[[], Mapping[str, str]]


def create_receiver(
    *, ninjaone: WebhookHandler | None, autotask: WebhookHandler | None, health: Health | None = None
) -> Starlette:
    """The app. A vendor without a handler is answered 404. Serve it with any ASGI server; it holds no state."""
    return Starlette(
        routes=[
            Route("/webhooks/ninjaone", _endpoint("ninjaone", ninjaone), methods=["POST"]),
            Route("/webhooks/autotask", _endpoint("autotask", autotask), methods=["POST"]),
            Route("/healthz", _health(health), methods=["GET"]),
        ]
    )


def _endpoint(vendor: str, handler: WebhookHandler | None) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if handler is None:
            return PlainTextResponse(f"webhooks of {vendor} are not served by this process", 404)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return PlainTextResponse("the delivery broke off", 400)
        if body is None:
            line = f"the body is larger than {BODY_LIMIT // 1024} KiB; deliveries are one event each"
            log.warning("webhook %s: refused, %s", vendor, line)
            return PlainTextResponse(line, 413, headers={"Connection": "close"})
        status, text = await handler.handle(request.headers, body)
        return Response(status_code=204) if status == 204 else PlainTextResponse(text, status)

    return endpoint


def _health(health: Health | None) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse({"status": "ok", **(health() if health is not None else {})})

    return endpoint


async def _body(request: Request) -> bytes | None:
    """The body, ``None`` when it is too large: by what it says of itself, else counted as it comes."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > BODY_LIMIT:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_LIMIT:
            return None
        parts.append(part)
    return b"".join(parts)
