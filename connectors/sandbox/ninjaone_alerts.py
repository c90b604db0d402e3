"""The life cycle of alerts: triggered, repeated, cleared, reset by API, fired again (reference section 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from connectors.sandbox.answers import ControlError
from connectors.sandbox.journal import By
from connectors.sandbox.ninjaone_catalogue import CONDITIONS, Row
from connectors.sandbox.ninjaone_fleet import derived_uuid
from connectors.sandbox.ninjaone_shapes import ALERT_SHAPES, alert_spec
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.settings import Settings

_BY_TYPE = {condition.source_type: condition for condition in CONDITIONS}


class Emit(Protocol):
    """Writes an activity and pushes it to the webhook unless ``push`` is false."""

    def __call__(self, row: Row, *, push: bool = True) -> Row: ...


class Alerts:
    """Active alerts of the tenant. ``later(seconds, work)`` runs work after sandbox seconds."""

    def __init__(
        self,
        *,
        store: Store,
        settings: Settings,
        emit: Emit,
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._emit = emit
        self._later = later
        self._raised = 0
        #: Conditions that a control call cleared: they do not fire again.
        self._over: set[str] = set()
        #: Alerts that were reset by API and will fire again unless they are cleared first.
        self._pending: set[str] = set()

    def trigger(self, spec: Row, by: By = "control") -> Row:
        """A condition fires. Missing parts of ``spec`` come from the condition of its sourceType.

        Raises ``ControlError`` for unknown keys, values or devices and for a uid that is active already.
        """
        spec = alert_spec(spec)
        self._check(spec)
        condition = _BY_TYPE.get(str(spec.get("sourceType", "CONDITION_AGENT_DISK_FREE_SPACE")))
        self._raised += 1
        source_type = str(spec.get("sourceType", "CONDITION_AGENT_DISK_FREE_SPACE"))
        uid = str(spec.get("uid") or derived_uuid("alert", self._store.first_activity, self._raised))
        if uid in self._store.alerts:
            raise ControlError(f"alert {uid} is active already; clear it first or leave uid out", 409)
        now = self._store.now()

        def part(key: str, attribute: str, otherwise: Any) -> Any:
            return spec[key] if key in spec else getattr(condition, attribute, otherwise)

        row: Row = {
            "uid": uid,
            "deviceId": spec.get("deviceId"),
            # The real shape of an alert without a device is not public; the simulator names its organization here.
            "organizationId": spec.get("organizationId") if spec.get("deviceId") is None else None,
            "message": part("message", "message", f"{source_type} triggered"),
            "createTime": now,
            "updateTime": now,
            "sourceType": source_type,
            "sourceConfigUid": spec.get("sourceConfigUid")
            or self._store.conditions.get(source_type)
            or derived_uuid("condition", source_type),
            "sourceName": part("sourceName", "source_name", ""),
            "subject": part("subject", "subject", ""),
            "severity": part("severity", "severity", "MODERATE"),
            "priority": part("priority", "priority", "MEDIUM"),
            "conditionName": part("conditionName", "name", source_type),
            "conditionHealthStatus": "NEEDS_ATTENTION",
            "useGlobalHealthStatus": False,
            "data": spec.get("data")
            or {"message": {"code": getattr(condition, "code", "sim_condition"), "params": {}}},
            "psaTicketId": spec.get("psaTicketId"),
            "_still_true": spec.get("stillTrue", True),
            "_push": spec.get("push", True),
        }
        row = {key: value for key, value in row.items() if value is not None}
        self._store.alerts[uid] = row
        self._over.discard(uid)
        activity = self._write(row, "TRIGGERED", row["message"], row["data"], row["_push"])
        # One instant for both, as the alert and its activity have on a real account.
        row["createTime"] = row["updateTime"] = activity["activityTime"] if activity is not None else now
        self._store.record("alert", uid, "triggered", by, after=_public(row))
        return row

    def repeat(self, uid: str, *, push: bool = True, severity: str | None = None) -> Row | None:
        """A fresh TRIGGERED activity of an active alert, if it writes any. Raises ``ControlError`` (404)."""
        row = self._active(uid)
        row["severity"] = severity or row["severity"]
        activity = self._write(row, "TRIGGERED", row["message"], row["data"], push)
        if activity is not None:
            row["updateTime"] = activity["activityTime"]
        self._store.record("alert", uid, "repeated", "control")
        return activity

    def acknowledge(self, uid: str, *, user: int | None, message: str | None, push: bool = True) -> Row | None:
        """Somebody acknowledges an active alert, which stays active. Raises ``ControlError`` (404).

        Only the status code is the vendor's; who and what such an activity tells is not public, and assumed.
        """
        row = self._active(uid)
        activity = self._activity(row, "ACKNOWLEDGED", message or f"{row['message']}: acknowledged", row["data"])
        self._store.record("alert", uid, "acknowledged", "control")
        return self._emit({**activity, "userId": user}, push=push)

    def name_psa_ticket(self, uid: str, ticket: Any) -> None:
        """NinjaOne's own PSA integration opened a ticket: the alert shows it from now on. Raises ``ControlError`` (404)."""
        self._active(uid)["psaTicketId"] = ticket
        self._store.record("alert", uid, "has a PSA ticket", "control")

    def clear(
        self, uid: str, *, status_code: str = "RESET", message: str | None = None, push: bool = True
    ) -> Row | None:
        """The condition is over (or a technician, or a PSA callback, reset it). Raises ``ControlError`` (404).

        ``None`` for one that was reset by API and would have fired again: it only stays quiet now.
        """
        if uid in self._pending:
            self._over.add(uid)
            return None
        row = self._active(uid)
        text = message or f"{row['message']}: back to normal"
        activity = self._end(row, status_code, text, {"message": {"code": "sim_condition_ok", "params": {}}}, push)
        self._over.add(uid)
        self._store.record("alert", uid, "cleared", "control", before=_public(row))
        return activity

    def reset_by_api(self, uid: str, *, data: Any, method: str, actor: str) -> None:
        """An accepted reset: the alert leaves the list, a RESET activity is written and pushed."""
        row = self._store.alerts[uid]
        written = str(self._settings["api_reset_writes"])
        self._end(row, written, f"{row['message']}: reset by API", data if data is not None else row["data"], True)
        self._store.resets.append({"uid": uid, "t": self._store.clock.now(), "by": actor, "method": method})
        self._store.record("alert", uid, "reset", "api", before=_public(row))
        mode = self._settings["refire_after_reset"]
        if mode != "none" and row["_still_true"]:
            seconds = float(self._settings["refire_seconds"])
            if seconds > 0:
                self._pending.add(uid)
                self._later(seconds, lambda: self._refire(row, mode))
            else:
                self._refire(row, mode)

    def drop_of_device(self, device_id: int) -> None:
        """The alerts of a deleted device leave the list; nothing says so in the activities."""
        for row in self._store.alerts_of(device_id):
            del self._store.alerts[row["uid"]]
            self._store.record("alert", row["uid"], "dropped with its device", "vendor", before=_public(row))

    def _refire(self, row: Row, mode: str) -> None:
        self._pending.discard(row["uid"])
        device_gone = "deviceId" in row and row["deviceId"] not in self._store.fleet.devices
        if row["uid"] in self._store.alerts or row["uid"] in self._over or device_gone:
            return
        spec = {key: row[key] for key in row if key in ALERT_SHAPES and key not in ("uid", "psaTicketId")}
        if mode == "same_uid":
            spec["uid"] = row["uid"]
        self.trigger({**spec, "push": row["_push"]}, by="vendor")

    def _end(self, row: Row, status_code: str, message: str, data: Any, push: bool) -> Row | None:
        del self._store.alerts[row["uid"]]
        return self._write(row, status_code, message, data, push)

    def _write(self, row: Row, status_code: str, message: str, data: Any, push: bool) -> Row | None:
        """Write and push the activity, unless this instance writes none for it."""
        silent = row["sourceType"] == "AGENT_OFFLINE" and self._settings["offline_writes"] == "nothing"
        if silent or status_code == "nothing":
            return None
        return self._emit(self._activity(row, status_code, message, data), push=push)

    def _active(self, uid: str) -> Row:
        row = self._store.alerts.get(uid)
        if row is None:
            raise ControlError(f"no active alert {uid}", 404)
        return row

    def _activity(self, alert: Row, status_code: str, message: str, data: Any) -> Row:
        return {
            "deviceId": alert.get("deviceId"),
            "organizationId": alert.get("organizationId"),
            "severity": alert.get("severity"),
            "priority": alert.get("priority"),
            "seriesUid": alert["uid"],
            "activityType": "CONDITION",
            "statusCode": status_code,
            "sourceConfigUid": alert["sourceConfigUid"],
            "sourceName": alert["sourceName"],
            "subject": alert["subject"],
            "message": message,
            "data": data,
        }

    def _check(self, spec: Row) -> None:
        device, organization = spec.get("deviceId"), spec.get("organizationId")
        if device is None and organization is None:
            raise ControlError("alert: deviceId is missing (or organizationId for an alert without a device)")
        if device is not None and device not in self._store.fleet.devices and not spec.get("allowUnknownDevice"):
            raise ControlError(f"alert: no device {device}; allowUnknownDevice: true raises it all the same")
        if device is None and organization not in self._store.fleet.organizations:
            raise ControlError(f"alert: no organization {organization}")


def _public(row: Row) -> Row:
    return {key: value for key, value in row.items() if not key.startswith("_")}
