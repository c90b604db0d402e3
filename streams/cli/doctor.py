"""``lockstep doctor``: everything that a person would look at on a Monday morning, with what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from streams.cli.base import FINDING, common, run, say, say_json, settings_of
from streams.doctor.everything import look
from streams.doctor.look import Line, counts
from streams.wording import counted


@click.command("doctor")
@click.option("--call", is_flag=True, help="Also ask Autotask what the policy needs (never while it is Unhealthy).")
@common
def doctor(config: Path | None, as_json: bool, call: bool) -> int:
    """One look at the whole installation: each line is ok, a warning, wrong or not seen, and says what to do.

    Exit code 0 with warnings at most, 2 where something is wrong, 1 where the configuration cannot be read. Works without
    a running system too.
    """

    async def main() -> list[Line]:
        lines = []
        async for line in look(settings, config, call=call):
            lines.append(line)
            if not as_json:
                say(str(line))
        return lines

    settings = settings_of(config)
    lines = run(main())
    total = counts(lines)
    if as_json:
        say_json({"lines": [line.document() for line in lines], **total})
    else:
        say(
            f"{total['ok']} ok, {counted(total['warning'], 'warning')}, {total['wrong']} wrong, {total['unseen']} not seen"
        )
    return FINDING if total["wrong"] else 0


COMMANDS = [doctor]
