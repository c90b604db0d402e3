"""``lockstep policy check | schema | diff | list | publish | rollback``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.envelope import rfc3339
from schemas.facts import PolicyPublished
from streams.cli.base import FAILED, FINDING, Failure, actor, common, run, say, say_error, say_json, settings_of, table
from streams.cli.main import Group
from streams.core.policy import PolicyError, parse_policy
from streams.core.policy_diff import Difference, differences
from streams.policy_check import Checked, check_policy
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_schema import policy_schema
from streams.settings import Settings, SettingsError

if TYPE_CHECKING:
    from streams.wiring import Revision

NONE_YET = "no policy is published yet; 'lockstep policy publish' does it, and so does the first start"


@click.group("policy", cls=Group)
def policy() -> None:
    """Rules: which alert becomes which ticket, which device becomes which item."""


@policy.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--tenant", is_flag=True, help="Also look every name up in Autotask.")
@common
def check(config: Path | None, as_json: bool, file: Path | None, tenant: bool) -> int:
    """Say what is wrong in a policy file, with the line. Exit code 2: there is something.

    Needs no running system; where one runs, its organizations and companies are looked at too.
    """
    settings = None if file is not None and not tenant else settings_of(config)
    path = file or settings_of(config).policy_path
    try:
        found = read_policy(path)
    except PolicyFileError as error:
        if as_json:
            say_json({"ok": False, "lines": error.lines, "findings": [each.document() for each in error.findings]})
        for line in [] if as_json else error.lines:
            say_error(line)
        return FINDING if error.findings else FAILED
    checked = run(check_policy(settings or _settings_beside(config), found, tenant="must" if tenant else "no"))
    findings, errors = checked.all(), checked.errors()
    names = [rule.name for rule in found.policy.rules]
    if as_json:
        say_json(
            {
                "ok": not errors,
                "lines": [found.said(finding) for finding in findings],
                "findings": [each.document() for each in findings],
                "rules": names,
                "not_looked_at": checked.notes,
            }
        )
    else:
        for line in checked.lines():
            say_error(line)
        mapped = len(found.policy.companies.map)
        say(f"{path}: {len(names)} rules ({', '.join(names)}), {mapped} mapped organizations: {_verdict(checked)}")
    return FINDING if findings else 0


def _settings_beside(config: Path | None) -> Settings | None:
    """The settings that lead to a running system; for a file that is named none are needed."""
    try:
        return settings_of(config)
    except SettingsError:
        return None


def _verdict(checked: Checked) -> str:
    if checked.errors():
        return "cannot do its work in this tenant"
    return "can be published, with warnings" if checked.findings or checked.missing else "good"


@policy.command("schema")
def schema() -> int:
    """Print the JSON Schema of the policy file, for editors."""
    print(policy_schema(), end="")
    return 0


@policy.command("publish")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--note", default="", help="Why, for the audit.")
@click.option("--anyway", is_flag=True, help="Publish although names in it do not exist in Autotask.")
@common
def publish(config: Path | None, as_json: bool, file: Path | None, note: str, anyway: bool) -> int:
    """Put a policy file into force, without a restart. Names are looked up in Autotask first, where it is Healthy."""
    settings = settings_of(config)
    checked, result = run(_publish(settings, file or settings.policy_path, note, anyway=anyway))
    if as_json:
        findings = {"findings": [each.document() for each in checked.all()], "not_looked_at": checked.notes}
        revision, published = result or (None, False)
        say_json({"revision": revision, "published": published, **findings})
    for line in [] if as_json else checked.lines():
        say_error(line)
    if result is None:
        say_error("lockstep: nothing was published; correct the names, or publish all the same with --anyway")
        return FAILED
    revision, published = result
    if not as_json:
        say(
            f"policy revision {revision} is in force"
            if published
            else f"nothing to publish: revision {revision} is in force and says the same"
        )
    return 0


async def _publish(
    settings: Settings, path: Path, note: str, *, anyway: bool
) -> tuple[Checked, tuple[int, bool] | None]:
    from streams.clock import clock_of
    from streams.log import KafkaLog
    from streams.wiring import kafka_options, publish_policy

    file = read_policy(path)
    options = await kafka_options(settings)
    checked = await check_policy(settings, file, tenant="if healthy", options=options)
    if checked.errors() and not anyway:
        return checked, None
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        return checked, await publish_policy(log, options, file.document, now=clock.now, author=actor(), note=note)


@policy.command("list")
@common
def list_revisions(config: Path | None, as_json: bool) -> int:
    """Show every revision: when it came into force, by whom and why."""
    revisions = run(_revisions(settings_of(config)))
    if as_json:
        say_json([_told(each, in_force=each is revisions[-1]) for each in revisions])
        return 0
    if not revisions:
        say(NONE_YET)
        return 0
    rows = [
        [
            f"{each.fact.revision}{' (in force)' if each is revisions[-1] else ''}",
            rfc3339(each.at),
            each.fact.author,
            each.fact.note,
        ]
        for each in revisions
    ]
    say(table(rows, ["REVISION", "SINCE", "BY", "WHY"]))
    return 0


def _told(revision: Revision, *, in_force: bool) -> dict[str, Any]:
    fact = revision.fact
    return {
        "revision": fact.revision,
        "since": rfc3339(revision.at),
        "by": fact.author,
        "why": fact.note,
        "in_force": in_force,
    }


@policy.command("diff")
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
    revisions = run(_revisions(settings))
    before = _revision(revisions, old)
    now = _revision(revisions, new).document if target is None else target.document
    found = differences(json.loads(before.document), json.loads(now))
    name = f"revision {new}" if target is None else str(target.path)
    if as_json:
        lines = [asdict(each) for each in found]
        say_json({"from": before.revision, "to": new if target is None else name, "differences": lines})
        return FINDING if found else 0
    for each in found:
        say(_line(each))
    say(f"from revision {before.revision} to {name}: {len(found) or 'no'} difference{'' if len(found) == 1 else 's'}")
    return FINDING if found else 0


def _line(found: Difference) -> str:
    if found.absent == "was":
        return f"+ {found.key}: {_shown(found.now)}"
    if found.absent == "now":
        return f"- {found.key}: {_shown(found.was)}"
    return f"~ {found.key}: {_shown(found.was)} -> {_shown(found.now)}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@policy.command("rollback")
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--note", default="", help="Why, for the audit.")
@common
def rollback(config: Path | None, as_json: bool, revision: int, note: str) -> int:
    """Put what an earlier revision said into force again, as a new revision."""
    settings = settings_of(config)
    why = f"as revision {revision}" + (f": {note}" if note else "")
    number, published = run(_roll_back(settings, revision, why))
    if as_json:
        say_json({"revision": number, "published": published, "as": revision})
    elif published:
        say(f"policy revision {number} is in force and says what revision {revision} said")
        say(f"{settings.policy_path} is left as it is; 'lockstep policy diff' shows where it differs")
    else:
        say(f"nothing to do: revision {number} is in force and says what revision {revision} said")
    return 0


async def _roll_back(settings: Settings, revision: int, why: str) -> tuple[int, bool]:
    from streams.clock import clock_of
    from streams.log import KafkaLog
    from streams.wiring import kafka_options, policy_revisions, publish_policy

    options = await kafka_options(settings)
    document = _revision(await policy_revisions(options), revision).document
    try:
        parse_policy(json.loads(document))
    except PolicyError as error:
        raise Failure(
            f"revision {revision} cannot come into force in this version: {error.findings[0]}; "
            "write it as a file, mend it and publish that"
        ) from None
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        return await publish_policy(log, options, document, now=clock.now, author=actor(), note=why)


async def _revisions(settings: Settings) -> list[Revision]:
    from streams.wiring import kafka_options, policy_revisions

    return await policy_revisions(await kafka_options(settings))


def _revision(revisions: Sequence[Revision], number: int | None) -> PolicyPublished:
    """The one of that number, or the one in force."""
    if not revisions:
        raise Failure(NONE_YET)
    for each in revisions:
        if each.fact.revision == number:
            return each.fact
    if number is not None:
        there = ", ".join(str(each.fact.revision) for each in revisions[-20:])
        raise Failure(f"there is no revision {number}; there are {there}")
    return revisions[-1].fact


COMMANDS = [policy]
