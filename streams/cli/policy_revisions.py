"""``lockstep policy publish | promote | rollback | list | diff``: which revision is in force, for whom, and what it changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.envelope import rfc3339
from schemas.facts import PolicyPublished
from streams.cli.base import (
    FAILED,
    FINDING,
    Failure,
    actor,
    common,
    run,
    say,
    say_error,
    say_json,
    say_table,
    settings_of,
)
from streams.cli.parameters import Organizations
from streams.core.policy.diff import differences
from streams.core.policy.policy import PolicyError, parse_policy
from streams.core.revisions import Standing, standing
from streams.policy_check import Checked, check_policy
from streams.policy_file import read_policy
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka_options import KafkaOptions
    from streams.policy_log import Published, Revision

NONE_YET = "no policy is published yet; 'lockstep policy publish' does it, and so does the first start"
NO_CANARY = "no canary is in force: every organization has the same revision"


@click.command("publish")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--note", default="", help="Why, for the audit.")
@click.option(
    "--canary", type=Organizations(), default=(), metavar="17,23", help="For these organizations only, first."
)
@click.option("--anyway", is_flag=True, help="Publish although names in it do not exist in Autotask.")
@common
def publish(
    config: Path | None, as_json: bool, file: Path | None, note: str, canary: tuple[int, ...], anyway: bool
) -> int:
    """Put a policy file into force, without a restart. Names are looked up in Autotask first, where it is Healthy.

    With --canary, for some organizations; everybody else keeps the revision in force, until 'policy promote' or
    'policy rollback'.
    """
    settings = settings_of(config)
    checked, result = run(_publish(settings, file or settings.policy_path, note, canary, anyway=anyway))
    for line in [] if as_json else checked.lines():
        say_error(line)
    if as_json:
        found = {"findings": [each.document() for each in checked.all()], "not_looked_at": checked.notes}
        say_json({**(_told(result) if result else {"revision": None, "published": False}), **found})
    if result is None:
        say_error("lockstep: nothing was published; correct the names, or publish all the same with --anyway")
        return FAILED
    if as_json:
        return 0
    if not result.published:
        say(f"nothing to publish: revision {result.revision} is in force{_for(canary)} and says the same")
    elif canary:
        say(f"policy revision {result.revision} is in force{_for(canary)}; everybody else keeps the previous one")
        _say_ended(result)
        say("next: 'lockstep policy promote' puts it into force for all, 'lockstep policy rollback' takes it back")
    else:
        say(f"policy revision {result.revision} is in force" + (" for all" if result.promoted else ""))
        _say_ended(result)
    return 0


def _told(result: Published) -> dict[str, Any]:
    ended = {"ended_canary": result.ended.revision} if result.ended is not None else {}
    return {"revision": result.revision, "published": result.published, **ended}


def _say_ended(result: Published) -> None:
    if result.ended is not None:
        say(f"the canary of revision {result.ended.revision}{_for(result.ended.organizations)} is over")


def _for(organizations: Sequence[int]) -> str:
    from streams.policy_log import organizations_told

    return f" for {organizations_told(organizations)}" if organizations else ""


async def _publish(
    settings: Settings, path: Path, note: str, canary: tuple[int, ...], *, anyway: bool
) -> tuple[Checked, Published | None]:
    from streams.wiring import kafka_options

    file = read_policy(path)
    options = await kafka_options(settings)
    if canary:
        await _known(options, canary)
    checked = await check_policy(settings, file, tenant="if healthy", options=options)
    if checked.errors() and not anyway:
        return checked, None
    return checked, await _put(options, file.document, note, canary)


async def _known(options: KafkaOptions, canary: Sequence[int]) -> None:
    """Refuse a canary for an organization that NinjaOne does not have: nothing would ever be decided by it."""
    from streams.policy_known import meant, organizations

    known = await organizations(options)
    for number in canary:
        if known and number not in known:
            raise Failure(f"NinjaOne has no organization {number}; {meant(known, number)}; nothing was published")


async def _put(options: KafkaOptions, document: str, note: str, canary: Sequence[int] = ()) -> Published:
    from streams.clock import clock_of
    from streams.log import KafkaLog
    from streams.policy_log import publish_policy

    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        return await publish_policy(
            log, options, document, now=clock.now, author=actor(), note=note, organizations=canary
        )


@click.command("promote")
@click.option("--note", default="", help="Why, for the audit.")
@common
def promote(config: Path | None, as_json: bool, note: str) -> int:
    """Put the canary's revision into force for everybody."""

    async def main() -> Published:
        from streams.wiring import kafka_options

        options = await kafka_options(settings_of(config))
        canary = standing([each.fact for each in await _revisions(options)]).canary
        if canary is None:
            raise Failure(f"{NO_CANARY}; 'lockstep policy publish --canary 17,23' begins one")
        return await _put(options, canary.document, note or f"promoted{_for(canary.organizations)}")

    result = run(main())
    if as_json:
        say_json(_told(result))
    else:
        say(f"policy revision {result.revision} is in force for all")
    return 0


@click.command("list")
@common
def list_revisions(config: Path | None, as_json: bool) -> int:
    """Show every revision: when it came into force, for whom, by whom and why."""
    revisions = run(_of(settings_of(config)))
    current = standing([each.fact for each in revisions])
    if as_json:
        say_json([_row(each, current) for each in revisions])
        return 0
    if not revisions:
        say(NONE_YET)
        return 0
    rows = [
        [
            f"{each.fact.revision}{_mark(each.fact, current)}",
            rfc3339(each.at),
            _for(each.fact.organizations).removeprefix(" for ") or "all",
            each.fact.author,
            each.fact.note,
        ]
        for each in revisions
    ]
    say_table(rows, ["REVISION", "SINCE", "FOR", "BY", "WHY"])
    return 0


def _mark(fact: PolicyPublished, current: Standing) -> str:
    if fact is current.in_force:
        return " (in force)"
    return " (canary)" if fact is current.canary else ""


def _row(revision: Revision, current: Standing) -> dict[str, Any]:
    fact = revision.fact
    return {
        "revision": fact.revision,
        "since": rfc3339(revision.at),
        "by": fact.author,
        "why": fact.note,
        "in_force": fact is current.in_force,
        "canary": fact is current.canary,
        "organizations": list(fact.organizations),
    }


@click.command("diff")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "old", type=click.IntRange(min=1), help="A revision (default: the one in force).")
@click.option("--to", "new", type=click.IntRange(min=1), help="A revision instead of the file.")
@common
def diff(config: Path | None, as_json: bool, file: Path | None, old: int | None, new: int | None) -> int:
    """Say what publishing the file would change, key by key; exit code 2: something.

    With --to, what two revisions say differently.
    """
    if file is not None and new is not None:
        raise click.UsageError("compare with a file or with --to a revision, not both")
    settings = settings_of(config)
    target = None if new is not None else read_policy(file or settings.policy_path)
    revisions = run(_of(settings))
    before = _revision(revisions, old)
    now = _revision(revisions, new).document if target is None else target.document
    found = differences(json.loads(before.document), json.loads(now))
    name = f"revision {new}" if target is None else str(target.path)
    if as_json:
        lines = [asdict(each) for each in found]
        say_json({"from": before.revision, "to": new if target is None else name, "differences": lines})
        return FINDING if found else 0
    for each in found:
        say(each.line)
    canary = standing([each.fact for each in revisions]).canary
    if canary is not None and old is None:
        same = " and says the same as the file" if target is not None and canary.document == target.document else ""
        say(
            f"note: revision {canary.revision} is tried{_for(canary.organizations)}{same}; compared with the one for all"
        )
    say(f"from revision {before.revision} to {name}: {len(found) or 'no'} difference{'' if len(found) == 1 else 's'}")
    return FINDING if found else 0


@click.command("rollback")
@click.argument("revision", required=False, type=click.IntRange(min=1))
@click.option("--note", default="", help="Why, for the audit.")
@common
def rollback(config: Path | None, as_json: bool, revision: int | None, note: str) -> int:
    """Put what an earlier revision said into force again, as a new revision. Without one: take the canary back."""
    settings = settings_of(config)
    number, result = run(_roll_back(settings, revision, note))
    if as_json:
        say_json({**_told(result), "as": number})
    elif result.published:
        say(f"policy revision {result.revision} is in force and says what revision {number} said")
        _say_ended(result)
        say(f"{settings.policy_path} is left as it is; 'lockstep policy diff' shows where it differs")
    else:
        say(f"nothing to do: revision {result.revision} is in force and says what revision {number} said")
    return 0


async def _roll_back(settings: Settings, revision: int | None, note: str) -> tuple[int, Published]:
    from streams.wiring import kafka_options

    options = await kafka_options(settings)
    revisions = await _revisions(options)
    if revision is None and standing([each.fact for each in revisions]).canary is None:
        raise Failure(f"{NO_CANARY}; say which revision, 'lockstep policy list' shows them")
    earlier = _revision(revisions, revision)
    try:
        parse_policy(json.loads(earlier.document))
    except PolicyError as error:
        raise Failure(
            f"revision {earlier.revision} cannot come into force in this version: {error.findings[0]}; "
            "write it as a file, mend it and publish that"
        ) from None
    why = f"as revision {earlier.revision}" + (f": {note}" if note else "")
    return earlier.revision, await _put(options, earlier.document, why)


async def _of(settings: Settings) -> list[Revision]:
    from streams.wiring import kafka_options

    return await _revisions(await kafka_options(settings))


async def _revisions(options: KafkaOptions) -> list[Revision]:
    from streams.policy_log import policy_revisions

    return await policy_revisions(options)


def _revision(revisions: Sequence[Revision], number: int | None) -> PolicyPublished:
    """The one of that number, or the one in force for all."""
    current = standing([each.fact for each in revisions]).in_force
    if current is None:
        raise Failure(NONE_YET)
    for each in revisions:
        if each.fact.revision == number:
            return each.fact
    if number is not None:
        there = ", ".join(str(number) for number in sorted({each.fact.revision for each in revisions})[-20:])
        raise Failure(f"there is no revision {number}; there are {there}")
    return current


COMMANDS = [publish, promote, list_revisions, diff, rollback]
