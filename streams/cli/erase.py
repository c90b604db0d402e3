"""``lockstep erase``: personal values of an organization or a device, gone for good; the audit stays whole."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schemas.identity import is_key, organization_key
from streams.cli.base import Failure, actor, common, run, say, say_error, say_json, settings_of
from streams.clock import clock_of
from streams.heard_of import unknown
from streams.log import KafkaLog
from streams.personal import Erasure, erase, to_erase
from streams.policy_log import policy_in_force
from streams.wiring import kafka_options
from streams.wording import counted, quoted

#: What is said of the time that the bytes stay on the disk; measured (docs/privacy.md).
_BYTES = "their bytes leave Kafka's disk within some minutes while the connectors run (docs/privacy.md)"


@click.command("erase")
@click.option("--organization", type=click.IntRange(0), metavar="ID", help="All devices, tickets and alerts of it.")
@click.option(
    "--device", metavar="ID", help="One device by its NinjaOne id (or l31, o17: a location, an organization)."
)
@click.option("--yes", is_flag=True, help="Erase; without it a terminal asks, and anything else only counts.")
@common
def erase_personal(config: Path | None, as_json: bool, organization: int | None, device: str | None, yes: bool) -> int:
    """Erase the personal values that are kept: last logged-on users, titles and texts of notes.

    Facts and audit hold only tokens of them, so 'audit verify' stays whole. Vendors are not called: what stands in
    NinjaOne and Autotask is theirs, and a policy that still asks for it keeps what is read from now on.
    """
    if (organization is None) == (device is None):
        raise click.UsageError("name one of --organization ID and --device ID")
    if device is not None and not is_key(device):
        raise click.UsageError(
            f"{quoted(device)} is not the id of a device (407), a location (l31) or an organization (o17)"
        )

    async def main() -> tuple[Erasure, bool, tuple[str, ...]]:
        options = await kafka_options(settings_of(config))
        found = await to_erase(options, organization=organization, device=device)
        if not found.count:
            nobody = await unknown(options, device if device is not None else organization_key(organization or 0))
            if nobody is not None:
                raise Failure(nobody)
        going = bool(found.count) and (yes or _confirmed(found, as_json))
        if going:
            async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
                await erase(log, found, actor=actor(), at=clock.now())
        current = await policy_in_force(options)
        return found, going, _asked_for(current.document if current is not None else "")

    found, erased, still = run(main())
    if as_json:
        say_json(
            {
                "selection": found.selection,
                "found": found.count,
                "erased": found.count if erased else 0,
                "values": [entry.model_dump() for entry in found.erased],
                "organization_unknown": found.unplaced,
                "still_asked_for": list(still),
            }
        )
        return 0
    for entry in found.erased:
        say(f"{entry.key}: {entry.count} {entry.kind}")
    if not found.count:
        say(f"{found.selection} is known, and nothing personal is kept of it")
    elif erased:
        say(f"erased: {counted(found.count, 'value')} of {found.selection}; {_BYTES}")
    else:
        say(f"{counted(found.count, 'value')} of {found.selection} would be erased; nothing was: say --yes")
    if found.unplaced:
        say_error(
            f"{counted(found.unplaced, 'value is', 'values are')} of no known organization: erase them by --device"
        )
    if erased and still:
        say_error(
            f"the policy still asks for {' and '.join(still)}: what the vendors show is kept again when it is read"
        )
    return 0


def _confirmed(found: Erasure, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    say_error(
        f"{counted(found.count, 'personal value')} of {found.selection} will be erased for good. Go on? [y/N] ", end=""
    )
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise Failure("nothing was erased")
    return True


def _asked_for(document: str) -> tuple[str, ...]:
    """What a policy in force asks for, by its keys."""
    import orjson

    from streams.core.policy.policy import parse_policy

    if not document:
        return ()
    policy = parse_policy(orjson.loads(document))
    users = ("devices.fields.last_user",) if "last_user" in policy.devices.fields else ()
    return (*users, *(("notes.technicians: text",) if policy.notes.technicians == "text" else ()))


COMMANDS = [erase_personal]
