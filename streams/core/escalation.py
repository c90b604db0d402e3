"""A condition that becomes worse while its ticket is open raises the ticket's priority (``escalate: true``), never lowers it.

Fields of an incident's entry: ``level`` {severity, priority}, what its ticket was given last; ``wants`` {severity,
priority}, what it shall have. "Worse" is NinjaOne's severity, for priorities of a tenant have no order of their own.
"""

from __future__ import annotations

from typing import Any

from schemas.facts import AlertFact
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.incident import Incident, find_command, send, speaker_of
from streams.core.policy.parts import SEVERITIES
from streams.core.policy.policy import Rule
from streams.core.ticketing import raise_priority

RAISE = "RaiseTicketPriority"


def level_of(rule: Rule, fact: AlertFact) -> dict[str, Any]:
    """What a ticket by this rule is given for this alert."""
    return {"severity": fact.severity, "priority": rule.priority}


def weigh(draft: Draft, context: Context, external_id: str, fact: AlertFact, rule: Rule) -> None:
    """An alert of the incident was raised: remember what its ticket shall have, where that is more than it was given."""
    incident = draft.body["incidents"][external_id]
    if not rule.escalate or "adopts" in incident:
        # The priority of a ticket that was taken over is not ours.
        return None
    level = incident.get("level")
    if level is None:
        # The ticket is older than the rule's word.
        opening = speaker_of(incident)
        level = level_of(context.rule_for(opening), opening)
    if _rank(fact.severity) <= max(_rank(level["severity"]), _rank(incident.get("wants", level)["severity"])):
        return None
    wanted = level_of(rule, fact)
    if wanted["priority"] == level["priority"]:
        # The rule has one priority for both; from here on only what is worse still counts.
        return draft.change("SeverityRose", {"level": wanted, "wants": None}, "incidents", external_id)
    return draft.change("PriorityToRaise", {"level": level, "wants": wanted}, "incidents", external_id)


def raise_what_is_wanted(draft: Draft, external_id: str, incident: Incident, *, ordinal: int) -> None:
    """Ask for the priority that the incident's open ticket shall have, one raising at a time."""
    if "wants" not in incident or "ticket" not in incident or "owes" in incident:
        return
    if find_command(draft, RAISE, external_id) is not None:
        return
    level, wanted = incident["level"], incident["wants"]
    command = raise_priority(
        key=draft.key,
        external_id=external_id,
        ticket_id=incident["ticket"],
        organization_id=incident["organization"],
        severity=wanted["severity"],
        priority=wanted["priority"],
        expected=level["priority"],
    )
    send(draft, command, external_id, ordinal=ordinal, level=wanted)


def raised(draft: Draft, external_id: str, level: dict[str, Any], *, complete: bool) -> None:
    """A raising is done or was refused for good: either way it is not asked for again.

    ``complete``: the ticket was found complete and kept its priority; what becomes worse after that counts anew.
    """
    incident = draft.body["incidents"][external_id]
    patch: dict[str, Any] = {} if complete else {"level": level}
    if "wants" in incident and (complete or incident["wants"] == level):
        patch["wants"] = None
    if patch:
        draft.change("TicketWasComplete" if complete else "PriorityRaised", patch, "incidents", external_id)


def _rank(severity: str) -> int:
    """Higher is worse; a severity that is not known is the lowest."""
    return len(SEVERITIES) - SEVERITIES.index(severity) if severity in SEVERITIES else 0
