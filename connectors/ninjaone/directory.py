"""Who is who in NinjaOne: names of organizations, locations, roles and devices, cached, to give facts their subject.

Filled by the inventory sweep; a device that is not in it costs one GET. A name that cannot be had is left empty:
a fact never waits for a name, only for the organization that its device belongs to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from connectors.errors import CallFailed, Situation
from connectors.ninjaone.alertbook import ActiveAlert
from connectors.ninjaone.client import Listing, NinjaOneClient
from connectors.ninjaone.config import NinjaOneConfig
from connectors.ninjaone.device_fact import UNKNOWN_WARRANTY, Warranty
from connectors.ninjaone.maintenance import Maintenances
from connectors.ports import Now
from connectors.transport import Timeouts
from schemas.facts import Subject
from schemas.hardware import real_serial
from schemas.ninjaone import DeviceRow, LocationRow, OrganizationRow, RoleRow, Row

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

#: The organization of a subject that cannot be traced to one: its device is gone. No organization has this id, so the
#: alert is parked as unmapped, where a person sees it.
UNKNOWN_ORGANIZATION = 0

#: A webhook waits at most this long for a device that is not cached; the poll brings what was not answered in time.
#: 2 s for the device + 2 s for its condition + 5 s for Kafka stay below the usual 10 s of webhook senders.
QUICK = Timeouts(connect=1.0, read=2.0, total=2.0)

#: A device that is not there is asked for again only after this time, so that a noisy ghost costs one call a minute.
ABSENT_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """The part of a device that subjects need; kept for every device, hence small."""

    id: int
    uid: str | None
    organization_id: int
    location_id: int | None
    node_class: str
    role_id: int | None
    name: str
    serial: str = ""
    warranty: Warranty = UNKNOWN_WARRANTY
    tags: tuple[str, ...] = ()
    parent_id: int | None = None

    @classmethod
    def of(cls, row: DeviceRow, before: KnownDevice | None = None) -> KnownDevice | None:
        """From a row, ``None`` when it does not say which organization it belongs to.

        The device inside an alert has no hardware, and only some answers tell parent or warranty: what was known stays.
        """
        expanded = row.references.organization if row.references is not None else None
        owner = row.organization_id if row.organization_id is not None or expanded is None else expanded.id
        if owner is None:
            return None
        return cls(
            id=row.id,
            uid=row.uid,
            organization_id=owner,
            location_id=row.location_id,
            node_class=row.node_class,
            role_id=row.node_role_id,
            name=row.name,
            serial=real_serial(row.serial).casefold() or (before.serial if before is not None else ""),
            warranty=_warranty(row) or (before.warranty if before is not None else UNKNOWN_WARRANTY),
            tags=tuple(sorted(row.tags)),
            parent_id=row.parent_device_id or (before.parent_id if before is not None else None),
        )


class Directory:
    """The cache. ``listed`` is set once the first sweep has tried to list all devices."""

    def __init__(self, client: NinjaOneClient, config: NinjaOneConfig, *, now: Now) -> None:
        self._client = client
        self._config = config
        self._now = now
        self._devices: dict[int, KnownDevice] = {}
        self._absent: dict[int, int] = {}
        self._organizations: dict[int, str] = {}
        self._locations: dict[int, LocationRow] = {}
        self._roles: dict[int, str] = {}
        self._serials: dict[str, set[int]] = {}
        self.maintenance = Maintenances(client, now=now, timeouts=QUICK)
        self.listed = asyncio.Event()
        #: Whether all devices were listed once, so that one that is not here does not exist.
        self.whole = False

    async def refresh(self) -> tuple[OrganizationRow, ...]:
        """Read organizations, locations and roles anew; returns the organizations. Raises ``CallFailed``."""
        organizations = (await self._client.organizations()).rows
        locations = await _if_there(self._client.locations())
        roles = await _if_there(self._client.roles())
        self.take_names(organizations, locations, roles)
        return organizations

    def take_names(
        self, organizations: Iterable[OrganizationRow], locations: Iterable[LocationRow], roles: Iterable[RoleRow]
    ) -> None:
        """Replace the cached names."""
        self._organizations = {row.id: row.name for row in organizations}
        self._locations = {row.id: row for row in locations}
        self._roles = {row.id: row.name for row in roles}

    def take(self, row: DeviceRow, *, asked_at: int | None = None) -> None:
        """Remember a device as it was just seen, with the names that came along.

        ``asked_at`` (epoch ms) is when the call for it was made; ``None`` for one that came inside something else.
        """
        at = self._now() if asked_at is None else asked_at
        self.maintenance.take(row, seen_at=at, whole=asked_at is not None)
        before = self._devices.get(row.id)
        known = KnownDevice.of(row, before)
        if known is not None:
            self._no_longer(row.id, before)
            self._devices[row.id] = known
            self._absent.pop(row.id, None)
            if known.serial:
                self._serials.setdefault(known.serial, set()).add(row.id)
        if row.references is not None and row.references.organization is not None:
            self._organizations[row.references.organization.id] = row.references.organization.name

    def forget(self, device_id: int) -> None:
        """A device was removed; its subject stays known for the facts that follow its removal."""
        self._absent[device_id] = self._now()
        self._no_longer(device_id, self._devices.get(device_id))

    def warranty(self, device_id: int) -> Warranty:
        """The device's warranty, where any answer has told it."""
        known = self._devices.get(device_id)
        return known.warranty if known is not None else UNKNOWN_WARRANTY

    def twins(self, device_id: int) -> tuple[int, ...] | None:
        """The other devices with this one's serial number, by id; ``None`` until all devices were listed."""
        known = self._devices.get(device_id)
        if not self.whole or known is None:
            return None
        return tuple(sorted(self._serials.get(known.serial, set()) - {device_id})) if known.serial else ()

    def _no_longer(self, device_id: int, known: KnownDevice | None) -> None:
        if known is not None and known.serial:
            others = self._serials.get(known.serial, set())
            others.discard(device_id)
            if not others:
                self._serials.pop(known.serial, None)

    async def subject(
        self,
        *,
        device_id: int | None,
        seen: DeviceRow | None = None,
        organization_id: int | None = None,
        location_id: int | None = None,
        quick: bool = False,
        ask: bool = True,
    ) -> Subject:
        """The subject of an alert or activity; ``seen`` is the device that came with it, ``ask`` allows a call.

        Raises ``CallFailed`` or ``CallsSuspended`` when the device is not cached and cannot be asked for now. A device
        that does not exist gets the organization that came with the row, else ``UNKNOWN_ORGANIZATION``.
        """
        if device_id is None and seen is not None:
            device_id = seen.id
        if device_id is None:
            return self._place(organization_id, location_id)
        if seen is not None and seen.id == device_id:
            self.take(seen)
        known = self._devices.get(device_id)
        if known is None and ask:
            known = await self._asked(device_id, quick=quick)
        if known is None:
            place = self._place(organization_id, location_id)
            return place.model_copy(update={"device_id": device_id, "link": self._config.device_link(device_id)})
        return self.subject_of(known)

    def subject_of(self, known: KnownDevice) -> Subject:
        """The subject of a device, names from the cache."""
        location = self._locations.get(known.location_id) if known.location_id is not None else None
        parent = self._devices.get(known.parent_id) if known.parent_id is not None else None
        return Subject(
            organization_id=known.organization_id,
            organization_name=self._organizations.get(known.organization_id, ""),
            location_id=known.location_id,
            location_name=location.name if location is not None else "",
            device_id=known.id,
            device_name=known.name,
            device_uid=known.uid,
            node_class=known.node_class,
            role_id=known.role_id,
            role_name=self._roles.get(known.role_id, "") if known.role_id is not None else "",
            link=self._config.device_link(known.id),
            tags=known.tags,
            parent_id=known.parent_id,
            parent_name=parent.name if parent is not None else "",
        )

    def known(self, device_id: int) -> KnownDevice | None:
        """A device as it was last seen, ``None`` for one that never was."""
        return self._devices.get(device_id)

    def last_subject(self, alert: ActiveAlert) -> Subject:
        """The subject of an alert that ended: the device as it was last seen, else the ids that were kept."""
        known = self._devices.get(alert.device_id) if alert.device_id is not None else None
        return self.subject_of(known) if known is not None else alert.subject()

    def organization_known(self, organization_id: int) -> bool:
        """Whether the name of the organization is cached."""
        return organization_id in self._organizations

    async def _asked(self, device_id: int, *, quick: bool) -> KnownDevice | None:
        absent_since = self._absent.get(device_id)
        if absent_since is not None and self._now() - absent_since < ABSENT_MS:
            return None
        asked_at = self._now()
        row = await self._client.device(device_id, timeouts=QUICK if quick else None)
        if row is None:
            self._absent[device_id] = self._now()
            return None
        self.take(row, asked_at=asked_at)
        return self._devices.get(device_id)

    def _place(self, organization_id: int | None, location_id: int | None) -> Subject:
        """The subject of an alert without a device: its location, its organization, else nobody's."""
        location = self._locations.get(location_id) if location_id is not None else None
        if organization_id is None and location is not None:
            organization_id = location.organization_id
        owner = organization_id if organization_id is not None else UNKNOWN_ORGANIZATION
        return Subject(
            organization_id=owner,
            organization_name=self._organizations.get(owner, ""),
            location_id=location_id,
            location_name=location.name if location is not None else "",
        )


def _warranty(row: DeviceRow) -> Warranty | None:
    part = row.warranty or (row.references.warranty if row.references is not None else None)
    return None if part is None else (part.start_date, part.end_date)


async def _if_there(reading: Awaitable[Listing[R]]) -> tuple[R, ...]:
    """The rows of a list of names; none where the instance does not have it: a fact waits for no name."""
    try:
        return (await reading).rows
    except CallFailed as failure:
        if failure.situation is not Situation.NOT_FOUND:
            raise
        log.info("names are left out: %s", failure.detail)
        return ()
