"""Read end points of the inventory: organizations, locations, roles, policies, groups, users, devices and their parts."""

from __future__ import annotations

from collections.abc import Callable

from connectors.sandbox.answers import Answer, empty_answer, json_answer
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_devices import Device
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_paging import device_filter, entity_page, group_members, int_param
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.ninjaone_views import Views
from connectors.sandbox.routing import Routes
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call

#: Searched by ``devices/search``, most telling first.
_SEARCHED = ("displayName", "systemName", "dnsName", "netbiosName", "publicIP")
#: Life of a dashboard link, in sandbox seconds.
_LINK_LIFE = 300.0


class InventoryApi:
    """Handlers of the GET side; ``console_url`` gives the base of device links."""

    def __init__(self, *, store: Store, settings: Settings, views: Views, console_url: Callable[[], str]) -> None:
        self._store = store
        self._settings = settings
        self._views = views
        self._console_url = console_url

    def declare(self, routes: Routes) -> None:
        """Add the routes."""
        add = routes.add
        add("GET", "/v2/organizations", "organizations", self.organizations)
        add("GET", "/v2/organizations-detailed", "organizations", self.organizations_detailed)
        add("GET", "/v2/organization/{id:int}", "organizations", self.organization)
        add("GET", "/v2/organization/{id:int}/locations", "locations", self.organization_locations)
        add("GET", "/v2/organization/{id:int}/devices", "devices", self.organization_devices)
        add("GET", "/v2/organization/{id:int}/custom-fields", "custom-fields", self.organization_fields)
        add("GET", "/v2/locations", "locations", self.locations)
        add("GET", "/v2/roles", "roles", self.roles)
        add("GET", "/v2/noderole/list", "roles", self.roles)
        add("GET", "/v2/policies", "policies", self.policies)
        add("GET", "/v2/groups", "groups", self.groups)
        add("GET", "/v2/group/{id:int}/device-ids", "groups", self.group_device_ids)
        add("GET", "/v2/users", "users", self.users)
        add("GET", "/v2/devices", "devices", self.devices)
        add("GET", "/v2/devices-detailed", "devices", self.devices_detailed)
        add("GET", "/v2/devices/search", "devices", self.search)
        add("GET", "/v2/device/{id:int}", "devices", self.device)
        add("GET", "/v2/device/{id:int}/dashboard-url", "devices", self.dashboard_url)
        for part, read in self._parts().items():
            add("GET", f"/v2/device/{{id:int}}/{part}", "devices", self._part(read))

    def organizations(self, call: Call) -> Answer:
        rows = entity_page(call, self._store.fleet.organizations, self._settings)
        return json_answer([self._views.organization(row) for _, row in rows])

    def organizations_detailed(self, call: Call) -> Answer:
        rows = entity_page(call, self._store.fleet.organizations, self._settings)
        return json_answer([self._views.organization_detailed(row) for _, row in rows])

    def organization(self, call: Call) -> Answer:
        return json_answer(self._views.organization_detailed(self._organization(call)))

    def organization_locations(self, call: Call) -> Answer:
        rows = self._store.fleet.locations_of(self._organization(call)["id"])
        return json_answer([self._views.location(row) for row in rows])

    def organization_devices(self, call: Call) -> Answer:
        organization = self._organization(call)["id"]
        devices = {
            number: device
            for number, device in self._store.fleet.devices.items()
            if device.row["organizationId"] == organization
        }
        return json_answer([self._views.device_base(device) for _, device in self._page(call, devices)])

    def organization_fields(self, call: Call) -> Answer:
        return json_answer(self._store.fleet.organization_fields.get(self._organization(call)["id"], {}))

    def locations(self, call: Call) -> Answer:
        rows = entity_page(call, self._store.fleet.locations, self._settings)
        return json_answer([self._views.location(row, with_organization=True) for _, row in rows])

    def roles(self, call: Call) -> Answer:
        return json_answer(list(self._store.fleet.roles.values()))

    def policies(self, call: Call) -> Answer:
        return json_answer(list(self._store.fleet.policies.values()))

    def groups(self, call: Call) -> Answer:
        rows = self._store.fleet.groups.values()
        return json_answer([{key: row[key] for key in ("id", "name", "description")} for row in rows])

    def group_device_ids(self, call: Call) -> Answer:
        members = group_members(int(call.params["id"]), self._store.fleet)
        if members is None:
            raise ApiError(404, "HTTP 404 Not Found")
        return json_answer(members)

    def users(self, call: Call) -> Answer:
        kind = call.query("userType")
        return json_answer([row for row in self._store.fleet.users.values() if kind in (None, row["userType"])])

    def devices(self, call: Call) -> Answer:
        return json_answer([self._views.device_base(device) for _, device in self._filtered(call)])

    def devices_detailed(self, call: Call) -> Answer:
        return json_answer([self._views.device_detailed(device, in_list=True) for _, device in self._filtered(call)])

    def device(self, call: Call) -> Answer:
        return json_answer(self._views.device_detailed(self._device(call)))

    def search(self, call: Call) -> Answer:
        wanted = call.query("q")
        if not wanted:
            raise ApiError(400, "q is required")
        limit = int_param(call, "limit", minimum=1) or 10
        found: list[Row] = []
        for device in self._store.fleet.devices.values():
            attribute, value = _hit(device, wanted.lower())
            if attribute:
                row = self._views.device_base(device)
                found.append({**row, "score": 1.0, "matchAttr": attribute, "matchAttrValue": value})
        return json_answer({"query": wanted, "devices": found[:limit]})

    def dashboard_url(self, call: Call) -> Answer:
        device = self._device(call)
        url = f"{self._console_url()}/#/deviceDashboard/{device.id}/overview"
        if call.query("redirect") == "true":
            return empty_answer(302, {"Location": url})
        return json_answer({"url": url, "expires": self._store.now() + _LINK_LIFE})

    def _parts(self) -> dict[str, Callable[[Device, Call], object]]:
        return {
            "processors": lambda device, call: device.row.get("processors", []),
            "disks": lambda device, call: device.disks,
            "volumes": _volumes,
            "network-interfaces": lambda device, call: device.interfaces,
            "last-logged-on-user": self._last_user,
            "software": lambda device, call: device.software,
            "windows-services": lambda device, call: device.services,
            "jobs": lambda device, call: [],
            "policy/overrides": lambda device, call: {"overrides": []},
            "custom-fields": lambda device, call: device.custom_fields,
        }

    def _part(self, read: Callable[[Device, Call], object]) -> Callable[[Call], Answer]:
        return lambda call: json_answer(read(self._device(call), call))

    def _last_user(self, device: Device, call: Call) -> object:
        user = device.row.get("lastLoggedInUser")
        return {} if user is None else {"userName": user, "logonTime": device.row["lastUpdate"]}

    def _filtered(self, call: Call) -> list[tuple[int, Device]]:
        wanted = device_filter(call, self._store.fleet)
        devices = {n: device for n, device in self._store.fleet.devices.items() if wanted.matches(device.row)}
        return self._page(call, devices)

    def _page(self, call: Call, devices: dict[int, Device]) -> list[tuple[int, Device]]:
        return list(entity_page(call, devices, self._settings))

    def _organization(self, call: Call) -> Row:
        row = self._store.fleet.organizations.get(int(call.params["id"]))
        if row is None:
            raise ApiError(404, "HTTP 404 Not Found")
        return row

    def _device(self, call: Call) -> Device:
        return known_device(self._store, call)


def known_device(store: Store, call: Call) -> Device:
    """The device of the path. Raises ``ApiError`` (404)."""
    device = store.fleet.devices.get(int(call.params["id"]))
    if device is None:
        raise ApiError(404, "HTTP 404 Not Found")
    return device


def _volumes(device: Device, call: Call) -> object:
    volumes = device.row.get("volumes", [])
    if call.query("include") != "bl":
        return volumes
    return [{**volume, "bitLockerStatus": {"protectionStatus": "UNPROTECTED"}} for volume in volumes]


def _hit(device: Device, wanted: str) -> tuple[str, str]:
    """The first attribute that holds the text, and its value."""
    pairs = [(name, device.row.get(name)) for name in _SEARCHED]
    pairs += [("serialNumber", device.row.get("system", {}).get("serialNumber"))]
    pairs += [("ipAddress", value) for value in device.row.get("ipAddresses", [])]
    pairs += [("macAddress", value) for value in device.row.get("macAddresses", [])]
    for name, value in pairs:
        if value is not None and wanted in str(value).lower():
            return name, str(value)
    return "", ""
