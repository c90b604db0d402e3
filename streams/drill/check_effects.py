"""Effects at the vendors happened once: judged by what the sandboxes recorded, and what the commands asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from schemas.commands import CreateTicket
from streams.drill.finding import Finding
from streams.drill.reading import Reading
from streams.drill.vendors import Alert, Ticket, alerts_of, tickets_of

#: A create that the tenant's own rule answered with another incident's ticket has none of its own.
MERGED = "MergedByTenant"
DOUBLED = "DoubledTicket"


def healed(reading: Reading) -> set[str]:
    """The incidents whose second ticket was recognised as a double, by a settlement that says so."""
    return {
        settlement.fact.incident
        for told in reading.settlements.values()
        for settlement in told
        if settlement.fact.reason == DOUBLED and settlement.fact.incident
    }


def tickets_by_incident(reading: Reading) -> dict[str, list[Ticket]]:
    """Our tickets by external id."""
    found: dict[str, list[Ticket]] = defaultdict(list)
    for ticket in tickets_of(reading.evidence):
        found[ticket.external_id].append(ticket)
    return found


def check_tickets(reading: Reading) -> Iterator[Finding]:
    """One ticket per incident, asked for by a command, never closed before it was created."""
    asked = {c.event.data.external_id for c in reading.commands if isinstance(c.event.data, CreateTicket)}
    known_doubles = healed(reading)
    for incident, tickets in tickets_by_incident(reading).items():
        yield from _one_ticket(incident, tickets, known=incident in known_doubles)
        for ticket in tickets:
            if incident not in asked and ticket.moments[0].by == "api":
                yield Finding("UnaskedTicket", incident, f"ticket {ticket.id} was created without a command")
            yield from _life(ticket)
    rows = Counter(str(row["externalID"]) for row in reading.evidence.autotask["tickets"])
    for incident, settled_ticket in _said_to_be_open(reading).items():
        if not rows[incident]:
            yield Finding("MissingTicket", incident, f"ticket {settled_ticket} was settled as opened and is not there")


def _one_ticket(incident: str, tickets: list[Ticket], *, known: bool) -> Iterator[Finding]:
    names = ", ".join(str(ticket.id) for ticket in tickets)
    if len(tickets) > 1 and (not known or sum(ticket.is_open for ticket in tickets) > 1):
        yield Finding("DoubledTicket", incident, f"tickets {names}")
    if known:
        return
    moments = sorted((moment.seq, ticket.id, moment.is_open) for ticket in tickets for moment in ticket.moments)
    now_open: set[int] = set()
    for seq, number, is_open in moments:
        (now_open.add if is_open else now_open.discard)(number)
        if len(now_open) > 1:
            yield Finding("TwoOpenTickets", incident, f"tickets {names} were open at history row {seq}")
            return


def _life(ticket: Ticket) -> Iterator[Finding]:
    first = ticket.moments[0]
    if first.what != "Created":
        detail = f"ticket {ticket.id} was changed at history row {first.seq}, before it was created"
        yield Finding("CloseBeforeCreate", ticket.external_id, detail)
    ours = False
    for before, after in pairwise(ticket.moments):
        if after.is_open:
            ours = False
        elif before.is_open:
            ours = after.by == "api"
        elif after.by == "api" and ours and after.what == "Updated":
            detail = f"ticket {ticket.id} was completed by us again at history row {after.seq}"
            yield Finding("CompletedTwice", ticket.external_id, detail)


def _said_to_be_open(reading: Reading) -> dict[str, int]:
    """Tickets that creates were settled with, by incident."""
    return {
        settlement.fact.incident: settlement.fact.ticket_id
        for told in reading.settlements.values()
        for settlement in told
        if settlement.fact.command_type == CreateTicket.ce_type
        and settlement.fact.outcome == "Succeeded"
        and settlement.fact.reason != MERGED
        and settlement.fact.incident
        and settlement.fact.ticket_id is not None
    }


def check_resets(reading: Reading) -> Iterator[Finding]:
    """No alert reset twice with success: between two of our resets it was raised again."""
    answered = _answered_resets(reading)
    for uid, alert in alerts_of(reading.evidence).items():
        for one, other in pairwise(alert.reset_by_us):
            if not _raised_between(alert, one, other):
                yield Finding("ResetTwice", uid, f"{other - one:.1f} s after the reset before it")
        for t in answered.get(uid, []):
            before = [reset for reset in alert.reset_by_us if reset < t]
            # A call that began before the reset took effect is the one that reset it.
            if before and not _raised_between(alert, before[-1], t) and not any(r >= t for r in alert.reset_by_us):
                yield Finding("ResetTwice", uid, f"a call reset it again {t - before[-1]:.1f} s later")


def _raised_between(alert: Alert, one: float, other: float) -> bool:
    return any(one <= begun <= other for begun in alert.begun)


def _answered_resets(reading: Reading) -> dict[str, list[float]]:
    """When calls that reset an alert and were answered with success began, by uid."""
    found: dict[str, list[float]] = defaultdict(list)
    for call in reading.evidence.ninjaone_calls:
        parts = call["path"].strip("/").split("/")
        if call["method"] in ("DELETE", "POST") and "alert" in parts and 200 <= (call["status"] or 0) < 300:
            found[parts[parts.index("alert") + 1]].append(call["t"])
    return found


def check_items(reading: Reading) -> Iterator[Finding]:
    """Never two active configuration items for one device."""
    rows = reading.evidence.autotask.get("configurationItems", [])
    numbers = Counter(
        str(row["referenceNumber"])
        for row in rows
        if row["isActive"] and str(row["referenceNumber"] or "").startswith("ls.")
    )
    for number, count in numbers.items():
        if count > 1:
            yield Finding("DoubledItem", number, f"{count} active configuration items")
