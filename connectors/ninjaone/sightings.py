"""Sightings: what a row of the list of active alerts is told as, and the alerts whose maintenance mode has changed."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import CallFailed
from connectors.ninjaone.alertbook import AlertBook
from connectors.ninjaone.directory import Directory
from connectors.ninjaone.intake import Intake
from connectors.ninjaone.maintenance import Maintenance
from connectors.ninjaone.translate import alert_observed
from connectors.ports import Now, Publication
from schemas.ninjaone import AlertRow

ALERTS = "/ninjaone/alerts"


class Sightings:
    """Makes publications of rows; publishes nothing itself."""

    def __init__(self, *, directory: Directory, book: AlertBook, intake: Intake, now: Now) -> None:
        self._directory = directory
        self._book = book
        self._intake = intake
        self._now = now

    async def of(self, row: AlertRow, *, again_at: int | None = None, changed: bool = False) -> Publication:
        """A row as a publication (``translate.alert_observed``). Raises ``CallFailed`` where its device must be asked for."""
        subject = await self._directory.subject(
            device_id=row.device_id,
            seen=row.device,
            organization_id=row.organization_id,
            location_id=row.location_id,
        )
        maintenance = self._intake.maintenance_to_tell(row.uid, subject.device_id)
        return alert_observed(row, subject, source=ALERTS, again_at=again_at, maintenance=maintenance, changed=changed)

    async def of_changed_maintenance(self, rows: Sequence[AlertRow], failures: list[CallFailed]) -> list[Publication]:
        """The active alerts whose device's maintenance mode ended before its time, or got another end, since they were told.

        While alerts wait for such an end this costs one look a round. What fails is told in a later round.
        """
        waiting = [(row, told) for row in rows if (told := self._waits_for(row.uid)) is not None]
        await self._directory.maintenance.look(row.device_id for row, _ in waiting)
        ready: list[Publication] = []
        for row, told in waiting:
            seen = self._directory.maintenance.of(row.device_id)
            if seen is None or seen.seen_at <= told.seen_at or seen.same_as(told):
                continue
            try:
                ready.append(await self.of(row, changed=True))
            except CallFailed as failure:
                failures.append(failure)
        return ready

    def _waits_for(self, uid: str) -> Maintenance | None:
        """The maintenance mode that an alert waits for; one whose end has come was decided then."""
        told = self._book.maintenance_of(uid)
        return told if told is not None and (told.ends_at is None or told.ends_at > self._now()) else None
