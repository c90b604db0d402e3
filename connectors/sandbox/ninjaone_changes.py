"""Write end points of devices: PATCH, custom fields, maintenance, approval, reboot; and the activities they write."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.answers import Answer, empty_answer, json_answer
from connectors.sandbox.journal import By
from connectors.sandbox.ninjaone_alerts import Emit
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_devices import Device
from connectors.sandbox.ninjaone_df import parse_date
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_inventory import known_device
from connectors.sandbox.ninjaone_paging import json_object
from connectors.sandbox.ninjaone_shapes import DEVICE_SHAPES
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.routing import Routes
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call

_WRITABLE = ("displayName", "userData", "nodeRoleId", "policyId", "organizationId", "locationId", "warranty")
_FEATURES = ("ALERTS", "PATCHING", "AVSCANS", "TASKS")

#: The custom fields this tenant has defined, by name.
CUSTOM_FIELDS: dict[str, Row] = {
    "psaTicket": {"name": "psaTicket", "label": "PSA ticket", "type": "TEXT", "scopes": ["NODE"]},
    "psaLink": {"name": "psaLink", "label": "PSA link", "type": "URL", "scopes": ["NODE"]},
    "assetTag": {"name": "assetTag", "label": "Asset tag", "type": "TEXT", "scopes": ["NODE", "NODE_ROLE"]},
    "purchased": {"name": "purchased", "label": "Purchase date", "type": "DATE", "scopes": ["NODE"]},
}


def node_activity(device: Device, status_code: str, message: str) -> Row:
    """The SYSTEM activity that goes with a change of the inventory."""
    return {
        "deviceId": device.id,
        "severity": "NONE",
        "priority": "NONE",
        "activityType": "SYSTEM",
        "statusCode": status_code,
        "subject": device.name,
        "message": message,
        "data": {"message": {"code": f"sim_{status_code.lower()}", "params": {"name": device.name}}},
    }


class ChangesApi:
    """Handlers of the write side of devices."""

    def __init__(self, *, store: Store, settings: Settings, emit: Emit) -> None:
        self._store = store
        self._settings = settings
        self._emit = emit

    def declare(self, routes: Routes) -> None:
        """Add the routes."""
        add = routes.add
        add("PATCH", "/v2/device/{id:int}", "devices", self.patch)
        add("PATCH", "/v2/device/{id:int}/custom-fields", "custom-fields", self.patch_fields)
        add("PATCH", "/v2/organization/{id:int}/custom-fields", "custom-fields", self.patch_organization_fields)
        add("PUT", "/v2/device/{id:int}/maintenance", "maintenance", self.start_maintenance)
        add("DELETE", "/v2/device/{id:int}/maintenance", "maintenance", self.end_maintenance)
        add("POST", "/v2/devices/approval/{mode}", "approval", self.approve)
        add("POST", "/v2/device/{id:int}/reboot/{mode}", "reboot", self.reboot)
        add("GET", "/v2/device-custom-fields", "custom-fields", self.definitions)

    def patch(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        changes = {key: value for key, value in json_object(call).items() if key in _WRITABLE}
        for key, value in changes.items():
            shape = DEVICE_SHAPES.get(key)
            if value is not None and shape is not None and not shape.accepts(value):
                raise ApiError(400, f"{key} must be {shape.words}")
        self._check_places(device, changes)
        if not call.stale:
            change_device(self._store, self._emit, device, changes, by="api")
        return self._done()

    def patch_fields(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        return self._change_fields(call, device.custom_fields, f"device {device.id}")

    def patch_organization_fields(self, call: Call) -> Answer:
        number = int(call.params["id"])
        if number not in self._store.fleet.organizations:
            raise ApiError(404, "HTTP 404 Not Found")
        fields = self._store.fleet.organization_fields.setdefault(number, {})
        return self._change_fields(call, fields, f"organization {number}")

    def _change_fields(self, call: Call, fields: dict[str, Any], whose: str) -> Answer:
        changes = json_object(call)
        unknown = sorted(set(changes) - set(CUSTOM_FIELDS))
        if unknown:
            raise ApiError(400, f"custom field '{unknown[0]}' is not defined")
        before = {key: fields.get(key) for key in changes}
        for key, value in changes.items():
            if value is None:
                fields.pop(key, None)
            else:
                fields[key] = value
        self._store.record("custom-fields", whose, "changed", "api", before=before, after=changes)
        return self._done()

    def definitions(self, call: Call) -> Answer:
        return json_answer({"results": list(CUSTOM_FIELDS.values())})

    def start_maintenance(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        body = json_object(call)
        features = body.get("disabledFeatures")
        if not isinstance(features, list) or not features or any(name not in _FEATURES for name in features):
            raise ApiError(400, f"disabledFeatures must list some of {', '.join(_FEATURES)}")
        end = _instant(body.get("end"), "end")
        if end is None:
            raise ApiError(400, "end is required")
        start = _instant(body.get("start"), "start") or self._store.now()
        window: Row = {"start": start, "end": end}
        if body.get("reasonMessage"):
            window["reasonMessage"] = str(body["reasonMessage"])
        device.row["maintenance"] = window
        self._store.record("device", device.id, "maintenance", "api", after=window)
        return empty_answer()

    def end_maintenance(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        before = device.row.pop("maintenance", None)
        self._store.record("device", device.id, "maintenance ended", "api", before=before)
        return empty_answer()

    def approve(self, call: Call) -> Answer:
        mode = call.params["mode"]
        if mode not in ("APPROVE", "REJECT"):
            raise ApiError(400, "mode must be APPROVE or REJECT")
        for device in self._listed(json_object(call).get("devices")):
            if mode == "APPROVE":
                device.row["approvalStatus"] = "APPROVED"
            else:
                del self._store.fleet.devices[device.id]
            code = "NODE_MANUALLY_APPROVED" if mode == "APPROVE" else "NODE_MANUALLY_REJECTED"
            self._store.record("device", device.id, code, "api")
            self._emit(node_activity(device, code, f"{device.name}: {mode.lower()}"))
        return empty_answer()

    def reboot(self, call: Call) -> Answer:
        device = known_device(self._store, call)
        if call.params["mode"] not in ("NORMAL", "FORCED"):
            raise ApiError(400, "mode must be NORMAL or FORCED")
        if "os" in device.row:
            device.row["os"] = {**device.row["os"], "lastBootTime": self._store.now(), "needsReboot": False}
        self._store.record("device", device.id, "rebooted", "api")
        self._emit(node_activity(device, "SYSTEM_REBOOTED", f"{device.name} was restarted"))
        return empty_answer()

    def _listed(self, numbers: Any) -> list[Device]:
        if not isinstance(numbers, list):
            raise ApiError(400, "devices must be a list of device ids")
        return [device for device in self._store.fleet.devices.values() if device.id in numbers]

    def _done(self) -> Answer:
        return empty_answer() if self._settings["patch_status"] == 204 else json_answer({})

    def _check_places(self, device: Device, changes: Row) -> None:
        fleet = self._store.fleet
        organization = changes.get("organizationId", device.row["organizationId"])
        if organization not in fleet.organizations:
            raise ApiError(400, f"organization {organization} does not exist")
        if "organizationId" in changes and "locationId" not in changes:
            changes["locationId"] = fleet.locations_of(organization)[0]["id"]
        place: Any = changes.get("locationId", device.row["locationId"])
        location = fleet.locations.get(place)
        if location is None or location["organizationId"] != organization:
            raise ApiError(400, f"location {place} is not one of organization {organization}")
        if "nodeRoleId" in changes and changes["nodeRoleId"] not in fleet.roles:
            raise ApiError(400, f"role {changes['nodeRoleId']} does not exist")


#: Changes that happen by themselves, and maintenance: no activity that the reference names tells of them.
_SILENT = frozenset({"offline", "lastContact", "lastUpdate", "lastLoggedInUser", "maintenance"})


def change_device(store: Store, emit: Emit, device: Device, changes: Row, *, by: By, push: bool = True) -> None:
    """Change fields of a device row (``None`` removes one, objects are merged) and write NODE_UPDATED where it fits."""
    before = {key: device.row.get(key) for key in changes}
    for key, value in changes.items():
        if value is None:
            device.row.pop(key, None)
        elif isinstance(value, dict) and isinstance(device.row.get(key), dict) and key != "userData":
            merged = {**device.row[key], **value}
            device.row[key] = {name: part for name, part in merged.items() if part is not None}
        else:
            device.row[key] = value
    after = {key: device.row.get(key) for key in changes}
    if before == after:
        return
    device.row["lastUpdate"] = store.now()
    store.record("device", device.id, "changed", by, before=before, after=after)
    if not set(changes) <= _SILENT:
        emit(node_activity(device, "NODE_UPDATED", f"{device.name} was changed"), push=push)


def _instant(value: Any, name: str) -> float | None:
    """Epoch seconds of an ISO-8601 text or epoch milliseconds. Raises ``ApiError`` (400)."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) / 1000
    moment = parse_date(value) if isinstance(value, str) else None
    if moment is None:
        raise ApiError(400, f"{name} must be ISO-8601 or epoch milliseconds")
    return moment
