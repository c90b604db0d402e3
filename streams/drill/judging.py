"""The verdict over a drill: evidence collected, kept, checked, and put into the figures of a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.drill.checks import check
from streams.drill.collect import collect
from streams.drill.evidence import keep
from streams.drill.scene import Scene

#: In the drill's folder: ``streams.drill.evidence.kept`` reads it, so that a finding can be judged again.
EVIDENCE = "evidence.jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; ``findings`` are lines."""

    lost: int
    duplicate_tickets: int
    redelivered: int
    findings: list[str]
    counts: dict[str, Any]


async def judge(scene: Scene, folder: Path) -> Verdict:
    """Collect and check; the evidence stays in the folder."""
    theatre = scene.theatre
    evidence = await collect(
        theatre.options,
        theatre.ninja,
        theatre.psa,
        poison=frozenset(scene.planted),
        tests=dict(scene.operator_tests),
    )
    keep(evidence, folder / EVIDENCE)
    report = check(evidence)
    counts = dict(report.counts)
    return Verdict(
        lost=counts["lost"],
        duplicate_tickets=counts["duplicate_tickets"],
        redelivered=counts["redelivered"],
        findings=[str(finding) for finding in report.findings],
        counts=counts,
    )
