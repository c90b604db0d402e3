"""``lockstep policy check | publish``."""

from __future__ import annotations

from pathlib import Path

import click

from streams.cli.base import FAILED, actor, common, run, say, say_error, say_json, settings_of
from streams.cli.main import Group
from streams.policy_file import PolicyFileError, read_policy
from streams.settings import Settings


@click.group("policy", cls=Group)
def policy() -> None:
    """Rules: which alert becomes which ticket, which device becomes which item."""


@policy.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@common
def check(config: Path | None, as_json: bool, file: Path | None) -> int:
    """Say what is wrong in a policy file, with the line; needs no running system."""
    path = file or settings_of(config).policy_path
    try:
        found = read_policy(path)
    except PolicyFileError as error:
        if as_json:
            say_json({"ok": False, "findings": error.lines})
        for line in [] if as_json else error.lines:
            say_error(line)
        return FAILED
    names = [rule.name for rule in found.policy.rules]
    if as_json:
        say_json({"ok": True, "findings": [], "rules": names})
    else:
        say(
            f"{path}: {len(names)} rules ({', '.join(names)}), {len(found.policy.companies.map)} mapped organizations: good"
        )
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
