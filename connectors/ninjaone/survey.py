"""NinjaOne read once from end to end, for a comparison: devices and active alerts, and the facts that can be told of them.

Reads only. The facts are those that sweep and poller publish; their ids name what was seen, so that telling again what is known adds
nothing, and none is counted with the devices' own (``digests``), which have one writer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.ninjaone.client import Listing, NinjaOneClient
from connectors.ninjaone.config import NinjaOneConfig
from connectors.ninjaone.device_fact import UNKNOWN_WARRANTY, device_observed
from connectors.ninjaone.directory import Directory, KnownDevice
from connectors.ninjaone.inventory import SOURCE
from connectors.ninjaone.sightings import ALERTS
from connectors.ninjaone.translate import alert_gone, alert_observed
from connectors.ports import Gate, Now, Publication
from connectors.transport import Jitter, Limits, Sleep
from schemas import topics
from schemas.facts import AlertObserved, DeviceObserved, DeviceRemoved, Subject
from schemas.identity import derived_id, device_key
from schemas.ninjaone import AlertRow

Step = Callable[[str], None]


class SurveyIncomplete(RuntimeError):
    """A list of a vendor could not be read whole, so nothing may be compared with it; one line."""


@dataclass(slots=True)
class NinjaOneSeen:
    """What was read. ``alerts`` and ``devices`` are the publications by uid and key; times in epoch ms, our clock."""

    asked_at: int
    alerts: dict[str, Publication] = field(default_factory=dict)
    devices: dict[str, Publication] = field(default_factory=dict)
    #: Devices that were looked for by themselves: of those, who is there after all (not approved).
    hidden: set[str] = field(default_factory=set)


class NinjaOneSurvey:
    """One reading. Last logged-on users stay as they were told: their values have one writer, the sweep."""

    def __init__(self, client: NinjaOneClient, config: NinjaOneConfig, *, now: Now) -> None:
        self._client = client
        self._directory = Directory(client, config, now=now)
        self._now = now
        self._rows: dict[str, AlertRow] = {}

    @classmethod
    def create(cls, config: NinjaOneConfig, *, gate: Gate, now: Now, sleep: Sleep, jitter: Jitter) -> NinjaOneSurvey:
        """A survey with a client of its own; ``close`` it."""
        client = NinjaOneClient.create(
            config, gate=gate, now=now, sleep=sleep, jitter=jitter, limits=Limits(in_flight=1)
        )
        return cls(client, config, now=now)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def read(self, known: Mapping[str, Mapping[str, Any]], step: Step) -> NinjaOneSeen:
        """Read devices, then active alerts. ``known``: what was last told of each device, for what only some answers tell.

        Raises ``CallFailed``, ``CallsSuspended``, ``SurveyIncomplete``.
        """
        step("organizations of NinjaOne")
        await self._directory.refresh()
        step("devices of NinjaOne")
        devices_at = self._now()
        devices = _whole(await self._client.devices_detailed(), "devices")
        for row in devices.rows:
            self._directory.take(row, asked_at=devices_at)
        self._directory.whole = True
        step("active alerts of NinjaOne")
        seen = NinjaOneSeen(asked_at=self._now())
        for alert in _whole(await self._client.alerts(), "active alerts").rows:
            self._rows[alert.uid] = alert
            seen.alerts[alert.uid] = await self.alert(alert.uid)
        for row in devices.rows:
            found = KnownDevice.of(row)
            if found is None or row.approval_status != "APPROVED":
                seen.hidden.add(device_key(row.id))
                continue
            before = known.get(device_key(row.id), {})
            warranty = self._directory.warranty(row.id)
            if warranty == UNKNOWN_WARRANTY:
                # Only some answers tell it; that this one does not is no change.
                warranty = _seconds(before.get("warranty_start")), _seconds(before.get("warranty_end"))
            fact = device_observed(
                row,
                self._directory.subject_of(found),
                observed_at=devices_at,
                warranty=warranty,
                twins=self._directory.twins(row.id),
                last_user=before.get("last_user", ""),
            )
            seen.devices[fact.subject.key] = _device(fact)
        return seen

    async def look_for(self, keys: Collection[str], seen: NinjaOneSeen, step: Step) -> None:
        """Ask for devices that are not in the list, one by one: those that are there all the same are not gone."""
        for place, key in enumerate(sorted(keys, key=int)):
            step(f"device {key} ({place + 1} of {len(keys)} that are not listed)")
            if await self._client.device(int(key)) is not None:
                seen.hidden.add(key)

    async def alert(self, uid: str, *, again_at: int | None = None, ticket_id: int | None = None) -> Publication:
        """An active alert that was read, as its fact; ``ticket_id``: told as the one that it has already."""
        row = self._rows[uid]
        subject = await self._directory.subject(
            device_id=row.device_id,
            seen=row.device,
            organization_id=row.organization_id,
            location_id=row.location_id,
        )
        mode = self._directory.maintenance.of(subject.device_id)
        if ticket_id is not None:
            row = row.model_copy(update={"psa_ticket_id": str(ticket_id)})
        told = mode if mode is not None and mode.active else None
        return alert_observed(row, subject, source=ALERTS, again_at=again_at, maintenance=told)

    def gone(self, uid: str, key: str, organization_id: int | None, *, asked_at: int) -> Publication:
        """An alert that is not among the active ones."""
        known = self._directory.known(int(key)) if key.isdigit() else None
        if known is not None:
            subject = self._directory.subject_of(known)
        else:
            subject = _place(key, organization_id)
        return alert_gone(uid, subject, gone_at=asked_at, device_removed=False, source=ALERTS)

    def removed(self, key: str, *, asked_at: int) -> Publication:
        """A device that NinjaOne does not have any more."""
        fact = DeviceRemoved(device_id=int(key), removed_at=asked_at, cause="MissingFromSweep")
        return Publication(
            topic=topics.NINJAONE_DEVICES,
            key=key,
            id=derived_id("ninjaone", "device-missed", key, asked_at),
            source=SOURCE,
            time=asked_at,
            fact=fact,
        )


def raised_at(publication: Publication) -> int:
    """When an alert of a survey was raised, by the vendor's clock (epoch ms)."""
    assert isinstance(publication.fact, AlertObserved)
    return publication.fact.raised_at


def _device(fact: DeviceObserved) -> Publication:
    key = fact.subject.key
    return Publication(
        topic=topics.NINJAONE_DEVICES,
        key=key,
        id=derived_id("ninjaone", "device-seen", key, fact.observed_at, fact.digest),
        source=SOURCE,
        time=fact.observed_at,
        fact=fact,
    )


def _place(key: str, organization_id: int | None) -> Subject:
    """A subject of which nothing but its key is known any more."""
    number = int(key.lstrip("lo"))
    if key.startswith("o"):
        return Subject(organization_id=number)
    owner = organization_id or 0
    if key.startswith("l"):
        return Subject(organization_id=owner, location_id=number)
    return Subject(organization_id=owner, device_id=number)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _whole(listing: Listing[Any], what: str) -> Listing[Any]:
    if listing.unreadable:
        first = listing.unreadable[0].error
        raise SurveyIncomplete(
            f"{len(listing.unreadable)} of NinjaOne's {what} cannot be understood ({first}); nothing is compared or told"
        )
    return listing
