"""``lockstep rebuild``: what the log says, gone through again; nothing here calls a vendor."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from schemas.envelope import rfc3339
from streams.cli.base import FINDING, Failure, common, run, say, say_error, say_json, settings_of
from streams.cli.progress import Progress
from streams.core.views import dispositions
from streams.replay.rebuild import Rebuilt
from streams.replay.rebuild import rebuild as rebuilt_from_audit
from streams.wiring import kafka_options

#: How many differences a person is shown; ``--json`` has all.
_SHOWN = 20


class Instant(click.ParamType):
    """A moment, as people write it; epoch milliseconds for the verb. Without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is no time; write it like 2026-11-28T09:30:00Z", parameter, context)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command("rebuild")
@click.option("--as-of", "as_of", type=Instant(), help="Only what was recorded until then (2026-11-28T09:30:00Z).")
@click.option("--key", help="Show the document of one key: a device's id, l5, o17.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every document to a file, one JSON line each.",
)
@common
def rebuild(config: Path | None, as_json: bool, as_of: int | None, key: str | None, output: Path | None) -> int:
    """State from the recorded decisions, compared byte for byte with the live one; exit 2 where they differ.

    With --as-of the state as it was at that moment; then there is nothing to compare with.
    """

    async def main() -> Rebuilt:
        with Progress("records") as progress:
            return await rebuilt_from_audit(await kafka_options(settings_of(config)), as_of=as_of, progress=progress)

    found = run(main())
    rows = list(found.rows())
    shown = [row for row in rows if row["key"] == key]
    if key is not None and not shown:
        raise Failure(f"the audit has no decision about '{key}'" + (f" until {rfc3339(as_of)}" if as_of else ""))
    if output is not None:
        with output.open("wb") as file:
            file.writelines(orjson.dumps(row) + b"\n" for row in rows)
    counts = _alerts(found)
    if as_json:
        say_json(
            {
                "records": found.records,
                "documents": len(rows),
                "alerts": counts,
                "as_of": rfc3339(as_of) if as_of is not None else None,
                "compared_with_live_state": found.compared,
                "differences": found.differences,
                **({"shown": shown} if key is not None else {}),
            }
        )
        return FINDING if found.differences else 0
    for row in shown:
        say(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
    when = f" as of {rfc3339(as_of)}" if as_of is not None else ""
    say(f"{len(rows)} documents from {found.records} records{when}")
    if counts:
        say("alerts: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if output is not None:
        say(f"written to {output}")
    for line in found.differences[:_SHOWN]:
        say_error(f"difference: {line}")
    if len(found.differences) > _SHOWN:
        say_error(f"and {len(found.differences) - _SHOWN} more")
    if found.differences:
        return FINDING
    if as_of is None:
        say(
            "the live state is the same, byte for byte"
            if found.compared
            else "the live state moves too fast to compare"
        )
    return 0


def _alerts(found: Rebuilt) -> dict[str, int]:
    """How many alerts have which disposition, the most frequent first."""
    total: dict[str, int] = {}
    for documents in found.documents["incidents"].values():
        for key, document in documents.items():
            if not key.startswith(b"~"):
                for name, count in dispositions(document).items():
                    total[name] = total.get(name, 0) + count
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


COMMANDS = [rebuild]
