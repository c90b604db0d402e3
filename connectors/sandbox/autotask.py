"""The simulated Autotask PSA REST API: one tenant, one API user, behind the sandbox kernel.

Facts and their evidence are in the reference notes; what the sources leave open is a switch (``autotask_settings``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from connectors.sandbox.answers import Answer, empty_answer, html_answer, json_answer
from connectors.sandbox.autotask_api_user import ApiUser
from connectors.sandbox.autotask_control import ControlCalls
from connectors.sandbox.autotask_endpoints import Endpoints, not_supported
from connectors.sandbox.autotask_fields import ApiError
from connectors.sandbox.autotask_limits import Limits
from connectors.sandbox.autotask_pages import command_page
from connectors.sandbox.autotask_paths import OPEN, Target, resolve
from connectors.sandbox.autotask_picklists import COMPLETE_STATUSES
from connectors.sandbox.autotask_seed import seed
from connectors.sandbox.autotask_store import ENTITIES
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.autotask_webhooks import Callouts, rules
from connectors.sandbox.autotask_writer import Writer
from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import Faults
from connectors.sandbox.vendor import BadJson, Call, Refusal
from connectors.sandbox.world import World

_CI = 123_456
#: What the vendor's web server says of itself; the length is documented by clients, the page is the server's own.
_TOO_LONG = b"<!DOCTYPE html><html><body><h2>404.15 - The query string is too long.</h2></body></html>"
#: The other zone of a tenant that moved, on the same port.
_MOVED = "/moved"
_SLASHES = re.compile("/{2,}")
_FAULT_TEXT = "An unexpected error has occurred. Please contact support and reference Error ID: 54634."


class AutotaskVendor:
    """Satisfies the kernel's ``Vendor``. ``base_url`` (no trailing slash) is set once the port is known."""

    name = "autotask"

    def __init__(self, *, world: World, clock: Clock) -> None:
        self.clock = clock
        self.tenant = Tenant(clock)
        self.settings = self.tenant.settings
        self.journal = self.tenant.journal
        self.faults = Faults()
        self.user = ApiUser()
        self.limits = Limits(self.settings)
        self.callouts = Callouts(self.tenant, self.faults)
        self.writer = Writer(self.tenant)
        self.writer.rules.update(rules(self.tenant))
        self.writer.notify = self.callouts.notify
        self.endpoints = Endpoints(self.tenant, self.writer, self.user)
        self.base_url = ""
        seed(self.tenant, world)

    @property
    def username(self) -> str:
        return self.user.username

    @property
    def secret(self) -> str:
        return self.user.secret

    @property
    def integration_code(self) -> str:
        return self.user.integration_code

    # -- one vendor call -----------------------------------------------------------------------------------------

    def identify(self, call: Call) -> None:
        """Entity and item of the call; a write names its item in the body."""
        target = self._target(call)
        call.entity = target.name
        call.item_id = target.item_id
        if target.action == "collection" and call.method in ("PATCH", "PUT"):
            call.item_id = _from_body(call, "id")

    def status_code(self, call: Call) -> str | int | None:
        """The ticket status that a write names."""
        return _from_body(call, "status") if call.method in ("POST", "PATCH", "PUT") else None

    def delay(self, call: Call) -> float:
        """The latency tiers of the hourly limit."""
        return 0.0 if call.entity in OPEN or not call.entity else self.limits.delay(call.t)

    def refuse(self, call: Call) -> Refusal | None:
        """Route, credentials, limits: in the order in which a web server finds out."""
        target = self._target(call)
        if target.action == "none":
            body = {"Message": f"No HTTP resource was found that matches the request URI '{call.path}'."}
            return Refusal(answer=json_answer(body, 404), auth="none", why="unknown path")
        limit = self.settings["query_string_limit"]
        if limit and len(call.query_string) > limit:
            why = f"query string of {len(call.query_string)} bytes"
            return Refusal(answer=html_answer(404, _TOO_LONG), auth="none", why=why)
        if call.method not in target.methods:
            return Refusal(answer=not_supported(call.method), auth="none", why="method not on route")
        if target.name in OPEN:
            call.auth = "none"
            return None
        refusal = self._wrong_zone(call) or self.user.refuse(call.headers, self.tenant, self.base_url)
        if refusal is None:
            call.actor = self.user.username
            refusal = self.limits.refuse(call)
        return refusal

    def handle(self, call: Call) -> Answer:
        """Carry out the call; every validation or permission error is a 500 with texts."""
        self.endpoints.zone_url = self._zone_base()
        target = self._target(call)
        try:
            return self._single(target, call) if target.action == "single" else self.endpoints.answer(target, call)
        except ApiError as error:
            refused = error.status == 500 and error.error_id is None
            status = self.settings["validation_status"] if refused else error.status
            return json_answer(error.body, status)

    def error(self, status: int, retry_after: float | None = None) -> Answer:
        """The standard body of a planned error: empty for 401, an internal error with an id from 500 on."""
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        if status == 401:
            return empty_answer(401, {"WWW-Authenticate": 'Basic Realm="sandbox"', **headers})
        if status >= 500:
            return json_answer({"errors": [_FAULT_TEXT], "errorId": 54634}, status, headers)
        if status in (404, 405):
            return json_answer({"Message": "No HTTP resource was found that matches the request."}, status, headers)
        return json_answer({"errors": ["The request was refused."]}, status, headers)

    def _target(self, call: Call) -> Target:
        """Many clients append ``/V1.0/...`` to a zone address that ends in a slash."""
        path = call.path.removeprefix(_MOVED) if self.settings["zone_moved"] else call.path
        return resolve(_SLASHES.sub("/", path) if self.settings["doubled_slash"] == "accept" else path)

    def _zone_base(self) -> str:
        return f"{self.base_url}{_MOVED if self.settings['zone_moved'] else ''}/ATServicesRest/"

    def _wrong_zone(self, call: Call) -> Refusal | None:
        if not self.settings["zone_moved"] or call.path.startswith(f"{_MOVED}/"):
            return None
        answer = empty_answer(401, {"WWW-Authenticate": 'Basic Realm="sandbox"'})
        if self.settings["wrong_zone_answer"] == 500:
            answer = json_answer({"errors": ["The user does not belong to this zone."]}, 500)
        elif self.settings["wrong_zone_answer"] == 307:
            answer = empty_answer(307, {"Location": f"{self.base_url}{_MOVED}{call.path}"})
        return Refusal(answer=answer, auth="wrong_zone", why="the tenant moved to another zone")

    def _single(self, target: Target, call: Call) -> Answer:
        if target.name == "ZoneInformation":
            return self._zone(call)
        if target.name == "VersionInformation":
            return json_answer({"apiVersions": ["1.0"]})
        if target.name == "Version":
            return json_answer({"majorVersion": 2026, "minorVersion": 3, "build": "0", "customerType": "Simulator"})
        if target.name == "ThresholdInformation":
            return json_answer(self.limits.information(call.t))
        return command_page(self.tenant, call.queries())

    def _zone(self, call: Call) -> Answer:
        user = next((value for key, value in call.queries().items() if key.lower() == "user"), "")
        if user.casefold() != self.user.username.casefold():
            raise ApiError("Zone information could not be determined")
        doubled = "/" if self.settings["zone_url_double_slash"] else ""
        return json_answer(
            {
                "zoneName": "Simulator",
                "url": f"{self._zone_base()}{doubled}",
                "webUrl": f"{self.base_url}/",
                "ci": _CI,
            }
        )

    # -- control ---------------------------------------------------------------------------------------------------

    def settings_changed(self, names: Sequence[str]) -> None:
        """Every switch is read where it matters; only a rate must know since when it is in force."""
        if "neighbour_requests_per_hour" in names:
            self.limits.neighbour_changed(self.clock.now())

    def state(self) -> dict[str, Any]:
        """All rows by entity (first letter small), counters, webhook deliveries and the API user."""
        rows = {
            name[0].lower() + name[1:]: [self.tenant.shown(entity, row) for row in self.tenant.rows[name]]
            for name, entity in ENTITIES.items()
        }
        return {
            "simulator": True,
            **rows,
            "counters": self._counters(),
            "webhookDeliveries": self.callouts.sender.shown(),
            "apiUser": self.user.shown(self.tenant),
        }

    def control_routes(self) -> Sequence[Route]:
        """See ``autotask_control``."""
        return ControlCalls(self.tenant, self.writer, self.user, self.callouts).routes()

    async def start(self) -> None:
        """Open the webhook sender."""
        await self.callouts.sender.start()

    async def stop(self) -> None:
        """End deliveries under way."""
        await self.callouts.sender.stop()

    def _counters(self) -> dict[str, Any]:
        keyed = [row for row in self.tenant.rows["Tickets"] if row["externalID"]]
        return {
            "ticketsByExternalID": dict(Counter(row["externalID"] for row in keyed)),
            "openTicketsByExternalID": dict(
                Counter(row["externalID"] for row in keyed if row["status"] not in COMPLETE_STATUSES)
            ),
            "apiWrites": dict(self.tenant.api_writes),
            "requestsInTheHour": self.limits.used(self.clock.now()),
        }


def _from_body(call: Call, name: str) -> Any:
    """A value of the body by case-insensitive key; ``None`` when there is no such body."""
    try:
        body = call.json()
    except BadJson:
        return None
    if not isinstance(body, dict):
        return None
    value = next((value for key, value in body.items() if str(key).lower() == name), None)
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None
