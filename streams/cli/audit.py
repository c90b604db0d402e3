"""``lockstep explain | audit verify | audit tail``: what was decided, for people, and whether it still is."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from schemas.audit import AuditRecord
from schemas.envelope import rfc3339
from schemas.identity import is_key, organization_key
from schemas.topics import AUDIT
from streams.cli.base import (
    FINDING,
    Failure,
    common,
    full_option,
    run,
    say,
    say_error,
    say_json,
    say_whole,
    settings_of,
    width,
)
from streams.cli.keeping import anew, folder_of, in_json, run_kept
from streams.cli.main import Group
from streams.cli.parameters import Incident, Instant, Key
from streams.cli.progress import Progress
from streams.core.mapping import MappingView
from streams.core.ranges import Chooser, Range
from streams.core.version import DECISIONS
from streams.explaining import Story, happening_of
from streams.explaining import explain as explained
from streams.heard_of import known_instead, unknown
from streams.kafka_options import KafkaOptions
from streams.mapping_report import as_rows, mapping, told
from streams.not_yet import not_yet
from streams.ports import InputRecord
from streams.readers import read_all, tail
from streams.replay.going_on import Ledger
from streams.replay.rebuild import rebuild
from streams.replay.then import mapping_in
from streams.replay.verify import AuditResult, verify_audit
from streams.wiring import kafka_options
from streams.wording import counted, quoted

F = TypeVar("F", bound=Callable[..., Any])


def ranged(function: F) -> F:
    """The options that say which records of the audit are meant."""
    for option in reversed(
        (
            click.option("--since", type=Instant(), help="Recorded then or later (2026-11-28T09:30:00Z, or 7d ago)."),
            click.option("--until", type=Instant(), help="Recorded until then."),
            click.option("--partition", type=click.IntRange(0), help="Of this partition of the audit."),
            click.option(
                "--from-offset", "first", type=click.IntRange(0), help="From this offset on (with --partition)."
            ),
            click.option("--to-offset", "last", type=click.IntRange(0), help="Up to this offset (with --partition)."),
            click.option(
                "--device", "key", type=Key(), help="Decisions about a device (407), a location (l31) or o17."
            ),
            click.option("--organization", type=click.IntRange(0), help="Of an organization's devices and locations."),
            click.option("--incident", type=Incident(), help="Of an incident, by its external id."),
        )
    ):
        function = option(function)
    return function


def _range(**parts: Any) -> Range:
    wanted = Range(**parts)
    if wanted.partition is None and (wanted.first is not None or wanted.last is not None):
        raise click.UsageError("an offset is one of a partition: give --partition too")
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise click.UsageError("--since is later than --until")
    if wanted.first is not None and wanted.last is not None and wanted.first > wanted.last:
        raise click.UsageError("--from-offset is behind --to-offset")
    return wanted


async def _refuse_strangers(options: KafkaOptions, wanted: Range) -> None:
    """A device or an organization that nobody ever heard of is a slip of the pen, and would pass for one without a difference."""
    organization = None if wanted.organization is None else organization_key(wanted.organization)
    for key in filter(None, (wanted.key, organization)):
        nobody = await unknown(options, key)
        if nobody is not None:
            raise Failure(nobody)


@click.command("explain")
@click.argument("identity", metavar="ID")
@click.option("--since", type=Instant(), help="Only what was recorded then or later.")
@click.option(
    "--as-of", "as_of", type=Instant(), help="Only what was recorded until then, and how it stood at that moment."
)
@full_option
@common
def explain(config: Path | None, as_json: bool, identity: str, since: int | None, as_of: int | None, full: bool) -> int:
    """Everything that happened to an alert (uid), a ticket (number, id or external id) or a device (id), in order.

    For an organization (o17) also its company, and how that was found. With --as-of also how it stood at that moment.
    A terminal shows what fits its width; --full, --json and a file or pipe have everything.
    """

    settings = settings_of(config)

    async def main() -> tuple[Story, list[MappingView], str]:
        options = await kafka_options(settings)
        views: list[MappingView] = []
        if identity.startswith("o") and is_key(identity):
            then = None if as_of is None else await rebuild(options, as_of=as_of)
            views = await mapping(options) if then is None else mapping_in(then.documents)
        story = await explained(options, identity, since=since, as_of=as_of)
        mine = [view for view in views if organization_key(view.organization_id) == identity]
        hints = []
        if not story.happenings and not story.stands and not mine and since is None and as_of is None:
            hints = [await known_instead(options, identity)] if is_key(identity) else []
            hints.append(await not_yet(settings, options, identity))
        return story, mine, "; ".join(filter(None, hints))

    story, views, hint = run(main())
    if not story.happenings and not story.stands and not views:
        within = f" since {rfc3339(since)}" if since is not None else ""
        within += f" until {rfc3339(as_of)}" if as_of is not None else ""
        raise Failure(
            f"the audit knows nothing of {quoted(identity)}{within}; "
            + (
                hint
                or "it takes an alert's uid, a ticket's number, the id of a device, or l31 and o17 for a location and an organization"
            )
        )
    if as_json:
        mapped = {"mapping": as_rows(views)[0]} if views else {}
        then = {"as_of": rfc3339(as_of), "stands": story.stands} if as_of is not None else {}
        happenings = [happening.as_dict() for happening in story.happenings]
        say_json({"id": identity, **mapped, **then, "happenings": happenings})
        return 0
    for view in views:
        say(told(view))
    for happening in story.happenings:
        for line in happening.lines(None if full else width()):
            say(line)
    if as_of is not None:
        say(f"as of {rfc3339(as_of)}:")
        for line in story.stands or ["nothing was known of it"]:
            say(f"    {line}")
    return 0


@click.group("audit", cls=Group)
def audit() -> None:
    """The record of every decision."""


@audit.command("verify")
@ranged
@anew
@common
def verify(config: Path | None, as_json: bool, anew: bool, **parts: Any) -> int:
    """Decide every recorded fact again and compare, byte for byte; exit 2 at the first difference.

    With a range only what is in it is decided again; of what comes before it, or is about other devices, the chain, the hashes and the
    changes are looked at. What comes after --until or --to-offset is not read. Interrupted and run again, it goes on where it was.
    """
    wanted = _range(**parts)
    settings = settings_of(config)
    ledger = Ledger(folder_of(settings), "verify", asdict(wanted), anew=anew, tell=say_error)

    async def main() -> AuditResult:
        options = await kafka_options(settings)
        await _refuse_strangers(options, wanted)
        with Progress("records") as progress:
            return await verify_audit(options, wanted=wanted, progress=progress, ledger=ledger)

    with ledger:
        result = run_kept(main(), ledger)
    difference = str(result.difference) if result.difference is not None else None
    again = result.records - result.passed
    if difference is None and not again and not wanted.whole:
        raise Failure(f"the audit has no record in this range{': ' + wanted.told() if wanted.told() else ''}")
    if as_json:
        say_json(
            {
                "records": result.records,
                "decided_again": again,
                "commands": result.commands,
                "verified": difference is None,
                "difference": difference,
                "compared_with_live_state": result.settled,
                "begins": result.begins,
                "by_other_builds": dict(result.others),
                "would_be_decided_otherwise": result.otherwise,
                "first_otherwise": str(result.first_otherwise) if result.first_otherwise is not None else None,
                **in_json(ledger),
            }
        )
    elif difference is None:
        for line in result.begins:
            say(line)
        before = f" ({again} decided again, of the others the changes looked at)" if result.passed else ""
        live = "and the live state agrees" if result.settled else "(the live state moves too fast to compare)"
        if wanted.until is not None or wanted.last is not None:
            live = "up to the end of the range"
        what = (
            "the chain is whole and leads to the recorded states"
            if result.others
            else "decided again the same, chain whole"
        )
        say(f"{counted(result.records, 'record')}, {counted(result.commands, 'command')}{before}: {what} {live}")
        if ledger.earlier is not None:
            say(f"{ledger.earlier.records} of them in earlier runs, the last until {rfc3339(ledger.earlier.at)}")
        for line in _other_builds(result):
            say(line)
    else:
        say(f"difference: {difference}")
    return 0 if difference is None else FINDING


def _other_builds(result: AuditResult) -> Iterator[str]:
    """What is to be said of records that another version of the core decided: they are judged by their chain alone."""
    for version, count in sorted(result.others.items()):
        age = "an older" if version < DECISIONS else "a newer"
        yield f"{count} of them were decided by {age} build (decisions {version}, this one makes {DECISIONS}): not judged by its decisions"
    rest = result.records - result.passed - sum(result.others.values())
    if result.others and rest > 0:
        yield f"the other {rest} were decided again the same"
    if result.otherwise:
        yield f"this build would decide {result.otherwise} of them otherwise, the first: {result.first_otherwise}"


@audit.command("tail")
@click.option("--lines", type=click.IntRange(0, 100_000), default=20, show_default=True, help="How many to begin with.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with new ones, until Ctrl-C.")
@ranged
@full_option
@common
def tail_audit(config: Path | None, as_json: bool, lines: int, follow: bool, full: bool, **parts: Any) -> int:
    """Show the latest decisions, of all or of a range, and new ones as they come.

    A terminal shows what fits its width; --full, --json and a file or pipe have everything.
    """
    wanted = _range(**parts)

    async def main() -> None:
        options = await kafka_options(settings_of(config))
        if not follow:
            # While it is followed one that is new may come.
            await _refuse_strangers(options, wanted)
        choosers: dict[int, Chooser] = {}
        ends: dict[tuple[str, int], int] = {}
        latest: list[tuple[int, int, int, bytes]] = []
        async for raw in read_all(options, AUDIT):
            ends[raw.topic, raw.partition] = raw.offset + 1
            if lines and _meant(wanted, choosers, raw):
                # Of one moment the partitions' numbers and places decide, so that the values are never compared.
                entry = (raw.timestamp, raw.partition, raw.offset, raw.value or b"")
                (heapq.heappush if len(latest) < lines else heapq.heappushpop)(latest, entry)
        for _, _, _, value in sorted(latest):
            _show(value, as_json, full)
        if follow and wanted.until is None and wanted.last is None:
            async for raw in tail(options, AUDIT, start=ends):
                if _meant(wanted, choosers, raw):
                    _show(raw.value or b"", as_json, full)

    run(main())
    return 0


def _meant(wanted: Range, choosers: dict[int, Chooser], raw: InputRecord) -> bool:
    if wanted.whole:
        return True
    if wanted.partition not in (None, raw.partition):
        return False
    chooser = choosers.setdefault(raw.partition, Chooser(wanted))
    return chooser.takes(orjson.loads(raw.value or b""), raw.offset)


def _show(value: bytes, as_json: bool, full: bool) -> None:
    record = AuditRecord.from_json(value)
    if as_json:
        say_whole(record.to_json().decode())
        return
    # Asked for each record: a terminal's width changes while it is followed.
    for line in happening_of(record).lines(None if full else width(), keyed=True):
        say(line)


COMMANDS = [explain, audit]
