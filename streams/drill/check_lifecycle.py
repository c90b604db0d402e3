"""The life of a ticket by its rule: what is held, reopened, left to a technician or suppressed.

What happened is read from the sandboxes; what was known when, from the facts in the order of the decisions; what the
rule says, from the published policies (``streams.drill.rules``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from schemas.commands import ReopenTicket
from streams.drill.check_effects import healed, tickets_by_incident
from streams.drill.finding import Finding
from streams.drill.reading import Reading
from streams.drill.rules import Rules, seconds_of
from streams.drill.stories import Stories, condition_of
from streams.drill.vendors import Ticket, alerts_of, touches_of

#: An executor looks for a technician's hands and then completes. A touch in between is nobody's fault: one counts that is
#: older than this, and that further looks (of any ticket) came after, since faults delay calls and clocks jump.
LOOKED_BEFORE_S, LOOKS_AFTER = 20.0, 3
#: A timer that is due fires at once, but processes follow a clock that jumps within half a second.
LATE_S = 10.0
_MAINTENANCE, _NINJAONE = "Maintenance:", "NinjaOne"


def check_lifecycle(reading: Reading) -> Iterator[Finding]:
    """Every ticket of ours against its rule."""
    stories, rules, known_doubles = Stories(reading), Rules(reading), healed(reading)
    tickets = {name: rows for name, rows in tickets_by_incident(reading).items() if name not in known_doubles}
    for incident, rows in tickets.items():
        if rows[0].moments[0].by == "api":
            yield from _needless(incident, rows[0], stories, rules)
            yield from _not_reopened(reading, incident, tickets, stories, rules)
        for ticket in rows:
            yield from _reopened_by_nobody(reading, ticket)
            yield from _touched(reading, ticket, stories, rules)


def _needless(incident: str, ticket: Ticket, stories: Stories, rules: Rules) -> Iterator[Finding]:
    """No ticket for an alert that was known to be over: reset within its hold, say."""
    ordered = stories.ordering(incident)
    known = stories.known(incident, ordered)
    if known.active or known.sighting is None:
        return
    if ordered is None:
        # What nobody ordered is found as such; here it counts if no order could have been meant.
        hold = seconds_of(rules.lifecycle(known.sighting, rules.last) or {}, "hold")
        if any(period.until is None or period.until - period.since >= hold * 1000 for period in known.periods):
            return
    yield Finding("NeedlessTicket", incident, f"ticket {ticket.id} was made, and its alert was known to be over")


def _not_reopened(
    reading: Reading, incident: str, tickets: Mapping[str, list[Ticket]], stories: Stories, rules: Rules
) -> Iterator[Finding]:
    """A condition that came back in time is in the ticket that we completed, not in a new one."""
    ordered = stories.ordering(incident)
    known = stories.known(incident, ordered)
    if known.sighting is None or not known.periods:
        return
    at = ordered.document["recorded_at"] if ordered is not None else known.periods[-1].since
    revision = ordered.document["revision"] if ordered is not None else rules.last
    asked = rules.lifecycle(known.sighting, revision) or {}
    within = seconds_of(asked, "reopen_within")
    if not within or asked.get("repeat") == "ticket":
        return
    key, made = incident.split(".")[1], tickets[incident][0].moments[0].seq
    for other, rows in tickets.items():
        if other.split(".")[1] != key or other == incident or rows[0].moments[0].seq > made:
            continue
        before = stories.known(other, ordered).sighting
        done = stories.completed(other, ordered)
        if before is None or condition_of(before) != condition_of(known.sighting) or not done:
            continue
        if at - done[-1] <= within * 1000 and _completed_by_us(rows[0], made) and not _refused(reading, other):
            detail = f"ticket {rows[0].id} of {other} was completed {(at - done[-1]) / 1000:.1f} s before"
            yield Finding("NewInsteadOfReopened", incident, detail)


def _completed_by_us(ticket: Ticket, seq: int) -> bool:
    """Whether it was complete at a row of the history, and by a change of ours."""
    past = [moment for moment in ticket.moments if moment.seq < seq]
    turns = [after for before, after in pairwise(past) if before.is_open != after.is_open]
    return bool(turns) and not past[-1].is_open and turns[-1].by == "api" and past[-1].what != "Deleted"


def _refused(reading: Reading, incident: str) -> bool:
    """Whether Autotask ever refused to let the incident's ticket be reopened: then it stays as it is."""
    return any(
        settlement.fact.outcome == "Rejected"
        for told in reading.settlements.values()
        for settlement in told
        if settlement.fact.incident == incident and settlement.fact.command_type == ReopenTicket.ce_type
    )


def _reopened_by_nobody(reading: Reading, ticket: Ticket) -> Iterator[Finding]:
    """What is open again was reopened by a technician, or by us on a command."""
    ours = sum(after.is_open and not before.is_open and after.by == "api" for before, after in pairwise(ticket.moments))
    asked = sum(
        isinstance(c.event.data, ReopenTicket) and c.event.data.ticket_id == ticket.id for c in reading.commands
    )
    if ours > asked:
        detail = f"ticket {ticket.id} was reopened by us {ours} times, and {asked} commands say so"
        yield Finding("UnaskedReopening", ticket.external_id, detail)


def _touched(reading: Reading, ticket: Ticket, stories: Stories, rules: Rules) -> Iterator[Finding]:
    """What a technician worked on is not completed by us, where the rule says so."""
    touches = touches_of(reading.evidence, ticket.id)
    sighting = stories.known(ticket.external_id, None).sighting
    if not touches or sighting is None:
        return
    ordered = stories.completing(ticket.external_id)
    revision = ordered.document["revision"] if ordered is not None else rules.last
    if (rules.lifecycle(sighting, revision) or {}).get("close_if") != "untouched":
        return
    looks = [call["t"] for call in reading.evidence.autotask_calls if call["path"].endswith("/TicketNotes/query")]
    for before, after in pairwise(ticket.moments):
        ours = before.is_open and not after.is_open and after.by == "api" and after.what != "Deleted"
        for seq, t in touches if ours else ():
            looked = sum(t < look < after.t for look in looks)
            if seq < after.seq and after.t - t > LOOKED_BEFORE_S and looked >= LOOKS_AFTER:
                detail = f"ticket {ticket.id} was completed by us, {after.t - t:.0f} s after a technician's work on it"
                yield Finding("TouchedCompleted", ticket.external_id, detail)
                return


def check_waiting(reading: Reading) -> Iterator[Finding]:
    """What is still active and held back waits for something that is still to come."""
    rules, now = Rules(reading), float(reading.evidence.ninjaone.get("now", 0.0))
    rows = {str(row["uid"]): row for row in reading.evidence.ninjaone["alerts"]}
    alerts = alerts_of(reading.evidence)
    for body in reading.bodies.values():
        for uid, known in body.get("alerts", {}).items():
            if uid in rows and known.get("disposition") in ("held", "suppressed"):
                why = _waits_for_nothing(reading, rules, rows[uid], str(known.get("reason")), now)
                if known["disposition"] == "held" and now - max(alerts[uid].begun, default=now) > _LONGEST_HOLD_S:
                    why = why or f"it is held since more than {_LONGEST_HOLD_S:g} s"
                if why:
                    yield Finding("ForgottenAlert", uid, why)


#: No rule of a drill or of the recorded run holds an alert for so long.
_LONGEST_HOLD_S = 600.0


def _waits_for_nothing(reading: Reading, rules: Rules, alert: Mapping[str, Any], reason: str, now: float) -> str:
    if not reason.startswith(_MAINTENANCE):
        return ""
    name = reason.removeprefix(_MAINTENANCE)
    window = rules.window(name)
    if window is not None:
        if "to" not in window or now < datetime.fromisoformat(window["to"]).timestamp() + LATE_S:
            return ""
        return f"it is suppressed by the window '{name}', which ended at {window['to']}"
    if name != _NINJAONE:
        return f"it is suppressed by a window '{name}' that the policy does not have"
    # Where the devices are not in the evidence nothing is known of their maintenance.
    devices = reading.evidence.ninjaone.get("devices")
    inside = devices is None or any(
        device["id"] == alert.get("deviceId") and device.get("maintenance", {}).get("status") == "IN_MAINTENANCE"
        for device in devices
    )
    return "" if inside else "it is suppressed by NinjaOne's maintenance mode, in which its device is not"
