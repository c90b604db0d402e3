"""The verdict over a drill: evidence collected, kept, checked, and put into the figures of a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.topics import DEAD_LETTERS
from streams.drill.checks import check
from streams.drill.collect import collect
from streams.drill.evidence import Evidence, keep
from streams.drill.scene import Scene

#: In the drill's folder: ``streams.drill.evidence.kept`` reads it, so that a finding can be judged again.
EVIDENCE = "evidence.jsonl.gz"
_WHERE = ("dead_topic", "dead_partition", "dead_offset", "dead_error")


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
        findings=[*map(str, report.findings), *_unclear(evidence, scene.planted), *scene.trouble],
        counts=counts,
    )


def _unclear(evidence: Evidence, planted: Mapping[tuple[str, int, int], str]) -> Iterator[str]:
    """Dead letters of a newer version whose reason does not tell an operator so."""
    for record in evidence.topics[DEAD_LETTERS]:
        about = {name: value.decode("utf-8", "replace") for name, value in record.headers if name in _WHERE and value}
        if len(about) < len(_WHERE):
            continue
        topic, partition, offset, error = (about[name] for name in _WHERE)
        if planted.get((topic, int(partition), int(offset))) == "newer_version" and "version 2" not in error:
            yield f"UnclearReason: {topic}[{partition}]@{offset}: a newer version is a dead letter because of: {error}"
