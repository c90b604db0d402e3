"""Ticket commands as calls: one write each in the normal case, a read only after an outcome that is not known.

Sources: vendor REST help (Tickets, TicketNotes, PATCH), and what others measured live: a create has no idempotency but
``externalID``; complete is ``PATCH {id, status, resolution}``; a note is internal with ``publish`` 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.autotask import texts
from connectors.autotask.client import AutotaskClient, condition, eq
from connectors.autotask.contracts import Contracts
from connectors.autotask.metadata import Metadata
from connectors.autotask.names import NameRefused, choices_of_picklist
from connectors.autotask.touches import Touches
from connectors.errors import CallFailed, Situation
from connectors.ports import CallsSuspended, Effect, Verdict
from schemas.autotask import Ticket, TicketNote
from schemas.commands import AdoptTicket, AppendTicketNote, CompleteTicket, CreateTicket, Name, ReopenTicket

_FIELDS = ("ticketNumber", "externalID", "companyID", "status", "createDate", "completedDate", "lastActivityDate")
#: ``publish`` of a note: 1 is shown to the customer in the portal, 2 is internal (three live sources agree).
INTERNAL = 2
#: What a ticket is opened without rather than not at all: the word of a refusal that is about it, and what it is.
_SPARED = {"configurationItemID": ("configurationitem", "configuration item"), "contractID": ("contract", "contract")}
_DOUBLE_MARK = "DoubledTicket"
_OWN_NOTE_TYPE: Name = "Task Notes"


class Tickets:
    """Creates, completes, reopens and annotates tickets. Methods raise ``CallFailed``, ``CallsSuspended``, ``NameRefused``."""

    def __init__(self, client: AutotaskClient, metadata: Metadata, *, complete_status: Name = "Complete") -> None:
        self._client = client
        self._metadata = metadata
        self._complete_status = complete_status
        self._touches = Touches(client, metadata)
        self._contracts = Contracts(client)
        self._largest = 0

    def saw(self, ticket_id: int) -> None:
        """A ticket of this id exists: makes an answer with somebody else's ticket recognisable (see ``_merged``)."""
        self._largest = max(self._largest, ticket_id)

    async def create(self, command: CreateTicket) -> Effect:
        """Open the ticket: one POST. Its number stays unknown until somebody reads it."""
        body = await self._body(command)
        told: list[str] = []
        if command.contract is not None:
            body["contractID"], why = command.contract, ""
            if command.contract == "default":
                body["contractID"], why = await self._contracts.default_of(command.company_id)
            if body["contractID"] is None:
                told.append(f"opened without a contract: {why}")
                del body["contractID"]
        # Taken before the call: of two creates side by side the second may answer first.
        largest = self._largest
        ticket_id = await self._created(body, told)
        if largest and ticket_id <= largest:
            merged = await self._merged(ticket_id, command)
            if merged is not None:
                return merged
        self.saw(ticket_id)
        return Effect(
            verdict=Verdict.SUCCEEDED,
            ticket_id=ticket_id,
            company_id=command.company_id,
            written=True,
            detail="; ".join(told),
        )

    async def _created(self, body: dict[str, Any], told: list[str]) -> int:
        """Create it, if need be without what Autotask does not take with it; ``told`` gets a line for each of those."""
        while True:
            try:
                return await self._client.create("Tickets", body)
            except CallFailed as failure:
                self._doubt_metadata("Tickets", failure)
                field = next((name for name in _SPARED if name in body and failure.is_about(_SPARED[name][0])), None)
                if field is None:
                    raise
                # An alert without its ticket is worse than a ticket without its item (moved, deleted, other company).
                told.append(f"opened without its {_SPARED[field][1]} {body.pop(field)}: {failure.detail}")

    async def find(self, command: CreateTicket | AdoptTicket) -> Effect | None:
        """The tickets of this external id: the oldest is the one, open younger ones are its doubles."""
        rows = await self._client.query("Tickets", [eq("externalID", command.external_id)], _FIELDS)
        found = [
            ticket
            for ticket in self._client.rows(Ticket, rows, endpoint="Tickets")
            if ticket.external_id == command.external_id
        ]
        if not found:
            return None
        first = found[0]
        self.saw(found[-1].id)
        return Effect(
            verdict=Verdict.SUCCEEDED,
            how="FoundByLookUp",
            ticket_id=first.id,
            ticket_number=first.ticket_number or None,
            company_id=first.company_id,
            written=True,
            duplicates=tuple(ticket.id for ticket in found[1:] if not ticket.is_complete),
        )

    async def note(self, command: AppendTicketNote) -> Effect:
        """Append the note: one POST."""
        note_type = await self._note_type(command.note_type)
        await self._add_note(command.ticket_id, texts.marked(command.title, command.mark), command.text, note_type)
        return Effect(verdict=Verdict.SUCCEEDED, ticket_id=command.ticket_id, written=True)

    async def find_note(self, command: AppendTicketNote) -> Effect | None:
        """The note that carries the mark."""
        if not await self._has_note(command.ticket_id, command.mark):
            return None
        return Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", ticket_id=command.ticket_id, written=True)

    async def complete(self, command: CompleteTicket) -> Effect:
        """Complete the ticket: one PATCH, whose 200 is taken at its word.

        A tenant's workflow may leave the status all the same (measured by others); the ticket poll sees the ticket
        still open then, which is the agent's to judge. A read here would double the price of every closing, so there is
        one only where the command asks for it.
        """
        status = await self._status(command.status)
        if command.only_if_untouched:
            ticket = await self.read(command.ticket_id)
            if ticket is not None and ticket.is_complete:
                return replace(_found(ticket), how="NothingToDo", written=False, reason="AlreadyComplete")
            touched = "" if ticket is None else await self._touches.of(ticket, command)
            if touched:
                return Effect(
                    verdict=Verdict.REJECTED,
                    reason="TouchedByTechnician",
                    detail=touched,
                    ticket_id=command.ticket_id,
                )
        await self._patch(command.ticket_id, status, command.resolution)
        return Effect(verdict=Verdict.SUCCEEDED, ticket_id=command.ticket_id, written=True)

    async def reopen(self, command: ReopenTicket) -> Effect:
        """Set the ticket back to work, then say why in a note; a note that fails does not undo the reopening.

        Read before, since a ticket may have gone on meanwhile, and after, for the time of its activity that tells this
        reopening from what came before and after it.
        """
        status = await self._status(command.status)
        never = [await self._status(name) for name in command.never]
        before = await self.read(command.ticket_id)
        if before is None:
            return Effect(
                verdict=Verdict.REJECTED, reason="TicketGone", detail=f"there is no ticket {command.ticket_id}"
            )
        if not before.is_complete:
            return replace(_found(before), how="NothingToDo", written=False)
        if before.status in never:
            detail = f"ticket {before.ticket_number} has status {before.status}, which the policy never reopens"
            return Effect(verdict=Verdict.REJECTED, reason="StatusNeverReopens", detail=detail, ticket_id=before.id)
        by = before.completed_by_resource_id
        if command.only_ours and None not in (by, before.creator_resource_id) and by != before.creator_resource_id:
            detail = f"resource {by} completed ticket {before.ticket_number}"
            return Effect(verdict=Verdict.REJECTED, reason="CompletedByTechnician", detail=detail, ticket_id=before.id)
        await self._patch(command.ticket_id, status, None)
        detail = ""
        if command.note.strip():
            try:
                note_type = await self._own_note_type()
                await self._add_note(command.ticket_id, "Reopened by Lockstep", command.note, note_type)
            except (CallFailed, CallsSuspended, NameRefused) as problem:
                detail = f"reopened, but the note was not written: {problem}"
        after = await self._seen(command.ticket_id)
        if after is not None and after.is_complete:
            detail = f"Autotask took the status, but ticket {before.ticket_number} is still complete (a workflow rule?)"
            return Effect(verdict=Verdict.REJECTED, reason="StillComplete", detail=detail, ticket_id=before.id)
        return Effect(
            verdict=Verdict.SUCCEEDED,
            ticket_id=command.ticket_id,
            ticket_number=before.ticket_number or None,
            ticket_activity_at=after.last_activity_date if after else None,
            written=True,
            detail=detail,
        )

    async def _seen(self, ticket_id: int) -> Ticket | None:
        """The ticket after a write that is done, if it can be read: what is written does not hang on that."""
        try:
            return await self.read(ticket_id)
        except (CallFailed, CallsSuspended):
            return None

    async def find_complete(self, ticket_id: int) -> Effect | None:
        """Whether the ticket is complete."""
        ticket = await self.read(ticket_id)
        if ticket is None or not ticket.is_complete:
            return None
        return _found(ticket)

    async def find_reopened(self, ticket_id: int) -> Effect | None:
        """Whether the ticket is open."""
        ticket = await self.read(ticket_id)
        if ticket is None or ticket.is_complete:
            return None
        return _found(ticket)

    async def complete_as_double(self, ticket_id: int, kept_number: str) -> Effect:
        """Complete the younger of two tickets with one external id, with a note naming the one that is kept.

        May be repeated: what is already there is not written again.
        """
        ticket = await self.read(ticket_id)
        if ticket is None or ticket.is_complete:
            return Effect(verdict=Verdict.SUCCEEDED, how="NothingToDo", ticket_id=ticket_id, reason=_DOUBLE_MARK)
        text = (
            f"This ticket is a double of {kept_number}: Autotask's answer to its creation was lost, so it was created "
            f"again. Work goes on in {kept_number}; this one is completed."
        )
        status = await self._status(self._complete_status)
        if not await self._has_note(ticket_id, _DOUBLE_MARK):
            note_type = await self._own_note_type()
            await self._add_note(ticket_id, texts.marked(f"Double of {kept_number}", _DOUBLE_MARK), text, note_type)
        await self._patch(ticket_id, status, text)
        return Effect(
            verdict=Verdict.SUCCEEDED,
            ticket_id=ticket_id,
            ticket_number=ticket.ticket_number or None,
            written=True,
            reason=_DOUBLE_MARK,
            detail=f"completed as the double of {kept_number}",
        )

    async def read(self, ticket_id: int) -> Ticket | None:
        """One ticket, ``None`` when it does not exist."""
        row = await self._client.get("Tickets", ticket_id)
        return None if row is None else self._client.rows(Ticket, [row], endpoint="Tickets")[0]

    async def _body(self, command: CreateTicket) -> dict[str, Any]:
        wanted: tuple[tuple[str, Name | None, str], ...] = (
            ("queueID", command.queue, "queue"),
            ("status", command.status, "status"),
            ("priority", command.priority, "priority"),
            ("ticketType", command.ticket_type, "ticket type"),
            ("source", command.source, "source"),
            ("ticketCategory", command.category, "ticket category"),
        )
        body: dict[str, Any] = {
            "companyID": command.company_id,
            "title": texts.line(command.title, texts.TITLE) or "Alert",
            "description": texts.cut(command.description, texts.DESCRIPTION),
            # Optional by metadata, yet some tenants refuse a ticket without it.
            "dueDateTime": texts.instant(command.due_at),
            # Our identity of the incident: never cut (``schemas.identity`` refuses a longer one).
            "externalID": command.external_id,
        }
        for field, name, what in wanted:
            if name is not None:
                body[field] = await self._metadata.picked(name, entity="Tickets", field=field, what=what)
        if command.configuration_item_id is not None:
            body["configurationItemID"] = command.configuration_item_id
        return body

    async def _merged(self, ticket_id: int, command: CreateTicket) -> Effect | None:
        """Whether a create was answered with somebody else's ticket.

        Some tenants have a rule that gives an open ticket instead of a new one. Ids rise, so a ticket that was made by
        this call has a greater id than every ticket seen before the call: only an id that is not greater can be such
        an answer, and only then the ticket is read. The normal create stays one call.
        """
        try:
            ticket = await self.read(ticket_id)
        except (CallFailed, CallsSuspended):
            return None
        if ticket is None or ticket.external_id == command.external_id:
            return None
        return Effect(
            verdict=Verdict.SUCCEEDED,
            reason="MergedByTenant",
            detail=f"a duplicate rule of the tenant answered with ticket {ticket.ticket_number or ticket_id} instead of a new one",
            ticket_id=ticket_id,
            ticket_number=ticket.ticket_number or None,
            company_id=ticket.company_id,
            written=True,
        )

    async def _patch(self, ticket_id: int, status: int, resolution: str | None) -> None:
        body: dict[str, Any] = {"id": ticket_id, "status": status}
        if resolution:
            body["resolution"] = texts.cut(resolution, texts.RESOLUTION)
        await self.write(body)

    async def write(self, body: dict[str, Any]) -> None:
        """Change fields of a ticket: one PATCH, with its id in the body."""
        try:
            await self._client.patch("Tickets", body)
        except CallFailed as failure:
            self._doubt_metadata("Tickets", failure)
            raise
        self.saw(body["id"])

    async def _add_note(self, ticket_id: int, title: str, text: str, note_type: int) -> None:
        body = {
            "ticketID": ticket_id,
            "title": title,
            "description": texts.cut(text, texts.NOTE_TEXT) or title,
            "noteType": note_type,
            "publish": INTERNAL,
        }
        try:
            await self._client.create(f"Tickets/{ticket_id}/Notes", body, endpoint="TicketNotes")
        except CallFailed as failure:
            self._doubt_metadata("TicketNotes", failure)
            raise

    async def _has_note(self, ticket_id: int, mark: str) -> bool:
        rows = await self._client.query(
            "TicketNotes", [eq("ticketID", ticket_id), condition("contains", "title", mark)], ("ticketID", "title")
        )
        notes = self._client.rows(TicketNote, rows, endpoint="TicketNotes")
        return any(texts.carries(note.title, mark) for note in notes)

    async def _status(self, name: Name) -> int:
        return await self._metadata.picked(name, entity="Tickets", field="status", what="status")

    async def _note_type(self, name: Name) -> int:
        return await self._metadata.picked(name, entity="TicketNotes", field="noteType", what="note type")

    async def _own_note_type(self) -> int:
        """The type of a note that no policy names one for: the vendor's usual one, else what the tenant has instead.

        Raises ``NameRefused`` where the tenant has no type at all.
        """
        try:
            return await self._note_type(_OWN_NOTE_TYPE)
        except NameRefused:
            info = (await self._metadata.fields("TicketNotes")).get("notetype")
            entries = [entry for entry in (info.picklist_values if info else ()) if entry.is_active]
            ranked = sorted(entries, key=lambda entry: (not entry.is_default_value, entry.is_system))
            usable = choices_of_picklist(ranked)
            if not usable:
                raise
            return usable[0].id

    def _doubt_metadata(self, entity: str, failure: CallFailed) -> None:
        if failure.situation is Situation.REFUSED_INPUT and failure.is_about("picklist"):
            self._metadata.forget(entity)


def _found(ticket: Ticket) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED,
        how="FoundByLookUp",
        ticket_id=ticket.id,
        ticket_number=ticket.ticket_number or None,
        ticket_activity_at=None if ticket.is_complete else ticket.last_activity_date,
        company_id=ticket.company_id,
        written=True,
    )
