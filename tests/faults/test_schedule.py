"""A drill's faults as data: drawn by seed, written, read back, and never in each other's way."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from connectors.sandbox.faults import LATER_PAGE_KINDS, Faults
from streams.drill.faults import FAULTS
from streams.drill.planting import poison
from streams.drill.schedule import KINDS, LAST_S, OF_PROCESSES, POISONS, ScheduleError, draw, lines, read_schedule
from streams.drill.vendor_faults import VENDOR_FAULTS, WEBHOOK_FAULTS

SEEDS = range(1, 31)


def test_a_seed_draws_the_same_faults_for_ever() -> None:
    assert lines(draw(7, 60)) == lines(draw(7, 60))
    assert lines(draw(7, 60)) != lines(draw(8, 60))


def test_a_schedule_that_was_printed_is_read_back_as_it_was(tmp_path: Path) -> None:
    drawn = draw(3, 180)
    (tmp_path / "kept.jsonl").write_text(lines(drawn))
    assert read_schedule(tmp_path / "kept.jsonl") == drawn


@pytest.mark.parametrize("seconds", [60, 180])
def test_every_fault_is_healed_before_the_drill_ends(seconds: float) -> None:
    for seed in SEEDS:
        assert all(fault.at + fault.lasts <= seconds - LAST_S for fault in draw(seed, seconds))


@pytest.mark.parametrize("seconds", [60, 180])
def test_two_faults_of_one_scope_never_overlap(seconds: float) -> None:
    for seed in SEEDS:
        by_scope: dict[str, list[tuple[float, float]]] = {}
        for fault in draw(seed, seconds):
            for scope in KINDS[fault.kind].scopes(fault.parameters):
                by_scope.setdefault(scope, []).append((fault.at, fault.at + fault.lasts))
        for spans in by_scope.values():
            assert all(before[1] < after[0] for before, after in pairwise(spans)), (seed, spans)


def test_a_minute_has_a_dozen_faults_and_more_some_of_them_at_once() -> None:
    for seed in SEEDS:
        drawn = draw(seed, 60)
        assert 10 <= len(drawn) <= 30
        assert any(after.at < before.at + before.lasts for before, after in pairwise(drawn)), seed


def test_a_sleeper_sleeps_longer_than_the_session_and_for_half_a_minute_in_a_long_drill() -> None:
    def naps(seconds: float) -> set[float]:
        return {fault.lasts for seed in SEEDS for fault in draw(seed, seconds) if fault.kind == "sleep"}

    assert naps(60) == {10.0}
    assert naps(180) == {30.0}


def test_thirty_drills_of_three_minutes_have_every_kind_of_fault() -> None:
    seen = {fault.kind for seed in SEEDS for fault in draw(seed, 180)}
    assert seen == set(KINDS)
    of_processes = sum(fault.kind in OF_PROCESSES for seed in SEEDS for fault in draw(seed, 180))
    assert of_processes > 5 * 30


def test_every_kind_of_fault_can_be_brought_about() -> None:
    assert set(FAULTS) == set(KINDS)


def test_the_simulators_understand_every_fault_that_is_asked_of_them() -> None:
    vendors = {"ninjaone": Faults(also=LATER_PAGE_KINDS), "autotask": Faults()}
    for vendor, bodies in (*VENDOR_FAULTS.values(), *WEBHOOK_FAULTS.values()):
        for body in bodies:
            vendors[vendor].add(body)


def test_every_poison_is_one() -> None:
    from schemas.envelope import DecodeError
    from schemas.events import decode_fact

    for what in (*POISONS, "newer_version"):
        value, headers = poison(what)
        with pytest.raises((DecodeError, UnicodeDecodeError)):
            decode_fact(headers, value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("kill worker-1", "this is no fault"),
        ('{"at": 1, "kind": "kill", "lasts": 0}', "this is no fault"),
        ('{"at": 1, "kind": "flood", "lasts": 0, "parameters": {}}', "there is no fault 'flood'"),
    ],
)
def test_a_schedule_that_cannot_be_played_is_refused_by_file_and_line(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_text(f"{lines(draw(1, 60))}\n{line}\n")
    number = len(draw(1, 60)) + 2
    with pytest.raises(ScheduleError, match=why) as refused:
        read_schedule(path)
    assert str(refused.value).startswith(f"{path}:{number}: ")


def test_the_five_seeds_of_make_faults_have_every_kind_of_fault_between_them() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    chosen = next(line for line in makefile.splitlines() if line.startswith("SEEDS")).partition("= ")[2]
    assert {fault.kind for seed in chosen.split(",") for fault in draw(int(seed), 60)} == set(KINDS)
