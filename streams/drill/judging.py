"""The verdict over a drill: evidence collected, checked, and put into the figures of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.demo.tally import count, doubled
from streams.drill.checks import Finding
from streams.drill.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found."""

    lost: int
    duplicate_tickets: int
    redelivered: int
    findings: list[str]
    counts: dict[str, Any]


async def judge(scene: Scene) -> Verdict:
    """Collect and check."""
    theatre = scene.theatre
    ninja, psa = await theatre.ninja.get("state"), await theatre.psa.get("state")
    raised = {str(row["id"]) for row in ninja["history"] if row.get("entity") == "alert" and "id" in row}
    tally = await count(theatre, raised=raised, seconds=0)
    findings = []
    if tally.lost:
        findings.append(Finding("Lost", "", str(tally.lost)))
    if tally.audit_difference:
        findings.append(Finding("Audit", "", tally.audit_difference))
    if doubled(psa):
        findings.append(Finding("Doubled", "", str(doubled(psa))))
    return Verdict(
        lost=tally.lost,
        duplicate_tickets=doubled(psa),
        redelivered=0,
        findings=[f"{f.kind}: {f.about}: {f.detail}" for f in findings],
        counts=tally.as_dict(),
    )
