"""``lockstep sandbox | up | run | demo``: the verbs that stay."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from streams.cli.base import (
    FAILED,
    INTERRUPTED,
    Failure,
    common,
    common_but,
    run,
    say,
    say_error,
    say_json,
    settings_of,
)
from streams.clock import clock_of
from streams.settings import CONFIG_NAME

ROLES = ("connectors", "worker", "executor")


class Stop(asyncio.Event):
    """Set when the process was asked to end; ``interrupted`` by Ctrl-C, and not by whoever runs it as a service."""

    interrupted = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """An event that SIGTERM and SIGINT set; a second one of them ends the process as usual."""
    stop = Stop()
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        stop.interrupted = stop.interrupted or number == signal.SIGINT
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@click.command("sandbox")
@click.option("--ninjaone-port", type=click.IntRange(0, 65535), default=0, help="0 takes any free one.")
@click.option("--autotask-port", type=click.IntRange(0, 65535), default=0, help="0 takes any free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same tenant.")
@click.option("--organizations", type=click.IntRange(1, 500), default=3, show_default=True, help="Customers.")
@click.option("--devices", type=click.IntRange(0, 20000), default=60, show_default=True, help="Of all customers.")
@common
def sandbox(
    config: Path | None,
    as_json: bool,
    ninjaone_port: int,
    autotask_port: int,
    seed: int,
    organizations: int,
    devices: int,
) -> int:
    """Run simulators of both vendors on this machine; the first line printed is JSON with addresses and credentials."""
    from connectors.sandbox.serve import serve

    async def main() -> None:
        with stop_on_signals() as stop:
            await serve(
                ninjaone_port=ninjaone_port,
                autotask_port=autotask_port,
                seed=seed,
                organizations=organizations,
                devices=devices,
                announce=say_json,
                stop=stop,
            )

    try:
        run(main())
    except OSError as error:
        raise Failure(
            f"the sandbox cannot listen: {error.strerror or error}; choose another port, or 0 for any"
        ) from None
    return 0


@click.command("up")
@click.option("--shadow", is_flag=True, help="Only read and predict, beside another connector (as 'mode: shadow').")
@common
def up(config: Path | None, as_json: bool, shadow: bool) -> int:
    """Run everything on this machine: broker, connectors, workers, executor. Ends on Ctrl-C or SIGTERM."""
    from streams.up import Installation

    settings = settings_of(config)
    if shadow:
        settings = settings.model_copy(update={"mode": "shadow"})
    path = config or (Path(CONFIG_NAME) if Path(CONFIG_NAME).is_file() else None)

    async def main() -> int:
        with stop_on_signals() as stop:
            async with clock_of() as clock:
                installation = Installation(settings, config=path, now=clock.now, tell=say_error)
                await installation.start()
                try:
                    where = installation.options.bootstrap_servers if installation.options else ""
                    if as_json:
                        say_json({"kafka": where, "logs": str(installation.logs), "mode": settings.mode})
                    else:
                        if settings.shadowing:
                            say("shadow: nothing is written at NinjaOne or Autotask; 'lockstep shadow' compares")
                        say(f"Kafka at {where}; roles write to {installation.logs}; 'lockstep status' tells how it is")
                    await installation.run(stop)
                finally:
                    await installation.close()
        say_error("everything has ended")
        return 0

    return run(main())


class _Role(click.Choice[str]):
    """The roles there are; the one that a later version brings is refused by name and not offered."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "console":
            raise click.UsageError("'run console' is not available yet", ctx)
        return super().convert(value, param, ctx)


@click.command("run")
@click.argument("role", type=_Role(ROLES))
@click.option("--name", help="Name of this process in 'status' (default: the role).")
@click.option("--static", is_flag=True, help="The name is stable: a quick restart then costs no rebalance.")
@common
def run_role(config: Path | None, as_json: bool, role: str, name: str | None, static: bool) -> int:
    """Run one role of a cluster: connectors, worker or executor."""
    from streams import roles

    settings = settings_of(config)

    async def main() -> int:
        with stop_on_signals() as stop:
            await roles.run(role, settings, config=config, name=name or role, static=static, stop=stop)
        return 0

    return run(main())


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same tenant.")
@common_but("End with one JSON document on the last line.")
def demo(config: Path | None, as_json: bool, keep: bool, seed: int) -> int:
    """Tell the whole story on simulators and a real Kafka, and verify it."""
    from streams.demo.story import run_demo

    async def main() -> tuple[bool, bool]:
        with stop_on_signals() as stop:
            good = await run_demo(as_json=as_json, keep=keep, seed=seed, stop=stop)
            return good, stop.interrupted

    good, interrupted = run(main())
    if interrupted and not good:
        return INTERRUPTED
    return 0 if good else FAILED


COMMANDS = [sandbox, up, run_role, demo]
