"""What the published policies ask of a ticket's life, as far as the checker can tell without the product's own reading.

A rule is understood where it chooses by nothing but ``source_type``. For an alert that may have met another one the answer
is "not known", and then nothing is judged by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.facts import AlertFact, PolicyPublished
from streams.drill.reading import Reading

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+)\s*([smhd])")

Settings = Mapping[str, Any]


class Rules:
    """The policies of a run by revision."""

    def __init__(self, reading: Reading) -> None:
        self._documents: dict[int, dict[str, Any]] = {}
        for row in reading.facts.values():
            if isinstance(row.event.data, PolicyPublished):
                self._documents.setdefault(row.event.data.revision, orjson.loads(row.event.data.document))

    @property
    def last(self) -> int:
        """The revision that is in force at the end; 0 before any."""
        return max(self._documents, default=0)

    def lifecycle(self, fact: AlertFact, revision: int) -> Settings | None:
        """The ``lifecycle`` that an alert gets, defaults below it; ``None``: not known."""
        document = self._documents.get(revision, {})
        defaults = document.get("defaults", {}).get("lifecycle") or {}
        if document and not document.get("rules"):
            return defaults
        for rule in document.get("rules", ()):
            when = rule.get("when") or {}
            kinds = when.get("source_type")
            if kinds is not None and fact.source_type not in ([kinds] if isinstance(kinds, str) else kinds):
                continue
            if set(when) - {"source_type"}:
                return None
            return {**defaults, **(rule.get("lifecycle") or {})}
        return None

    def window(self, name: str) -> Settings | None:
        """The maintenance window of this name in the policy in force; ``None`` where there is none."""
        windows = self._documents.get(self.last, {}).get("maintenance", ())
        return next((window for window in windows if window.get("name") == name), None)


def seconds_of(settings: Settings, key: str) -> float:
    """A duration of a lifecycle; 0 where it is not set, as the documentation says."""
    match = _DURATION.fullmatch(str(settings.get(key, "")))
    return int(match[1]) * _UNITS[match[2]] if match else 0.0
