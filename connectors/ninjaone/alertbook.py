"""Which alerts are active, as told so far: what turns the list of active alerts into sightings and disappearances.

Kept in the compacted topic ``cursors`` under ``ninjaone.alerts.<shard>``, so that an alert which ends while nobody
polls is still missed afterwards. 32 shards: 50,000 alerts at about 100 bytes make 160 KiB a record, well below
Kafka's default limit of 1 MiB, and a quiet poll writes none of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import orjson

from connectors.ninjaone.maintenance import Maintenance
from connectors.ports import Log
from schemas.facts import Subject
from schemas.topics import CURSORS

SHARDS = 32
_PREFIX = "ninjaone.alerts."
#: How many fields every row has; a maintenance mode and a ticket follow where there are any.
_ALWAYS = 8
#: How many ended alerts are remembered, so that a list asked for before the end does not raise them again.
_ENDED_LIMIT = 20_000
#: An alert that was told as over may stand in lists for this long (ms of our clock) without being raised again: the
#: vendor's list may lag behind its activities. One that stands there longer is active, whatever was told.
_LAG_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveAlert:
    """An alert that was told as active. ``known_at`` is our clock, ``raised_at`` the vendor's (both epoch ms).

    ``activity_id`` is its newest TRIGGERED activity, 0 when it is known from the list only. ``missing_since`` is when
    the first list without it was asked for. ``told`` is false for what was active before the first start, with
    ``backfill: none``. ``psa_ticket_id`` is the ticket of NinjaOne's own integration that was told with it, ``maintenance`` the
    maintenance mode that it was last told in, if it was in one.
    """

    uid: str
    organization_id: int
    location_id: int | None
    device_id: int | None
    raised_at: int
    known_at: int
    activity_id: int = 0
    missing_since: int | None = None
    told: bool = True
    psa_ticket_id: str = ""
    maintenance: Maintenance | None = None

    def subject(self) -> Subject:
        """Ids only, for when the names are not to be had any more."""
        return Subject(organization_id=self.organization_id, location_id=self.location_id, device_id=self.device_id)


@dataclass(frozen=True, slots=True)
class Ended:
    """When an alert was told as over (our clock), and by which activity (0: by the list, or with its device)."""

    at: int
    activity_id: int


class AlertBook:
    """The active alerts by uid. Changes are in memory until ``flush``."""

    def __init__(self) -> None:
        self._active: dict[str, ActiveAlert] = {}
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._changed: set[int] = set()
        #: Whether alerts name tickets of another integration: one did since this process began, or was active then and had.
        self.sees_tickets = False

    def __len__(self) -> int:
        return len(self._active)

    def load(self, remembered: Mapping[str, bytes]) -> None:
        """Take what was remembered in the topic ``cursors``."""
        for key, value in remembered.items():
            if key.startswith(_PREFIX):
                for uid, row in orjson.loads(value).items():
                    # What a webhook told since this process started is newer.
                    if self.is_news(uid):
                        alert = self._active[uid] = _unpacked(uid, row)
                        self.sees_tickets |= bool(alert.psa_ticket_id)

    async def flush(self, log: Log) -> None:
        """Remember what changed. What changes meanwhile is remembered the next time."""
        changed, self._changed = sorted(self._changed), set()
        rows: dict[int, dict[str, list[int | str | None]]] = {shard: {} for shard in changed}
        for uid, alert in self._active.items():
            if (shard := _shard(uid)) in rows:
                rows[shard][uid] = _packed(alert)
        try:
            await asyncio.gather(
                *(
                    log.remember(CURSORS, f"{_PREFIX}{shard}", orjson.dumps(rows[shard]) if rows[shard] else None)
                    for shard in changed
                )
            )
        except BaseException:
            self._changed.update(changed)
            raise

    def raised(
        self,
        uid: str,
        subject: Subject,
        *,
        raised_at: int,
        known_at: int,
        activity_id: int = 0,
        told: bool = True,
        maintenance: Maintenance | None = None,
    ) -> None:
        """An alert was told as active. An activity older than what is known changes nothing."""
        known = self._active.get(uid)
        ended = self._ended.get(uid)
        if activity_id and ended is not None and activity_id <= ended.activity_id:
            return
        if known is not None and activity_id <= known.activity_id:
            return
        self._ended.pop(uid, None)
        self._put(
            ActiveAlert(
                uid=uid,
                organization_id=subject.organization_id,
                location_id=subject.location_id,
                device_id=subject.device_id,
                raised_at=raised_at,
                known_at=known_at,
                activity_id=activity_id,
                told=told,
                psa_ticket_id=known.psa_ticket_id if known is not None else "",
                maintenance=maintenance,
            )
        )

    def names_ticket(self, uid: str, psa_ticket_id: str) -> None:
        """It was told which ticket of NinjaOne's own integration an active alert has."""
        self.sees_tickets = True
        known = self._active.get(uid)
        if known is not None and known.psa_ticket_id != psa_ticket_id:
            self._put(replace(known, psa_ticket_id=psa_ticket_id))

    def has_news_of_ticket(self, uid: str, psa_ticket_id: str) -> bool:
        """Whether an alert that was told as active has a ticket that was not told with it."""
        known = self._active.get(uid)
        return bool(psa_ticket_id) and known is not None and known.told and known.psa_ticket_id != psa_ticket_id

    def maintenance_of(self, uid: str) -> Maintenance | None:
        """The maintenance mode that an active alert was last told in; ``None`` where it was told in none."""
        known = self._active.get(uid)
        return known.maintenance if known is not None else None

    def maintenance_told(self, uid: str, maintenance: Maintenance | None) -> None:
        """An active alert was told anew, because its device's maintenance mode has changed."""
        known = self._active.get(uid)
        if known is not None:
            self._put(replace(known, maintenance=maintenance))

    def ended(self, uid: str, *, at: int, activity_id: int = 0) -> None:
        """An alert was told as over at ``at`` (our clock). A reset older than the newest trigger changes nothing."""
        known = self._active.get(uid)
        if known is not None and 0 < activity_id < known.activity_id:
            return
        if known is not None:
            del self._active[uid]
            self._changed.add(_shard(uid))
        before = self._ended.get(uid)
        self._ended[uid] = Ended(at, max(activity_id, before.activity_id if before is not None else 0))
        self._ended.move_to_end(uid)
        while len(self._ended) > _ENDED_LIMIT:
            self._ended.popitem(last=False)

    def is_news(self, uid: str) -> bool:
        """Whether an alert of the list was told neither as active nor as over."""
        return uid not in self._active and uid not in self._ended

    def is_back(self, uid: str, *, asked_at: int) -> bool:
        """Whether an alert of a list that was asked for at ``asked_at`` was told as over, yet is active after all."""
        ended = self._ended.get(uid)
        return ended is not None and asked_at - ended.at > _LAG_MS

    def untold(self) -> frozenset[str]:
        """The active alerts that were not told, because they were there before the first start."""
        return frozenset(alert.uid for alert in self._active.values() if not alert.told)

    def of_device(self, device_id: int) -> list[ActiveAlert]:
        """The active alerts of a device."""
        return [alert for alert in self._active.values() if alert.device_id == device_id]

    def missing(self, listed: Collection[str], *, asked_at: int) -> list[ActiveAlert]:
        """What a complete list says: returns the alerts that it is the second list in a row to miss.

        An alert that became known after the list was asked for is not missed by it.
        """
        gone: list[ActiveAlert] = []
        for alert in list(self._active.values()):
            if alert.uid in listed:
                self._mark(alert, None)
            elif alert.missing_since is not None:
                gone.append(alert)
            elif alert.known_at < asked_at:
                self._mark(alert, asked_at)
        return gone

    def forget_missing(self) -> None:
        """A list failed or was not complete: the two lists must follow each other without an error between."""
        for alert in list(self._active.values()):
            self._mark(alert, None)

    def _mark(self, alert: ActiveAlert, missing_since: int | None) -> None:
        if alert.missing_since != missing_since:
            self._put(replace(alert, missing_since=missing_since))

    def _put(self, alert: ActiveAlert) -> None:
        self._active[alert.uid] = alert
        self._changed.add(_shard(alert.uid))


def _shard(uid: str) -> int:
    return crc32(uid.encode()) % SHARDS


def _packed(alert: ActiveAlert) -> list[int | str | None]:
    told_in = alert.maintenance
    row: list[int | str | None] = [
        alert.organization_id,
        alert.location_id,
        alert.device_id,
        alert.raised_at,
        alert.known_at,
        alert.activity_id,
        alert.missing_since,
        int(alert.told),
        told_in.seen_at if told_in is not None else None,
        told_in.ends_at if told_in is not None else None,
        alert.psa_ticket_id or None,
    ]
    # Most have neither, and what has neither is written as it always was.
    while row[-1] is None and len(row) > _ALWAYS:
        row.pop()
    return row


def _unpacked(uid: str, row: Iterable[Any]) -> ActiveAlert:
    organization, location, device, raised, known, activity, missing, told, *more = row
    seen_at, ends_at, ticket = (*more, None, None, None)[:3]
    return ActiveAlert(
        uid=uid,
        organization_id=organization or 0,
        location_id=location,
        device_id=device,
        raised_at=raised or 0,
        known_at=known or 0,
        activity_id=activity or 0,
        missing_since=missing,
        told=bool(told),
        psa_ticket_id=ticket or "",
        maintenance=Maintenance(seen_at, active=True, ends_at=ends_at) if seen_at is not None else None,
    )
