"""Alerts that wait before anything is done for them: for the end of their hold, or of a maintenance window.

Such an alert is ``held`` or ``suppressed`` and has ``wait {until, for: hold | window}`` in its entry, which is a timer; it
keeps its latest text. ``held`` is when its hold began, until it has its place: what was held once is not held again.
"""

from __future__ import annotations

from schemas.facts import AlertFact
from streams.core.alerts import Alert, stored
from streams.core.context import Context
from streams.core.decision import Draft
from streams.core.documents import Body, Timer
from streams.core.incident import dispose
from streams.core.policy.policy import Rule

WAIT = "wait."
#: The reason's beginning for what a maintenance window swallows; the window's name follows.
MAINTENANCE = "Maintenance:"
_NINJAONE = "NinjaOne"
#: How long NinjaOne's own maintenance mode is honoured where it tells no end: alerts must not be lost in it for ever.
_NO_END_MS = 24 * 3_600_000


def timers_of(body: Body) -> list[Timer]:
    """The timers that waiting alerts ask for."""
    return [
        Timer(alert["wait"]["until"], WAIT + uid) for uid, alert in body.get("alerts", {}).items() if "wait" in alert
    ]


def maintenance_of(draft: Draft, context: Context, fact: AlertFact) -> tuple[str, int] | None:
    """The maintenance window that an alert falls into now: its name and its end, the policy's before NinjaOne's own."""
    found = context.in_force(fact.subject.organization_id).maintenance_at(fact.subject, draft.now)
    if found is not None:
        return found
    if not fact.in_maintenance:
        return None
    ends = fact.maintenance_ends_at
    until = fact.raised_at + _NO_END_MS if ends is None else ends
    return (_NINJAONE, until) if draft.now < until else None


def suppressed(draft: Draft, context: Context, fact: AlertFact) -> bool:
    """Suppress an alert that falls into a maintenance window until the window's end; says whether it did."""
    window = maintenance_of(draft, context, fact)
    if window is None:
        return False
    name, until = window
    wait = {"until": until, "for": "window"}
    dispose(draft, fact.uid, "suppressed", MAINTENANCE + name, fact=stored(fact), wait=wait, held=None)
    return True


def newer_maintenance(alert: Alert, fact: AlertFact) -> bool:
    """Whether a sighting of an alert that has no place yet was made later than what is known of its maintenance mode."""
    known = alert.get("fact", {}).get("maintenance_seen_at", -1)
    return "fact" in alert and fact.maintenance_seen_at is not None and fact.maintenance_seen_at > known


def with_maintenance(text: AlertFact, mode: AlertFact) -> AlertFact:
    """A sighting as it is, but with another's word about the maintenance mode."""
    return text.model_copy(
        update={
            "in_maintenance": mode.in_maintenance,
            "maintenance_ends_at": mode.maintenance_ends_at,
            "maintenance_seen_at": mode.maintenance_seen_at,
        }
    )


def held(draft: Draft, rule: Rule, fact: AlertFact) -> bool:
    """Hold an alert back that would open a ticket, as its rule says; says whether it did."""
    if not rule.hold_ms or "held" in draft.body["alerts"][fact.uid]:
        return False
    wait = {"until": draft.now + rule.hold_ms, "for": "hold"}
    dispose(draft, fact.uid, "held", "Holding", fact=stored(fact), wait=wait, held=draft.now)
    return True


def ended_while_waiting(alert: Alert) -> tuple[str, str]:
    """Reason and detail of an alert that is over before its wait is."""
    if alert["wait"]["for"] == "hold":
        return "ResetWithinHold", ""
    return "ResetWithinMaintenance", alert["reason"].removeprefix(MAINTENANCE)
