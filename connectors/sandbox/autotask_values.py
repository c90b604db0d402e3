"""Values of the simulated Autotask tenant: from JSON into a row, and from a row onto the wire.

Inside, a point in time is epoch milliseconds (int, UTC), a string that is not set is ``None``.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.sandbox.autotask_fields import BOOLEAN, DATETIME, DOUBLE, NUMBERS, STRING, Field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What SQL Server's datetime holds: the years 1753 to 9999.
_FIRST, _LAST = (
    (datetime(year, month, day, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    for year, month, day in ((1753, 1, 1), (9999, 12, 31))
)
_FRACTION = re.compile(r"\.(\d+)")


class BadValue(ValueError):
    """A value that its field cannot hold; the message is the vendor-like error text."""


def stored(field: Field, value: Any) -> Any:
    """The value a write puts into a row. Raises ``BadValue``; lengths are checked elsewhere (a switch decides)."""
    if value is None:
        return None
    if field.kind == STRING:
        return _string(field, value)
    if field.kind == BOOLEAN:
        return _boolean(field, value)
    if field.kind == DATETIME:
        return moment(value, field.name)
    return _number(field, value)


def sought(field: Field, value: Any) -> Any:
    """The value a query compares with. Booleans are strict here: JSON true or false, nothing else."""
    if field.kind == BOOLEAN:
        if not isinstance(value, bool):
            raise BadValue(f"Value [{value}] is not valid for the boolean field {field.name}; use true or false")
        return value
    if field.kind == STRING and not isinstance(value, (dict, list, bool)):
        return None if value is None else str(value)
    return stored(field, value)


def moment(value: Any, name: str) -> int:
    """Epoch milliseconds of an ISO time; without a designator it is UTC. Raises ``BadValue``."""
    if not isinstance(value, str):
        raise BadValue(f"Could not convert to DateTime: {value}. Path '{name}'.")
    # Python reads at most six fraction digits of the seven that .NET writes.
    text = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", value.strip())
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadValue(f"Could not convert string to DateTime: {value}. Path '{name}'.") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    at = (parsed - _EPOCH) // timedelta(milliseconds=1)
    if not _FIRST <= at <= _LAST:
        raise BadValue(f"Could not convert string to DateTime: {value}. Path '{name}'.")
    return at


def written_time(milliseconds: int, *, designator: str = "z", fraction: str = "trimmed") -> str:
    """A time on the wire; ``designator`` z or none, ``fraction`` trimmed (0-3 digits), none, three or seven."""
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    digits = f"{milliseconds % 1000:03d}"
    part = {"none": "", "three": digits, "seven": digits + "0000"}.get(fraction, digits.rstrip("0"))
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{part}" if part else "") + ("Z" if designator == "z" else "")


def _string(field: Field, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadValue(f"Unexpected character encountered while parsing value: {_first(value)}. Path '{field.name}'.")
    return str(value) or None


def _boolean(field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BadValue(f"Could not convert to boolean: {value}. Path '{field.name}'.")


def _number(field: Field, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        # Seen live for a contact's isActive, which is an int: "... while parsing value: t".
        raise BadValue(f"Unexpected character encountered while parsing value: {_first(value)}. Path '{field.name}'.")
    try:
        number = float(value) if field.kind == DOUBLE else int(value)
    except ValueError:
        raise BadValue(f"Could not convert string to {field.kind}: {value}. Path '{field.name}'.") from None
    if not math.isfinite(number):
        raise BadValue(f"Input string '{value}' is not a valid {field.kind}. Path '{field.name}'.")
    if field.kind in NUMBERS and not isinstance(value, str) and number != value:
        raise BadValue(f"Input string '{value}' is not a valid {field.kind}. Path '{field.name}'.")
    return number


def _first(value: Any) -> str:
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else "{" if isinstance(value, dict) else "["
