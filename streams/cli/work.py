"""``lockstep parked list | retry | dismiss``, ``pause`` and ``resume``: work that waits, and making it wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click
import orjson

from connectors.ports import Publication
from schemas.envelope import rfc3339
from schemas.facts import ParkedDismissed, ParkedRetried, Selection
from schemas.identity import derived_id, partition_of
from schemas.topics import BY_NAME, CONTROL, OPERATIONS
from streams import operations
from streams.cli.base import Failure, actor, common, run, say, say_json, settings_of, table
from streams.cli.main import Group
from streams.clock import clock_of
from streams.core.views import ParkedItem
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import OutputRecord
from streams.settings import Settings
from streams.views import DEAD_KEY, DeadLetter, dead_letters, parked
from streams.wiring import kafka_options


@click.group("parked", cls=Group)
def parked_group() -> None:
    """Work that waits for a human, and records that could not be understood."""


@parked_group.command("list")
@click.option("--organization", type=int, help="Only this NinjaOne organization.")
@click.option("--all", "everything", is_flag=True, help="Also dead letters that were dealt with.")
@common
def list_parked(config: Path | None, as_json: bool, organization: int | None, everything: bool) -> int:
    """What waits, since when, why, and what to do about it."""
    work, letters = run(_waiting(settings_of(config)))
    work = [entry for entry in work if organization is None or entry.organization_id == organization]
    letters = [letter for letter in letters if everything or letter.handled is None] if organization is None else []
    if as_json:
        say_json(
            {"parked": [asdict(entry) for entry in work], "dead_letters": [letter.as_dict() for letter in letters]}
        )
        return 0
    if not work and not letters:
        say("nothing is parked")
        return 0
    if work:
        rows = [[e.id, e.what, e.key, str(e.organization_id or ""), e.reason] for e in work]
        say(table(rows, ["ID", "WHAT", "KEY", "ORGANIZATION", "REASON"]))
        for detail in dict.fromkeys(entry.detail for entry in work if entry.detail):
            say(f"  {detail}")
    if letters:
        rows = [
            [
                letter.id,
                letter.about.get("dead_topic", letter.about.get("dead_stage", "")),
                letter.about.get("dead_offset", ""),
                letter.about["dead_time"],
                letter.about.get("dead_error", "")[:100] + (_handled(letter)),
            ]
            for letter in letters
        ]
        say(table(rows, ["DEAD LETTER", "TOPIC", "OFFSET", "TIME", "ERROR"]))
    say("'lockstep parked retry ID' decides again, 'lockstep parked dismiss ID --reason TEXT' gives up")
    return 0


def _handled(letter: DeadLetter) -> str:
    return f" [{letter.handled['what']}: {letter.handled['reason']}]" if letter.handled else ""


async def _waiting(settings: Settings) -> tuple[list[ParkedItem], list[DeadLetter]]:
    options = await kafka_options(settings)
    return await parked(options), await dead_letters(options)


def _selecting(function: Any) -> Any:
    for option in (
        click.option("--organization", type=int, help="All of this NinjaOne organization."),
        click.option("--all", "everything", is_flag=True, help="All that is parked."),
        click.argument("ids", nargs=-1),
    ):
        function = option(function)
    return function


@parked_group.command("retry")
@_selecting
@click.option("--note", default="", help="Why, for the audit.")
@common
def retry(
    config: Path | None, as_json: bool, ids: tuple[str, ...], organization: int | None, everything: bool, note: str
) -> int:
    """Decide parked work again, under the policy and mapping in force now."""
    return _ask(config, as_json, ids, organization, everything, "retried", note)


@parked_group.command("dismiss")
@_selecting
@click.option("--reason", required=True, help="Why it is given up; stands in the audit.")
@common
def dismiss(
    config: Path | None, as_json: bool, ids: tuple[str, ...], organization: int | None, everything: bool, reason: str
) -> int:
    """Give parked work up, with a reason."""
    return _ask(config, as_json, ids, organization, everything, "dismissed", reason)


def _ask(
    config: Path | None,
    as_json: bool,
    ids: Sequence[str],
    organization: int | None,
    everything: bool,
    what: Literal["retried", "dismissed"],
    note: str,
) -> int:
    chosen = sum([bool(ids), organization is not None, everything])
    if chosen != 1:
        raise click.UsageError("name what is meant: ids, --organization ID or --all (one of them)")
    selection = Selection(ids=tuple(ids), organization_id=organization, everything=everything)
    count = run(_asked(settings_of(config), selection, what, note))
    if count == 0:
        raise Failure("nothing that is parked was meant; 'lockstep parked list' shows what there is")
    if as_json:
        say_json({what: count})
    else:
        say(f"{count} {'piece' if count == 1 else 'pieces'} of work {what}")
    return 0


async def _asked(settings: Settings, selection: Selection, what: Literal["retried", "dismissed"], note: str) -> int:
    options = await kafka_options(settings)
    work = [entry for entry in await parked(options) if _means(selection, entry)]
    letters = [
        letter
        for letter in await dead_letters(options)
        if letter.handled is None and (selection.everything or letter.id in selection.ids)
    ]
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        if work:
            now = clock.now()
            who = actor()
            fact: ParkedRetried | ParkedDismissed = (
                ParkedRetried(selection=selection, actor=who, note=note)
                if what == "retried"
                else ParkedDismissed(selection=selection, actor=who, note=note)
            )
            identity = derived_id("parked", what, fact.to_json().decode(), now)
            await log.publish(
                [Publication(topic=CONTROL, key="parked", id=identity, source="lockstep/cli", time=now, fact=fact)]
            )
        for letter in letters:
            if what == "retried":
                await _again(log, letter)
            word = {"what": what, "reason": note, "actor": actor(), "at": rfc3339(clock.now())}
            await log.remember(OPERATIONS, DEAD_KEY + letter.id, orjson.dumps(word))
    return len(work) + len(letters)


def _means(selection: Selection, entry: ParkedItem) -> bool:
    if selection.everything or (
        selection.organization_id is not None and entry.organization_id == selection.organization_id
    ):
        return True
    return entry.id in selection.ids or entry.key in selection.ids


async def _again(log: KafkaLog, letter: DeadLetter) -> None:
    """Write the record to its topic once more, as it was; if it is still not understood it comes back."""
    topic = letter.about.get("dead_topic")
    if topic not in BY_NAME:
        raise Failure(f"{letter.id} never was a record of a topic (it came by webhook); it can only be dismissed")
    key = letter.record.key or b""
    partition = int(letter.about.get("dead_partition", "0"))
    if topic != CONTROL and BY_NAME[topic].partitions is None:
        partition = partition_of(key, await log.partitions(topic))
    await log.write([OutputRecord(topic, partition, letter.record.key, letter.record.value, letter.original_headers())])


_WHAT = click.Choice(["ninjaone", "autotask", "all"])


@click.command("pause")
@click.argument("what", type=_WHAT, default="all")
@click.option("--reason", default="", help="Why; shown in 'lockstep status'.")
@common
def pause(config: Path | None, as_json: bool, what: operations.Paused, reason: str) -> int:
    """Stop the calls to one vendor or both; work waits. Holds over restarts until 'lockstep resume'."""

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
    """Let the calls go again."""

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


COMMANDS = [parked_group, pause, resume]
