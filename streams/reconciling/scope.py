"""What a comparison is about: everything, one organization, or one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.autotask import ConfigurationItem
from schemas.identity import EXTERNAL_ID_PREFIX, device_key, key_of_external_id, organization_key
from streams.core.drift.findings import LogSide, VendorSide
from streams.core.whose import organizations_in
from streams.policy_known import meant
from streams.reconciling.log_side import only


def _is_marked(item: ConfigurationItem) -> bool:
    return item.reference_number.startswith(EXTERNAL_ID_PREFIX)


class UnknownScope(ValueError):
    """There is no such organization or device; one line."""


@dataclass(frozen=True, slots=True)
class Scope:
    """``organization`` and ``device`` are NinjaOne's ids; both ``None``: everything."""

    organization: int | None = None
    device: int | None = None

    @property
    def key(self) -> str | None:
        """The key of the one device, if it is about one."""
        return device_key(self.device) if self.device is not None else None

    def unknown(self, log: LogSide, seen: VendorSide, organizations: Mapping[int, str]) -> str | None:
        """What is wrong with it, in one line: nobody knows such an organization or device."""
        if self.organization is not None and self.organization not in organizations:
            return f"NinjaOne has no organization {self.organization}; {meant(organizations, self.organization)}"
        if self.key is None or self.key in {*seen.devices, *seen.pending, *log.devices, *log.incidents}:
            return None
        return f"neither NinjaOne nor the log knows a device {self.device}; give the id that its address in NinjaOne ends with"

    def of(self, log: LogSide, seen: VendorSide) -> tuple[LogSide, VendorSide]:
        """Both sides without what it is not about."""
        if self.organization is None and self.device is None:
            return log, seen
        keys = self._keys(log, seen)
        owned = {
            incident["ticket"]
            for key in keys
            for incident in log.incidents.get(key, {}).get("incidents", {}).values()
            if "ticket" in incident
        }
        items = {log.devices[key]["item"]["id"] for key in keys & log.devices.keys() if "item" in log.devices[key]}
        numbers = {f"{EXTERNAL_ID_PREFIX}{key}" for key in keys}
        return only(log, keys, self.organization), replace(
            seen,
            alerts={uid: alert for uid, alert in seen.alerts.items() if alert.key in keys},
            devices={key: device for key, device in seen.devices.items() if key in keys},
            tickets={
                number: ticket
                for number, ticket in seen.tickets.items()
                if number in owned or key_of_external_id(ticket.external_id) in keys
            },
            deleted=seen.deleted & owned,
            items={
                number: item
                for number, item in seen.items.items()
                # Twins by serial number carry no key.
                if number in items or item.reference_number in numbers or not _is_marked(item)
            },
        )

    def _keys(self, log: LogSide, seen: VendorSide) -> frozenset[str]:
        if self.device is not None:
            key = device_key(self.device)
            inside = self.organization is None or self._is_here(key, log, seen)
            return frozenset({key}) if inside else frozenset()
        named = {key for key, device in seen.devices.items() if device.organization_id == self.organization}
        named |= {alert.key for alert in seen.alerts.values() if alert.organization_id == self.organization}
        for bodies in (log.incidents, log.devices):
            named |= {key for key, body in bodies.items() if self.organization in organizations_in(body)}
        return frozenset({*named, organization_key(self.organization or 0)})

    def _is_here(self, key: str, log: LogSide, seen: VendorSide) -> bool:
        device = seen.devices.get(key)
        if device is not None:
            return device.organization_id == self.organization
        return any(self.organization in organizations_in(side.get(key, {})) for side in (log.incidents, log.devices))
