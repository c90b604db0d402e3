"""What others write on our tickets: read beside the poll, one query for all tickets that changed, and published as facts.

A note moves its ticket's last activity (vendor REST help, Tickets), so only tickets that the poll finds changed are asked
about. Notes of ours are told by their creator (our API user) or, where that cannot be read, by the marks in their titles.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors.autotask import texts
from connectors.autotask.client import AutotaskClient, condition, eq
from connectors.autotask.observation import SOURCE, TicketKeys
from connectors.autotask.seen import Seen
from connectors.autotask.unreadable import RowReader
from connectors.errors import CallFailed, Kind
from connectors.personal import Personal, PersonalStore
from connectors.ports import Log, Publication
from schemas.autotask import Ticket, TicketNote, member
from schemas.facts import TicketNoteObserved
from schemas.identity import derived_id, key_of_external_id
from schemas.personal import PersonalKind
from schemas.topics import AUTOTASK_TICKETS

log = logging.getLogger(__name__)

#: What is wanted of the notes, by the policy in force: nothing, all but their text, or that too.
NotesWanted = Callable[[], Awaitable[str]]
#: ``in`` may hold 500 values; ids of eight digits then make a body of 5 KiB.
_BATCH = 500
_FIELDS = ("ticketID", "title", "description", "publish", "createDateTime", "creatorResourceID", "createdByContactID")
_SHOWN_TO_CUSTOMER = 1
#: How the titles of our own notes end or read (``streams.core.ticketing``, ``connectors.autotask.tickets``).
_OURS = re.compile(r"\[(ls-[0-9a-f]{10}|DoubledTicket)\]\s*$|^Reopened by Lockstep$")


async def digest_wanted() -> str:
    """The default of ``notes.technicians``."""
    return "digest"


class NoteReader:
    """Reads the notes of changed tickets; one per process. ``failing`` says why they cannot be read, if so."""

    def __init__(
        self,
        client: AutotaskClient,
        log_: Log,
        *,
        wanted: NotesWanted = digest_wanted,
        personal: PersonalStore | None = None,
    ) -> None:
        self._client = client
        self._log = log_
        self._wanted = wanted
        self._personal = personal
        self._keys = TicketKeys(log_, client.now)
        self._rows = RowReader(log_, "autotask-ticket-notes")
        self._looked = Seen()
        self._told = Seen()
        self._ourselves: int | None = None
        self._asked_who_we_are = False
        self.failing: str | None = None

    async def look(self, tickets: Sequence[Ticket], *, since: int) -> int:
        """Publish the notes of others since then (epoch ms) on those of these tickets that changed; returns how many.

        A refusal for good (no right to read notes) stands in ``failing`` and stops nothing; other failures are raised, and
        then the same tickets are asked about again.
        """
        changed = {ticket.id: ticket for ticket in tickets if _look_of(ticket) not in self._looked}
        wanted = await self._wanted() if changed else "ignore"
        found = 0
        try:
            for batch in _batches(sorted(changed)) if wanted != "ignore" else ():
                found += await self._publish(await self._notes(batch, since), changed, with_text=wanted == "text")
        except CallFailed as failure:
            if failure.kind is not Kind.PERMANENT:
                raise
            if self.failing is None:
                log.warning("autotask: notes of technicians are not recorded: %s", failure.detail)
            self.failing = f"autotask ticket notes: {failure.detail}"
            return 0
        self.failing = None
        for ticket in changed.values():
            self._looked.add(_look_of(ticket))
        return found

    async def _notes(self, ids: Sequence[int], since: int) -> list[TicketNote]:
        filters = [
            condition("in", "ticketID", list(ids)),
            condition("gte", "createDateTime", texts.instant(max(0, since))),
        ]
        found = await self._rows.read(TicketNote, await self._client.query("TicketNotes", filters, _FIELDS))
        ours = await self._our_resource() if found else None
        return [
            note
            for note in found
            if note.ticket_id is not None
            and not _OURS.search(note.title)
            and (ours is None or note.creator_resource_id != ours)
        ]

    async def _our_resource(self) -> int | None:
        """The id of our API user, asked once; ``None`` where it may not be read."""
        if not self._asked_who_we_are:
            try:
                rows = await self._client.query(
                    "Resources", [eq("userName", self._client.access.username)], ("userName",)
                )
            except CallFailed as failure:
                if failure.kind is not Kind.PERMANENT:
                    raise
                rows = []
            self._ourselves = member(rows[0], "id") if rows else None
            self._asked_who_we_are = True
        return self._ourselves

    async def _publish(self, notes: list[TicketNote], tickets: Mapping[int, Ticket], *, with_text: bool) -> int:
        fresh: list[tuple[TicketNote, Ticket, str, str]] = []
        for note in notes:
            ticket = tickets.get(note.ticket_id or 0)
            key = await self._keys.key_of(ticket) if ticket is not None else None
            identity = derived_id("ticket-note", note.id)
            if ticket is not None and key is not None and identity not in self._told:
                fresh.append((note, ticket, key, identity))
        tokens = await self._texts(fresh) if with_text else {}
        if fresh:
            await self._log.publish([_publication(*entry, tokens.get(entry[3])) for entry in fresh])
        for *_, identity in fresh:
            self._told.add(identity)
        return len(fresh)

    async def _texts(self, notes: Sequence[tuple[TicketNote, Ticket, str, str]]) -> dict[str, tuple[str, str]]:
        """Keep titles and texts where they can be erased; their tokens by the fact's id."""
        if self._personal is None:
            return {}
        values = [
            Personal(key=key, kind=kind, value=text, incident=ticket.external_id)
            for note, ticket, key, _ in notes
            for kind, text in _parts(note)
        ]
        tokens = iter(await self._personal.keep(values))
        return {identity: (next(tokens), next(tokens)) for *_, identity in notes}


def _parts(note: TicketNote) -> tuple[tuple[PersonalKind, str], ...]:
    return ("note_title", note.title), ("note_text", note.description)


def _publication(
    note: TicketNote, ticket: Ticket, key: str, identity: str, tokens: tuple[str, str] | None
) -> Publication:
    title, text = tokens or ("", None)
    at = note.create_date_time or ticket.last_activity_date or 0
    return Publication(
        topic=AUTOTASK_TICKETS,
        key=key,
        id=identity,
        source=SOURCE,
        time=at,
        fact=TicketNoteObserved(
            key=key,
            ticket_id=ticket.id,
            external_id=ticket.external_id,
            note_id=note.id,
            created_at=at,
            creator_resource_id=note.creator_resource_id,
            by_contact=note.created_by_contact_id is not None,
            internal=note.publish != _SHOWN_TO_CUSTOMER,
            title=title,
            text_length=len(note.description),
            text_digest="" if tokens else derived_id("note-text", note.id, note.description),
            text=text,
        ),
        correlation_id=ticket.external_id if key_of_external_id(ticket.external_id) else None,
    )


def _look_of(ticket: Ticket) -> str:
    return f"{ticket.id}:{ticket.last_activity_date}"


def _batches(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
