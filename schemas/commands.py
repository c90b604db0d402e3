"""Commands: what shall happen at a vendor, in the imperative. Each class is the value of one CloudEvents type.

A command names things as the policy does (``queue: NOC`` or an id); the executor resolves names against the tenant's
metadata. ``effect_key`` names the effect, not the command: two commands that mean the same effect carry the same one,
and an effect once attempted without a certain outcome is looked up before any further call.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Literal

from pydantic import Field

from schemas.model import Model

#: A picklist entry, type or product, by its label or by its id.
Name = str | int


class Lane(IntEnum):
    """The order in which an executor prefers work: what frees a technician comes first, bulk work last."""

    CLOSE = 0
    CREATE = 1
    REOPEN = 2
    NOTE = 3
    ITEM = 4


class Command(Model):
    """What all commands carry: the device key, the incident (its external id) and the organization, for fairness."""

    ce_type: ClassVar[str]
    topic: ClassVar[str]
    lane: ClassVar[Lane]

    key: str
    effect_key: str
    incident: str | None = None
    organization_id: int | None = None


class CreateTicket(Command):
    """Open the ticket of an incident. ``external_id`` is its identity; ``due_at`` is in epoch milliseconds.

    ``contract`` is the id of one, or ``default`` for whatever is the company's default contract then. Without one the
    command is written as it was before there were any, so that a replay makes the same bytes.
    """

    ce_type: ClassVar[str] = "lockstep.command.create-ticket.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.CREATE

    external_id: str
    company_id: int
    title: str
    description: str
    queue: Name
    status: Name
    priority: Name
    due_at: int
    ticket_type: Name | None = None
    source: Name | None = None
    category: Name | None = None
    configuration_item_id: int | None = None
    contract: int | Literal["default"] | None = Field(default=None, exclude_if=lambda value: value is None)


class AdoptTicket(Command):
    """Take over the ticket that another integration opened for an incident's alert, by writing ``external_id`` into it.

    ``ticket`` is what NinjaOne names it by: an Autotask ticket id or a ticket number. Rejected, with nothing written, as
    ``TicketIdNotUnderstood``, ``TicketMissing``, ``TicketAlreadyComplete``, ``TicketOfAnotherCompany``, ``TicketTaken``
    (its external id is somebody's already) or ``ExternalIdNotKept``.
    """

    ce_type: ClassVar[str] = "lockstep.command.adopt-ticket.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.CREATE

    external_id: str
    company_id: int
    ticket: str


class AppendTicketNote(Command):
    """Add an internal note to a ticket. ``mark`` stands in the note's title and identifies the effect."""

    ce_type: ClassVar[str] = "lockstep.command.append-ticket-note.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.NOTE

    ticket_id: int
    mark: str
    title: str
    text: str
    note_type: Name


class CompleteTicket(Command):
    """Complete a ticket with a resolution text; a ticket that is already complete is left alone.

    ``only_if_untouched``: look first, and reject as ``TouchedByTechnician`` where somebody else worked on it: a note or
    time entry of another creator, an assignment, or a status that is none of ``own_statuses``.
    """

    ce_type: ClassVar[str] = "lockstep.command.complete-ticket.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.CLOSE

    ticket_id: int
    status: Name
    resolution: str
    only_if_untouched: bool = False
    own_statuses: tuple[Name, ...] = ()


class ReopenTicket(Command):
    """Set a completed ticket back to a working status. One that is open is left alone; one in a status of ``never`` is
    rejected as ``StatusNeverReopens``, one that no longer exists as ``TicketGone``. ``only_ours``: one that somebody else
    completed is rejected as ``CompletedByTechnician``.
    """

    ce_type: ClassVar[str] = "lockstep.command.reopen-ticket.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.REOPEN

    ticket_id: int
    status: Name
    note: str
    never: tuple[Name, ...] = ()
    only_ours: bool = True


class RaiseTicketPriority(Command):
    """Raise the priority of an open ticket from the one that we gave it (``expected``).

    One that is complete or has the priority already is left alone; one whose priority somebody else changed is rejected as
    ``PriorityChanged``, one that no longer exists as ``TicketGone``.
    """

    ce_type: ClassVar[str] = "lockstep.command.raise-ticket-priority.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.REOPEN

    ticket_id: int
    priority: Name
    expected: Name


class RestoreTicket(Command):
    """Write back what is ours of a ticket, where somebody changed it: our ``external_id``, and the company and the item that it
    was opened for. ``None`` leaves a field as it is.

    A ticket that has all of it, or is complete, is left alone; one that no longer exists is rejected as ``TicketGone``.
    """

    ce_type: ClassVar[str] = "lockstep.command.restore-ticket.v1"
    topic: ClassVar[str] = "autotask.ticket-commands"
    lane: ClassVar[Lane] = Lane.REOPEN

    ticket_id: int
    external_id: str | None = None
    company_id: int | None = None
    configuration_item_id: int | None = None


MatchStep = Literal["device_key", "device_uid", "serial", "mac", "hostname"]


class UpsertConfigurationItem(Command):
    """Make the device's configuration item look like this: found by ``reference_number`` within the company, then by
    ``match`` in that order, else created. Only differences are written; nothing is written where there are none.

    ``fields`` maps names of user-defined fields (or of ``schemas.autotask.ITEM_COLUMNS``) to their text. ``item_id`` is a
    hint from an earlier outcome. ``alive`` are the keys of the other devices with this serial number (``None``: not
    known): an item of a device that is not among them is the former self of this one. ``twins``: what becomes of
    another active item with this serial that no device of ours has. ``note`` is a line of history for the item's notes.
    ``contract`` is the id of one, or ``default`` for the company's default one where the item stands under none; without
    it the item's contract is nobody's business here.
    """

    ce_type: ClassVar[str] = "lockstep.command.upsert-configuration-item.v1"
    topic: ClassVar[str] = "autotask.device-commands"
    lane: ClassVar[Lane] = Lane.ITEM

    company_id: int
    reference_number: str
    title: str
    product: Name
    item_type: Name | None = None
    category: Name | None = None
    serial: str = ""
    device_uid: str | None = None
    mac_addresses: tuple[str, ...] = ()
    hostname: str = ""
    item_id: int | None = None
    match: tuple[MatchStep, ...] = ()
    fields: dict[str, str] = Field(default_factory=dict)
    alive: tuple[str, ...] | None = None
    twins: Literal["report", "retire"] = "report"
    note: str = ""
    contract: int | Literal["default"] | None = Field(default=None, exclude_if=lambda value: value is None)


class RetireConfigurationItem(Command):
    """Set the device's item inactive, after reading that it still names this device in ``referenceNumber``.

    ``note`` is a line of history for the item's notes: where the device went.
    """

    ce_type: ClassVar[str] = "lockstep.command.retire-configuration-item.v1"
    topic: ClassVar[str] = "autotask.device-commands"
    lane: ClassVar[Lane] = Lane.ITEM

    company_id: int
    reference_number: str
    serial: str = ""
    item_id: int | None = None
    note: str = ""


class ResetAlert(Command):
    """Reset an active alert in NinjaOne. An alert that is already gone counts as done."""

    ce_type: ClassVar[str] = "lockstep.command.reset-alert.v1"
    topic: ClassVar[str] = "ninjaone.commands"
    lane: ClassVar[Lane] = Lane.CLOSE

    uid: str
    device_id: int | None = None
    note: str = ""


class WithdrawCommand(Command):
    """Take back a command that has become needless while it waited; too late if its call has begun.

    Goes to the topic of the command that it withdraws (``command_topic``); its own settlement says what it found.
    """

    ce_type: ClassVar[str] = "lockstep.command.withdraw-command.v1"
    topic: ClassVar[str] = ""
    lane: ClassVar[Lane] = Lane.CLOSE

    command_id: str
    command_topic: str
    reason: str


COMMANDS: tuple[type[Command], ...] = (
    CreateTicket,
    AdoptTicket,
    AppendTicketNote,
    CompleteTicket,
    ReopenTicket,
    RaiseTicketPriority,
    RestoreTicket,
    UpsertConfigurationItem,
    RetireConfigurationItem,
    ResetAlert,
    WithdrawCommand,
)


def topic_of(command: Command) -> str:
    """The command topic that this command belongs to."""
    return command.command_topic if isinstance(command, WithdrawCommand) else command.topic
