"""Events in an older version of their schema, made into the version of today: one step per version, each a pure function.

Used where events are decoded (``schemas.events``) and nowhere else, so whoever has an event has it in today's form. The bytes in topics and
in the audit stay as they were written: a replay reads them the same way and decides the same. A step is never taken out, for the log may hold
its version for as long as it is kept. There is none yet: 0.1.0 has version 1 of everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.envelope import DecodeError


@dataclass(frozen=True, slots=True)
class Upcast:
    """One step: from the ``ce_type`` that it stands under in ``UPCASTS`` to ``to``. ``convert`` returns a new value (JSON data)."""

    to: str
    convert: Callable[[dict[str, Any]], dict[str, Any]]


#: ``ce_type`` of a former version -> the step to the next one, of facts and commands alike.
UPCASTS: dict[str, Upcast] = {}


def upcast(ce_type: str, value: bytes | None) -> tuple[str, bytes | None]:
    """The event's type and value after every step that there is for it; as they were where there is none.

    Raises ``DecodeError`` in one line where the value is not what the former version wrote.
    """
    while (step := UPCASTS.get(ce_type)) is not None:
        try:
            value = orjson.dumps(step.convert(orjson.loads(value or b"")))
        except KeyError as missing:
            raise DecodeError(f"{ce_type}: {missing.args[0]}: Field required (for {step.to})") from None
        except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
            raise DecodeError(f"{ce_type}: cannot be read as {step.to}: {error}") from None
        ce_type = step.to
    return ce_type, value
