"""``lockstep shadow``: what Lockstep would have done, beside what another connector did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from schemas.envelope import rfc3339
from streams.cli.base import FINDING, Failure, common, run, say, say_json, say_table, settings_of
from streams.cli.parameters import Instant
from streams.cli.progress import Progress
from streams.clock import clock_of
from streams.core.shadow.report import AGREEMENT, COMPARED, RuleFigures, ShadowReport, rows, share
from streams.replay.shadow import shadow_report
from streams.wiring import kafka_options
from streams.wording import quoted

_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: How many differences a person is shown; ``--json`` has all.
_SHOWN = 20


class Span(click.ParamType):
    """A length of time as in the policy (``15m``); milliseconds for the verb."""

    name = "SPAN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,7})([smhd])", value.strip())
        if found is None:
            self.fail(f"'{value}' is no length of time; write it like 15m, 2h or 1d", param, ctx)
        return int(found[1]) * _UNIT_MS[found[2]]


@click.command("shadow")
@click.option("--since", type=Instant(), help="Alerts seen since then (2026-11-28T09:30:00Z or 7d; default: all).")
@click.option("--rule", help="Only alerts of this rule of the policy.")
@click.option(
    "--grace",
    type=Span(),
    default="15m",
    show_default=True,
    help="How long one side may be behind the other before it is a difference.",
)
@common
def shadow(config: Path | None, as_json: bool, since: int | None, rule: str | None, grace: int) -> int:
    """Compare what Lockstep would have done with what the other connector did; exit 2 where they differ.

    For an installation started with 'lockstep up --shadow' or 'mode: shadow'. No vendor is called.
    """

    async def main() -> tuple[int, ShadowReport]:
        async with clock_of() as clock:
            with Progress("records") as progress:
                now = clock.now()
                options = await kafka_options(settings_of(config))
                return now, await shadow_report(
                    options, now=now, since=since or 0, rule=rule, grace_ms=grace, progress=progress
                )

    now, found = run(main())
    if rule is not None and not found.rules:
        raise Failure(
            f"no alert of rule {quoted(rule)} was seen; 'lockstep shadow' without --rule lists the rules that had any"
        )
    if as_json:
        say_json({"at": rfc3339(now), "since": rfc3339(since) if since else None, **found.document()})
    else:
        _tell(found)
    return FINDING if found.pairs else 0


def _tell(found: ShadowReport) -> None:
    if not found.rules:
        say("no alert was seen yet")
        return
    say_table([_opened(rule) for rule in found.rules], _OPENED)
    say()
    say_table([_closed(rule) for rule in found.rules], _CLOSED)
    for rule in found.rules:
        for because, count in sorted(rule.only_other.items(), key=lambda pair: (-pair[1], pair[0])):
            say(f"{rule.rule}: only the other connector opened a ticket for {count}; in Lockstep: {because}")
    if found.storm_tickets:
        say(f"Lockstep would have opened {found.storm_tickets} parent tickets of storms besides")
    if found.tickets_of_nobody:
        say(
            f"{found.tickets_of_nobody} of {found.tickets_watched} tickets of the other connector belong to no alert seen here"
        )
    if not found.tickets_watched:
        say(
            "no ticket of another connector was seen: no alert names one; set shadow.creators to the API user that opens them"
        )
    lines = [row for one in found.pairs for row in rows(one)]
    for row in lines[:_SHOWN]:
        where = row["device"] or f"organization {row['organization']}"
        say(f"{row['kind']}: alert {row['alert']} on {where}: Lockstep {row['lockstep']}; the other {row['other']}")
    if len(lines) > _SHOWN:
        say(f"and {len(lines) - _SHOWN} more (--json has all)")
    say(f"{_per_cent(found.agreement) or 'nothing compared yet for'} {AGREEMENT}")


_OPENED = ["RULE", "ALERTS", "TOO NEW", "BOTH", "NEITHER", "ONLY LOCKSTEP", "ONLY OTHER", "DOUBLED", "AGREEMENT"]
_CLOSED = [
    "RULE",
    *(f"SAME {name.upper()}" for name in COMPARED),
    "BOTH CLOSED",
    "LATER BY",
    "NEVER CLOSED",
    "ONLY OTHER CLOSED",
]


def _opened(rule: RuleFigures) -> list[str]:
    counts = [rule.alerts, rule.undecided, rule.both_opened, rule.neither_opened, rule.only_lockstep]
    counts += [sum(rule.only_other.values()), rule.doubled]
    return [rule.rule, *map(str, counts), _per_cent(share(rule.alike, rule.compared))]


def _closed(rule: RuleFigures) -> list[str]:
    seconds = rule.document()["other_closed_later_seconds_median"]
    same = [_per_cent(share(*rule.same[name])) for name in COMPARED]
    later = "" if seconds is None else f"{seconds} s"
    return [rule.rule, *same, str(rule.both_closed), later, str(rule.never_closed), str(rule.only_other_closed)]


def _per_cent(value: float | None) -> str:
    return "" if value is None else f"{value:g} %"


COMMANDS = [shadow]
