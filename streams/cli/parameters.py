"""Kinds of values that verbs take."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import click

from schemas.identity import is_key, key_of_external_id
from streams.clock import machine_now
from streams.wording import quoted

#: Of an id: NinjaOne counts with 32 bits.
_DIGITS = 10
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Organizations(click.ParamType):
    """Ids of organizations, separated by commas."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The ids as numbers, each once."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip().removeprefix("o") for part in str(value).split(",")]
        if not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in parts):
            self.fail(f"{quoted(value)} is no list of ids of organizations, such as 17,23", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


class Instant(click.ParamType):
    """A moment, as people write it, or so long ago (``7d``); epoch milliseconds for the verb. Without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        ago = re.fullmatch(r"(\d{1,7})([smhd])", value.strip())
        if ago is not None:
            return max(0, machine_now() - int(ago[1]) * _UNIT_MS[ago[2]])
        try:
            moment = datetime.fromisoformat(value)
            at = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(f"{quoted(value)} is no time; write it like 2026-11-28T09:30:00Z or 7d", parameter, context)
        if not 0 <= at <= machine_now():
            self.fail(f"{quoted(value)} is not in the past", parameter, context)
        return at


class Key(click.ParamType):
    """A device, location or organization as the log names it."""

    name = "KEY"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        if not is_key(str(value)):
            self.fail(
                f"{quoted(value)} is no device's id, nor l31 or o17 for a location or organization", parameter, context
            )
        return str(value)


class Incident(click.ParamType):
    """An incident by its ticket's external id."""

    name = "EXTERNAL_ID"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        if key_of_external_id(str(value)) is None:
            self.fail(f"{quoted(value)} is no external id of ours, such as ls.407.<32 hex digits>", parameter, context)
        return str(value)
