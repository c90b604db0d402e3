"""What a difference between two decisions says to a person: the fact in words, and the places where the two part."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any

import orjson

from schemas.audit import AuditedFact

#: So many places tell what kind of change it is; all of them would be read by nobody.
_PLACES = 6
_LONGEST = 120
_MISSING: Any = object()


def in_words(agent: str, fact: AuditedFact) -> str:
    """A fact in one line: what, of what, when, and who decides about it."""
    kind = fact.headers.get("ce_type", "").removeprefix("lockstep.").rpartition(".v")[0]
    value = orjson.loads(fact.value)
    about = next(
        (
            f" {name} {value[name]}"
            for name in ("uid", "command_type", "timer", "ticket_id", "revision")
            if name in value
        ),
        "",
    )
    when = fact.headers.get("ce_recordedtime", "")
    return f"{kind} of {fact.headers.get('ce_partitionkey')}{about}, recorded {when}, agent {agent}"


def places(was: Any, now: Any) -> list[str]:
    """Where two documents part, the first few: ``[0].decision.rule: was "a", now "b"``."""
    found = [
        f"{path.lstrip('.')}: was {_short(before)}, now {_short(after)}"
        for path, before, after in islice(_parting(was, now, ""), _PLACES + 1)
    ]
    return [*found[:_PLACES], "further places"] if len(found) > _PLACES else found


def _parting(was: Any, now: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from _parting(was.get(name, _MISSING), now.get(name, _MISSING), f"{path}.{name}")
    elif isinstance(was, list | tuple) and isinstance(now, list | tuple):
        for place, (before, after) in enumerate(zip_longest(was, now, fillvalue=_MISSING)):
            yield from _parting(before, after, f"{path}[{place}]")
    elif was is _MISSING or now is _MISSING or was != now:
        yield path, was, now


def _short(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
