"""``lockstep send-test-alert``: one marked ticket through the whole line of a running system, then cleaned up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from streams.cli.base import FAILED, FINDING, Failure, actor, common, run, say, say_error, say_json, settings_of
from streams.clock import clock_of
from streams.log import KafkaLog
from streams.mode import mode_of
from streams.operations import switches
from streams.send_test_alert import Sent, held_back
from streams.send_test_alert import send_test_alert as send
from streams.settings import Settings
from streams.wiring import kafka_options


@click.command("send-test-alert")
@click.option("--organization", required=True, metavar="ID|NAME", help="For which organization of NinjaOne.")
@click.option("--keep", is_flag=True, help="Leave the ticket open.")
@click.option(
    "--within", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds for each of the two ways."
)
@common
def send_test_alert(config: Path | None, as_json: bool, organization: str, keep: bool, within: float) -> int:
    """Send one marked alert through the whole line to its ticket, and complete that again; exit 1: it stopped on the way.

    Exit 2: its rule leaves the ticket open. A rule may match it by source_type: LOCKSTEP_TEST.
    """
    try:
        sent = run(_send(settings_of(config), organization, keep=keep, within=within, quiet=as_json))
    except asyncio.CancelledError:
        # A SIGTERM; a Ctrl-C has ended it by itself.
        raise Failure("interrupted", 128 + signal.SIGTERM) from None
    if as_json:
        say_json(sent.document())
    number = sent.story.ticket
    if sent.outcome == "stopped":
        if not as_json:
            say_error(f"lockstep: the test alert stopped on its way: {sent.why}")
        return FAILED
    if not as_json:
        say(
            {
                "completed": f"the whole line works: ticket {number} was opened and completed",
                "kept": f"ticket {number} is open; complete it when you have seen it",
                "left open": sent.why,
            }[sent.outcome]
        )
    return FINDING if sent.outcome == "left open" else 0


async def _send(settings: Settings, organization: str, *, keep: bool, within: float, quiet: bool) -> Sent:
    options = await kafka_options(settings)
    if mode_of(await switches(options)) == "shadow":
        raise Failure(
            "this is a shadow, which opens no ticket: a test alert would get nowhere; send one after the switch"
        )
    closed = await held_back(options, working=("Healthy", "Degraded"))
    if closed:
        raise Failure(f"{closed}: a test alert would only wait; none was sent")
    task = asyncio.current_task()
    if task is not None:
        # What was sent is taken back then too: a ticket that nobody waits for would stay open.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        return await send(
            options,
            log,
            clock,
            organization=organization,
            by=actor(),
            keep=keep,
            within=within,
            tell=(lambda line: None) if quiet else say,
        )


COMMANDS = [send_test_alert]
