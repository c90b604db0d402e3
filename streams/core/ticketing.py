"""From a rule and an alert to ticket commands: what stands in a ticket, a note and a closing text. Decides nothing.

Limits are Autotask's (field metadata): title 255, description 8000, resolution 32000, note title 250, note text 32000.
"""

from __future__ import annotations

from typing import Any

from schemas.commands import (
    AdoptTicket,
    AppendTicketNote,
    CompleteTicket,
    CreateTicket,
    Name,
    RaiseTicketPriority,
    ReopenTicket,
    ResetAlert,
)
from schemas.envelope import rfc3339
from schemas.facts import AlertFact
from schemas.identity import derived_id
from schemas.storms import StormDeclared
from streams.core.policy.policy import Rule
from streams.core.storms.text import LISTING_LIMIT, listing
from streams.core.templates import render

Values = dict[str, dict[str, str]]

TITLE_LIMIT, DESCRIPTION_LIMIT, RESOLUTION_LIMIT, NOTE_LIMIT = 255, 8000, 32000, 32000


def values_of(fact: AlertFact, external_id: str, repeats: int = 0) -> Values:
    """Everything that a template may name, as text; what is not known is empty."""
    where = fact.subject
    return {
        "device": {
            "name": where.device_name,
            "id": "" if where.device_id is None else str(where.device_id),
            "link": where.link,
            "class": where.node_class,
            "role": where.role_name,
            "tags": ", ".join(where.tags),
        },
        "organization": {"name": where.organization_name, "id": str(where.organization_id)},
        "location": {"name": where.location_name},
        "alert": {
            "message": fact.message,
            "subject": fact.alert_subject,
            "severity": fact.severity,
            "priority": fact.priority,
            "source_type": fact.source_type or "",
            "uid": fact.uid,
            "condition": fact.condition_name or fact.source_name,
            "raised_at": rfc3339(fact.raised_at),
        },
        "incident": {"external_id": external_id, "repeats": str(repeats) if repeats else ""},
    }


def create_ticket(
    *, key: str, external_id: str, company_id: int, item_id: int | None, rule: Rule, fact: AlertFact, now: int
) -> CreateTicket:
    """The ticket of an incident. Its description ends with the line that opens the device in NinjaOne, or a storm's devices."""
    values = values_of(fact, external_id)
    link = f"Device in NinjaOne: {fact.subject.link}" if fact.subject.link else ""
    if isinstance(fact, StormDeclared):
        link = "\n".join(filter(None, [link, listing(fact.names, fact.devices, LISTING_LIMIT)]))
    text = render(rule.description, values, DESCRIPTION_LIMIT - len(link) - 2)
    return CreateTicket(
        key=key,
        effect_key=external_id,
        incident=external_id,
        organization_id=fact.subject.organization_id,
        external_id=external_id,
        company_id=company_id,
        # A ticket without a title is refused, and a template may come out empty.
        title=render(rule.title, values, TITLE_LIMIT) or f"Alert {fact.uid}",
        description=f"{text}\n\n{link}".strip() if link else text,
        queue=rule.queue,
        status=rule.status,
        priority=rule.priority,
        due_at=now + rule.due_ms,
        ticket_type=rule.ticket_type,
        source=rule.source,
        category=rule.category,
        configuration_item_id=item_id,
        contract=rule.contract,
    )


def adopt_ticket(*, key: str, external_id: str, company_id: int, organization_id: int, ticket: str) -> AdoptTicket:
    """Take over the ticket that another integration opened for the incident's alert."""
    return AdoptTicket(
        key=key,
        # The same effect as a create: the incident's ticket carries its external id.
        effect_key=external_id,
        incident=external_id,
        organization_id=organization_id,
        external_id=external_id,
        company_id=company_id,
        ticket=ticket,
    )


def complete_ticket(
    *, key: str, external_id: str, ticket_id: int, organization_id: int, rule: Rule, fact: AlertFact, repeats: int
) -> CompleteTicket:
    """Complete the ticket of an incident whose alerts are all cleared. ``repeats``: raised again so often without a note."""
    text = render(rule.close_text, values_of(fact, external_id), RESOLUTION_LIMIT)
    if rule.repeat == "count" and repeats:
        line = f"Raised again while the ticket was open: {repeats} times."
        text = f"{text[: RESOLUTION_LIMIT - len(line) - 1]}\n{line}".strip()
    return CompleteTicket(
        key=key,
        effect_key=f"{external_id}#complete",
        incident=external_id,
        organization_id=organization_id,
        ticket_id=ticket_id,
        status=rule.complete_status,
        resolution=text,
        only_if_untouched=rule.close_if == "untouched",
        own_statuses=(rule.status, rule.reopen_status) if rule.close_if == "untouched" else (),
    )


def reopen_ticket(
    *, key: str, external_id: str, ticket_id: int, organization_id: int, rule: Rule, fact: AlertFact
) -> ReopenTicket:
    """Open the completed ticket of an incident again, because its condition came back."""
    about = fact.message or fact.condition_name or fact.source_type or ""
    return ReopenTicket(
        key=key,
        effect_key=f"{external_id}#reopen",
        incident=external_id,
        organization_id=organization_id,
        ticket_id=ticket_id,
        status=rule.reopen_status,
        note=f"Raised again at {rfc3339(fact.raised_at)}: {about}"[:NOTE_LIMIT],
        never=rule.never_reopen,
        only_ours=rule.reopen == "ours",
    )


def raise_priority(
    *, key: str, external_id: str, ticket_id: int, organization_id: int, severity: str, priority: Name, expected: Name
) -> RaiseTicketPriority:
    """Give the ticket of an incident the priority of its risen severity."""
    return RaiseTicketPriority(
        key=key,
        # By severity: what is known of one raising says nothing of the next.
        effect_key=f"{external_id}#priority.{severity}",
        incident=external_id,
        organization_id=organization_id,
        ticket_id=ticket_id,
        priority=priority,
        expected=expected,
    )


def note_for(*, external_id: str, cause: str, rule: Rule, fact: AlertFact, repeats: int) -> dict[str, Any]:
    """The note about a repeat, as fields of ``AppendTicketNote``, so that it can wait for its ticket's id.

    ``repeats`` counts the repeats since the last note that got no note of their own.
    """
    mark = f"ls-{derived_id(external_id, cause)[:10]}"
    note = {"mark": mark, "title": f"Alert repeated [{mark}]", "note_type": rule.note_type}
    if rule.note_text is not None:
        return {**note, "text": render(rule.note_text, values_of(fact, external_id, repeats), NOTE_LIMIT) or fact.uid}
    lines = [
        f"Raised again at {rfc3339(fact.raised_at)}: {fact.message or fact.condition_name or fact.source_type or ''}"
    ]
    lines.append(f"Severity: {fact.severity}. Alert: {fact.uid}.")
    if repeats:
        lines.append(f"{repeats} more since the last note.")
    return {**note, "text": "\n".join(lines)[:NOTE_LIMIT]}


def cleared_note(*, external_id: str, cause: str, rule: Rule, fact: AlertFact, at: int, why: str) -> dict[str, Any]:
    """The note that all alerts of a ticket are cleared while it stays open, as ``note_for`` makes them. ``at``: epoch ms."""
    mark = f"ls-{derived_id(external_id, cause, 'cleared')[:10]}"
    about = fact.message or fact.condition_name or fact.source_type or ""
    text = f"Cleared in NinjaOne at {rfc3339(at)}: {about}\n{why}"[:NOTE_LIMIT]
    return {"mark": mark, "title": f"Alert cleared [{mark}]", "text": text, "note_type": rule.note_type}


def acknowledgement_note(
    *, external_id: str, uid: str, activity_id: int, at: int, user_id: int | None, note_type: Name
) -> dict[str, Any]:
    """The note that an alert was acknowledged in NinjaOne ``at`` (epoch ms), as ``note_for`` makes them."""
    mark = f"ls-{derived_id(external_id, 'acknowledged', activity_id)[:10]}"
    who = "" if user_id is None else f" by user {user_id}"
    text = f"Acknowledged in NinjaOne at {rfc3339(at)}{who}.\nAlert: {uid}."
    return {"mark": mark, "title": f"Alert acknowledged [{mark}]", "text": text, "note_type": note_type}


def append_note(
    *, key: str, external_id: str, ticket_id: int, organization_id: int, note: dict[str, Any]
) -> AppendTicketNote:
    """The command for a note that ``note_for`` made."""
    return AppendTicketNote(
        key=key,
        effect_key=note["mark"],
        incident=external_id,
        organization_id=organization_id,
        ticket_id=ticket_id,
        **note,
    )


def reset_alert(*, key: str, external_id: str, uid: str, organization_id: int, number: str | None) -> ResetAlert:
    """Reset an alert because its ticket was completed."""
    ticket = f"ticket {number}" if number else "its ticket"
    return ResetAlert(
        key=key,
        effect_key=uid,
        incident=external_id,
        organization_id=organization_id,
        uid=uid,
        device_id=int(key) if key.isdigit() else None,
        note=f"Reset because {ticket} was completed in Autotask.",
    )
