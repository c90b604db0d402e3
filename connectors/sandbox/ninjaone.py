"""The simulated NinjaOne API v2: one vendor for the kernel, put together from its parts.

Faithful to the reference page on NinjaOne; what public sources leave open is a switch (``ninjaone_settings``).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from starlette.routing import Route as ControlRoute

from connectors.sandbox.answers import Answer, html_answer
from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import LATER_PAGE_KINDS, Faults
from connectors.sandbox.journal import Journal
from connectors.sandbox.ninjaone_alerts import Alerts
from connectors.sandbox.ninjaone_auth import Authority, not_authenticated
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_changes import ChangesApi
from connectors.sandbox.ninjaone_console import console_page
from connectors.sandbox.ninjaone_control import Control, client_shown
from connectors.sandbox.ninjaone_errors import ApiError, application_error
from connectors.sandbox.ninjaone_events import EventsApi
from connectors.sandbox.ninjaone_inventory import InventoryApi
from connectors.sandbox.ninjaone_reports import ReportsApi
from connectors.sandbox.ninjaone_settings import NINJAONE_SWITCHES
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.ninjaone_views import Views
from connectors.sandbox.ninjaone_webhook import Webhook
from connectors.sandbox.routing import Found, Routes
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call, Refusal
from connectors.sandbox.world import World
from schemas.identity import derived_id

#: Paths that older instances do not have (``instance_drift``: older).
_NEWER_PATHS = re.compile(
    r"/v2/(notification-channels(/enabled)?|device-custom-fields|devices/search|noderole/list|users|groups?(/.*)?"
    r"|queries/(scoped-)?custom-fields(-detailed)?|queries/device-health|device/[0-9]+/dashboard-url)"
)


#: Pages for people; they need no token.
_OPEN = frozenset({"authorize", "console"})


class NinjaVendor:
    """NinjaOne as the kernel serves it. ``client_id`` and ``client_secret`` are those the token end point accepts."""

    name = "ninjaone"

    def __init__(self, *, world: World, clock: Clock) -> None:
        self.clock = clock
        self.settings = Settings(NINJAONE_SWITCHES)
        self.faults = Faults(also=LATER_PAGE_KINDS)
        self.journal = Journal(clock)
        self.base_url = ""
        self.client_id = f"sim-client-{world.seed}"
        self.client_secret = "sim-secret-" + derived_id("client secret", world.seed)
        self.store = Store(world=world, clock=clock, journal=self.journal)
        self._views = Views(self.store, self.settings)
        self._authority = Authority(
            clock=clock, settings=self.settings, client_id=self.client_id, client_secret=self.client_secret
        )
        self.webhook = Webhook(store=self.store, settings=self.settings, views=self._views, faults=self.faults)
        self.alerts = Alerts(store=self.store, settings=self.settings, emit=self._emit, later=self._later)
        self._routes = self._declared()
        self._control = Control(
            store=self.store,
            views=self._views,
            alerts=self.alerts,
            webhook=self.webhook,
            authority=self._authority,
            emit=self._emit,
        )
        self._recent: deque[float] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = 0

    def identify(self, call: Call) -> None:
        """Both prefixes lead to the same route; an unknown path has the entity ``unknown``."""
        found = self._find(call)
        call.entity = found.entity if found is not None else "unknown"
        if found is not None:
            call.item_id, call.params = found.item_id, found.params

    def status_code(self, call: Call) -> str | int | None:
        """A reset will write RESET; other calls have no status in play."""
        return "RESET" if call.entity == "alerts" and call.method in ("DELETE", "POST") else None

    def delay(self, call: Call) -> float:
        """NinjaOne is not known to slow calls down by tiers."""
        return 0.0

    def refuse(self, call: Call) -> Refusal | None:
        """Throttling first, then the token call's own checks or the bearer token."""
        if call.page_fault == "expired_token":
            self._authority.revoke()
        if call.entity in _OPEN:
            return None
        refusal = self._throttled() or (
            self._authority.refuse_token_call(call, self._incident())
            if call.entity == "token"
            else self._authority.refuse(call)
        )
        if refusal is None:
            return None
        return replace(refusal, answer=refusal.answer.with_headers({"x-nj-request-id": self._incident()}))

    def handle(self, call: Call) -> Answer:
        """Run the handler of the route, and put the request id on its answer."""
        return self._handled(call).with_headers({"x-nj-request-id": self._incident()})

    def error(self, status: int, retry_after: float | None = None) -> Answer:
        """The body the API gives that status: of the auth layer for 401, else of the application."""
        answer = not_authenticated() if status == 401 else application_error(status, self._incident())
        return answer if retry_after is None else answer.with_headers({"Retry-After": f"{retry_after:g}"})

    def settings_changed(self, names: Sequence[str]) -> None:
        """Every switch is read when it is used, so there is nothing to do."""

    def state(self) -> dict[str, Any]:
        """All rows; secrets masked."""
        fleet = self.store.fleet
        return {
            "simulator": True,
            "now": self.clock.now(),
            "organizations": list(fleet.organizations.values()),
            "locations": list(fleet.locations.values()),
            "roles": list(fleet.roles.values()),
            "policies": list(fleet.policies.values()),
            "users": list(fleet.users.values()),
            "devices": [self._views.device_detailed(device) for device in fleet.devices.values()],
            "alerts": [self._views.alert(row) for row in self.store.alerts.values()],
            "activities": [self._views.activity(row) for row in self.store.activities],
            "conditions": self.store.conditions,
            "webhook": self.webhook.shown(),
            "deliveries": self.webhook.sender.shown(),
            "resets": self.store.resets,
            "client": client_shown(self._authority),
        }

    def control_routes(self) -> Sequence[ControlRoute]:
        """NinjaOne's own control calls."""
        return self._control.routes()

    async def start(self) -> None:
        """Open the webhook sender."""
        await self.webhook.sender.start()

    async def stop(self) -> None:
        """End planned work and deliveries."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.webhook.sender.stop()

    def _declared(self) -> Routes:
        routes = Routes()
        for path in ("/ws/oauth/token", "/oauth/token"):
            routes.add("POST", path, "token", self._authority.issue)
        routes.add("GET", "/", "console", lambda call: console_page())
        # An app for machines has no page for people.
        routes.add("GET", "/ws/oauth/authorize", "authorize", lambda call: self.error(404))
        InventoryApi(
            store=self.store, settings=self.settings, views=self._views, console_url=lambda: self.base_url
        ).declare(routes)
        ChangesApi(store=self.store, settings=self.settings, emit=self._emit).declare(routes)
        EventsApi(
            store=self.store,
            settings=self.settings,
            views=self._views,
            alerts=self.alerts,
            webhook=self.webhook,
            emit=self._emit,
        ).declare(routes)
        ReportsApi(store=self.store, settings=self.settings).declare(routes)
        return routes

    def _find(self, call: Call) -> Found | None:
        path = call.path.removeprefix("/api") if call.path.startswith("/api/v2/") else call.path
        missing = self.settings["missing_paths"]
        older = self.settings["instance_drift"] == "older" and _NEWER_PATHS.fullmatch(path)
        if older or (missing and re.search(missing, path)):
            return None
        return self._routes.find(call.method, path)

    def _handled(self, call: Call) -> Answer:
        found = self._find(call)
        if found is None or found.route is None:
            return application_error(404 if found is None else 405, self._incident())
        try:
            return found.route.handler(call)
        except ApiError as error:
            return application_error(error.status, self._incident(), str(error), error.result_code)

    def _emit(self, row: Row, *, push: bool = True) -> Row:
        """Write an activity and push it."""
        activity = self.store.add_activity(row)
        if push:
            self.webhook.push(activity, self.store.fleet.devices.get(activity.get("deviceId", -1)))
        return activity

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        async def run() -> None:
            await self.clock.sleep(seconds)
            work()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _throttled(self) -> Refusal | None:
        limit = int(self.settings["rate_limit_per_minute"])
        if limit == 0:
            return None
        now = self.clock.now()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) < limit:
            self._recent.append(now)
            return None
        style = self.settings["throttle_style"]
        wait = max(1, round(self._recent[0] + 60 - now))
        answer = html_answer() if style == "html_200" else self.error(429, wait if style == "429_retry_after" else None)
        return Refusal(answer=answer, auth="none", why="rate limit")

    def _incident(self) -> str:
        self._requests += 1
        return "WEB_MGMT_SERVICE-" + derived_id("incident", self._requests)
