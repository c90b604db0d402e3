"""``lockstep pause`` and ``resume``: making work wait, and letting it go again."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.envelope import rfc3339
from streams import operations
from streams.cli.base import actor, common, run, say, say_json, settings_of
from streams.clock import clock_of
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.wiring import kafka_options

_WHAT = click.Choice(["ninjaone", "autotask", "all"])


@click.command("pause")
@click.argument("what", type=_WHAT, default="all")
@click.option("--reason", default="", help="Why; shown in 'lockstep status'.")
@common
def pause(config: Path | None, as_json: bool, what: operations.Paused, reason: str) -> int:
    """Stop the calls to one vendor or both; work waits. Holds over restarts until 'lockstep resume'.

    Without an argument: both.
    """

    async def asked(options: KafkaOptions) -> operations.Pause:
        async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
            return await operations.pause(log, what, by=actor(), reason=reason, at=clock.now())

    async def main() -> operations.Pause:
        return await asked(await kafka_options(settings_of(config)))

    switch = run(main())
    if as_json:
        say_json({"paused": switch.what, "since": rfc3339(switch.since)})
    else:
        say(f"paused: {switch.what}, since {rfc3339(switch.since)}")
    return 0


@click.command("resume")
@click.argument("what", type=_WHAT, default="all")
@common
def resume(config: Path | None, as_json: bool, what: operations.Paused) -> int:
    """Let the calls go again.

    Without an argument: both.
    """

    async def main() -> dict[operations.Paused, operations.Pause]:
        options = await kafka_options(settings_of(config))
        async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
            return await operations.resume(log, what)

    left = run(main())
    if as_json:
        say_json({"still_paused": list(left)})
    else:
        say(f"resumed: {what}" + (f"; still paused: {', '.join(left)}" if left else ""))
    return 0


COMMANDS = [pause, resume]
