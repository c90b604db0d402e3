"""``lockstep drill``: faults by seed on an installation of its own, and what they did: lose nothing, double nothing."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.base import (
    FINDING,
    INTERRUPTED,
    OK,
    Failure,
    common_but,
    run,
    say,
    say_error,
    say_json,
    say_whole,
    table,
)
from streams.cli.running import stop_on_signals
from streams.wording import counted, quoted

if TYPE_CHECKING:
    from streams.drill.report import DrillResult
    from streams.drill.schedule import Planned

FOLDER = Path(".lockstep") / "drills"
#: Of each kind, at the end.
EXAMPLES = 2
_SEEDS = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
#: Of one run: at a minute each it takes most of a day.
MOST_DRILLS = 1000


@click.command("drill")
@click.option("--seed", type=click.IntRange(0), help="The seed of one drill: the same seed draws the same faults.")
@click.option("--seeds", metavar="A-B,...", help="Several drills, one after another.")
@click.option("--minutes", type=click.FloatRange(0.2, 120), default=1.0, show_default=True, help="Of load and faults.")
@click.option("--schedule", "file", type=click.Path(path_type=Path, dir_okay=False), help="Play this file of faults.")
@click.option(
    "--brokers", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Three keep three copies."
)
@click.option("--show", is_flag=True, help="Only print the faults of the seed, one JSON object a line.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Gather results and write this page.")
@common_but("End with one JSON document on the last line.")
def drill(
    config: Path | None,
    as_json: bool,
    seed: int | None,
    seeds: str | None,
    minutes: float,
    file: Path | None,
    brokers: str,
    show: bool,
    report: Path | None,
) -> int:
    """Run Lockstep on simulators under load and faults, and check that nothing was lost or doubled.

    Needs no configuration: each drill brings up a Kafka and both simulators of its own. Exit 2 on findings.
    """
    from streams.drill.schedule import draw, lines, read_schedule

    if config is not None:
        raise click.UsageError("a drill has an installation of its own; it takes no --config")
    if seed is not None and seeds is not None:
        raise click.UsageError("give --seed or --seeds, not both")
    chosen = _seeds(seeds) if seeds is not None else [1 if seed is None else seed]
    plans = [(number, read_schedule(file) if file else draw(number, minutes * 60)) for number in chosen]
    if show:
        for _, plan in plans:
            say_whole(lines(plan).rstrip())
        return OK
    return run(_drills(plans, minutes, as_json=as_json, report=report, file=file, cluster=brokers == "3"))


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        if match is None:
            raise click.UsageError(f"--seeds: {quoted(part)} is neither a number nor A-B")
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST_DRILLS:
            raise click.UsageError(f"--seeds: {quoted(part)} are more than {MOST_DRILLS} drills; name fewer")
        found += range(first, last + 1)
    if not found:
        raise click.UsageError(f"--seeds: {quoted(text)} holds no seed; write the smaller first")
    return found


async def _drills(
    plans: list[tuple[int, list[Planned]]],
    minutes: float,
    *,
    as_json: bool,
    report: Path | None,
    file: Path | None,
    cluster: bool,
) -> int:
    from streams.drill.report import gather

    results: list[DrillResult] = []
    # With one drill the object on the last line is what a program reads; people get the rest beside it.
    tell: Callable[[str], None] = say_error if as_json else say
    for seed, plan in plans:
        result = await _one(seed, minutes, plan, tell, file, cluster)
        if result is None:
            say_error("lockstep: interrupted; everything of the drill has ended")
            return INTERRUPTED
        results.append(result)
        if report is not None:
            gather(report, result)
        if as_json:
            say_json(result.as_dict())
    if len(results) > 1 and not as_json:
        say(_shown(results))
    for result in results:
        if not result.clean:
            tell(_in_short(result))
    failed = sum(not result.clean for result in results)
    tell(f"{len(results) - failed} passed, {failed} failed")
    return FINDING if failed else OK


async def _one(
    seed: int, minutes: float, plan: list[Planned], tell: Callable[[str], None], file: Path | None, cluster: bool
) -> DrillResult | None:
    """One drill, or ``None`` where it was interrupted. Keeps the folder unless it was clean."""
    from streams.demo.theatre import StoryFailed
    from streams.drill.run import drill as run_one

    folder = FOLDER / f"seed-{seed}"
    source = f" --schedule {file}" if file else ""
    brokers = " --brokers 3" if cluster else ""
    again = f"lockstep drill --seed {seed} --minutes {minutes:g}{brokers}{source}"
    tell(f"drill {seed}: {minutes:g} min in {folder}")
    with stop_on_signals() as stop:
        drilling = asyncio.create_task(
            run_one(seed=seed, minutes=minutes, schedule=plan, folder=folder, tell=tell, cluster=cluster)
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({drilling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not drilling.done():
            drilling.cancel()
            await asyncio.gather(drilling, return_exceptions=True)
            return None
    try:
        result = await drilling
    except StoryFailed as failure:
        raise Failure(f"drill {seed} could not be judged: {failure}; its folder is {folder}; repeat: {again}") from None
    for line in result.findings:
        tell(f"FOUND {line}")
    tell(result.line())
    if result.clean:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        tell(f"the folder {folder} is kept (logs, schedule.jsonl); to repeat: {again}")
    return result


def _in_short(result: DrillResult) -> str:
    """What matters most of a drill's findings, at the end of all output: a log that was cut short still tells why."""
    kinds = Counter(line.partition(":")[0] for line in result.findings)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    # A few of every kind, whichever there are most of.
    of_kind: Counter[str] = Counter()
    examples = []
    for line in result.findings:
        kind = line.partition(":")[0]
        of_kind[kind] += 1
        if of_kind[kind] <= EXAMPLES:
            examples.append(f"  {line[:300]}")
    return "\n".join(
        [f"seed {result.seed}: {counts or 'nothing found'}", *examples, *(f"  {line}" for line in result.last_words)]
    )


def _shown(results: list[DrillResult]) -> str:
    rows = [
        [
            str(r.seed),
            str(sum(r.faults.values())),
            str(r.events),
            str(r.lost),
            str(r.duplicate_tickets),
            str(r.redelivered),
            f"{r.seconds:.0f}",
            "clean" if r.clean else counted(len(r.findings), "finding"),
        ]
        for r in results
    ]
    return table(rows, ["SEED", "FAULTS", "EVENTS", "LOST", "DUPLICATES", "REDELIVERED", "SECONDS", "VERDICT"])


COMMANDS = [drill]
