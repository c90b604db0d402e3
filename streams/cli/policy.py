"""``lockstep policy check | schema | publish``."""

from __future__ import annotations

from pathlib import Path

import click

from streams.cli.base import FAILED, FINDING, actor, common, run, say, say_error, say_json, settings_of
from streams.cli.main import Group
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_schema import policy_schema
from streams.settings import Settings


@click.group("policy", cls=Group)
def policy() -> None:
    """Rules: which alert becomes which ticket, which device becomes which item."""


@policy.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@common
def check(config: Path | None, as_json: bool, file: Path | None) -> int:
    """Say what is wrong in a policy file, with the line; needs no running system. Exit code 2: there is something."""
    path = file or settings_of(config).policy_path
    try:
        found = read_policy(path)
    except PolicyFileError as error:
        if as_json:
            say_json({"ok": False, "lines": error.lines, "findings": [each.document() for each in error.findings]})
        for line in [] if as_json else error.lines:
            say_error(line)
        return FINDING if error.findings else FAILED
    warnings = found.warnings()
    names = [rule.name for rule in found.policy.rules]
    if as_json:
        lines = [found.said(warning) for warning in warnings]
        say_json({"ok": True, "lines": lines, "findings": [each.document() for each in warnings], "rules": names})
    else:
        for warning in warnings:
            say_error(found.said(warning))
        verdict = "can be published, with warnings" if warnings else "good"
        mapped = len(found.policy.companies.map)
        say(f"{path}: {len(names)} rules ({', '.join(names)}), {mapped} mapped organizations: {verdict}")
    return FINDING if warnings else 0


@policy.command("schema")
def schema() -> int:
    """Print the JSON Schema of the policy file, for editors."""
    print(policy_schema(), end="")
    return 0


@policy.command("publish")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--note", default="", help="Why, for the audit.")
@common
def publish(config: Path | None, as_json: bool, file: Path | None, note: str) -> int:
    """Put a policy file into force, without a restart."""
    settings = settings_of(config)
    revision, published = run(_publish(settings, file or settings.policy_path, note))
    if as_json:
        say_json({"revision": revision, "published": published})
    elif published:
        say(f"policy revision {revision} is in force")
    else:
        say(f"nothing to publish: revision {revision} is in force and says the same")
    return 0


async def _publish(settings: Settings, path: Path, note: str) -> tuple[int, bool]:
    from streams.clock import clock_of
    from streams.log import KafkaLog
    from streams.wiring import kafka_options, publish_policy

    file = read_policy(path)
    options = await kafka_options(settings)
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        return await publish_policy(log, options, file, now=clock.now, author=actor(), note=note)


COMMANDS = [policy]
