"""Kinds of values that verbs take."""

from __future__ import annotations

from typing import Any

import click


class Organizations(click.ParamType):
    """Ids of organizations, separated by commas."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The ids as numbers, each once."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip().removeprefix("o") for part in str(value).split(",")]
        if not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"'{value}' is no list of ids of organizations, such as 17,23", param, ctx)
        return tuple(sorted({int(part) for part in parts}))
