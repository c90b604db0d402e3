"""The checker: decides from sandbox states, sandbox call logs and topics alone whether a run kept its promises.

It shares no code with what it judges but the schemas; the one exception is the replay, which is the product's own promise
(``audit verify``). It reads no log file and no figure that a role reports of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from schemas.commands import AdoptTicket, CreateTicket, ReopenTicket
from schemas.topics import DEAD_LETTERS
from streams.drill.check_audit import check_chains, check_replay
from streams.drill.check_connections import calls_of, check_closed, check_limits
from streams.drill.check_delivery import (
    check_closing_order,
    check_commands,
    check_dead_letters,
    check_facts,
    check_order,
    check_settlements,
    check_silence,
    redelivered,
)
from streams.drill.check_effects import check_items, check_resets, check_tickets, healed, tickets_by_incident
from streams.drill.check_ends import check_alerts, check_ends
from streams.drill.check_handoffs import check_handoffs
from streams.drill.check_lifecycle import check_lifecycle, check_waiting
from streams.drill.evidence import Evidence
from streams.drill.finding import KINDS, LOST, Finding, Report
from streams.drill.reading import Reading
from streams.drill.vendors import alerts_of

__all__ = ["KINDS", "Evidence", "Finding", "Report", "check"]

CHECKS: tuple[Callable[[Reading], Iterator[Finding]], ...] = (
    check_alerts,
    check_facts,
    check_silence,
    check_order,
    check_dead_letters,
    check_commands,
    check_handoffs,
    check_settlements,
    check_closing_order,
    check_tickets,
    check_resets,
    check_items,
    check_ends,
    check_lifecycle,
    check_waiting,
    check_chains,
    check_replay,
    check_closed,
    check_limits,
)


def check(evidence: Evidence) -> Report:
    """Every finding, in the order of the checks, and the counts. Never calls anybody; the same evidence, the same report."""
    reading = Reading(evidence)
    findings = tuple(finding for judge in CHECKS for finding in judge(reading))
    return Report(findings, _counts(reading, findings))


def _counts(reading: Reading, findings: tuple[Finding, ...]) -> Mapping[str, int]:
    evidence = reading.evidence
    tickets = tickets_by_incident(reading)
    doubles = {incident: len(rows) - 1 for incident, rows in tickets.items()}
    known = healed(reading)
    opened = {
        c.event.data.external_id for c in reading.commands if isinstance(c.event.data, CreateTicket | AdoptTicket)
    }
    commands = {command.event.envelope.id for command in reading.commands}
    return {
        "facts": len(reading.facts),
        "decisions": len(reading.decided),
        "alerts": len(alerts_of(evidence)),
        "incidents": len(opened),
        "tickets": sum(len(rows) for rows in tickets.values()),
        "tickets_open": sum(ticket.is_open for rows in tickets.values() for ticket in rows),
        "reopened": sum(isinstance(command.event.data, ReopenTicket) for command in reading.commands),
        **_ever(reading),
        "alerts_reset": sum(len(alert.reset_by_us) for alert in alerts_of(evidence).values()),
        "commands": len(commands),
        "settled": len(commands & set(reading.settlements)),
        "waiting": len(commands - set(reading.settlements)),
        "redelivered": redelivered(reading),
        "dead_letters": len(reading.records(DEAD_LETTERS)),
        "lost": sum(finding.kind in LOST for finding in findings),
        # A double that was recognised and made one is counted apart.
        "duplicate_tickets": sum(extra for incident, extra in doubles.items() if incident not in known),
        "healed_doubles": sum(extra for incident, extra in doubles.items() if incident in known),
        "calls_ninjaone": len(calls_of(reading, "ninjaone")),
        "calls_autotask": len(calls_of(reading, "autotask")),
        "findings": len(findings),
    }


def _ever(reading: Reading) -> dict[str, int]:
    """How many alerts were ever held, suppressed, or over in a ticket that was left to its technician."""
    seen: dict[str, set[str]] = {"held": set(), "suppressed": set(), "left_open": set()}
    for decided in reading.decided:
        for uid, (disposition, reason) in decided.document["decision"].get("dispositions", {}).items():
            name = "left_open" if reason == "TouchedByTechnician" else disposition
            if name in seen:
                seen[name].add(uid)
    return {name: len(uids) for name, uids in seen.items()}
