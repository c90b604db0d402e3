"""Stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    about: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]
    counts: dict[str, Any]

    @property
    def ok(self) -> bool:
        return not self.findings
