"""The API webhook of the NinjaOne sandbox: its configuration, and the push of each activity (reference section 6)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.sandbox.answers import ControlError
from connectors.sandbox.faults import Faults
from connectors.sandbox.ninjaone_catalogue import ACTIVITY_TYPES, Row
from connectors.sandbox.ninjaone_devices import Device
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.ninjaone_views import Views
from connectors.sandbox.settings import Settings
from connectors.sandbox.webhooks import Delivery, DeliveryPolicy, WebhookSender

_EXPAND = ("device", "organization", "location")
_MASK = "********"
#: Real seconds by which an out-of-order delivery is held back: long enough for the next one to pass.
_OVERTAKEN = 0.4


class Webhook:
    """One webhook per API client. ``PUT`` replaces it; a disabled one stays configured and silent until the next PUT."""

    def __init__(self, *, store: Store, settings: Settings, views: Views, faults: Faults) -> None:
        self._store = store
        self._settings = settings
        self._views = views
        self._config: Row | None = None
        self._generation = 0
        self._disabled = False
        self._failures = 0
        self._count = 0
        self.sender = WebhookSender(
            clock=store.clock,
            faults=faults,
            policy=self._policy,
            on_settled=self._settled,
            still_wanted=lambda delivery: not self._disabled and delivery.callout == self._callout(),
        )

    def configure(self, body: Any) -> None:
        """Take a new configuration. Raises ``ApiError`` (400) naming the part that is wrong."""
        if not isinstance(body, dict):
            raise ApiError(400, "the webhook configuration must be an object")
        _check_url(body.get("url"))
        _check_activities(body.get("activities"), any_key=self._settings["webhook_activity_keys"] == "any")
        _check_lists(body)
        self._config = body
        self._generation += 1
        self._disabled = False
        self._failures = 0
        self._store.record("webhook", "webhook", "configured", "api", after=self.shown())

    def remove(self) -> None:
        """Forget the configuration; what waits for delivery is cancelled."""
        self._config = None
        self._generation += 1
        self._store.record("webhook", "webhook", "removed", "api")

    def shown(self) -> Row | None:
        """For ``state``: the configuration with header values masked, and whether it is disabled."""
        if self._config is None:
            return None
        headers = [{**header, "value": _MASK} for header in self._config.get("headers") or []]
        return {**self._config, "headers": headers, "disabled": self._disabled, "consecutiveFailures": self._failures}

    def push(self, activity: Row, device: Device | None) -> None:
        """Deliver an activity if the configuration asks for it."""
        config = self._config
        if config is None or self._disabled or not self._wanted(config, activity, device):
            return
        body = self._views.activity(activity)
        expand = config.get("expand") or []
        if expand and device is not None:
            body["device"] = self._views.device_base(device, expand)
        self._count += 1
        self._send(
            orjson.dumps(body),
            entity="activity",
            item_id=activity["id"],
            status_code=activity["statusCode"],
            copies=2 if self._every("webhook_double_every") else 1,
            lost=self._every("webhook_lose_every"),
            delay=_OVERTAKEN if self._settings["webhook_order"] == "out_of_order" and self._count % 2 else 0.0,
        )

    def redeliver(self, count: int, *, reversed_order: bool) -> int:
        """Send the last recorded deliveries once more, byte for byte, to the present address."""
        if self._config is None:
            raise ControlError("no webhook is configured; PUT /v2/webhook first", 409)
        again: list[Delivery] = self.sender.recent(count)
        for delivery in reversed(again) if reversed_order else again:
            self._send(
                delivery.body, entity=delivery.entity, item_id=delivery.item_id, status_code=delivery.status_code
            )
        return len(again)

    def _send(self, body: bytes, **about: Any) -> None:
        config = self._config or {}
        headers = {str(header["name"]): str(header["value"]) for header in config.get("headers") or []}
        self.sender.send(callout=self._callout(), url=str(config["url"]), body=body, headers=headers, **about)

    def _wanted(self, config: Row, activity: Row, device: Device | None) -> bool:
        organizations = config.get("organizationIds")
        if organizations and self._settings["instance_drift"] != "older":
            organization = device.row["organizationId"] if device is not None else activity.get("organizationId")
            if organization not in organizations:
                return False
        activities = config.get("activities")
        if not activities:
            return True
        # ``statusCode`` is only there where the switch allows such keys: then it chooses among all types.
        codes = activities.get(activity["activityType"], activities.get("statusCode", []))
        return "*" in codes or activity["statusCode"] in codes

    def _every(self, switch: str) -> bool:
        step = int(self._settings[switch])
        return step > 0 and self._count % step == 0

    def _callout(self) -> str:
        return f"webhook-{self._generation}"

    def _policy(self) -> DeliveryPolicy:
        return DeliveryPolicy(
            timeout=float(self._settings["webhook_timeout_seconds"]),
            attempts=int(self._settings["webhook_attempts"]),
            retry_seconds=float(self._settings["webhook_retry_seconds"]),
            ordered=False,
            at_once=int(self._settings["webhook_at_once"]),
        )

    def _settled(self, delivery: Delivery) -> None:
        if delivery.outcome == "delivered":
            self._failures = 0
            return
        self._failures += 1
        limit = int(self._settings["webhook_disable_after"])
        if limit and self._failures >= limit and not self._disabled:
            self._disabled = True
            self._store.record("webhook", "webhook", f"disabled after {self._failures} failures", "vendor")


def _check_url(url: Any) -> None:
    try:
        parts = urlsplit(url) if isinstance(url, str) and not re.search(r"\s", url) else None
        _ = parts and parts.port
    except ValueError:
        parts = None
    if parts is None or not parts.hostname or parts.scheme not in ("http", "https"):
        raise ApiError(400, "url must be an absolute https address")
    # Plain http is for receivers on this machine only, so that a sandbox never sends a token in the clear elsewhere.
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ApiError(400, "url must be an https address")


def _check_activities(activities: Any, *, any_key: bool) -> None:
    if activities is None:
        return
    if not isinstance(activities, dict):
        raise ApiError(400, "activities must map an activityType to a list of statusCodes")
    for name, codes in activities.items():
        if name not in ACTIVITY_TYPES and not any_key:
            raise ApiError(400, f"activities: '{name}' is not an activityType")
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise ApiError(400, f"activities: '{name}' must have a list of statusCodes or ['*']")


def _check_lists(body: Row) -> None:
    expand = body.get("expand") or []
    if not isinstance(expand, list) or any(name not in _EXPAND for name in expand):
        raise ApiError(400, f"expand takes {', '.join(_EXPAND)}")
    headers = body.get("headers") or []
    named = isinstance(headers, list) and all(
        isinstance(header, dict) and isinstance(header.get("name"), str) and isinstance(header.get("value"), str)
        for header in headers
    )
    if not named:
        raise ApiError(400, "headers must be a list of {name, value}")
    for header in headers:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header["name"]) or re.search(r"[\r\n\0]", header["value"]):
            raise ApiError(400, f"headers: {header['name']!r} cannot be sent as a header of one line")
    organizations = body.get("organizationIds") or []
    if not isinstance(organizations, list) or not all(isinstance(item, int) for item in organizations):
        raise ApiError(400, "organizationIds must be a list of numbers")
