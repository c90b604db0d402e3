"""The alert poller: activities above a cursor, then the list of active alerts. One round is one ``poll``.

The cursor is the activity id up to which everything was published; it is written to Kafka after the facts that it
covers were acknowledged, so a crash repeats facts (under their same ids) and never skips one. It stays behind the
newest activity by five minutes of the vendor's time, since ids may become visible out of order; what was published
above it is kept beside it and dropped by id.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import orjson

from connectors.errors import CallFailed, Kind, Situation
from connectors.ninjaone.alertbook import AlertBook
from connectors.ninjaone.client import ActivitiesRead, Listing, NinjaOneClient
from connectors.ninjaone.conditions import Conditions
from connectors.ninjaone.directory import Directory
from connectors.ninjaone.intake import ACTIVITIES, Intake
from connectors.ninjaone.maintenance import told_in
from connectors.ninjaone.ordering import batches, beside_their_end
from connectors.ninjaone.sightings import ALERTS, Sightings
from connectors.ninjaone.translate import Meaning, alert_gone, concerns_us, meaning
from connectors.ninjaone.unreadable import UnreadableRows
from connectors.personal import without_personal
from connectors.ports import Log, Now, Publication
from schemas import topics
from schemas.facts import AlertObserved
from schemas.ninjaone import ActivityRow, AlertRow, RowError, milliseconds

log = logging.getLogger(__name__)

_CURSOR = "ninjaone.activities"
#: How far, in ms of the vendor's clock, the cursor stays behind the newest activity.
_OVERLAP_MS = 300_000
#: How many rounds an activity waits for a device that cannot be read before it is published without its organization.
_PATIENCE = 5
#: Failures that say nothing about the host's other lists: pages that do not add up, and an end point that answers 5xx.
_OF_ONE_LIST = frozenset({Situation.BROKEN_BODY, Situation.SERVER_ERROR})
_BATCH = 500
#: An alert that is heard of so late, in ms, may have got a ticket of NinjaOne's own integration meanwhile: that one
#: opens it within seconds of the alert, and a round that waited out an outage would open a second.
_LATE_MS = 30_000


class AlertPoller:
    """One poller per process, and one process per tenant. ``load`` first, then ``poll`` round after round."""

    def __init__(
        self,
        client: NinjaOneClient,
        *,
        directory: Directory,
        conditions: Conditions,
        book: AlertBook,
        intake: Intake,
        log_: Log,
        now: Now,
        backfill: bool,
    ) -> None:
        self._client = client
        self._directory = directory
        self._conditions = conditions
        self._book = book
        self._intake = intake
        self._sightings = Sightings(directory=directory, book=book, intake=intake, now=now)
        self._log = log_
        self._now = now
        self._backfill = backfill
        self._cursor: int | None = None
        self._remembered = b""
        #: The highest activity id that any read has passed.
        self._passed = 0
        #: The newest vendor time among the activities read: what the list raised before it should have an activity.
        self._read_until = 0
        self._unexplained: set[str] = set()
        self._waited: dict[int, int] = {}
        self._first_list = False
        #: The tickets of another integration that the last list showed, by uid.
        self._tickets: dict[str, str] = {}
        self._unreadable = {
            "activities": UnreadableRows(log_, "ninjaone activities"),
            "alerts": UnreadableRows(log_, "ninjaone alerts"),
        }

    async def load(self) -> None:
        """Read cursor and active alerts from Kafka."""
        remembered = await self._log.remembered(topics.CURSORS)
        self._book.load(remembered)
        value = remembered.get(_CURSOR)
        if value is not None:
            row = orjson.loads(value)
            self._cursor, self._remembered = row["activity"], value
            self._intake.recent.passed(row["activity"])
            for activity_id in row["published"]:
                self._intake.recent.add(activity_id)

    async def poll(self) -> None:
        """One round. Raises ``CallFailed`` or ``CallsSuspended`` after publishing what it could."""
        failures: list[CallFailed] = []
        listed = False
        try:
            if self._cursor is None:
                # First start: old activities are not taken; what is active comes from the list that is read next.
                self._cursor = await self._client.newest_activity()
                self._first_list = True
            read = await self._read(self._cursor, failures)
            listed, pending = await self._publish_round(read, failures)
        finally:
            # Two lists in a row means that nothing failed between them.
            if not listed:
                self._book.forget_missing()
        await self._book.flush(self._log)
        await self._advance(read, pending)
        if failures:
            raise failures[0]

    async def catch_up(self) -> int:
        """Publish the activities above all that were read so far, without the list; returns how many that were.

        For deliveries that come late (``connectors.ninjaone.rounds``). What became visible below them is the next round's,
        and so is the cursor: a crash repeats facts under their same ids. Raises ``CallFailed`` or ``CallsSuspended``.
        """
        if self._cursor is None or self._first_list:
            await self.poll()
            return 0
        try:
            read = await self._client.activities_above(max(self._cursor, self._passed), keep=self._wants)
        except CallFailed:
            self._book.forget_missing()
            raise
        fresh = self._fresh(read)
        if self._must_learn(fresh) or self._may_have_tickets(fresh):
            await self.poll()
            return len(fresh)
        failures: list[CallFailed] = []
        await self._publish_activities(fresh, failures)
        # It was a delivery that brought this about, so the webhook is not silent.
        self._intake.delivered()
        await self._unreadable["activities"].report(read.unreadable)
        await self._book.flush(self._log)
        if failures:
            raise failures[0]
        return len(fresh)

    def _wants(self, row: ActivityRow) -> bool:
        """Whether a row is to be held: the overlap of a busy tenant is tens of thousands, nearly all of them published."""
        return concerns_us(row) and row.id not in self._intake.recent

    def _fresh(self, read: ActivitiesRead) -> list[ActivityRow]:
        """What was not published yet; remembers how far the reads have come."""
        self._passed = max([self._passed, *(id_ for id_, _ in read.marks)])
        self._read_until = max([self._read_until, *(time for _, time in read.marks)])
        return [row for row in read.rows if row.id not in self._intake.recent]

    async def _read(self, cursor: int, failures: list[CallFailed]) -> ActivitiesRead:
        """The activities above the cursor; none when they cannot be had while the host answers otherwise."""
        try:
            return await self._client.activities_above(cursor, keep=self._wants)
        except CallFailed as failure:
            if failure.kind is not Kind.PERMANENT and failure.situation not in _OF_ONE_LIST:
                raise
            # It concerns this one list: the alert list still tells what is active.
            failures.append(failure)
            if failure.situation is Situation.SERVER_ERROR:
                # But a host in trouble is not believed when it says that something is over.
                self._book.forget_missing()
            return ActivitiesRead(rows=(), marks=(), unreadable=())

    async def _publish_round(self, read: ActivitiesRead, failures: list[CallFailed]) -> tuple[bool, set[int]]:
        """Publish what both lists say; returns whether the alert list was read, and the activities that must wait."""
        fresh = self._fresh(read)
        early = self._must_learn(fresh) or self._may_have_tickets(fresh)
        self._tickets = {}
        asked_at = self._now()
        listing = await self._list(failures) if early else None
        pending = await self._publish_activities(fresh, failures)
        await self._unreadable["activities"].report(read.unreadable)
        if not early:
            asked_at = self._now()
            listing = await self._list(failures)
        if listing is not None:
            await self._compare(listing, asked_at, failures)
        return listing is not None, pending

    def _must_learn(self, rows: Sequence[ActivityRow]) -> bool:
        return any(meaning(row) is Meaning.TRIGGERED and self._conditions.of(row) is None for row in rows)

    def _may_have_tickets(self, rows: Sequence[ActivityRow]) -> bool:
        """Whether the list is to be read before these are published, since it alone names tickets of another integration."""
        raised = [milliseconds(row.activity_time) or 0 for row in rows if meaning(row) is Meaning.TRIGGERED]
        now = max(self._now(), self._read_until)
        return bool(raised) and (self._book.sees_tickets or now - min(raised) > _LATE_MS)

    async def _list(self, failures: list[CallFailed]) -> Listing[AlertRow] | None:
        """The active alerts, ``None`` when they cannot be had: the activities go out all the same."""
        try:
            listing = await self._client.alerts()
        except CallFailed as failure:
            failures.append(failure)
            return None
        self._conditions.learn(listing.rows)
        self._tickets = {row.uid: row.psa_ticket_id for row in listing.rows if row.psa_ticket_id}
        if listing.calls > 1:
            # Two lists in a row means that nothing failed between them, not even an attempt that was made again.
            self._book.forget_missing()
        return listing

    async def _publish_activities(self, rows: Sequence[ActivityRow], failures: list[CallFailed]) -> set[int]:
        """Publish the activities, oldest first; returns the ids of those that must wait for a later round."""
        pending: set[int] = set()
        ready: list[Publication] = []
        await self._directory.maintenance.look(row.device_id for row in rows if meaning(row) is Meaning.TRIGGERED)
        for row in beside_their_end(rows):
            try:
                publication = await self._publication(row)
            except CallFailed as failure:
                failures.append(failure)
                pending.add(row.id)
                continue
            except RowError as error:
                await self._refuse(row, str(error))
                continue
            self._waited.pop(row.id, None)
            if publication is None:
                self._intake.recent.add(row.id)
            else:
                ready.append(publication)
        await self._publish(ready)
        return pending

    async def _publication(self, row: ActivityRow) -> Publication | None:
        waited = self._waited.get(row.id, 0)
        try:
            ticket = self._tickets.get(row.series_uid or "", "")
            return await self._intake.publication(
                row, source=ACTIVITIES, quick=False, located=waited < _PATIENCE, ticket=ticket
            )
        except CallFailed:
            self._waited[row.id] = waited + 1
            raise

    async def _refuse(self, row: ActivityRow, error: str) -> None:
        value = without_personal(orjson.dumps(row.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
        await self._log.publish_dead_letter(stage="ninjaone activities", error=error, value=value, headers={})
        self._intake.recent.add(row.id)

    async def _publish(self, publications: Sequence[Publication]) -> None:
        for batch in batches(publications, _BATCH):
            await self._log.publish(batch)
            for publication in batch:
                self._intake.published(publication)

    async def _compare(self, listing: Listing[AlertRow], asked_at: int, failures: list[CallFailed]) -> None:
        """What the list says against what was told: sightings and disappearances."""
        await self._unreadable["alerts"].report(listing.unreadable)
        await self._publish_sightings(listing.rows, asked_at, failures)
        await self._publish_changed_maintenance(listing.rows, failures)
        if not listing.complete:
            self._book.forget_missing()
            return
        gone = self._book.missing({row.uid for row in listing.rows}, asked_at=asked_at)
        told = [alert for alert in gone if alert.told]
        await self._publish(
            [
                alert_gone(
                    alert.uid,
                    self._directory.last_subject(alert),
                    gone_at=alert.missing_since or asked_at,
                    device_removed=False,
                    source=ALERTS,
                )
                for alert in told
            ]
        )
        for alert in gone:
            self._book.ended(alert.uid, at=self._now())
        self._first_list = self._first_list and bool(failures)

    async def _publish_sightings(self, rows: Sequence[AlertRow], asked_at: int, failures: list[CallFailed]) -> None:
        back = {row.uid for row in rows if self._book.is_back(row.uid, asked_at=asked_at)}
        news = [row for row in rows if row.uid in back or self._book.is_news(row.uid)]
        due = [row for row in news if self._is_due(row, back=row.uid in back)]
        self._unexplained = {row.uid for row in news} - {row.uid for row in due}
        named = [row for row in rows if self._book.has_news_of_ticket(row.uid, row.psa_ticket_id)]
        ready: list[Publication] = []
        await self._directory.maintenance.look(row.device_id for row in due)
        for row in [*due, *named]:
            try:
                ready.append(await self._sightings.of(row, again_at=asked_at if row.uid in back else None))
            except CallFailed as failure:
                failures.append(failure)
                self._unexplained.add(row.uid)
        told = self._backfill or not self._first_list
        if told:
            await self._publish(ready)
        for publication in ready:
            fact = publication.fact
            if isinstance(fact, AlertObserved):
                self._book.raised(
                    fact.uid,
                    fact.subject,
                    raised_at=fact.raised_at,
                    known_at=self._now(),
                    told=told,
                    maintenance=told_in(fact) if told else None,
                )
                if fact.psa_ticket_id is not None:
                    self._book.names_ticket(fact.uid, fact.psa_ticket_id)

    async def _publish_changed_maintenance(self, rows: Sequence[AlertRow], failures: list[CallFailed]) -> None:
        ready = await self._sightings.of_changed_maintenance(rows, failures)
        await self._publish(ready)
        for publication in ready:
            if isinstance(publication.fact, AlertObserved):
                self._book.maintenance_told(publication.fact.uid, told_in(publication.fact))

    def _is_due(self, row: AlertRow, *, back: bool) -> bool:
        """Whether an alert that nothing told of shall be told from the list.

        One that was raised after the newest activity read most likely has its activity among those of the next round,
        which says more; it waits that one round. Both times are the vendor's.
        """
        raised_at = milliseconds(row.create_time) or 0
        explained_by_now = not back and raised_at <= self._read_until
        return self._first_list or explained_by_now or row.uid in self._unexplained

    async def _advance(self, read: ActivitiesRead, pending: set[int]) -> None:
        """Move the cursor behind what is published, at most to five minutes before the newest activity."""
        if self._cursor is None or self._first_list:
            # A start is only over once the list was taken: a crash before begins it anew, with its backfill.
            return
        if read.marks:
            newest = max(time for _, time in read.marks)
            recent = [id_ for id_, time in read.marks if newest and time > newest - _OVERLAP_MS]
            highest = max(id_ for id_, _ in read.marks)
            self._cursor = max(self._cursor, min([highest + 1, *recent, *pending]) - 1)
        elif read.newest is not None and 0 < read.newest < self._cursor:
            log.warning(
                "ninjaone alerts: the newest activity is %d, %d was read before; going on from there (was the account"
                " restored, or are these credentials of another one?)",
                read.newest,
                self._cursor,
            )
            self._cursor = self._passed = read.newest
        self._intake.recent.passed(self._cursor)
        value = orjson.dumps({"activity": self._cursor, "published": self._intake.recent.above(self._cursor)})
        if value != self._remembered:
            await self._log.remember(topics.CURSORS, _CURSOR, value)
            self._remembered = value
