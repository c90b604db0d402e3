"""The control surface that both vendors share: clock, calls, faults, settings, state (design section 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.answers import ControlError
from connectors.sandbox.calls import CallLog
from connectors.sandbox.vendor import Vendor

#: A hundred years of seconds: beyond the year 9999 no time can be written any more, and nobody needs more than this.
_FURTHEST = 100 * 366 * 86_400

ControlHandler = Callable[[Request], Awaitable[Response]]


def control_json(document: Any, status: int = 200) -> Response:
    """An answer of a control call."""
    return Response(
        orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS),
        status,
        {"X-Lockstep-Sandbox": "simulator"},
        "application/json",
    )


async def control_body(request: Request) -> dict[str, Any]:
    """The JSON object of a control call ({} when empty). Raises ``ControlError``."""
    raw = await request.body()
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise ControlError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


def path_int(request: Request, name: str = "id") -> int:
    """A number in the path. Raises ``ControlError`` (404)."""
    text = str(request.path_params[name])
    if not _is_number(text):
        raise ControlError(f"'{text[:40]}' is not a number", 404)
    return int(text)


def query_int(request: Request, name: str, default: int = 0) -> int:
    """A number in the query string. Raises ``ControlError``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _is_number(text.removeprefix("-")):
        raise ControlError(f"?{name}= must be a whole number, not '{text[:40]}'")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def control_app(vendor: Vendor, calls: CallLog) -> Starlette:
    """The Starlette app under ``/_sandbox`` of one vendor's port, with the vendor's own routes added."""
    surface = _Surface(vendor, calls)
    routes = [
        Route("/_sandbox/state", surface.state, methods=["GET"]),
        Route("/_sandbox/calls", surface.list_calls, methods=["GET"]),
        Route("/_sandbox/settings", surface.settings, methods=["GET", "PATCH"]),
        Route("/_sandbox/clock", surface.clock, methods=["GET", "POST"]),
        Route("/_sandbox/faults", surface.all_faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/faults/{id}", surface.one_fault, methods=["DELETE"]),
        *vendor.control_routes(),
    ]
    return Starlette(routes=routes, exception_handlers={ControlError: _refused, 404: _no_route, 405: _no_route})


async def _refused(request: Request, error: Exception) -> Response:
    return control_json(
        {"error": " ".join(str(error).split())}, error.status if isinstance(error, ControlError) else 400
    )


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return control_json({"error": f"no control call {request.method} {request.url.path}"}, status)


class _Surface:
    def __init__(self, vendor: Vendor, calls: CallLog) -> None:
        self._vendor = vendor
        self._calls = calls

    async def state(self, request: Request) -> Response:
        """All rows and ``history``; ``?since=<seq>`` shortens the history."""
        state = self._vendor.state()
        return control_json({**state, "history": self._vendor.journal.since(query_int(request, "since"))})

    async def list_calls(self, request: Request) -> Response:
        return control_json(self._calls.since(query_int(request, "since")))

    async def settings(self, request: Request) -> Response:
        """Flat ``{name: value}``; ``?describe=1`` adds default, allowed values and meaning."""
        if request.method == "PATCH":
            changes = await control_body(request)
            self._vendor.settings.patch(changes)
            self._vendor.settings_changed(list(changes))
        if request.query_params.get("describe"):
            return control_json(self._vendor.settings.described())
        return control_json(self._vendor.settings.values())

    async def clock(self, request: Request) -> Response:
        if request.method == "POST":
            seconds = (await control_body(request)).get("advance")
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
                raise ControlError("clock: 'advance' must be a number of seconds >= 0; time does not run back")
            if self._vendor.clock.offset + seconds > _FURTHEST:
                raise ControlError(f"clock: 'advance' may lead {_FURTHEST:,} seconds (a hundred years) ahead in all")
            self._vendor.clock.advance(float(seconds))
        return control_json(self._vendor.clock.reading())

    async def all_faults(self, request: Request) -> Response:
        faults = self._vendor.faults
        if request.method == "POST":
            return control_json({"id": faults.add(await control_body(request)).id})
        if request.method == "DELETE":
            return control_json({"removed": faults.remove()})
        return control_json(faults.shown())

    async def one_fault(self, request: Request) -> Response:
        return control_json({"removed": self._vendor.faults.remove(request.path_params["id"])})
