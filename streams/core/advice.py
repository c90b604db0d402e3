"""Which hold would have saved which tickets: drafts of the policy in force, and what their what-ifs come to. Pure.

A *group* is a rule and one condition (NinjaOne's id of it, else its name, else the source type) whose alerts it decides. Each
group is a rule of its own in the drafts, right before the rule that it was taken from and otherwise the same, so that a hold counts for
this condition alone and the snippet to paste is the draft that was computed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import orjson

from schemas.facts import AlertFact
from schemas.identity import EXTERNAL_ID_PREFIX
from schemas.model import canonical
from streams.core.policy.policy import Policy, parse_policy
from streams.core.policy.vocabulary import TEST_ALERT
from streams.core.whatif import Side, Ticket

MINUTE_MS = 60_000
#: The holds that are tried, in minutes.
CANDIDATES: tuple[int, ...] = (1, 2, 5, 10, 15, 30)
#: How far the time goes on after the log's end: what is held there would have opened its ticket all the same.
LONGEST_MS = CANDIDATES[-1] * MINUTE_MS
#: The groups with the most tickets; the others stay as they are.
MOST_GROUPS = 50
#: A longer hold has to save this much more to be worth its wait: the shortest that reaches nine tenths of the most is advised.
_ENOUGH = 0.9


@dataclass(frozen=True, slots=True)
class Condition:
    """What an alert says of its condition: the matcher that tells it (``condition`` or ``source_type``), and a name to show."""

    matcher: str
    value: str
    name: str = field(compare=False)


#: What ``lockstep send-test-alert`` sends: no condition of anybody's, whose tickets are not counted.
TEST = Condition("source_type", TEST_ALERT, "Lockstep test")


@dataclass(frozen=True, slots=True)
class Group:
    """A rule of the policy and one condition; ``rule_name`` is what the drafts call it. No condition: the whole rule."""

    rule: str
    condition: Condition | None
    rule_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one hold would have come to for one group.

    ``saved``: tickets that would not have been opened; ``instead``: others that would have been opened in their place.
    ``later`` are the delays (ms) of those that would have been opened all the same, but not at the same time.
    """

    minutes: int
    saved: int
    instead: int
    later: tuple[int, ...] = ()

    @property
    def net(self) -> int:
        """Tickets fewer."""
        return self.saved - self.instead

    @property
    def median_ms(self) -> int:
        """By how much the others come later, half of them at most."""
        return round(median(self.later)) if self.later else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One group: how many tickets it had, every hold that was tried, and the one that is advised (``None``: none)."""

    group: Group
    tickets: int
    trials: tuple[Trial, ...]
    best: Trial | None = field(default=None)


def condition_of(alert: AlertFact) -> Condition | None:
    """By what a rule of the policy can tell the condition of an alert."""
    if alert.source_type == TEST_ALERT:
        return TEST
    name = alert.condition_name or alert.source_name or alert.source_type or ""
    if alert.source_config_uid or alert.condition_name:
        return Condition("condition", alert.source_config_uid or alert.condition_name, name or "unknown")
    return Condition("source_type", alert.source_type, name) if alert.source_type else None


def groups(policy: Policy, side: Side, conditions: Mapping[str, Condition]) -> list[tuple[Group, int]]:
    """The groups of the tickets of a side, the largest first, with their counts. ``conditions`` by uid of 32 digits.

    Rules with ``storm`` are left out: what the agent ``storms`` would have said to another hold is not known.
    """
    stormy = {rule.name for rule in policy.rules if rule.storm is not None}
    counts: Counter[tuple[str, Condition | None]] = Counter()
    for ticket in side.tickets.values():
        if ticket.rule is not None and ticket.rule not in stormy:
            counts[ticket.rule, conditions.get(uid_of(ticket))] += 1
    taken = {rule.name for rule in policy.rules}
    found: list[tuple[Group, int]] = []
    for (rule, condition), count in sorted(counts.items(), key=lambda one: (-one[1], str(one[0]))):
        if len(found) < MOST_GROUPS:
            found.append((Group(rule, condition, _free_name(rule, condition, taken)), count))
    return found


def uid_of(ticket: Ticket) -> str:
    """The uid of the alert that opened a ticket, as 32 digits: the third part of its external id."""
    return ticket.external_id.removeprefix(EXTERNAL_ID_PREFIX).split(".")[1]


def without_tests(side: Side, conditions: Mapping[str, Condition]) -> Side:
    """The side without the tickets of test alerts. Its calls keep theirs: they are the same on both sides of a difference."""
    tickets = {name: ticket for name, ticket in side.tickets.items() if conditions.get(uid_of(ticket)) != TEST}
    return replace(side, tickets=tickets)


def _free_name(rule: str, condition: Condition | None, taken: set[str]) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", (condition.name if condition else "hold").lower()).strip("-") or "condition"
    name, number = f"{rule}-{slug}", 2
    while name in taken:
        name, number = f"{rule}-{slug}-{number}", number + 1
    taken.add(name)
    return name


def draft(document: str, holds: Mapping[Group, int]) -> str:
    """The policy with a hold (minutes) for each of these groups, as canonical JSON; a longer hold that is there stays."""
    whole = orjson.loads(document)
    policy = parse_policy(whole)
    rules: list[dict[str, Any]] = []
    for rule in whole.get("rules") or [{"name": "everything-else", "when": {}}]:
        rules += snippets(policy, rule, holds)
        if not any(group.rule == rule["name"] and group.condition is None for group in holds):
            rules.append(rule)
    return canonical({**whole, "rules": rules}).decode()


def snippets(policy: Policy, rule: Mapping[str, Any], holds: Mapping[Group, int]) -> list[dict[str, Any]]:
    """The rules that come before a rule; last, where a hold is advised for all that is left, the one that takes its place."""
    mine = [(group, minutes) for group, minutes in holds.items() if group.rule == rule["name"]]
    return [snippet(policy, rule, *one) for one in sorted(mine, key=lambda one: one[0].condition is None)]


def snippet(policy: Policy, rule: Mapping[str, Any], group: Group, minutes: int) -> dict[str, Any]:
    """The rule of a group as the policy file writes it: the rule that it is taken from, for its condition, with a hold."""
    settings = next(each for each in policy.rules if each.name == group.rule)
    inherited = (settings.lifecycle.hold, policy.defaults.lifecycle.hold)
    present = next((hold for hold in inherited if hold is not None), 0)
    lifecycle = dict(rule.get("lifecycle") or {})
    if present < minutes * MINUTE_MS:
        lifecycle["hold"] = f"{minutes}m"
    if group.condition is None:
        return {**rule, "lifecycle": lifecycle}
    when = {**(rule.get("when") or {}), group.condition.matcher: [group.condition.value]}
    return {**rule, "name": group.rule_name, "when": when, "lifecycle": lifecycle}


def tried(group: Group, minutes: int, base: Side, draft_: Side, mine: Iterable[str]) -> Trial:
    """What a hold came to for the group whose tickets under the policy in force are ``mine`` (external ids)."""
    own = set(mine)
    names = {group.rule_name if group.condition else group.rule}
    later = [draft_.tickets[name].ordered_at - base.tickets[name].ordered_at for name in own if name in draft_.tickets]
    others = [t for t in draft_.tickets.values() if t.rule in names and t.external_id not in base.tickets]
    return Trial(
        minutes=minutes,
        saved=len(own - draft_.tickets.keys()),
        instead=len(others),
        later=tuple(sorted(delay for delay in later if delay > 0)),
    )


def advised(group: Group, tickets: int, trials: Sequence[Trial]) -> Advice:
    """The shortest hold that saves nearly as much as any; none where nothing is saved."""
    most = max((trial.net for trial in trials), default=0)
    best = next((trial for trial in trials if most > 0 and trial.net >= most * _ENOUGH), None)
    return Advice(group=group, tickets=tickets, trials=tuple(trials), best=best)
