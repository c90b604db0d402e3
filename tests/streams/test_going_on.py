"""A long verification that is interrupted goes on where it was: the same answer, each record read once, and no trust in a log that is another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.audit import AuditRecord
from streams.core.ranges import Range
from streams.ports import InputRecord
from streams.readers import Offsets, ReadError
from streams.replay import verify
from tests.core.spec import HOUR, START, policy
from tests.streams.interrupted_runs import Audit, Runs, story


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    return Audit(monkeypatch, story())


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
