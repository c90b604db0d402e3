"""``lockstep advise``: which alerts should have waited a little, by what the log would have come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson
import yaml

from schemas.envelope import rfc3339
from streams.cli.base import FINDING, Failure, common, run, say, say_json, say_whole, settings_of, table, width
from streams.cli.parameters import Instant
from streams.cli.progress import Progress
from streams.clock import machine_now
from streams.core.advice import CANDIDATES, Advice, Trial, snippets
from streams.core.policy.policy import parse_policy
from streams.policy_log import policy_in_force
from streams.replay.advise import Advised
from streams.replay.advise import advise as advised
from streams.wiring import kafka_options
from streams.wording import counted

_MONTH_MS = 30 * 24 * 3_600_000


@click.command("advise")
@click.option("--since", type=Instant(), help="How far to look back (default: thirty days).")
@common
def advise(config: Path | None, as_json: bool, since: int | None) -> int:
    """Which hold would have saved which tickets, and what it would have cost; exit 2 where one is advised.

    Every number is a what-if of the policy in force over the recorded alerts (docs/replay.md). Calls no vendor, changes nothing.
    """
    begin = since if since is not None else machine_now() - _MONTH_MS

    async def main() -> tuple[Advised, str, int]:
        options = await kafka_options(settings_of(config))
        policy = await policy_in_force(options)
        if policy is None:
            raise Failure(
                "no policy is in force, so there is nothing to advise on; `lockstep policy publish` publishes one"
            )
        with Progress("records") as progress:
            found = await advised(options, policy.document, since=begin, progress=progress)
        return found, policy.document, policy.revision

    found, document, revision = run(main())
    rules = _rules(found, document)
    if as_json:
        say_json({"since": rfc3339(begin), "revision": revision, **as_data(found), "rules": [new for _, new in rules]})
        return FINDING if rules else 0
    for line in lines(found, revision, begin):
        say(line)
    if rules:
        say()
        say("In policy.yaml, then `lockstep policy check`, `diff` and `publish`:")
        for place, new in rules:
            say()
            say_whole(f"# {place}")
            say_whole(yaml.safe_dump([new], sort_keys=False, allow_unicode=True).rstrip())
    return FINDING if rules else 0


def lines(found: Advised, revision: int, begin: int) -> list[str]:
    """What a person is told, without the rules."""
    tickets = counted(len(found.before.tickets), "ticket")
    seen = f"{counted(found.facts, 'fact')} since {rfc3339(begin)} under policy revision {revision}: {tickets}"
    if not found.advice:
        return [f"{seen}; there is nothing to advise on"]
    said = [
        seen,
        table(
            [_row(one) for one in found.advice],
            ["RULE", "CONDITION", "TICKETS", "HOLD", "FEWER", "LATER"],
            within=width(),
        ),
    ]
    if all(one.best is None for one in found.advice):
        return [*said, f"no hold up to {CANDIDATES[-1]}m would have saved a ticket"]
    fewer = _calls(found.before) - _calls(found.after)
    said.append(
        f"all of it together: {counted(len(found.after.tickets), 'ticket')} instead of {len(found.before.tickets)}, "
        f"{counted(fewer, 'call')} fewer; {_later(found.later)}"
    )
    return said


def _row(one: Advice) -> list[str]:
    name = one.group.condition.name if one.group.condition else "(any other)"
    if one.best is None:
        return [one.group.rule, name, str(one.tickets), "-", "0", ""]
    return [
        one.group.rule,
        name,
        str(one.tickets),
        f"{one.best.minutes}m",
        str(one.best.net),
        _later(list(one.best.later)),
    ]


def _later(delays: list[int]) -> str:
    if not delays:
        return "none later"
    return f"{len(delays)} later, by {_minutes(delays[len(delays) // 2])}, at most {_minutes(delays[-1])}"


def _minutes(milliseconds: int) -> str:
    seconds = round(milliseconds / 1000)
    return f"{seconds // 60}:{seconds % 60:02d} min"


def _calls(side: Any) -> int:
    return int(sum(side.calls.values()))


def _rules(found: Advised, document: str) -> list[tuple[str, dict[str, Any]]]:
    """The rules to paste, each with where it goes."""
    holds = {one.group: one.best.minutes for one in found.advice if one.best is not None}
    whole = orjson.loads(document)
    policy = parse_policy(whole)
    rules = []
    for rule in whole.get("rules") or [{"name": "everything-else", "when": {}}]:
        for new in snippets(policy, rule, holds):
            replaces = new["name"] == rule["name"]
            rules.append((f"{'in place of' if replaces else 'right before'} the rule {rule['name']}", new))
    return rules


def as_data(found: Advised) -> dict[str, Any]:
    """For ``--json``: durations in milliseconds."""
    return {
        "facts": found.facts,
        "tickets": {"in_force": len(found.before.tickets), "advised": len(found.after.tickets)},
        "calls": {"in_force": dict(found.before.calls), "advised": dict(found.after.calls)},
        "later_ms": found.later,
        "advice": [
            {
                "rule": one.group.rule,
                "condition": one.group.condition.name if one.group.condition else None,
                "when": {one.group.condition.matcher: one.group.condition.value} if one.group.condition else {},
                "tickets": one.tickets,
                "hold": f"{one.best.minutes}m" if one.best else None,
                "tried": [_tried(trial) for trial in one.trials],
            }
            for one in found.advice
        ],
    }


def _tried(trial: Trial) -> dict[str, Any]:
    return {
        "hold": f"{trial.minutes}m",
        "saved": trial.saved,
        "instead": trial.instead,
        "later": len(trial.later),
        "later_median_ms": trial.median_ms,
        "later_longest_ms": trial.later[-1] if trial.later else 0,
    }


COMMANDS = [advise]
