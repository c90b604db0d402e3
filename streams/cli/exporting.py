"""``lockstep export``: the log as tables in files, for whoever analyses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from schemas.tables import TABLES, USUAL
from streams.analytics.export import BATCH_RECORDS, Exported, KafkaSource, export, follow
from streams.analytics.folder import Choice, Folder
from streams.analytics.formats import FORMATS, Format, writer_of
from streams.cli.base import FINDING, common, run, say, say_error, say_json, settings_of
from streams.cli.parameters import Instant
from streams.cli.progress import Progress
from streams.cli.running import Stop, stop_on_signals
from streams.wiring import kafka_options
from streams.wording import counted

#: A batch is written within a second or so.
_STOP_WITHIN_S = 3.0


@click.command("export")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder; made if missing.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="jsonl", show_default=True, help="Of the files.")
@click.option(
    "--table", "tables", multiple=True, type=click.Choice(list(TABLES)), help="Only this table; may be given again."
)
@click.option("--since", type=Instant(), help="Leave out what was decided before (2026-11-28 or 30d).")
@click.option("--organization", type=click.IntRange(1), help="Only this NinjaOne organization (its id).")
@click.option("--device", type=click.IntRange(1), help="Only this NinjaOne device (its id).")
@click.option("--follow", "following", is_flag=True, help="Go on with what comes, until Ctrl-C or SIGTERM.")
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=60.0,
    show_default=True,
    help="Seconds between two looks with --follow.",
)
@click.option(
    "--batch-records",
    type=click.IntRange(1),
    default=BATCH_RECORDS,
    show_default=True,
    help="Records per batch of files.",
)
@common
def export_(
    config: Path | None,
    as_json: bool,
    target: Path,
    kind: Format,
    tables: tuple[str, ...],
    since: int | None,
    organization: int | None,
    device: int | None,
    following: bool,
    every: float,
    batch_records: int,
) -> int:
    """Write the log as flat tables to files, by table and day: docs/analytics.md has the columns.

    Run again it goes on where the folder stands: the same rows however often, and whatever interrupted it.
    """
    # In the order of the catalogue, whatever the order of the options.
    wanted = tuple(name for name in TABLES if name in (tables or USUAL))
    choice = Choice(format=kind, tables=wanted, since=since, organization=organization, device=device)
    # Says what to install before anything else is done.
    writer_of(kind)

    async def work(stop: Stop) -> Exported:
        source = KafkaSource(await kafka_options(settings_of(config)))
        with Folder.open(target, choice) as folder:
            with Progress("records") as progress:
                found = await export(source, folder, batch_records=batch_records, progress=progress, stop=stop)
            _tell(found, folder, as_json, stopped=stop.is_set())
            if following and not stop.is_set():
                say_error(f"following; a look every {every:g} s, SIGTERM or Ctrl-C ends it")

                def told(more: Exported) -> None:
                    if more.records:
                        _tell(more, folder, as_json)

                await follow(
                    source, folder, stop=stop, every=every, batch_records=batch_records, told=told, trouble=say_error
                )
            return found

    async def main() -> tuple[Exported | None, bool]:
        with stop_on_signals() as stop:
            return await _in_time(work(stop), stop), stop.interrupted

    found, interrupted = run(main())
    if interrupted:
        # What was read is in the folder, and whoever runs it again goes on there.
        raise KeyboardInterrupt
    if found is None:
        say_error(f"stopped before Kafka had answered; run it again to go on in {target}")
        return 0
    return FINDING if found.missed else 0


async def _in_time(work: Coroutine[Any, Any, Exported], stop: Stop) -> Exported | None:
    """The work, which ends by itself soon after ``stop``; where a broker that is silent keeps it, it is given up.

    A batch that is given up is written by the next run.
    """
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=_STOP_WITHIN_S)
        return await task if task.done() else None
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


def _tell(found: Exported, folder: Folder, as_json: bool, stopped: bool = False) -> None:
    total = dict(folder.manifest.rows)
    if as_json:
        say_json(
            {
                "folder": str(folder.path),
                "records": found.records,
                "rows": dict(found.rows),
                "rows_in_all": total,
                "missed": found.missed,
                "complete": not stopped,
            }
        )
    else:
        new = ", ".join(f"{count} {name}" for name, count in found.rows.items() if count) or "nothing new"
        say(
            f"{folder.path}: {new} from {counted(found.records, 'record')}; {counted(sum(total.values()), 'row')} in all"
        )
        if stopped:
            say(f"stopped before the end; run it again to go on in {folder.path}")
    if found.missed:
        say_error(
            f"{counted(found.missed, 'record was', 'records were')} removed by retention before any export: "
            "export more often, or set kafka.retention_days higher"
        )


COMMANDS = [export_]
