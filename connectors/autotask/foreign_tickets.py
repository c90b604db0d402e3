"""Open tickets that carry our mark and are not ours: another integration's, or another installation's on the same tenant."""

from __future__ import annotations

from collections.abc import Collection

from connectors.autotask.client import AutotaskClient, condition
from connectors.autotask.tenant_check import Finding
from schemas.autotask import Ticket
from schemas.identity import EXTERNAL_ID_PREFIX, key_of_external_id

#: So many numbers make a helpful line.
_SHOWN = 5


async def foreign_tickets(client: AutotaskClient, known: Collection[str]) -> list[Finding]:
    """A finding for open tickets whose ``externalID`` begins as ours do and is not among ``known``, else nothing.

    Completed ones are not looked at: an incident is forgotten 30 days after its end, and then its ticket is not known.
    Raises ``CallFailed``, ``CallsSuspended``.
    """
    marked = condition("beginsWith", "externalID", EXTERNAL_ID_PREFIX)
    rows = await client.query(
        "Tickets", [marked, {"op": "notExist", "field": "completedDate"}], ("ticketNumber", "externalID", "status")
    )
    listed = client.rows(Ticket, rows, endpoint="Tickets")
    foreign = [ticket for ticket in listed if not ticket.is_complete and ticket.external_id not in known]
    made_by_us = [ticket for ticket in foreign if key_of_external_id(ticket.external_id) is not None]
    others = [ticket for ticket in foreign if ticket not in made_by_us]
    findings = []
    if made_by_us:
        findings.append(
            _finding(
                made_by_us,
                "of which this installation has no record",
                "another Lockstep works on this tenant, or the log of this one began later; "
                "two must never share a tenant: stop one of them, and complete these tickets by hand",
            )
        )
    if others:
        findings.append(
            _finding(
                others,
                "in a form that Lockstep does not write",
                f"another integration uses the mark '{EXTERNAL_ID_PREFIX}'; they are left alone, but look whose they are",
            )
        )
    return findings


def _finding(tickets: list[Ticket], why: str, suggestion: str) -> Finding:
    numbers = [ticket.ticket_number or str(ticket.id) for ticket in tickets]
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return Finding(
        kind="external id",
        name=numbers[0],
        reason="ForeignTicket",
        what=f"{len(numbers)} open ticket{'s' * (len(numbers) != 1)} with an externalID that begins with "
        f"'{EXTERNAL_ID_PREFIX}' {why}: {', '.join(numbers[:_SHOWN])}{more}",
        suggestion=suggestion,
        level="warning",
    )
