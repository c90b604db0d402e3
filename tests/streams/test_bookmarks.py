"""A bookmark is believed only of the very same log, question and version; one that cannot be kept costs nothing else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from streams.core.ranges import Range
from streams.ports import InputRecord
from streams.replay import bookmarks, going_on, verify_partition
from streams.replay.going_on import Ledger
from tests.core.spec import START
from tests.streams.interrupted_runs import OPTIONS, Audit, Runs, story


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    return Audit(monkeypatch, story())


@pytest.fixture
def runs(audit: Audit, tmp_path: Path) -> Runs:
    return Runs(audit, tmp_path / "replay")


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def stranger(path: Path) -> None:
    path.write_text("hello\n")


@pytest.mark.parametrize("spoilt", [damage, cut, stranger])
async def test_a_file_that_is_not_what_was_written_is_not_believed(runs: Runs, spoilt: Callable[[Path], None]) -> None:
    await runs.interrupted(6)
    spoilt(runs.file)
    assert (await runs.verify()).difference is None
    assert runs.said == [f"begins anew: {runs.file} is damaged"]
    assert len(runs.audit.read) == len(runs.audit.records)


async def test_every_single_byte_of_a_file_counts(runs: Runs) -> None:
    await runs.interrupted(6)
    content = runs.file.read_bytes()
    for place in range(0, len(content), 11):
        runs.file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(bookmarks.DamagedBookmark):
            bookmarks.head_of(runs.file)


def retention(audit: Audit) -> None:
    audit.first = 12


def shorter(audit: Audit) -> None:
    del audit.records[4:]


def made_anew(audit: Audit) -> None:
    """The same bytes, written at another time."""
    audit.records[5] = InputRecord(*audit.records[5][:6], START + 1)


def changed(audit: Audit) -> None:
    audit.change(5, recorded_at=START + 1)


def elsewhere(audit: Audit) -> None:
    audit.cluster = "other"


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (retention, "audit[0]@10 is not kept any more (retention)"),
        (shorter, "audit[0]@10 is not there any more: the log was made anew or cut"),
        (made_anew, "audit[0]@10 is another record now: the log was made anew or changed"),
        (changed, "audit[0]@10 is another record now: the log was made anew or changed"),
        (elsewhere, "what is kept is of another Kafka cluster"),
    ],
)
async def test_a_log_that_is_another_is_begun_anew(runs: Runs, happened: Callable[[Audit], None], said: str) -> None:
    await runs.interrupted(6)
    happened(runs.audit)
    await runs.verify()
    assert runs.said == [f"begins anew: {said}"]
    assert runs.ledger.begun_anew == said
    assert runs.audit.read[0] == runs.audit.first or runs.audit.first


@pytest.mark.parametrize("name", ["VERSION", "DECISIONS", "_FORMAT"])
async def test_what_another_version_kept_is_not_gone_on_with(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await runs.interrupted(6)
    monkeypatch.setattr(going_on, name, 99)
    await runs.verify()
    [line] = runs.said
    assert line.startswith("begins anew: what is kept is of another version of Lockstep (")


async def test_another_range_begins_anew_and_leaves_what_is_kept_to_its_own(runs: Runs) -> None:
    await runs.interrupted(6)
    await runs.verify(Range(key="9"), every_s=60)
    assert runs.said == ["begins anew: what is kept is of other options"]
    await runs.verify()
    assert runs.audit.read[0] == 12
    await runs.interrupted(6, Range(since=START))
    await runs.verify(every_s=60)
    assert runs.said == ["begins anew: what is kept is of other options (--since 2026-11-24T03:00:00.000Z)"]


async def test_a_second_run_at_the_same_time_keeps_nothing_and_says_so(runs: Runs, audit: Audit) -> None:
    await runs.interrupted(6)
    kept = runs.file.read_bytes()
    other = Runs(audit, runs.folder)
    with Ledger(runs.folder, "verify", asdict(verify_partition.WHOLE)) as first:
        assert await first.bookmarks(OPTIONS, {("audit", 0): 0}, {("audit", 0): audit.end}) is not None
        assert (await other.verify()).difference is None
        assert other.said == [
            f"this run cannot be interrupted and go on: another verify keeps its own in {runs.folder}"
        ]
        assert len(audit.read) == len(audit.records)
        assert runs.file.read_bytes() == kept
    assert (await runs.verify()).difference is None
    assert audit.read[0] == 12


async def test_a_folder_that_cannot_be_written_costs_the_bookmark_and_not_the_work(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "replay").write_text("in the way")
    assert (await runs.verify()).difference is None
    assert runs.said == [f"this run cannot be interrupted and go on: {tmp_path / 'replay'}: File exists"]
    assert runs.ledger.unkept is not None


async def test_a_full_disk_is_said_once_and_leaves_what_was_kept(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    await runs.interrupted(3)
    kept = runs.file.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bookmarks.os, "fsync", full)
    await runs.interrupted(3)
    assert runs.file.read_bytes() == kept
    assert [path.name for path in runs.folder.iterdir() if not path.name.startswith(".")] == ["verify-0.jsonl"]
    assert (await runs.verify()).difference is None
    assert runs.said[1:] == [f"this run cannot be interrupted and go on: {runs.file}: No space left on device"]


async def test_a_bookmark_is_json_for_its_owner_alone(runs: Runs) -> None:
    await runs.interrupted(6)
    assert stat.S_IMODE(runs.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(runs.folder.stat().st_mode) == 0o700
    rows = [orjson.loads(line) for line in runs.file.read_bytes().splitlines()]
    assert set(rows[0]) == {"about", "bookmark"}
    assert rows[0]["bookmark"]["records"] == 6
    assert {row["key"] for row in rows if "document" in row} >= {"407", "~context"}


async def test_what_a_killed_process_was_writing_is_taken_away(runs: Runs) -> None:
    await runs.interrupted(6)
    draft = runs.folder / "verify-0.4711"
    draft.write_text("half")
    await runs.verify()
    assert not draft.exists()
