"""``lockstep resync | reconcile``: both vendors beside the log; what is apart is named, and mended by events if wanted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from streams.cli.base import FAILED, FINDING, Failure, common, run, say, say_error, say_json, settings_of
from streams.cli.drift_report import document, tell
from streams.cli.progress import Progress
from streams.clock import clock_of
from streams.core.drift.findings import CLASSES, told
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.mode import mode_of
from streams.operations import switches
from streams.reconciling.reconcile import Reconciled, Reconciler
from streams.reconciling.resync import Resynced
from streams.reconciling.resync import resync as resynced
from streams.reconciling.scope import Scope
from streams.settings import Settings
from streams.wiring import kafka_options
from streams.wording import counted

#: Between two polls nothing is apart yet; longer than this nobody waits for the second look.
_LONGEST_GRACE_S = 120.0

_ORGANIZATION = click.option("--organization", type=click.IntRange(min=1), metavar="ID", help="Only this organization.")
_DEVICE = click.option("--device", type=click.IntRange(min=1), metavar="ID", help="Only this device.")
_WITHIN = click.option(
    "--within",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Seconds to wait for what comes of the facts.",
)


@click.command("resync")
@_ORGANIZATION
@_DEVICE
@_WITHIN
@common
def resync(config: Path | None, as_json: bool, organization: int | None, device: int | None, within: float) -> int:
    """Read both vendors anew and tell the agents what is there; they repair what they had missed.

    Harmless to repeat: what is known already changes nothing. Exit 1: a connection is closed, or not all was decided in time.
    """
    found = run(_resync(settings_of(config), config, Scope(organization, device), within))
    commands = Counter(
        kind.removeprefix("lockstep.command.").rpartition(".v")[0] for kind in found.followed.commands.values()
    )
    rejected = [fact for fact in found.followed.outcomes.values() if fact.outcome != "Succeeded"]
    if as_json:
        say_json(
            {
                "facts": found.told,
                "decided": len(found.followed.decided),
                "commands": dict(commands),
                "settled": len(found.followed.outcomes),
                "not_succeeded": [
                    {"effect": fact.effect_key, "outcome": fact.outcome, "reason": fact.reason, "detail": fact.detail}
                    for fact in rejected
                ],
            }
        )
    else:
        say("told: " + ", ".join(counted(count, kind.removesuffix("s")) for kind, count in found.told.items() if count))
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(commands.items()))
        say(
            f"decided: {counted(len(found.followed.decided), 'fact')}, {counted(len(found.followed.commands), 'command')}"
            + (f" ({listed})" if listed else "")
        )
        for fact in rejected:
            say(f"{fact.effect_key}: {fact.outcome} {fact.reason} {fact.detail}".strip())
    if found.followed.open:
        say_error(
            f"lockstep: {found.followed.open} facts and commands have no end after {within:g} s; they go on by themselves, "
            "'lockstep status' says what waits"
        )
        return FAILED
    return 0


async def _live(settings: Settings) -> KafkaOptions:
    """The running system's Kafka. Raises ``Failure`` where it is a shadow: nothing there is what it wrote at the vendors."""
    options = await kafka_options(settings)
    if mode_of(await switches(options)) == "shadow":
        raise Failure(
            "this is a shadow, which writes at no vendor: 'lockstep shadow' compares it with the other connector"
        )
    return options


async def _resync(settings: Settings, config: Path | None, scope: Scope, within: float) -> Resynced:
    options = await _live(settings)
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        with Progress("decided") as progress:
            return await resynced(
                settings, config, options, log, clock, scope=scope, within=within, step=progress.step, progress=progress
            )


class DriftName(click.ParamType):
    """A class of drift: ``missed-close`` or ``MissedClose``."""

    name = "NAME"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        known = {told(name): name for name in CLASSES} | {name.lower(): name for name in CLASSES}
        found = known.get(str(value).lower().replace("_", "-"))
        if found is None:
            self.fail(
                f"'{value}' is no class; there are {', '.join(told(name) for name in CLASSES)}", parameter, context
            )
        return found


@click.command("reconcile")
@click.option("--repair", is_flag=True, help="Mend what is apart, by events; without it nothing is written.")
@click.option(
    "--class", "classes", type=DriftName(), multiple=True, help="Only this class (may be given several times)."
)
@_ORGANIZATION
@_DEVICE
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    help="Seconds until a difference is looked at again; what is gone then was under way (default: one poll and 15 s).",
)
@_WITHIN
@common
def reconcile(
    config: Path | None,
    as_json: bool,
    repair: bool,
    classes: tuple[str, ...],
    organization: int | None,
    device: int | None,
    grace: float | None,
    within: float,
) -> int:
    """Compare log, NinjaOne and Autotask; exit 2 where anything is apart (with --repair: where anything is left).

    What is under way, held, settling, parked or left on purpose is explained, not apart.
    """
    settings = settings_of(config)
    longest = max(settings.ninjaone.poll_seconds, settings.autotask.poll_seconds) + 15
    wait = min(longest, _LONGEST_GRACE_S) if grace is None else grace

    async def main() -> tuple[Reconciled, int]:
        options = await _live(settings)
        async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
            with Progress("mended") as progress:
                reconciler = Reconciler(
                    *(settings, config, options, log, clock, Scope(organization, device), frozenset(classes)),
                    grace=wait,
                    within=within,
                    step=progress.step,
                    progress=progress,
                )
                return await reconciler.run(repair=repair), clock.now()

    found, at = run(main())
    if as_json:
        say_json(document(found, at, repaired=repair))
    else:
        tell(found)
    return FINDING if found.left else 0


COMMANDS = [resync, reconcile]
