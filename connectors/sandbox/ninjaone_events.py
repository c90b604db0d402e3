"""End points of what happens: alerts and their reset, activities, jobs, webhook, notification channels."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from connectors.sandbox.answers import Answer, empty_answer, json_answer
from connectors.sandbox.ninjaone_alerts import Alerts, Emit
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_df import parse_date
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_inventory import known_device
from connectors.sandbox.ninjaone_paging import device_filter, int_param, json_object, rows_back
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.ninjaone_views import Views
from connectors.sandbox.ninjaone_webhook import Webhook
from connectors.sandbox.routing import Routes
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import BadJson, Call

Test = Callable[[Row], bool]


class EventsApi:
    """Handlers of alerts, activities and the webhook configuration."""

    def __init__(
        self, *, store: Store, settings: Settings, views: Views, alerts: Alerts, webhook: Webhook, emit: Emit
    ) -> None:
        self._store = store
        self._settings = settings
        self._views = views
        self._alerts = alerts
        self._webhook = webhook
        self._emit = emit

    def declare(self, routes: Routes) -> None:
        """Add the routes."""
        add = routes.add
        add("GET", "/v2/alerts", "alerts", self.list_alerts)
        add("GET", "/v2/device/{id:int}/alerts", "alerts", self.device_alerts)
        add("DELETE", "/v2/alert/{uid}", "alerts", self.delete_alert, item="uid")
        add("POST", "/v2/alert/{uid}/reset", "alerts", self.reset_alert, item="uid")
        add("GET", "/v2/activities", "activities", self.activities)
        add("GET", "/v2/device/{id:int}/activities", "activities", self.device_activities)
        add("GET", "/v2/jobs", "jobs", lambda call: json_answer([]))
        add("PUT", "/v2/webhook", "webhook", self.put_webhook)
        add("DELETE", "/v2/webhook", "webhook", self.delete_webhook)
        add("DELETE", "/v2/webhook/{id}", "webhook", self.delete_webhook_by_id)
        add("GET", "/v2/notification-channels", "notification-channels", self.channels)
        add("GET", "/v2/notification-channels/enabled", "notification-channels", self.channels)

    # Alerts

    def list_alerts(self, call: Call) -> Answer:
        fleet, kind = self._store.fleet, call.query("sourceType")
        wanted = device_filter(call, fleet) if call.query("df") else None
        rows = []
        for row in self._store.alerts.values():
            device = fleet.devices.get(row.get("deviceId", -1))
            if kind is not None and row["sourceType"] != kind:
                continue
            if wanted is not None and (device is None or not wanted.matches(device.row)):
                continue
            rows.append(self._views.alert(row))
        return json_answer(rows)

    def device_alerts(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        return json_answer([self._views.alert(row) for row in self._store.alerts_of(device.id)])

    def delete_alert(self, call: Call) -> Answer:
        return self._reset(call, None)

    def reset_alert(self, call: Call) -> Answer:
        try:
            data = call.json()
        except BadJson:
            raise ApiError(400, "the body is not valid JSON") from None
        if data is None and self._settings["empty_reset_body"] == "rejected":
            raise ApiError(400, "the body must be a JSON object")
        if data is not None and not isinstance(data, dict):
            raise ApiError(400, "the body must be a JSON object")
        return self._reset(call, data)

    def _reset(self, call: Call, data: Any) -> Answer:
        if self._settings["reset_client_credentials"] == "forbidden":
            raise ApiError(403, "user_context_required", "user_context_required")
        uid = call.params["uid"]
        if uid not in self._store.alerts:
            status = int(self._settings["second_reset"])
            if status == 204:
                return empty_answer()
            raise ApiError(status, f"HTTP {status} {HTTPStatus(status).phrase}")
        if not call.stale:
            self._alerts.reset_by_api(uid, data=data, method=call.method, actor=call.actor)
        return empty_answer() if self._settings["reset_status"] == 204 else json_answer({})

    # Activities

    def activities(self, call: Call) -> Answer:
        tests = [*self._common_tests(call, type_parameter="type"), *self._account_tests(call)]
        return self._activities_answer({"lastActivityId": self._store.last_activity_id()}, call, tests)

    def device_activities(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        tests: list[Test] = [lambda row: row.get("deviceId") == device.id]
        tests += self._common_tests(call, type_parameter="activityType")
        heads = {
            "lastActivityId": self._store.last_activity_id(),
            "lastNodeActivityId": self._store.last_activity_id(device.id),
        }
        return self._activities_answer(heads, call, tests)

    def _activities_answer(self, heads: Row, call: Call, tests: list[Test]) -> Answer:
        size = int_param(call, "pageSize", minimum=10, maximum=1000) or 200
        older_than = int_param(call, "olderThan")
        if older_than is not None:
            older_than += rows_back(call, size)  # the ids of activities are consecutive
        newest = self._store.newest_activities(older_than=older_than, newer_than=int_param(call, "newerThan"))
        rows: list[Row] = []
        for row in newest:
            if all(test(row) for test in tests):
                rows.append(self._views.activity(row, call.query("lang")))
                if len(rows) == size:
                    break
        known = {key: value for key, value in heads.items() if value is not None}
        return json_answer({**known, "activities": rows})

    def _common_tests(self, call: Call, *, type_parameter: str) -> list[Test]:
        tests: list[Test] = []
        for parameter, field in ((type_parameter, "activityType"), ("status", "statusCode")):
            value = call.query(parameter)
            if value:
                tests.append(_one_of(field, self._values(parameter, value)))
        series = call.query("seriesUid")
        if series:
            tests.append(_one_of("seriesUid", {series}))
        return tests

    def _account_tests(self, call: Call) -> list[Test]:
        tests: list[Test] = []
        config, user, kind = call.query("sourceConfigUid"), int_param(call, "user"), call.query("class") or "ALL"
        if kind not in ("ALL", "SYSTEM", "DEVICE", "USER"):
            raise ApiError(400, "class must be SYSTEM, DEVICE, USER or ALL")
        if kind == "SYSTEM":
            tests.append(_one_of("activityType", {"SYSTEM"}))
        if kind in ("DEVICE", "USER"):
            field = "deviceId" if kind == "DEVICE" else "userId"
            tests.append(lambda row: field in row)
        if config:
            tests.append(_one_of("sourceConfigUid", {config}))
        if user is not None:
            tests.append(lambda row: row.get("userId") == user)
        if call.query("df"):
            wanted, devices = device_filter(call, self._store.fleet), self._store.fleet.devices
            tests.append(lambda row: row.get("deviceId") in devices and wanted.matches(devices[row["deviceId"]].row))
        return tests + self._date_tests(call)

    def _date_tests(self, call: Call) -> list[Test]:
        tests: list[Test] = []
        for name in ("before", "after"):
            text = call.query(name)
            if text is None or self._settings["activity_dates"] == "ignored":
                continue
            moment = parse_date(text) if not text.replace(".", "").isdigit() or len(text) == 8 else float(text)
            if moment is None or self._settings["activity_dates"] == "rejected":
                raise ApiError(400, f"{name}: '{text}' is not a date this instance understands")
            tests.append(_before(moment) if name == "before" else _after(moment))
        return tests

    def _values(self, parameter: str, value: str) -> set[str]:
        mode = self._settings["comma_lists"]
        if "," in value and mode == "rejected":
            raise ApiError(400, f"{parameter} takes one value")
        return {part.strip() for part in value.split(",")} if mode == "accepted" else {value}

    # Webhook and channels

    def put_webhook(self, call: Call) -> Answer:
        self._may_set_webhook()
        body = json_object(call)
        self._webhook.configure(body)
        self._tell_configuration("The API webhook was configured")
        return empty_answer()

    def delete_webhook(self, call: Call) -> Answer:
        if self._settings["instance_drift"] == "older":
            raise ApiError(404, "HTTP 404 Not Found")
        return self._remove_webhook()

    def delete_webhook_by_id(self, call: Call) -> Answer:
        if self._settings["instance_drift"] != "older":
            raise ApiError(404, "HTTP 404 Not Found")
        return self._remove_webhook()

    def channels(self, call: Call) -> Answer:
        rows = list(self._store.notification_channels)
        if self._webhook.shown() is not None:
            # The console shows the API webhook as a channel without a name.
            rows.append({"id": 9, "description": "", "enabled": True, "type": "WEBHOOK"})
        return json_answer(rows)

    def _remove_webhook(self) -> Answer:
        self._may_set_webhook()
        self._webhook.remove()
        self._tell_configuration("The API webhook was removed")
        return empty_answer()

    def _may_set_webhook(self) -> None:
        if self._settings["webhook_client_credentials"] == "forbidden":
            raise ApiError(403, "the user is not a system administrator")

    def _tell_configuration(self, message: str) -> None:
        row = {"activityType": "SYSTEM", "statusCode": "API_WEBHOOK_CONFIGURATION_UPDATED", "message": message}
        self._emit(row, push=False)


def _one_of(field: str, values: set[str]) -> Test:
    return lambda row: row.get(field) in values


def _before(moment: float) -> Test:
    return lambda row: bool(row["activityTime"] < moment)


def _after(moment: float) -> Test:
    return lambda row: bool(row["activityTime"] > moment)
