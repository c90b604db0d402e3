"""Activities become facts here, whether they came by webhook or by poll; each one once per process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from connectors.ninjaone.alertbook import AlertBook
from connectors.ninjaone.conditions import UNKNOWN_CONDITION, Conditions
from connectors.ninjaone.directory import Directory
from connectors.ninjaone.lag import DeliveryLag
from connectors.ninjaone.maintenance import Maintenance, told_in
from connectors.ninjaone.translate import (
    MAINTENANCE_CODES,
    Meaning,
    alert_acknowledged,
    alert_reset,
    alert_triggered,
    meaning,
)
from connectors.ports import Now, Publication
from schemas.facts import AlertAcknowledged, AlertReset, AlertTriggered
from schemas.ninjaone import ActivityRow, RowError, milliseconds

#: The source of what the poll brought.
ACTIVITIES = "/ninjaone/activities"

_OF_AN_ALERT = frozenset({Meaning.TRIGGERED, Meaning.RESET, Meaning.ACKNOWLEDGED})

#: One alert may well be polled while its delivery is under way; three in a row without any delivery are not.
_SILENT_FROM = 3


class Recent:
    """The ids of activities that were published lately.

    All those above the poll's cursor are kept, since the next round reads them again: at 100 activities a second its overlap of
    five minutes holds 30,000. Of those below it the last 20,000 are, for deliveries that come late.
    """

    def __init__(self, limit: int = 20_000, most: int = 500_000) -> None:
        self._limit = limit
        self._most = most
        self._cursor = 0
        self._ids: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, activity_id: object) -> bool:
        return activity_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, activity_id: int) -> None:
        """Remember one."""
        self._ids[activity_id] = None
        self._forget()

    def passed(self, cursor: int) -> None:
        """The poll reads no activity up to this id again."""
        self._cursor = cursor
        self._forget()

    def above(self, activity_id: int) -> list[int]:
        """Those greater than an id, in ascending order."""
        return sorted(id_ for id_ in self._ids if id_ > activity_id)

    def _forget(self) -> None:
        while len(self._ids) > self._limit:
            oldest = next(iter(self._ids))
            # While the vendor cannot be polled for hours the cursor stands still and deliveries go on: that has an end too.
            if oldest > self._cursor and len(self._ids) <= self._most:
                return
            del self._ids[oldest]


#: Told of an inventory activity: the device, and when it was deleted (epoch ms) if that is what happened.
DeviceHint = Callable[[int, int | None], None]


class Intake:
    """Shared by the receiver and the poller of one process."""

    def __init__(
        self,
        *,
        directory: Directory,
        conditions: Conditions,
        book: AlertBook,
        now: Now,
        on_device: DeviceHint,
        on_organizations: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._conditions = conditions
        self._book = book
        self._now = now
        self._on_device = on_device
        self._on_organizations = on_organizations
        self.recent = Recent()
        self.lag = DeliveryLag()
        #: Alert activities in a row that the poll brought, while no delivery came.
        self._polled = 0

    def delivered(self) -> None:
        """A delivery of the webhook came, whatever it said."""
        self._polled = 0

    def told(self, row: ActivityRow) -> None:
        """A delivery told of this activity."""
        self.lag.seen(milliseconds(row.activity_time), self._now())

    def webhook_fell_silent(self) -> bool:
        """Whether the poll brought several alerts that a webhook should have pushed; begins to count anew when so.

        NinjaOne switches off webhooks that fail, tells nobody and has no way to ask, so silence is the only sign.
        """
        if self._polled < _SILENT_FROM:
            return False
        self._polled = 0
        return True

    async def publication(
        self, row: ActivityRow, *, source: str, quick: bool, located: bool = True, ticket: str = ""
    ) -> Publication | None:
        """The fact of an alert activity; ``None`` for any other, after passing on its hint.

        ``quick`` bounds what is asked to a few seconds and asks for an unknown source type. ``located=False`` gives up
        on finding the device's organization. ``ticket`` is the one that the list shows at the alert. Raises ``RowError`` when the activity cannot be understood,
        ``CallFailed`` or ``CallsSuspended`` when its device must be asked for and cannot be.
        """
        kind = meaning(row)
        if kind not in _OF_AN_ALERT:
            self._hint(row, kind)
            return None
        if not row.series_uid:
            raise RowError(f"activity {row.id} ({row.activity_type} {row.status_code}) names no seriesUid")
        subject = await self._directory.subject(
            device_id=row.device_id,
            seen=row.device,
            organization_id=row.organization_id,
            location_id=row.location_id,
            quick=quick,
            ask=located,
        )
        if kind is Meaning.RESET:
            return alert_reset(row, row.series_uid, subject, source=source)
        if kind is Meaning.ACKNOWLEDGED:
            return alert_acknowledged(row, row.series_uid, subject, source=source)
        look = self._directory.maintenance.look([subject.device_id] if located else [], quick=quick)
        if quick:
            # Side by side, for the sender of the webhook waits.
            condition, _ = await asyncio.gather(self._conditions.ask(row), look)
        else:
            await look
            condition = self._conditions.of(row) or UNKNOWN_CONDITION
        return alert_triggered(
            row,
            row.series_uid,
            subject,
            condition,
            source=source,
            maintenance=self.maintenance_to_tell(row.series_uid, subject.device_id),
            ticket=ticket,
        )

    def maintenance_to_tell(self, uid: str, device_id: int | None) -> Maintenance | None:
        """What a sighting of an alert says of its device's maintenance: that it is in it, or no longer as was told."""
        seen = self._directory.maintenance.of(device_id)
        return seen if seen is not None and (seen.active or self._book.maintenance_of(uid) is not None) else None

    def published(self, publication: Publication) -> None:
        """Remember what Kafka has acknowledged."""
        fact = publication.fact
        if publication.source == ACTIVITIES:
            self._polled += 1
        if isinstance(fact, AlertTriggered):
            self._book.raised(
                fact.uid,
                fact.subject,
                raised_at=fact.raised_at,
                known_at=self._now(),
                activity_id=fact.activity_id,
                maintenance=told_in(fact),
            )
            if fact.psa_ticket_id is not None:
                self._book.names_ticket(fact.uid, fact.psa_ticket_id)
            self.recent.add(fact.activity_id)
        elif isinstance(fact, AlertReset):
            self._book.ended(fact.uid, at=self._now(), activity_id=fact.activity_id)
            self.recent.add(fact.activity_id)
        elif isinstance(fact, AlertAcknowledged):
            self.recent.add(fact.activity_id)

    def _hint(self, row: ActivityRow, kind: Meaning) -> None:
        if kind is Meaning.ORGANIZATIONS:
            self._on_organizations()
        elif row.device_id is not None and kind is Meaning.DEVICE:
            if row.status_code.startswith(MAINTENANCE_CODES):
                self._directory.maintenance.changed(row.device_id)
            self._on_device(row.device_id, None)
        elif row.device_id is not None and kind is Meaning.DEVICE_DELETED:
            self._on_device(row.device_id, self._now())
