"""A drill from beginning to end on the real broker, and the ways in which it says that it could not be run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.topics import AGENT_INPUTS
from streams.cli.drill import _in_short
from streams.drill.report import DrillResult, gather, kept
from streams.drill.run import last_words
from streams.drill.schedule import read_schedule

ROOT = Path(__file__).parents[2]
#: What a drill wrote as ``schedule.jsonl`` when it failed, cut down to what it takes: ``seed-<seed of the load>-<why>``.
KEPT = sorted((Path(__file__).parent / "kept").glob("*.jsonl"))


def lockstep(folder: Path, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
    return subprocess.run(
        [sys.executable, "-m", "streams.main", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


@pytest.mark.kafka
@pytest.mark.faults
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_schedule_that_was_kept_loses_and_doubles_nothing(tmp_path: Path, path: Path) -> None:
    seed = path.stem.split("-")[1]
    planned = read_schedule(path)
    minutes = max((max(fault.at + fault.lasts for fault in planned) + 3) / 60, 0.2)
    said = lockstep(
        tmp_path, "drill", "--seed", seed, "--minutes", f"{minutes:.2f}", "--schedule", str(path), "--json", seconds=900
    )
    assert said.returncode == 0, said.stderr[-5000:]
    result = json.loads(said.stdout.splitlines()[-1])
    assert {"seed", "minutes", "faults", "events", "lost", "duplicate_tickets", "redelivered", "seconds"} <= set(result)
    assert (result["lost"], result["duplicate_tickets"], result["findings"]) == (0, 0, [])
    assert result["faults"] == len(planned)
    assert result["events"] > 10
    # The agents that read a topic have each put aside what they could not decode there.
    planted = [str(fault.parameters["topic"]) for fault in planned if fault.kind in ("poison", "newer_version")]
    readers = sum(topic in topics for topic in planted for topics in AGENT_INPUTS.values())
    assert result["counts"]["dead_letters"] == readers
    assert not (tmp_path / ".lockstep" / "drills" / f"seed-{seed}").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--seed", "1", "--seeds", "1-3"], "give --seed or --seeds, not both"),
        (["--seeds", "one"], "'one' is neither a number nor A-B"),
        (["--seeds", "5-3"], "holds no seed"),
        (["--config", "lockstep.yaml"], "it takes no --config"),
        (["--minutes", "0"], "--minutes"),
    ],
)
def test_a_drill_that_is_asked_for_wrongly_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], why: str
) -> None:
    said = lockstep(tmp_path, "drill", *arguments)
    assert said.returncode == 64
    assert why in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_a_schedule_file_that_is_missing_is_named(tmp_path: Path) -> None:
    said = lockstep(tmp_path, "drill", "--schedule", "kept.jsonl")
    assert (said.returncode, said.stderr.strip()) == (
        1,
        "lockstep: kept.jsonl: cannot be read: No such file or directory",
    )


def test_the_faults_of_a_seed_are_printed_as_a_file_that_can_be_played(tmp_path: Path) -> None:
    said = lockstep(tmp_path, "drill", "--seed", "4", "--show")
    assert said.returncode == 0
    assert all({"at", "kind", "lasts", "parameters"} == set(json.loads(line)) for line in said.stdout.splitlines())


def result(seed: int, *, lost: int = 0) -> DrillResult:
    findings = ["LostAlert: a: b"] if lost else []
    return DrillResult(
        seed=seed,
        minutes=3.0,
        faults={"kill": 2, "poison": 1},
        events=100,
        lost=lost,
        duplicate_tickets=0,
        redelivered=5,
        seconds=200.0,
        findings=findings,
        versions={"kafka": "4.2.2"},
    )


def test_results_gather_over_several_runs_and_a_repeated_seed_replaces_its_own(tmp_path: Path) -> None:
    page = tmp_path / "drills.md"
    for one in (result(1, lost=1), result(2), result(1)):
        gather(page, one)
    assert [row["seed"] for row in kept(page.with_suffix(".jsonl"))] == [1, 2]
    text = page.read_text()
    assert (
        "**2 of 2 drills clean; lost 0, duplicate tickets 0**; 200 events, 6 faults, 10 redeliveries absorbed." in text
    )
    assert "| kill | 4 |" in text
    assert "kafka 4.2.2" in text


def test_a_page_with_a_finding_says_so_at_the_top_and_names_it(tmp_path: Path) -> None:
    page = tmp_path / "drills.md"
    gather(page, result(3, lost=1))
    assert "**0 of 1 drills clean; lost 1" in page.read_text()
    assert "- seed 3: LostAlert: a: b" in page.read_text()


def test_what_was_found_is_told_in_short_at_the_very_end() -> None:
    several = replace(
        result(3),
        findings=[*(f"LostAlert: {n}: b" for n in range(9)), "NotQuiet: the drill: agent alerts"],
        last_words=["connectors ERROR it said this"],
    )
    assert _in_short(several).splitlines() == [
        "seed 3: 9 LostAlert, 1 NotQuiet",
        "  LostAlert: 0: b",
        "  LostAlert: 1: b",
        "  NotQuiet: the drill: agent alerts",
        "  connectors ERROR it said this",
    ]


def test_the_loud_lines_of_the_roles_are_quoted_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "connectors.log").write_text("a INFO x\n" + "".join(f"{n} WARNING y\n" for n in range(9)))
    (tmp_path / "logs" / "broker.log").write_text("b ERROR z\n")
    assert last_words(tmp_path) == ["6 WARNING y", "7 WARNING y", "8 WARNING y"]
