"""Control calls of the NinjaOne sandbox: alerts, devices, organizations, the API client, redelivery of webhooks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.answers import ControlError
from connectors.sandbox.control import control_body, control_json, path_int
from connectors.sandbox.ninjaone_alerts import Alerts, Emit
from connectors.sandbox.ninjaone_auth import Authority
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_changes import change_device, node_activity
from connectors.sandbox.ninjaone_devices import Device, DeviceFactory
from connectors.sandbox.ninjaone_fleet import add_organization, derived_uuid
from connectors.sandbox.ninjaone_shapes import (
    ACKNOWLEDGE_SHAPES,
    CLEAR_SHAPES,
    ORGANIZATION_SHAPES,
    PSA_TICKET_SHAPES,
    REPEAT_SHAPES,
    checked,
    device_fields,
)
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.ninjaone_views import Views
from connectors.sandbox.ninjaone_webhook import Webhook

#: A device keeps its id, and its references are made for each answer.
_FIXED = frozenset({"id"})


class Control:
    """Handlers under ``/_sandbox`` that only NinjaOne has."""

    def __init__(
        self, *, store: Store, views: Views, alerts: Alerts, webhook: Webhook, authority: Authority, emit: Emit
    ) -> None:
        self._store = store
        self._views = views
        self._alerts = alerts
        self._webhook = webhook
        self._authority = authority
        self._emit = emit

    def routes(self) -> list[Route]:
        """The routes, with full paths."""
        return [
            Route("/_sandbox/alerts", self.raise_alert, methods=["POST"]),
            Route("/_sandbox/alerts/{uid}/clear", self.clear_alert, methods=["POST"]),
            Route("/_sandbox/alerts/{uid}/repeat", self.repeat_alert, methods=["POST"]),
            Route("/_sandbox/alerts/{uid}/acknowledge", self.acknowledge_alert, methods=["POST"]),
            Route("/_sandbox/alerts/{uid}/psa-ticket", self.name_psa_ticket, methods=["POST"]),
            Route("/_sandbox/devices", self.create_device, methods=["POST"]),
            Route("/_sandbox/devices/{id}", self.change_device, methods=["PATCH"]),
            Route("/_sandbox/devices/{id}", self.delete_device, methods=["DELETE"]),
            Route("/_sandbox/organizations", self.create_organization, methods=["POST"]),
            Route("/_sandbox/organizations/{id}", self.change_organization, methods=["PATCH"]),
            Route("/_sandbox/webhooks/redeliver", self.redeliver, methods=["POST"]),
            Route("/_sandbox/client", self.client, methods=["GET", "PATCH"]),
        ]

    async def raise_alert(self, request: Request) -> Response:
        """``{deviceId, sourceType, ..., uid?, push?} -> {uid, activityId}``."""
        before = self._store.last_activity_id()
        alert = self._alerts.trigger(await control_body(request))
        after = self._store.last_activity_id()
        return control_json({"uid": alert["uid"], "activityId": after if after != before else None})

    async def clear_alert(self, request: Request) -> Response:
        """``{statusCode?, message?, push?}``."""
        body = await _known(request, "statusCode", "message", "push")
        push = _flag(body, "push", True)
        checked("clear", body, CLEAR_SHAPES)
        uid = request.path_params["uid"]
        activity = self._alerts.clear(
            uid,
            status_code=str(body.get("statusCode", "RESET")),
            message=body.get("message"),
            push=push,
        )
        return control_json({"uid": uid, "activityId": _id_of(activity)})

    async def repeat_alert(self, request: Request) -> Response:
        """``{severity?, push?}``: one more TRIGGERED activity of an active alert, as severe as it is from then on."""
        body = await _known(request, "severity", "push")
        push = _flag(body, "push", True)
        checked("repeat", body, REPEAT_SHAPES)
        uid = request.path_params["uid"]
        return control_json({"uid": uid, "activityId": _id_of(self._alerts.repeat(uid, push=push, **body))})

    async def acknowledge_alert(self, request: Request) -> Response:
        """``{userId?, message?, push?}``: somebody acknowledges an active alert in NinjaOne's console."""
        body = await _known(request, "userId", "message", "push")
        push = _flag(body, "push", True)
        checked("acknowledge", body, ACKNOWLEDGE_SHAPES)
        uid = request.path_params["uid"]
        activity = self._alerts.acknowledge(uid, user=body.get("userId"), message=body.get("message"), push=push)
        return control_json({"uid": uid, "activityId": _id_of(activity)})

    async def name_psa_ticket(self, request: Request) -> Response:
        """``{psaTicketId}``: NinjaOne's own PSA integration opened a ticket for an active alert."""
        body = checked("psa-ticket", await _known(request, "psaTicketId"), PSA_TICKET_SHAPES)
        uid = request.path_params["uid"]
        self._alerts.name_psa_ticket(uid, body.get("psaTicketId"))
        return control_json({"uid": uid})

    async def create_device(self, request: Request) -> Response:
        """Any device fields (organizationId and nodeClass at least help); the rest is made up like the fleet."""
        body = await control_body(request)
        push = _flag(body, "push", True)
        fields = device_fields(body)
        device = self._new_device(fields)
        self._store.fleet.devices[device.id] = device
        row = self._views.device_detailed(device)
        self._store.record("device", device.id, "created", "control", after=row)
        self._emit(node_activity(device, "NODE_CREATED", f"{device.name} was added"), push=push)
        return control_json(row)

    async def change_device(self, request: Request) -> Response:
        """Fields to change; objects are merged, ``null`` removes."""
        device = self._device(request)
        body = await control_body(request)
        push = _flag(body, "push", True)
        fields = device_fields(body, fixed=_FIXED)
        self._check_references(fields, device.row["organizationId"])
        _set_own_parts(device, fields)
        change_device(self._store, self._emit, device, fields, by="control", push=push)
        return control_json(self._views.device_detailed(device))

    async def delete_device(self, request: Request) -> Response:
        """The device and its alerts go; NODE_DELETED is written. ``?push=false`` keeps the webhook silent."""
        device = self._device(request)
        self._store.record("device", device.id, "deleted", "control", before=self._views.device_detailed(device))
        self._alerts.drop_of_device(device.id)
        push = request.query_params.get("push") != "false"
        # Written while the device still stands, so that the push can show it.
        self._emit(node_activity(device, "NODE_DELETED", f"{device.name} was deleted"), push=push)
        del self._store.fleet.devices[device.id]
        return control_json({"id": device.id})

    async def create_organization(self, request: Request) -> Response:
        """``{name, description?}``; it gets a location."""
        body = await _known(request, "name", "description", "push")
        push = _flag(body, "push", True)
        if "name" not in checked("organization", body, ORGANIZATION_SHAPES):
            raise ControlError("organization: name is missing")
        row = add_organization(
            self._store.fleet,
            name=body["name"],
            world=self._store.world,
            description=str(body.get("description", "")),
        )
        self._store.record("organization", row["id"], "created", "control", after=dict(row))
        self._tell_client(row, "CLIENT_CREATED", push)
        return control_json(self._views.organization_detailed(row))

    async def change_organization(self, request: Request) -> Response:
        """``{name?, description?, nodeApprovalMode?}``."""
        body = await _known(request, "name", "description", "nodeApprovalMode", "push")
        push = _flag(body, "push", True)
        row = self._store.fleet.organizations.get(path_int(request))
        if row is None:
            raise ControlError(f"no organization {request.path_params['id']}", 404)
        before = dict(row)
        row |= checked("organization", body, ORGANIZATION_SHAPES)
        self._store.record("organization", row["id"], "changed", "control", before=before, after=dict(row))
        self._tell_client(row, "CLIENT_UPDATED", push)
        return control_json(self._views.organization_detailed(row))

    async def redeliver(self, request: Request) -> Response:
        """``{last: n, order: same | reversed}``: recorded deliveries once more."""
        body = await _known(request, "last", "order")
        last, order = body.get("last", 1), body.get("order", "same")
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:
            raise ControlError("redeliver: last must be a whole number >= 1")
        if order not in ("same", "reversed"):
            raise ControlError("redeliver: order must be 'same' or 'reversed'")
        return control_json({"redelivered": self._webhook.redeliver(last, reversed_order=order == "reversed")})

    async def client(self, request: Request) -> Response:
        """``{active?, secret?, revokeTokens?}``; a change of either revokes the tokens unless told otherwise."""
        if request.method == "PATCH":
            body = await _known(request, "active", "secret", "revokeTokens")
            if "secret" in body and (not isinstance(body["secret"], str) or not body["secret"]):
                raise ControlError("client: secret must be a text that is not empty")
            revoke = _flag(body, "revokeTokens", True)
            self._authority.active = _flag(body, "active", self._authority.active)
            self._authority.secret = str(body.get("secret", self._authority.secret))
            if revoke:
                self._authority.revoke()
            self._store.record("client", self._authority.client_id, "changed", "control", after=sorted(body))
        return control_json(client_shown(self._authority))

    def _new_device(self, fields: Row) -> Device:
        fleet = self._store.fleet
        number = int(fields.get("id") or self._store.next_device_id())
        if number in fleet.devices:
            raise ControlError(f"device {number} exists already", 409)
        organization = int(fields.get("organizationId") or next(iter(fleet.organizations)))
        self._check_references({**fields, "organizationId": organization})
        role = fleet.roles.get(fields.get("nodeRoleId", 0)) or fleet.role_for(
            fields.get("nodeClass", "WINDOWS_WORKSTATION")
        )
        node_class = str(fields.get("nodeClass", role["nodeClass"]))
        device = DeviceFactory(epoch=self._store.now()).make(
            device_id=number,
            uid=derived_uuid("device", self._store.world.seed, "added", number),
            organization=fleet.organizations[organization],
            location_id=int(fields.get("locationId") or fleet.locations_of(organization)[0]["id"]),
            role={**role, "nodeClass": node_class},
            policy_id=fleet.policy_for(node_class),
            source=self._store.world.random(f"added device {number}"),
        )
        device.row |= {"created": self._store.now(), "offline": False}
        _set_own_parts(device, fields)
        for key, value in fields.items():
            if value is None:
                device.row.pop(key, None)
            elif isinstance(value, dict) and isinstance(device.row.get(key), dict):
                device.row[key] = {**device.row[key], **value}
            else:
                device.row[key] = value
        return device

    def _check_references(self, fields: Row, organization: int | None = None) -> None:
        """``organization`` is the one the device has now."""
        fleet = self._store.fleet
        for key, rows in (("organizationId", fleet.organizations), ("locationId", fleet.locations), ("nodeRoleId", fleet.roles)):  # fmt: skip
            if key in fields and fields[key] not in rows:
                raise ControlError(f"device: {key} {fields[key]!r} does not exist")
        if "organizationId" in fields and "locationId" not in fields:
            fields["locationId"] = fleet.locations_of(fields["organizationId"])[0]["id"]
        place = fleet.locations.get(fields.get("locationId", 0))
        if place is not None and place["organizationId"] != fields.get("organizationId", organization):
            raise ControlError(f"device: location {place['id']} is not one of its organization")

    def _device(self, request: Request) -> Device:
        device = self._store.fleet.devices.get(path_int(request))
        if device is None:
            raise ControlError(f"no device {request.path_params['id']}", 404)
        return device

    def _tell_client(self, row: Row, status_code: str, push: bool) -> None:
        self._emit(
            {
                "organizationId": row["id"],
                "severity": "NONE",
                "priority": "NONE",
                "activityType": "SYSTEM",
                "statusCode": status_code,
                "subject": row["name"],
                "message": f"Organization {row['name']}: {status_code}",
            },
            push=push,
        )


def client_shown(authority: Authority) -> Row:
    """The API client for ``state``: never its secret."""
    return {
        "client_id": authority.client_id,
        "secret": "********",
        "active": authority.active,
        "validTokens": authority.valid_tokens(),
    }


def _id_of(activity: Row | None) -> int | None:
    return int(activity["id"]) if activity is not None else None


async def _known(request: Request, *keys: str) -> dict[str, Any]:
    body = await control_body(request)
    unknown = sorted(set(body) - set(keys))
    if unknown:
        raise ControlError(f"unknown key '{unknown[0]}'; known: {', '.join(keys)}")
    return body


def _flag(body: dict[str, Any], key: str, default: bool) -> bool:
    value = body.pop(key, default)
    if not isinstance(value, bool):
        raise ControlError(f"'{key}' must be true or false")
    return value


def _set_own_parts(device: Device, fields: Row) -> None:
    """Take the parts that are not in the device row out of ``fields``."""
    for key in ("disks", "interfaces", "software", "services"):
        if key in fields:
            setattr(device, key, fields.pop(key) or [])
    if "customFields" in fields:
        device.custom_fields = fields.pop("customFields") or {}
