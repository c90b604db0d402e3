"""What is said about a command once it is finished, and as which record. Pure."""

from __future__ import annotations

from typing import Literal, cast

from connectors.ports import Effect
from schemas.envelope import Envelope
from schemas.facts import CommandSettled, Settlement
from schemas.identity import derived_id, partition_of
from streams.executor.attempt import Attempt
from streams.executor.window import Entry
from streams.ports import OutputRecord

How = Literal["Called", "FoundByLookUp", "NothingToDo", "Predicted", ""]

#: The reason of a settlement that reports a second ticket with one external id.
DOUBLED_TICKET = "DoubledTicket"
#: The reason of a withdrawal that found its command under way or settled.
TOO_LATE = "TooLate"
#: The tenant's duplicate rule answered a create with another ticket (set by the Autotask effects).
MERGED_BY_TENANT = "MergedByTenant"


def settled(
    entry: Entry,
    *,
    outcome: Settlement,
    now: int,
    effect: Effect | None = None,
    how: str = "",
    reason: str = "",
    detail: str = "",
    calls: int = 0,
) -> CommandSettled:
    """The settlement of a command; what ``effect`` found out goes in, ``reason`` and ``detail`` stand before its own."""
    command = entry.command
    return CommandSettled(
        key=command.key,
        command_id=entry.command_id,
        command_type=command.ce_type,
        effect_key=command.effect_key,
        incident=command.incident,
        outcome=outcome,
        settled_at=now,
        how=cast(How, how),
        reason=reason or (effect.reason if effect else ""),
        detail=detail or (effect.detail if effect else ""),
        ticket_id=effect.ticket_id if effect else None,
        ticket_number=effect.ticket_number if effect else None,
        ticket_activity_at=effect.ticket_activity_at if effect else None,
        item_id=effect.item_id if effect else None,
        company_id=effect.company_id if effect else None,
        written=effect.written if effect else False,
        calls=calls,
    )


def from_record(entry: Entry, attempt: Attempt, *, now: int) -> CommandSettled:
    """The settlement of a command whose effect is known from the record of an attempt: no call is made.

    The very command that made the attempt is settled as it went; for another one nothing was left to do.
    """
    own = attempt.command_id == entry.command_id
    return CommandSettled(
        key=entry.command.key,
        command_id=entry.command_id,
        command_type=entry.command.ce_type,
        effect_key=entry.command.effect_key,
        incident=entry.command.incident,
        outcome=attempt.outcome or "Succeeded",
        settled_at=attempt.at if own else now,
        how=cast(How, attempt.how if own else "NothingToDo"),
        # A ticket that the tenant merged ours into stays a foreign one, whoever asks for it again.
        reason=attempt.reason if own or attempt.reason == MERGED_BY_TENANT else "AlreadyDone",
        detail=attempt.detail if own else "",
        ticket_id=attempt.ticket_id,
        ticket_number=attempt.ticket_number,
        ticket_activity_at=attempt.ticket_activity_at,
        item_id=attempt.item_id,
        company_id=attempt.company_id,
        written=attempt.written if own else False,
        calls=attempt.calls if own else 0,
    )


def settlement_id(fact: CommandSettled) -> str:
    """The id of a command's settlement: the same for every repetition of it."""
    return derived_id("settled", fact.command_id, fact.outcome)


def doubled_id(fact: CommandSettled) -> str:
    """The id of the report of a doubled ticket, which comes after the command's settlement."""
    return derived_id("settled", fact.command_id, fact.outcome, DOUBLED_TICKET)


def outcome_record(
    fact: CommandSettled, *, identity: str, correlation_id: str | None, topic: str, partitions: int, source: str
) -> OutputRecord:
    """The record for ``outcomes``: the same bytes for the same settlement."""
    envelope = Envelope(
        id=identity,
        type=CommandSettled.ce_type,
        source=source,
        time=fact.settled_at,
        recorded=fact.settled_at,
        key=fact.key,
        causation_id=fact.command_id,
        correlation_id=correlation_id,
    )
    partition = partition_of(fact.key, partitions)
    return OutputRecord(topic, partition, fact.key.encode(), fact.to_json(), envelope.to_headers())
