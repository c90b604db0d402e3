"""Devices and organizations: a full sweep now and then, one look at a device when an activity asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

import orjson

from connectors.ninjaone.alertbook import AlertBook
from connectors.ninjaone.client import Listing, NinjaOneClient
from connectors.ninjaone.device_fact import device_observed
from connectors.ninjaone.digests import LastTold, observed, read_digests, removed
from connectors.ninjaone.directory import Directory, KnownDevice
from connectors.ninjaone.translate import alert_gone
from connectors.ninjaone.unreadable import UnreadableRows
from connectors.personal import Personal, PersonalStore
from connectors.ports import Log, Now, Publication
from schemas import topics
from schemas.facts import DeviceObserved, DeviceRemoved, Organization, OrganizationsObserved
from schemas.identity import derived_id, device_key
from schemas.ninjaone import DeviceRow, OrganizationRow

log = logging.getLogger(__name__)

SOURCE = "/ninjaone/devices"
_ORGANIZATIONS_CURSOR = "ninjaone.organizations"
#: Facts per publication, and records remembered side by side: large enough that 10,000 devices take 50 round trips to
#: the broker, small enough that little is repeated after a crash.
_BATCH = 200
#: Devices with one serial number that are looked at when a new one comes; more of them are a number that means nothing.
_TWINS = 5


#: Whether the policy in force asks for the last logged-on user, which is personal and not read otherwise.
LastUserWanted = Callable[[], Awaitable[bool]]


async def _not_wanted() -> bool:
    return False


class Inventory:
    """The sweep and the looks of one process. ``load`` first."""

    def __init__(
        self,
        client: NinjaOneClient,
        *,
        directory: Directory,
        book: AlertBook,
        log_: Log,
        now: Now,
        last_user: LastUserWanted = _not_wanted,
        personal: PersonalStore | None = None,
    ) -> None:
        self._client = client
        self._last_user_wanted = last_user
        self._last_user = False
        self._personal = personal
        self._directory = directory
        self._book = book
        self._log = log_
        self._now = now
        self._told: dict[int, LastTold] = {}
        self._missing: set[int] = set()
        self._organizations: tuple[int, str] = (0, "")
        self._unreadable = UnreadableRows(log_, "ninjaone devices")
        # A sweep and a look never publish about devices at once: the count in a fact's id has one writer.
        self._lock = asyncio.Lock()
        self._names = asyncio.Lock()

    async def load(self) -> None:
        """Read what was published before from Kafka."""
        self._told = read_digests(await self._log.remembered(topics.DEVICE_DIGESTS))
        value = (await self._log.remembered(topics.CURSORS)).get(_ORGANIZATIONS_CURSOR)
        if value is not None:
            row = orjson.loads(value)
            self._organizations = (row["count"], row["digest"])

    async def sweep(self) -> None:
        """Read everything, publish what changed. Raises ``CallFailed``; then nothing counts as missing."""
        try:
            await self.look_at_organizations()
            self._last_user = await self._last_user_wanted()
            asked_at = self._now()
            listing = await self._client.devices_detailed()
            for row in listing.rows:
                self._directory.take(row, asked_at=asked_at)
            self._directory.whole = self._directory.whole or listing.complete
        except BaseException:
            self._missing.clear()
            raise
        finally:
            # Even a failed attempt lets the alerts go on: they can ask for each device by itself.
            self._directory.listed.set()
        async with self._lock:
            await self._unreadable.report(listing.unreadable)
            listed = {row.id for row in listing.rows}
            for row in listing.rows:
                await self._forget_gone_twins(row.id, listed)
            await self._publish_changed(listing.rows, asked_at)
            await self._publish_missing(listing, listed, asked_at)

    async def look_at_organizations(self) -> None:
        """Refresh the names, and publish the organizations when their list changed. Raises ``CallFailed``."""
        async with self._names:
            await self._publish_organizations(await self._directory.refresh())

    async def _publish_organizations(self, rows: Sequence[OrganizationRow]) -> None:
        fact = _organizations(rows)
        count, digest = self._organizations
        if fact.digest == digest:
            return
        now = self._now()
        publication = Publication(
            topic=topics.CONTROL,
            key="organizations",
            # The count tells a list that returned to an earlier state from that state; see ``digests``.
            id=derived_id("ninjaone", "organizations", count + 1, fact.digest),
            source="/ninjaone/organizations",
            time=now,
            fact=fact,
        )
        await self._log.publish([publication])
        value = orjson.dumps({"count": count + 1, "digest": fact.digest})
        await self._log.remember(topics.CURSORS, _ORGANIZATIONS_CURSOR, value)
        self._organizations = (count + 1, fact.digest)

    async def look(self, device_id: int, *, deleted_at: int | None = None) -> None:
        """Look at one device. It counts as removed when an activity said so and it is really not there any more.

        A device that is not approved is published only by the sweep's rules: the list holds approved devices, and a
        device that a look would tell and the list would not would come and go.
        """
        asked_at = self._now()
        row = await self._client.device(device_id)
        async with self._lock:
            if row is not None and row.approval_status == "APPROVED":
                self._directory.take(row, asked_at=asked_at)
                if row.organization_id is not None and not self._directory.organization_known(row.organization_id):
                    await self.look_at_organizations()
                await self._forget_gone_twins(device_id)
                await self._publish_changed([row], asked_at)
            elif row is None and deleted_at is not None:
                await self._publish_removed([device_id], deleted_at, cause_deleted=True)

    async def _forget_gone_twins(self, device_id: int, listed: Collection[int] = ()) -> None:
        """A machine that is enrolled anew is a new device with the serial number of one that is gone, which may be heard of later.

        Whether it keeps its item hangs on that, so for a new device each of the others that was not just ``listed`` is looked at: one call each. The removal is
        told when it is heard of.
        """
        if self._told.get(device_id, LastTold()).digest is None:
            others = [twin for twin in self._directory.twins(device_id) or () if twin not in listed]
            for twin in others[:_TWINS]:
                if await self._client.device(twin) is None:
                    self._directory.forget(twin)

    async def _publish_changed(self, rows: Sequence[DeviceRow], asked_at: int) -> None:
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            users = await self._last_users(some)
            facts = [
                fact for row, user in zip(some, users, strict=True) if (fact := self._changed(row, asked_at, user))
            ]
            await self._tell(
                [observed(fact, self._told.get(_id(fact), LastTold()), source=SOURCE) for fact in facts],
                [_id(fact) for fact in facts],
            )

    async def _last_users(self, rows: Sequence[DeviceRow]) -> list[str]:
        """A token for each, which the facts may name: the values are kept. Empty where nobody asks for them."""
        if not self._last_user or self._personal is None:
            return [""] * len(rows)
        return await self._personal.keep(
            [
                Personal(
                    key=device_key(row.id),
                    kind="last_user",
                    value=row.last_logged_in_user,
                    organization_id=row.organization_id,
                )
                for row in rows
            ]
        )

    def _changed(self, row: DeviceRow, asked_at: int, last_user: str) -> DeviceObserved | None:
        """The fact of a device that changed, unless something newer than this row was told already."""
        last = self._told.get(row.id, LastTold())
        known = KnownDevice.of(row)
        if known is None or asked_at < last.at:
            return None
        fact = device_observed(
            row,
            self._directory.subject_of(known),
            observed_at=asked_at,
            warranty=self._directory.warranty(row.id),
            twins=self._directory.twins(row.id),
            last_user=last_user,
        )
        return fact if fact.digest != last.digest else None

    async def _publish_missing(self, listing: Listing[DeviceRow], listed: Collection[int], asked_at: int) -> None:
        if not listing.complete:
            self._missing.clear()
            return
        missing = {
            device_id
            for device_id, last in self._told.items()
            if last.digest is not None and last.at < asked_at and device_id not in listed
        }
        gone = sorted(missing & self._missing)
        self._missing = missing - set(gone)
        for start in range(0, len(gone), _BATCH):
            await self._publish_removed(gone[start : start + _BATCH], asked_at, cause_deleted=False)

    async def _publish_removed(self, device_ids: Sequence[int], at: int, *, cause_deleted: bool) -> None:
        ids = [id_ for id_ in device_ids if self._told.get(id_, LastTold()).digest is not None]
        cause = "Deleted" if cause_deleted else "MissingFromSweep"
        # The alerts first: once the device is told as removed, nobody would come back for them.
        await self._publish_gone_alerts(device_ids)
        await self._tell(
            [
                removed(
                    DeviceRemoved(
                        device_id=id_, removed_at=at, cause="Deleted" if cause_deleted else "MissingFromSweep"
                    ),
                    self._told[id_],
                    source=SOURCE,
                )
                for id_ in ids
            ],
            ids,
        )
        if self._personal is not None:
            await self._personal.forget([device_key(id_) for id_ in device_ids], "last_user")
        for id_ in device_ids:
            self._directory.forget(id_)
        if ids:
            log.info("%d devices were removed in NinjaOne (%s)", len(ids), cause)

    async def _publish_gone_alerts(self, device_ids: Sequence[int]) -> None:
        gone = [alert for id_ in device_ids for alert in self._book.of_device(id_)]
        told = [alert for alert in gone if alert.told]
        now = self._now()
        if told:
            await self._log.publish(
                [
                    alert_gone(
                        alert.uid, self._directory.last_subject(alert), gone_at=now, device_removed=True, source=SOURCE
                    )
                    for alert in told
                ]
            )
        for alert in gone:
            self._book.ended(alert.uid, at=now)
        if gone:
            await self._book.flush(self._log)

    async def _tell(self, news: Sequence[tuple[Publication, LastTold]], device_ids: Sequence[int]) -> None:
        """Publish, then remember: after a crash between the two it is published again, under the same ids."""
        if not news:
            return
        await self._log.publish([publication for publication, _ in news])
        await asyncio.gather(
            *(
                self._log.remember(topics.DEVICE_DIGESTS, str(id_), last.to_json())
                for id_, (_, last) in zip(device_ids, news, strict=True)
            )
        )
        for id_, (_, last) in zip(device_ids, news, strict=True):
            self._told[id_] = last


def _id(fact: DeviceObserved) -> int:
    return fact.subject.device_id or 0


def _organizations(rows: Sequence[OrganizationRow]) -> OrganizationsObserved:
    organizations = tuple(Organization(id=row.id, name=row.name) for row in sorted(rows, key=lambda row: row.id))
    digest = derived_id(*(part for entry in organizations for part in (entry.id, entry.name)))
    return OrganizationsObserved(digest=digest, organizations=organizations)
