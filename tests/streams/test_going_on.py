"""A long verification that is interrupted goes on where it was: the same answer, each record read once, and no trust in a log that is another."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.core.ranges import Range
from streams.core.whatif import Comparison
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import Offsets, ReadError
from streams.replay import bookmarks, going_on, rebuild, verify, verify_partition, whatif, whatif_partition
from streams.replay.going_on import Ledger
from streams.replay.rebuild import Rebuilt
from streams.replay.verify import AuditResult
from tests.core.spec import HOUR, START, UID_B, UID_C, Scene, companies, incidents, policy, reset, subject, triggered

OPTIONS = KafkaOptions(bootstrap_servers="127.0.0.1:1")


def story() -> Scene:
    """Alerts of several customers' devices, a company for three of them at once, a policy, and an end."""
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR)
    for number in (8, 9, 10):
        where = subject(device=number, organization=99, organization_name="Westwind")
        scene.when(triggered(10 + number, f"{number:032x}", subject=where), key=str(number))
    scene.later(HOUR).when(companies((6, "Westwind"))).when(triggered(31, UID_B, alert_subject="D:"))
    scene.later(HOUR).when(policy(2, defaults={"queue": "NOC"})).when(triggered(32, UID_C, alert_subject="E:"))
    return scene.later(HOUR).when(reset(90)).settle("CompleteTicket")


class Audit:
    """One partition of the audit in memory, in place of Kafka; every second offset is a transaction's marker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
        self.scene = scene
        self.records = [
            InputRecord("audit", 0, 2 * n, r.key.encode(), r.to_json(), (), r.recorded_at)
            for n, r in enumerate(scene.records)
        ]
        self.first = 0
        self.cluster = "one"
        #: The offsets that jobs read; after so many in one run the reading is interrupted.
        self.read: list[int] = []
        self.left: int | None = None
        self.interruption: type[BaseException] = asyncio.CancelledError
        self.grows: list[int] = []
        for module in (verify, rebuild, whatif):
            monkeypatch.setattr(module, "end_offsets", self._ends)
            monkeypatch.setattr(module, "first_offsets", self._firsts)
        for module in (verify_partition, rebuild, whatif_partition):
            monkeypatch.setattr(module, "read_all", self._read)
            monkeypatch.setattr(module, "beginning", self._beginning)
        for module in (verify_partition, rebuild):
            monkeypatch.setattr(module, "state_documents", self._live)
        monkeypatch.setattr(going_on, "read_all", self._from)
        monkeypatch.setattr(going_on, "_cluster", self._cluster)

    @property
    def end(self) -> int:
        return self.records[-1].offset + 2

    def interrupted_after(self, count: int) -> Audit:
        self.left, self.read = count, []
        return self

    def change(self, place: int, **fields: Any) -> None:
        """Another content of a record, with a hash that fits."""
        raw = self.records[place]
        record = AuditRecord.from_json(raw.value or b"")
        other = AuditRecord.model_validate({**record.model_dump(), **fields})
        value = AuditRecord.model_validate({**other.model_dump(), "hash": other.chained()}).to_json()
        self.records[place] = InputRecord(*raw[:4], value, *raw[5:])

    async def _ends(self, *_: Any) -> Offsets:
        return {("audit", 0): self.end}

    async def _firsts(self, *_: Any) -> Offsets:
        return {("audit", 0): self.first}

    async def _beginning(self, *_: Any) -> None:
        """Nothing of these logs lies behind a checkpoint."""

    async def _cluster(self, _: Any) -> str:
        return self.cluster

    async def _live(self, _: Any, agent: str, partition: int) -> dict[int, dict[bytes, bytes]]:
        return {partition: self.scene.state if agent == "incidents" else {}}

    async def _from(self, *_: Any, start: Offsets, **__: Any) -> AsyncIterator[InputRecord]:
        for record in self.records:
            if record.offset >= max(start.get(("audit", 0), 0), self.first):
                yield record

    async def _read(self, *_: Any, start: Offsets, **__: Any) -> AsyncIterator[InputRecord]:
        async for record in self._from(start=start):
            if self.left is not None and len(self.read) == self.left:
                self.left = None
                raise self.interruption("away")
            self.read.append(record.offset)
            yield record


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    return Audit(monkeypatch, story())


class Runs:
    """Runs of one verb over an audit, with one folder; ``said``: what the last one told people."""

    def __init__(self, audit: Audit, folder: Path) -> None:
        self.audit = audit
        self.folder = folder
        self.said: list[str] = []
        self.ledger: Ledger

    async def verify(self, wanted: Range = verify_partition.WHOLE, **more: Any) -> AuditResult:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "verify", asdict(wanted), tell=self.said.append, **{"every_s": 0, **more})
        with self.ledger as ledger:
            return await verify.verify_audit(OPTIONS, wanted=wanted, ledger=ledger)

    async def rebuild(self, as_of: int | None = None) -> Rebuilt:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "rebuild", {"as_of": as_of}, tell=self.said.append, every_s=0)
        with self.ledger as ledger:
            return await rebuild.rebuild(OPTIONS, as_of=as_of, ledger=ledger)

    async def what_if(self, draft: str) -> Comparison:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "whatif", {"policy": draft}, tell=self.said.append, every_s=0, readings=2)
        with self.ledger as ledger:
            return await whatif.what_if(OPTIONS, draft, since=START + HOUR, ledger=ledger)

    async def interrupted(self, count: int, wanted: Range = verify_partition.WHOLE) -> None:
        self.audit.left = count
        with pytest.raises(self.audit.interruption):
            await self.verify(wanted)

    @property
    def file(self) -> Path:
        return self.folder / "verify-0.jsonl"


@pytest.fixture
def runs(audit: Audit, tmp_path: Path) -> Runs:
    return Runs(audit, tmp_path / "replay")


RANGES = [
    Range(),
    Range(since=START + HOUR),
    Range(until=START + 2 * HOUR),
    Range(partition=0, first=4, last=14),
    Range(key="9"),
    Range(organization=99),
    Range(organization=17),
    Range(key="407", since=START + HOUR),
]


def fact_at(audit: Audit, place: int) -> tuple[str, int]:
    fact = AuditRecord.from_json(audit.records[place].value or b"").fact
    return fact.topic, fact.offset


@pytest.mark.parametrize("wanted", RANGES, ids=str)
async def test_interrupted_after_any_record_it_comes_to_the_same_and_reads_only_the_rest(
    runs: Runs, wanted: Range
) -> None:
    at_once = await runs.verify(wanted)
    whole = list(runs.audit.read)
    assert at_once.difference is None
    for count in range(1, len(whole)):
        await runs.interrupted(count, wanted)
        # Within the records of one fact nothing is kept: it is decided as a whole.
        within = fact_at(runs.audit, count - 1) == fact_at(runs.audit, count)
        kept = runs.file.exists()
        assert kept or within
        assert await runs.verify(wanted) == at_once
        assert runs.audit.read == (whole[count:] if kept else whole)
        assert not runs.file.exists()


async def test_it_is_said_where_a_run_goes_on_and_how_much_earlier_ones_did(runs: Runs) -> None:
    await runs.interrupted(4)
    assert runs.ledger.kept() == 4
    assert runs.said == []
    result = await runs.verify()
    [line] = runs.said
    assert line.startswith(
        f"goes on where an earlier run was: 4 of about {runs.audit.end} records were gone through until 20"
    )
    assert line.endswith("(--anew begins at the beginning)")
    assert runs.ledger.earlier is not None
    assert (runs.ledger.earlier.records, result.records) == (4, len(runs.audit.records))
    await runs.verify()
    assert (runs.said, runs.ledger.earlier) == ([], None)


async def test_a_broker_that_goes_away_costs_nothing_that_was_done(runs: Runs) -> None:
    runs.audit.interruption = ReadError
    await runs.interrupted(5)
    assert (await runs.verify()).difference is None
    assert runs.audit.read[0] == 10


async def test_a_forged_decision_after_the_place_is_named_and_nothing_is_kept_then(runs: Runs) -> None:
    await runs.interrupted(4)
    place = next(n for n, raw in enumerate(runs.audit.records) if n > 5 and raw.key == b"407")
    runs.audit.change(place, decision={})
    result = await runs.verify()
    assert str(result.difference).startswith("incidents 407 #")
    assert not runs.file.exists()


async def test_what_was_changed_before_the_place_is_found_by_a_run_that_begins_anew_alone(runs: Runs) -> None:
    await runs.interrupted(6)
    runs.audit.change(2, decision={})
    kept = runs.file.read_bytes()
    assert (await runs.verify()).difference is None
    runs.file.write_bytes(kept)
    assert (await runs.verify(anew=True)).difference is not None
    assert runs.said == []


async def test_slices_that_are_committed_meanwhile_are_all_that_is_read_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live state has to stand still; where it does not, the next look goes on from the end of the one before."""
    late = runs.audit.records[-2:]
    del runs.audit.records[-2:]
    before = len(runs.audit.records)

    async def soon(_: float) -> None:
        """No time passes."""

    async def ends(*_: Any) -> Offsets:
        while late and len(runs.audit.read) == before:
            runs.audit.records.append(late.pop(0))
        return {("audit", 0): runs.audit.end}

    monkeypatch.setattr(verify, "end_offsets", ends)
    monkeypatch.setattr(verify.asyncio, "sleep", soon)
    result = await runs.verify()
    assert (result.difference, result.settled, result.records) == (None, True, before + 2)
    assert runs.audit.read == [raw.offset for raw in runs.audit.records]
    assert (runs.said, runs.ledger.earlier) == ([], None)


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


@pytest.mark.parametrize("as_of", [None, START + 2 * HOUR])
async def test_a_rebuild_goes_on_as_well(runs: Runs, as_of: int | None) -> None:
    at_once = await runs.rebuild(as_of)
    whole = list(runs.audit.read)
    assert (at_once.differences, at_once.compared) == ([], as_of is None)
    for count in range(1, len(whole)):
        runs.audit.left = count
        with pytest.raises(asyncio.CancelledError):
            await runs.rebuild(as_of)
        assert await runs.rebuild(as_of) == at_once
        assert runs.audit.read == whole[count:]
        assert not list(runs.folder.glob("rebuild-*"))


async def test_a_rebuild_that_met_no_audit_record_keeps_nothing_of_it(runs: Runs) -> None:
    runs.audit.records[4] = InputRecord(*runs.audit.records[4][:4], b"{}", (), START)
    with pytest.raises(ReadError, match=r"audit\[0\]@8 is not an audit record"):
        await runs.rebuild()
    assert not list(runs.folder.glob("rebuild-*"))


async def test_a_what_if_goes_on_in_either_reading_and_is_about_the_log_as_it_was_when_it_began(runs: Runs) -> None:
    draft = policy(9, rules=[{"name": "all", "when": {}, "lifecycle": {"hold": "5m"}}]).document
    late = runs.audit.records.pop()
    at_once = await runs.what_if(draft)
    whole = list(runs.audit.read)
    assert len(whole) == 2 * len(runs.audit.records)
    assert at_once.changes()
    for count in range(1, len(whole)):
        runs.audit.left = count
        with pytest.raises(asyncio.CancelledError):
            await runs.what_if(draft)
        runs.audit.records.append(late)
        assert await runs.what_if(draft) == at_once
        runs.audit.records.pop()
        # The first record after the end as it was tells each reading that it is done.
        assert [offset for offset in runs.audit.read if offset != late.offset] == whole[count:]
        assert not list(runs.folder.glob("whatif-*"))
    runs.audit.left = 3
    with pytest.raises(asyncio.CancelledError):
        await runs.what_if(draft)
    await runs.what_if(policy(9).document)
    assert runs.said == ["begins anew: what is kept is of other options"]
