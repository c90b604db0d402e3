"""Rows of the table ``tickets``: what we did to a ticket, what Autotask showed of it, and what others did."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.analytics.decided import Decided, Row, command_name, happened_at
from streams.core.analytics.places import Places

#: What a command that succeeded made of its ticket.
_DONE = {
    "CreateTicket": "opened",
    "AdoptTicket": "taken_over",
    "AppendTicketNote": "noted",
    "RaiseTicketPriority": "priority_raised",
    "CompleteTicket": "completed",
    "ReopenTicket": "reopened",
}
#: The executor's reasons for a create that is no ticket of the incident's own, and for a second one.
_OTHERWISE = {"MergedByTenant": "merged", "DoubledTicket": "doubled"}
#: What a sight of a ticket means, by the change that it made.
_SEEN = {"TicketCompleted": "completed", "TicketReopened": "reopened"}


def tickets(found: Decided, places: Places) -> Iterator[Row]:
    """The rows of a decision: none where it told nothing new of a ticket."""
    if found.agent != "incidents":
        return
    if found.kind == "command.settled":
        yield from _settled(found, places)
    elif found.kind == "ticket.observed" and found.changes:
        yield from _observed(found, places)
    elif found.kind == "ticket.note-observed" and found.changes:
        by = "customer" if found.fact.get("by_contact") else "technician"
        yield {**_of(found, places, "note", by), "incident": found.fact.get("external_id")}
    for change, external_id, patch in found.changed("incidents"):
        if change == "TicketLeftOpen":
            left = (patch or {}).get("left")
            yield {**_of(found, places, "left_open", "lockstep"), "incident": external_id, "reason": left}


def _settled(found: Decided, places: Places) -> Iterator[Row]:
    fact = found.fact
    command = command_name(fact["command_type"])
    second_look = fact["reason"] == "DoubledTicket" and found.changes
    if command not in _DONE or not (found.awaited() or second_look):
        return
    if fact["outcome"] == "Succeeded":
        event = _OTHERWISE.get(fact["reason"], _DONE[command]) if command == "CreateTicket" else _DONE[command]
    elif fact["outcome"] == "Rejected":
        event = "refused"
    else:
        return
    needless = event in ("completed", "reopened") and fact["how"] == "NothingToDo"
    yield {
        **_of(found, places, event, "somebody" if needless else "lockstep"),
        "incident": fact["incident"],
        "company_id": fact["company_id"],
        "command": command,
        "how": fact["how"] or None,
        "reason": fact["reason"] or None,
    }


def _observed(found: Decided, places: Places) -> Iterator[Row]:
    fact = found.fact
    incident = next((of for _, of, _ in found.changed("incidents")), fact["external_id"])
    shown = {
        "incident": incident,
        "company_id": fact["company_id"],
        "queue_id": fact.get("queue_id"),
        "status_id": fact["status"],
        "priority_id": fact.get("priority"),
        "completed": fact["completed"],
        "assigned": fact.get("assigned_resource_id") is not None,
    }
    yield {**_of(found, places, "observed", None), **shown}
    for change, external_id, _ in found.changed("incidents"):
        if change in _SEEN:
            yield {**_of(found, places, _SEEN[change], "technician"), **shown, "incident": external_id}


def _of(found: Decided, places: Places, event: str, by: str | None) -> Row:
    return {
        "recorded_at": found.at,
        "record": found.name,
        "key": found.key,
        "event": event,
        "done_by": by,
        "happened_at": happened_at(found),
        "ticket_id": found.fact.get("ticket_id"),
        "ticket_number": found.fact.get("ticket_number"),
        **places.of(found.key),
        "rule": found.rule,
        "revision": found.revision,
    }
