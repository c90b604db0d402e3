"""The wire shapes of the tenant's rows under the switches: what is present, absent, localized or unknown."""

from __future__ import annotations

from collections.abc import Collection

from connectors.sandbox.ninjaone_catalogue import Row, text_of
from connectors.sandbox.ninjaone_devices import Device
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.settings import Settings

#: Values no client can know, for the switch ``unknown_enums``; they name the simulator, so nobody takes them for real.
NEW_CLASS, NEW_SEVERITY, NEW_HEALTH = "SIMULATED_NEW_CLASS", "SIMULATED_NEW_SEVERITY", "SIMULATED_NEW_HEALTH"

_TIMES = ("createTime", "updateTime", "activityTime", "created", "lastContact", "lastUpdate")
_ALERT_EXTRAS = ("severity", "priority", "conditionName", "conditionHealthStatus", "useGlobalHealthStatus")


class Views:
    """Rows as the API shows them now."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def organization(self, row: Row) -> Row:
        """As in ``/v2/organizations``."""
        return dict(row)

    def organization_detailed(self, row: Row) -> Row:
        """With locations, policies by role, and settings."""
        fleet = self._store.fleet
        return {
            **row,
            "locations": [self.location(place) for place in fleet.locations_of(row["id"])],
            "policies": [
                {"nodeRoleId": role["id"], "policyId": fleet.policy_for(role["nodeClass"])}
                for role in fleet.roles.values()
            ],
            "settings": {"trayicon": {"enabled": True}, "psa": {"enabled": False}},
        }

    def location(self, row: Row, *, with_organization: bool = False) -> Row:
        """``organizationId`` shows in ``/v2/locations`` only."""
        return dict(row) if with_organization else {key: row[key] for key in row if key != "organizationId"}

    def device_base(self, device: Device, expand: Collection[str] = ()) -> Row:
        """DeviceBase, with ``references`` for what is expanded."""
        return self._device(device, device.base(), expand)

    def device_detailed(self, device: Device, *, in_list: bool = False) -> Row:
        """The full device; ``in_list`` for devices-detailed, where references depend on the instance."""
        wanted = in_list and self._settings["references_on_detailed"] == "present"
        return self._device(device, device.row, ("organization", "location", "role", "policy") if wanted else ())

    def _device(self, device: Device, source: Row, expand: Collection[str]) -> Row:
        row = dict(source)
        if self._settings["device_uid"] == "absent" or self._settings["instance_drift"] == "older":
            row.pop("uid", None)
        if self._settings["unknown_enums"] == "on" and device.id % 7 == 0:
            row["nodeClass"] = NEW_CLASS
        if not row.get("offline") and "lastContact" in row:
            # An agent that is online reports once a minute, each at a second of its own.
            now = self._store.now()
            row["lastContact"] = round(now - (now + device.id * 7) % 60, 3)
        row.pop("maintenance", None)
        maintenance = self._maintenance(device)
        if maintenance is not None:
            row["maintenance"] = maintenance
        references = self._references(row, expand)
        if references:
            row["references"] = references
        return self._timed(row)

    def _maintenance(self, device: Device) -> Row | None:
        window = device.row.get("maintenance")
        if window is None or window.get("end", float("inf")) <= self._store.clock.now():
            return None
        begun = window.get("start", 0.0) <= self._store.clock.now()
        return {"status": "IN_MAINTENANCE" if begun else "PENDING", **window}

    def _references(self, row: Row, expand: Collection[str]) -> Row:
        fleet = self._store.fleet
        references: Row = {}
        if "organization" in expand and row.get("organizationId") in fleet.organizations:
            references["organization"] = fleet.organizations[row["organizationId"]]
        if "location" in expand and row.get("locationId") in fleet.locations:
            references["location"] = self.location(fleet.locations[row["locationId"]])
        if "role" in expand and row.get("nodeRoleId") in fleet.roles:
            references["role"] = fleet.roles[row["nodeRoleId"]]
        if "policy" in expand and row.get("rolePolicyId") in fleet.policies:
            references["rolePolicy"] = fleet.policies[row["rolePolicyId"]]
        return references

    def alert(self, row: Row) -> Row:
        """An active alert."""
        shown = {key: value for key, value in row.items() if not key.startswith("_")}
        older = self._settings["instance_drift"] == "older"
        if self._settings["alert_extras"] == "absent" or older:
            for key in _ALERT_EXTRAS:
                shown.pop(key, None)
        elif self._settings["unknown_enums"] == "on":
            shown["conditionHealthStatus"] = NEW_HEALTH
            if int(row.get("deviceId", 0)) % 7 == 0:
                shown["severity"] = NEW_SEVERITY
        ticket = shown.get("psaTicketId", 4711)
        wire = {"int": ticket, "string": str(ticket), "object": {"id": ticket}}.get(self._settings["psa_ticket_id"])
        if wire is not None:
            shown["psaTicketId"] = wire
        device = self._store.fleet.devices.get(row.get("deviceId", -1))
        if device is not None and self._settings["alert_device"] == "present":
            shown["device"] = self.device_base(device)
        return self._timed(shown)

    def activity(self, row: Row, language: str | None = None) -> Row:
        """An activity with its localized texts; severity of conditions only where the switch says so."""
        shown = dict(row)
        if row["activityType"] == "CONDITION" and self._settings["activity_severity"] == "absent":
            shown.pop("severity", None)
            shown.pop("priority", None)
        spoken = language or self._settings["language"]
        shown["status"] = text_of(row["statusCode"], spoken)
        shown["type"] = text_of(row["activityType"], spoken)
        return self._timed(shown)

    def _timed(self, row: Row) -> Row:
        if self._settings["timestamps"] == "whole":
            row |= {key: int(row[key]) for key in _TIMES if key in row}
        return row
