"""``lockstep rebuild | whatif``: what the log says, gone through again; nothing here calls a vendor."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import orjson

from schemas.envelope import rfc3339
from streams.cli.base import FINDING, Failure, common, run, say, say_error, say_json, say_whole, settings_of
from streams.cli.keeping import anew, folder_of, in_json, run_kept
from streams.cli.parameters import Instant
from streams.cli.progress import Progress
from streams.clock import machine_now
from streams.core.whatif import Comparison, Side, Ticket, TicketChange
from streams.policy_file import read_policy
from streams.replay.from_facts import FactsDecided, rebuild_from_facts
from streams.replay.going_on import Ledger
from streams.replay.rebuild import Rebuilt, alerts_in, rows_of
from streams.replay.rebuild import rebuild as rebuilt_from_audit
from streams.replay.whatif import what_if
from streams.wiring import kafka_options
from streams.wording import counted, quoted

_MONTH_MS = 30 * 24 * 3_600_000
#: How many differences a person is shown; ``--json`` has all.
_SHOWN = 20


@click.command("rebuild")
@click.option("--as-of", "as_of", type=Instant(), help="Only what was recorded until then (2026-11-28T09:30:00Z).")
@click.option("--key", help="Show the document of one key: a device's id, l5, o17.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the documents (with --key: that key's) to a file, one JSON line each.",
)
@click.option("--from-facts", is_flag=True, help="Decide the fact topics anew by recorded time, not the audit's order.")
@anew
@common
def rebuild(
    config: Path | None,
    as_json: bool,
    as_of: int | None,
    key: str | None,
    output: Path | None,
    from_facts: bool,
    anew: bool,
) -> int:
    """State from the recorded decisions, compared byte for byte with the live one; exit 2 where they differ.

    With --as-of the state as it was at that moment; then there is nothing to compare with. With --from-facts every ticket and
    item has to be the same, open or completed; each that is not is told with its cause. Interrupted and run again, it goes on where
    it was, but with --from-facts.
    """
    if from_facts:
        return _from_facts(config, as_json, as_of, key, output)
    settings = settings_of(config)
    ledger = Ledger(folder_of(settings), "rebuild", {"as_of": as_of}, anew=anew, tell=say_error)

    async def main() -> Rebuilt:
        options = await kafka_options(settings)
        with Progress("records") as progress:
            return await rebuilt_from_audit(options, as_of=as_of, progress=progress, ledger=ledger)

    with ledger:
        found = run_kept(main(), ledger)
    rows = list(rows_of(found.documents))
    shown = _of_key(rows, key, as_of)
    _write(rows if key is None else shown, output)
    counts = alerts_in(found.documents)
    if as_json:
        say_json(
            {
                "records": found.records,
                "documents": len(rows),
                "alerts": counts,
                "as_of": rfc3339(as_of) if as_of is not None else None,
                "compared_with_live_state": found.compared,
                "differences": found.differences,
                "begins": found.begins,
                **in_json(ledger),
                **({"shown": shown} if key is not None else {}),
            }
        )
        return FINDING if found.differences else 0
    for row in shown:
        say_whole(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
    when = f" as of {rfc3339(as_of)}" if as_of is not None else ""
    say(f"{counted(len(rows), 'document')} from {counted(found.records, 'record')}{when}")
    if ledger.earlier is not None:
        say(f"{ledger.earlier.records} of them in earlier runs, the last until {rfc3339(ledger.earlier.at)}")
    for line in found.begins:
        say(line)
    if counts:
        say("alerts: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if output is not None:
        say(f"written to {output}")
    _tell_differences(found.differences)
    if found.differences:
        return FINDING
    if as_of is None:
        say(
            "the live state is the same, byte for byte"
            if found.compared
            else "the live state moves too fast to compare"
        )
    return 0


def _from_facts(config: Path | None, as_json: bool, as_of: int | None, key: str | None, output: Path | None) -> int:
    async def main() -> FactsDecided:
        with Progress("facts") as progress:
            return await rebuild_from_facts(await kafka_options(settings_of(config)), as_of=as_of, progress=progress)

    found = run(main())
    rows = list(rows_of(found.documents))
    shown = _of_key(rows, key, as_of)
    _write(rows if key is None else shown, output)
    if as_json:
        say_json(
            {
                "facts": found.facts,
                "unreadable": found.unreadable,
                "documents": len(rows),
                "as_of": rfc3339(as_of) if as_of is not None else None,
                "tickets_and_items_the_same": found.same,
                "documents_otherwise": found.otherwise,
                "differences": [{**asdict(one), "cause": cause} for one, cause in found.differences],
                "begins": found.begins,
                **({"shown": shown} if key is not None else {}),
            }
        )
        return FINDING if found.differences else 0
    for row in shown:
        say_whole(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
    when = f" as of {rfc3339(as_of)}" if as_of is not None else ""
    say(f"{counted(len(rows), 'document')} from {counted(found.facts, 'fact')} by recorded time{when}")
    for line in found.begins:
        say(f"retention: {line}")
    if output is not None:
        say(f"written to {output}")
    _tell_differences([one.line(cause) for one, cause in found.differences])
    also = (
        f"; {counted(found.otherwise, 'document differs', 'documents differ')} in nothing that a vendor has"
        if found.otherwise
        else ""
    )
    say(f"{found.same} tickets and items are the same{also}")
    return FINDING if found.differences else 0


def _of_key(rows: list[dict[str, object]], key: str | None, as_of: int | None) -> list[dict[str, object]]:
    """The documents of one key. Raises ``Failure`` where there are none."""
    shown = [row for row in rows if row["key"] == key]
    if key is not None and not shown:
        raise Failure(f"the audit has no decision about {quoted(key)}" + (f" until {rfc3339(as_of)}" if as_of else ""))
    return shown


def _write(rows: list[dict[str, object]], output: Path | None) -> None:
    if output is not None:
        try:
            with output.open("wb") as file:
                file.writelines(orjson.dumps(row) + b"\n" for row in rows)
        except OSError as error:
            raise Failure(f"{output}: cannot be written: {error.strerror}; nothing else was changed") from None


def _tell_differences(lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        say_error(f"difference: {line}")
    if len(lines) > _SHOWN:
        say_error(f"and {len(lines) - _SHOWN} more")


@click.command("whatif")
@click.option(
    "--policy",
    "draft",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The draft: a policy file.",
)
@click.option("--since", type=Instant(), help="When the draft would have come into force (default: thirty days ago).")
@anew
@common
def whatif(config: Path | None, as_json: bool, draft: Path, since: int | None, anew: bool) -> int:
    """The recorded facts under a draft policy: which tickets would be opened, not opened or others; exit 2 where any.

    No vendor is called and nothing is written. Tickets of devices' alerts are compared, configuration items are not. Interrupted and run again with
    the same policy and moment, it goes on where it was, over the log as it was then.
    """
    file = read_policy(draft)
    begin = since if since is not None else machine_now() - _MONTH_MS
    settings = settings_of(config)
    asked = {"since": begin, "policy": sha256(file.document.encode()).hexdigest()}
    ledger = Ledger(folder_of(settings), "whatif", asked, anew=anew, tell=say_error, readings=2)

    async def main() -> Comparison:
        options = await kafka_options(settings)
        with Progress("records") as progress:
            return await what_if(options, file.document, since=begin, progress=progress, ledger=ledger)

    with ledger:
        found = run_kept(main(), ledger)
    changes = found.changes()
    sides = {"live": _side(found.live), "draft": _side(found.draft)}
    if as_json:
        say_json(
            {
                "since": rfc3339(begin),
                "facts": found.facts,
                **sides,
                "changes": [_change(one) for one in changes],
                **in_json(ledger),
            }
        )
        return FINDING if changes else 0
    for one in changes[:_SHOWN]:
        say(_line(one))
    if len(changes) > _SHOWN:
        say(f"and {len(changes) - _SHOWN} more (--json has all)")
    what = Counter(one.what if one.what in ("opened", "not opened") else "otherwise" for one in changes)
    say(f"{counted(found.facts, 'fact')} since {rfc3339(begin)}, decided again under {draft}")
    say(
        f"tickets: {len(found.live.tickets)} in reality, {len(found.draft.tickets)} under the draft: "
        f"{what['opened']} opened, {what['not opened']} not opened, {what['otherwise']} opened otherwise"
    )
    for vendor, name in (("autotask", "Autotask"), ("ninjaone", "NinjaOne")):
        say(
            f"calls to {name}, at least: {found.live.calls[vendor]} in reality, {found.draft.calls[vendor]} under the draft"
        )
    return FINDING if changes else 0


def _side(side: Side) -> dict[str, Any]:
    return {"tickets": len(side.tickets), "commands": dict(side.commands), "calls": dict(side.calls)}


def _change(one: TicketChange) -> dict[str, Any]:
    def shown(ticket: Ticket | None) -> dict[str, Any] | None:
        return None if ticket is None else {"rule": ticket.rule, **ticket.fields}

    return {"external_id": one.external_id, "what": one.what, "live": shown(one.live), "draft": shown(one.draft)}


def _line(one: TicketChange) -> str:
    if one.live is None or one.draft is None:
        ticket = one.draft or one.live
        assert ticket is not None
        return f"{'+' if one.live is None else '-'} {one.external_id}: {one.what}, rule {ticket.rule}: {ticket.fields['title']}"
    changes = ", ".join(f"{name} {one.live.fields[name]} -> {one.draft.fields[name]}" for name in one.what.split(", "))
    return f"~ {one.external_id}: {changes} (rule {one.live.rule} -> {one.draft.rule})"


COMMANDS = [rebuild, whatif]
