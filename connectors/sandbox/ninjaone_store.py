"""The rows of the simulated tenant that change, and the one place where activities get their ids."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from connectors.sandbox.clock import Clock
from connectors.sandbox.journal import By, Journal
from connectors.sandbox.ninjaone_catalogue import CONDITIONS, Row
from connectors.sandbox.ninjaone_fleet import FIRST_DEVICE, Fleet, derived_uuid, seeded_fleet
from connectors.sandbox.world import World

#: The first activity id is the start of the sandbox in epoch seconds, less this: ids of a later run are greater, as
#: on an account that lives on. They grow with gaps, because other tenants' rows lie between.
_ACTIVITY_EPOCH = 1_000_000_000

ActivityListener = Callable[[Row], None]


class Store:
    """Fleet, active alerts, activities (oldest first) and the accepted resets."""

    def __init__(self, *, world: World, clock: Clock, journal: Journal) -> None:
        self.world = world
        self.clock = clock
        self.journal = journal
        self.fleet: Fleet = seeded_fleet(world)
        self.alerts: dict[str, Row] = {}
        self.activities: list[Row] = []
        self.resets: list[Row] = []
        self.notification_channels: list[Row] = [
            {"id": 3, "name": "Operations mailbox", "description": "", "enabled": True, "type": "EMAIL"}
        ]
        self.conditions = {
            condition.source_type: derived_uuid("condition", condition.source_type) for condition in CONDITIONS
        }
        self._gaps = world.random("activity ids")
        self._ids: list[int] = []
        self.first_activity = int(clock.now()) - _ACTIVITY_EPOCH
        self._last_device = max(self.fleet.devices, default=FIRST_DEVICE - 1)

    def now(self) -> float:
        """Sandbox time as the API writes it: epoch seconds with milliseconds."""
        return round(self.clock.now(), 3)

    def next_device_id(self) -> int:
        """The id of a new device: never one that was given before, as on a real account."""
        self._last_device = max(self._last_device, *self.fleet.devices, 0) + 1
        return self._last_device

    def add_activity(self, row: Row) -> Row:
        """Give a row its id and time, and keep it. ``None`` values are left out, as on the wire."""
        activity_id = self._ids[-1] + 1 + self._gaps.randrange(4) if self._ids else self.first_activity
        full = {"id": activity_id, "activityTime": self.now(), **row}
        activity = {key: value for key, value in full.items() if value is not None}
        self.activities.append(activity)
        self._ids.append(activity_id)
        return activity

    def newest_activities(self, *, older_than: int | None, newer_than: int | None) -> Iterator[Row]:
        """Activities, newest first, between two ids (both exclusive)."""
        place = len(self._ids) if older_than is None else bisect_right(self._ids, older_than - 1)
        while place > 0:
            place -= 1
            if newer_than is not None and self._ids[place] <= newer_than:
                return
            yield self.activities[place]

    def last_activity_id(self, device_id: int | None = None) -> int | None:
        """The newest id of the account, or of one device."""
        for row in reversed(self.activities):
            if device_id is None or row.get("deviceId") == device_id:
                return int(row["id"])
        return None

    def alerts_of(self, device_id: int) -> list[Row]:
        """Active alerts of a device, oldest first."""
        return [row for row in self.alerts.values() if row.get("deviceId") == device_id]

    def record(self, entity: str, item: str | int, what: str, by: By, *, before: Any = None, after: Any = None) -> None:
        """Add to the history."""
        self.journal.record(entity=entity, item=item, what=what, by=by, before=before, after=after)
