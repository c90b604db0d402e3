"""How long an incident lives: the keys of ``lifecycle``, below a rule or below ``defaults``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from streams.core.policy.findings import wrong
from streams.core.policy.parts import Duration, NameOrId, Names, Part

#: What a key's state remembers of an ended incident (``streams.core.memory``); later there is nothing to reopen.
LONGEST_REOPEN_MS = 30 * 24 * 3_600_000


def _remembered(value: int) -> int:
    if value > LONGEST_REOPEN_MS:
        raise wrong("is longer than an ended incident is remembered", "write 30d at most")
    return value


class LifecycleSettings(Part):
    """How long an incident lives. Unset values come from ``defaults.lifecycle``, then from the design's defaults."""

    hold: Duration | None = None
    settle: Duration | None = None
    reopen_within: Annotated[Duration, AfterValidator(_remembered)] | None = None
    reopen: Literal["ours", "any"] | None = None
    reopen_status: NameOrId | None = None
    never_reopen: Names | None = None
    repeat: Literal["note", "ticket", "count"] | None = None
    note_every: Duration | None = None
    close_if: Literal["untouched", "always", "never"] | None = None
    reset: Literal["all", "opening"] | None = None
    escalate: bool | None = None
    takeover: Literal["adopt", "adopt_or_open", "ignore"] | None = None
