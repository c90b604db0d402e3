"""What a drill found, as one JSON object, as text for a terminal, and several as a Markdown page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """One drill. ``faults`` counts those injected by kind; ``events`` what happened at the vendors; ``redelivered`` facts
    that came again and were recognised; ``findings`` are lines ``kind: about: detail``, none in a clean drill.
    """

    seed: int
    minutes: float
    faults: dict[str, int]
    events: int
    lost: int
    duplicate_tickets: int
    redelivered: int
    seconds: float
    findings: list[str]
    counts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    #: What the roles' logs said last above the level of information; told where something was found.
    last_words: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, nothing else found."""
        return not (self.findings or self.lost or self.duplicate_tickets)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json`` and the file of results; ``faults`` is the number, ``faults_by_kind`` says which."""
        return {**asdict(self), "faults": sum(self.faults.values()), "faults_by_kind": self.faults}

    def line(self) -> str:
        """The verdict in one line."""
        verdict = "clean" if self.clean else f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"
        return (
            f"seed {self.seed}: {verdict}; {sum(self.faults.values())} faults, {self.events} events, lost {self.lost}, "
            f"duplicate tickets {self.duplicate_tickets}, redeliveries absorbed {self.redelivered}, {self.seconds:.0f} s"
        )


def gather(page: Path, result: DrillResult) -> None:
    """Add a result to the file of JSON lines beside the page, and write the page anew over all of them."""
    path = page.with_suffix(".jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result.as_dict(), sort_keys=True) + "\n")
    page.write_text(markdown(kept(path)), encoding="utf-8")


def kept(path: Path) -> list[dict[str, Any]]:
    """The last result of every (seed, minutes) in such a file, by seed; none where there is no file."""
    found: dict[tuple[int, float], dict[str, Any]] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[row["seed"], row["minutes"]] = row
    return [found[key] for key in sorted(found)]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page over several drills: what they ran on, a row per seed, and how often each kind of fault came."""
    kinds: Counter[str] = Counter()
    for row in rows:
        kinds.update(row["faults_by_kind"])
    clean = sum(not (row["findings"] or row["lost"] or row["duplicate_tickets"]) for row in rows)
    text = [
        "# Drills",
        "",
        "Recorded by `lockstep drill --seeds A-B --minutes M --report docs/drills.md`: a whole installation (embedded Kafka,",
        "connectors, two workers, executor) over both simulators, under load and under faults by seed. What was lost or",
        "doubled is decided by the checker from the simulators' own records and the topics, not by Lockstep.",
        "",
        f"**{clean} of {len(rows)} drills clean; lost {_sum(rows, 'lost')}, duplicate tickets "
        f"{_sum(rows, 'duplicate_tickets')}**; {_sum(rows, 'events')} events, {sum(kinds.values())} faults, "
        f"{_sum(rows, 'redelivered')} redeliveries absorbed.",
        "",
        f"Versions: {'; '.join(sorted({_versions(row) for row in rows}))}.",
        "",
        *_table(
            ["seed", "minutes", "faults", "events", "lost", "duplicate tickets", "redelivered", "seconds", "findings"],
            [
                [
                    str(row["seed"]),
                    f"{row['minutes']:g}",
                    str(row["faults"]),
                    str(row["events"]),
                    str(row["lost"]),
                    str(row["duplicate_tickets"]),
                    str(row["redelivered"]),
                    f"{row['seconds']:.0f}",
                    str(len(row["findings"])),
                ]
                for row in rows
            ],
        ),
        "",
        "## Faults injected, by kind",
        "",
        *_table(["fault", "times"], [[kind, str(count)] for kind, count in sorted(kinds.items())]),
    ]
    findings = [(row["seed"], line) for row in rows for line in row["findings"]]
    if findings:
        text += ["", "## Findings", "", *(f"- seed {seed}: {line}" for seed, line in findings)]
    return "\n".join(text) + "\n"


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def _versions(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(row["versions"].items()))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [headings, ["---"] * len(headings), *rows]]
