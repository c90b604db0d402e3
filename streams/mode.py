"""Whose log it is: a live installation's or a shadow's. It is written down once, so that the two are never mixed.

A live installation on a shadow's log would take predicted tickets for real ones; a shadow on a live log would settle what is to be
carried out. The mark stands in ``operations`` under ``mode``; a log with decisions and without the mark is from before there were
shadows, and live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from schemas.model import Model
from schemas.topics import AUDIT, OPERATIONS
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.readers import end_offsets, last_values

Mode = Literal["live", "shadow"]
KEY = "mode"
_WHAT = {"live": "a live installation", "shadow": "a shadow"}
_WAY_OUT = {
    "live": "a live installation begins with a log of its own: name another kafka.data_dir (or cluster), or set 'mode: shadow'",
    "shadow": "a shadow has a log of its own: name another kafka.data_dir (or cluster), or leave 'mode: shadow' and --shadow out",
}


class Claim(Model):
    """The mark: which kind of installation the log belongs to."""

    mode: Mode


class ModeError(RuntimeError):
    """The log belongs to an installation of the other mode; one line with the way out."""


async def claim(
    options: KafkaOptions, log: KafkaLog, mode: Mode, *, topic: str = OPERATIONS, audit: str = AUDIT
) -> None:
    """Make sure that the log is of this mode, and write it down where it is new. Raises ``ModeError``, ``ReadError``, ``LogError``."""
    found = mode_of(await last_values(options, topic))
    if found is None:
        began = any(end for end in (await end_offsets(options, audit)).values())
        found = "live" if began else mode
        if found == mode:
            await log.remember(topic, KEY, Claim(mode=mode).to_json())
    if found != mode:
        raise ModeError(
            f"mode is {mode}, but the log at {options.bootstrap_servers} belongs to {_WHAT[found]}; {_WAY_OUT[mode]}"
        )


def mode_of(operations: Mapping[str, bytes]) -> Mode | None:
    """What the topic says, ``None`` where nobody has claimed the log."""
    value = operations.get(KEY)
    return None if value is None else Claim.from_json(value).mode
