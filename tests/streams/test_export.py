"""The log as files of rows: the same rows however often, whatever stops it and wherever; nothing personal in any."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.envelope import Envelope, rfc3339
from schemas.facts import ConnectionChanged
from schemas.tables import TABLES, USUAL
from schemas.topics import AUDIT, CONNECTIONS
from streams.analytics import formats
from streams.analytics.export import Exported, export, follow
from streams.analytics.folder import Choice, Folder
from streams.analytics.formats import ExportError
from streams.ports import InputRecord
from streams.readers import ReadError
from tests.core.spec import DAY, START, UID_B, device, devices, incidents, note, reset, subject, triggered
from tests.core.spec import ticket as seen
from tests.streams.recorded_log import RecordedLog, as_set, audit_of, exported, recorded, rows_of


async def test_every_row_has_every_column_of_its_table_in_order_and_a_key_of_its_own(tmp_path: Path) -> None:
    found = await exported(recorded(), tmp_path)
    for name, table in TABLES.items():
        rows = rows_of(tmp_path, name)
        assert len(rows) == found.rows[name] > 0
        assert {tuple(row) for row in rows} == {table.names}
        keys = [tuple(row[column] for column in table.key) for row in rows]
        assert len(set(keys)) == len(keys)
        assert not any(None in key for key in keys)


async def test_a_row_stands_below_the_utc_day_of_its_decision(tmp_path: Path) -> None:
    await exported(recorded(), tmp_path)
    for row in rows_of(tmp_path):
        assert row["day"] == f"day={rfc3339(row['recorded_at'])[:10]}"


async def test_an_export_that_is_run_again_adds_nothing_and_later_only_what_is_new(tmp_path: Path) -> None:
    whole = [record for record in recorded()._records if record.topic == AUDIT]
    log = RecordedLog(record for record in whole if record.offset < 30)
    first = await exported(log, tmp_path)
    before = as_set(rows_of(tmp_path))
    assert (await exported(log, tmp_path)).records == 0
    assert as_set(rows_of(tmp_path)) == before
    log.add(record for record in whole if record.offset >= 30)
    second = await exported(log, tmp_path)
    assert first.records + second.records == len(whole)
    await exported(RecordedLog(whole), tmp_path / "at-once")
    assert as_set(rows_of(tmp_path)) == as_set(rows_of(tmp_path / "at-once")) > before


def files_in(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


class Killed(BaseException):
    """As SIGKILL: nothing that was to come is done."""


class Steps:
    """Counts everything that changes the disk; at one of them the process ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        # A kill of a process loses nothing that was written, so nothing has to be waited for.
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        for module, name in ((os, "replace"), (os, "fsync"), (shutil, "rmtree"), (Path, "mkdir"), (Path, "unlink")):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return real(*arguments, **more)

        return step


async def test_an_export_that_is_killed_at_any_step_has_the_same_rows_when_it_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ("alerts", "tickets")
    scene = incidents(triggered()).settle("CreateTicket").when(reset()).settle("CompleteTicket")
    away = subject(device=9)
    other = incidents().when(triggered(subject=away, uid="0" * 32), key="9")
    log = RecordedLog(audit_of(scene.later(DAY).when(triggered(30, uid=UID_B)).records))
    log.add(audit_of([record for record in other.settle("CreateTicket").records if record.key == "9"], partition=1))
    await exported(log, tmp_path / "reference", tables=tables)
    reference = as_set(rows_of(tmp_path / "reference"))
    steps = Steps(monkeypatch)
    at, partly = 0, 0
    while True:
        path = tmp_path / str(at)
        steps.left = at
        try:
            await exported(log, path, tables=tables, batch_records=2)
        except Killed:
            steps.left = -1
        else:
            break
        # Whoever looks just then sees no row twice, and none that is not one.
        visible = as_set(rows_of(path))
        assert visible <= reference
        partly += 0 < len(visible) < len(reference)
        await exported(log, path, tables=tables, batch_records=3)
        assert as_set(rows_of(path)) == reference, f"killed at step {at}"
        at += 1
    assert at > 30
    assert partly > 5


async def test_a_follower_exports_what_comes_waits_for_a_broker_that_is_away_and_ends_when_asked(
    tmp_path: Path,
) -> None:
    scene = incidents(triggered())
    log = RecordedLog(audit_of(scene.records))
    stop = asyncio.Event()
    told: list[Exported] = []
    troubles: list[str] = []

    class Away(RecordedLog):
        async def ends(self, *topics: str) -> Any:
            if len(told) == 1 and len(troubles) < 1:
                raise ReadError("Kafka does not answer")
            return await log.ends(*topics)

        def records(self, *topics: str, start: Any) -> Any:
            return log.records(*topics, start=start)

    def tell(found: Exported) -> None:
        told.append(found)
        if len(told) == 1:
            more = scene.settle("CreateTicket").when(reset()).records[len(log._records) :]
            log.add(audit_of(more, first=len(log._records)))
        if len(told) == 2:
            stop.set()

    with Folder.open(tmp_path, Choice(format="jsonl", tables=USUAL)) as folder:
        await follow(Away(), folder, stop=stop, every=0, told=tell, trouble=troubles.append)
    assert troubles == ["Kafka does not answer"]
    assert sum(found.records for found in told) == len(scene.records)
    assert [row["event"] for row in rows_of(tmp_path, "alerts")] == ["triggered", "reset"]
    assert [row["event"] for row in rows_of(tmp_path, "tickets")] == ["opened"]


async def test_a_folder_keeps_what_was_chosen_when_it_was_begun(tmp_path: Path) -> None:
    log = RecordedLog(audit_of(incidents(triggered()).records))
    await exported(log, tmp_path, tables=("alerts",), since=START)
    for other, words in (
        ({"tables": ("tickets",), "since": START}, "begun with tables alerts, now it is tickets"),
        ({"tables": ("alerts",), "since": START, "organization": 17}, "organization of all, now it is 17"),
        ({"tables": ("alerts",), "since": START, "format": "parquet"}, "format jsonl, now it is parquet"),
        ({"tables": ("alerts",), "since": START - 1}, "begins later than what is asked for"),
        ({"tables": ("alerts",)}, "begins later than what is asked for"),
    ):
        with pytest.raises(ExportError, match=words) as refused:
            await exported(log, tmp_path, **other)
        assert refused.value.exit_code == 64
    # What "30d" is a day later.
    await exported(log, tmp_path, tables=("alerts",), since=START + 1)
    assert len(rows_of(tmp_path, "alerts")) == 1


async def test_a_folder_of_something_else_in_use_or_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    choice = Choice(format="jsonl", tables=USUAL)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ExportError, match="holds 'photos', which is no export of ours"):
        Folder.open(tmp_path, choice)
    mine = tmp_path / "mine"
    with Folder.open(mine, choice), pytest.raises(ExportError, match="another export writes here"):
        Folder.open(mine, choice)
    (mine / "manifest.json").write_text("{}")
    with pytest.raises(ExportError, match="is no manifest of an export"):
        Folder.open(mine, choice)


async def test_another_log_than_the_folders_is_refused(tmp_path: Path) -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    await exported(RecordedLog(audit_of(scene.records)), tmp_path)
    with pytest.raises(ExportError, match="this is another log"):
        await exported(RecordedLog(audit_of(scene.records[:1])), tmp_path)


async def test_records_that_retention_removed_before_they_were_exported_are_counted_not_hidden(tmp_path: Path) -> None:
    scene = incidents(triggered())
    log = RecordedLog(audit_of(scene.records))
    await exported(log, tmp_path)
    end = len(scene.records)
    log.add(audit_of(scene.settle("CreateTicket").when(reset()).records[end:], first=end))
    log.forget(AUDIT, 0, end + 1)
    assert (await exported(log, tmp_path)).missed == 1
    assert (await exported(log, tmp_path)).missed == 0


async def test_an_organization_a_device_or_a_time_has_its_rows_only_and_all_of_them(tmp_path: Path) -> None:
    away = subject(device=9, organization=99, organization_name="Westwind")
    scene = incidents(triggered()).settle("CreateTicket").later(60_000)
    scene.when(triggered(subject=away, uid="0" * 32), key="9").when(reset()).settle("CompleteTicket")
    log = RecordedLog(audit_of(scene.records))
    await exported(log, tmp_path / "all", tables=USUAL)
    whole = rows_of(tmp_path / "all")
    # A settlement does not say where; the order of the audit does.
    assert {row["organization_id"] for row in whole} == {17, 99}
    for choice, wanted in (
        ({"organization": 99}, [row for row in whole if row["organization_id"] == 99]),
        ({"device": 407}, [row for row in whole if row["device_id"] == 407]),
        ({"since": START + 60_000}, [row for row in whole if row["recorded_at"] >= START + 60_000]),
    ):
        path = tmp_path / str(choice)
        await exported(log, path, tables=USUAL, **choice)
        assert 0 < len(wanted) < len(whole)
        assert as_set(rows_of(path)) == as_set(wanted)


async def test_what_is_known_of_places_outlives_an_interruption(tmp_path: Path) -> None:
    scene = incidents(triggered())
    log = RecordedLog(audit_of(scene.records))
    await exported(log, tmp_path, tables=USUAL)
    end = len(scene.records)
    log.add(audit_of(scene.settle("CreateTicket").records[end:], first=end))
    await exported(log, tmp_path, tables=USUAL)
    [row] = rows_of(tmp_path, "tickets")
    assert (row["organization_name"], row["device_name"], row["device_id"]) == ("Nordwind GmbH", "NW-FS01", 407)


async def test_no_personal_text_and_no_secret_is_in_any_file(tmp_path: Path) -> None:
    mark = "Erika Mustermann"
    person = {"last_user": mark, "serial": mark, "asset_tag": mark, "system_name": mark, "public_ip": mark}
    owned = devices(device(ip_addresses=(mark,), mac_addresses=(mark,), **person)).settle(
        "UpsertConfigurationItem", detail=mark
    )
    scene = incidents(triggered(message=mark, alert_subject=mark)).settle("CreateTicket", detail=mark, calls=1)
    scene.when(note(title=mark, text=mark, creator_resource_id=4711_0815), seen(START + 30_000)).when(reset())
    scene.settle("CompleteTicket", "Rejected", reason="TouchedByTechnician", detail=mark)
    change = ConnectionChanged(
        connection="autotask",
        previous="Healthy",
        state="Unhealthy",
        reason=mark,
        epoch=1,
        credentials=mark,
        changed_at=START,
        by=mark,
    )
    envelope = Envelope(id="1", type=change.ce_type, source="test", time=START, recorded=START, key="autotask")
    told = InputRecord(CONNECTIONS, 0, 0, b"autotask", change.to_json(), tuple(envelope.to_headers()), START)
    records = [*audit_of(owned.records), *audit_of(scene.records, first=len(owned.records)), told]
    assert sum(mark.encode() in (record.value or b"") for record in records) >= 7
    await exported(RecordedLog(records), tmp_path)
    files = files_in(tmp_path)
    assert {row["table"] for row in rows_of(tmp_path)} >= {*USUAL, "audit"}
    for file in files:
        assert mark.encode() not in file.read_bytes(), file
        assert b"47110815" not in file.read_bytes(), file


async def test_what_is_no_audit_record_ends_the_export_with_its_place(tmp_path: Path) -> None:
    log = RecordedLog([InputRecord(AUDIT, 3, 14, b"407", b'{"agent": "incidents"}', (), START)])
    with pytest.raises(ReadError, match=r"audit\[3\]@14 is not an audit record"):
        await exported(log, tmp_path)


async def test_a_stop_in_the_middle_keeps_what_was_read(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    records = [record for record in recorded()._records if record.topic == AUDIT]
    log = RecordedLog(records)
    many = RecordedLog(InputRecord(*record[:2], place, *record[3:]) for place, record in enumerate(records * 5))
    with Folder.open(tmp_path, Choice(format="jsonl", tables=("audit",))) as folder:
        found = await export(many, folder, stop=stop)
    assert len(rows_of(tmp_path, "audit")) == found.records < len(records) * 5
    assert (await log.ends(AUDIT))[1]


async def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = RecordedLog(audit_of(incidents(triggered()).settle("CreateTicket").records))
    # Full from the beginning, and full when the folder is there already.
    for _ in range(2):
        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            with pytest.raises(
                ExportError, match=r"cannot be written: No space left on device; .*run it again to go on"
            ):
                await exported(log, tmp_path)
        Folder.open(tmp_path, Choice(format="jsonl", tables=tuple(TABLES))).__exit__()
    await exported(log, tmp_path)
    await exported(log, tmp_path / "other")
    assert as_set(rows_of(tmp_path)) == as_set(rows_of(tmp_path / "other"))


async def test_the_order_in_which_partitions_are_read_makes_no_difference(tmp_path: Path) -> None:
    records = [record for record in recorded()._records if record.topic in (AUDIT, CONNECTIONS)]
    await exported(RecordedLog(records), tmp_path / "one", tables=USUAL)
    backwards = sorted(records, key=lambda record: (-record.partition, record.offset))
    await exported(RecordedLog(backwards), tmp_path / "other", tables=USUAL, batch_records=40)
    assert as_set(rows_of(tmp_path / "one")) == as_set(rows_of(tmp_path / "other"))


async def test_parquet_and_json_lines_hold_the_same_rows(tmp_path: Path) -> None:
    for kind in formats.FORMATS:
        await exported(recorded(), tmp_path / kind, format=kind, batch_records=100)
    for name, table in TABLES.items():
        columns = ", ".join(f"{column.name}: '{formats.DUCKDB_TYPES[column.type]}'" for column in table.columns)
        lines = f"read_json('{tmp_path}/jsonl/{name}/*/*.jsonl', columns = {{{columns}}}, hive_partitioning = false)"
        parquet = f"read_parquet('{tmp_path}/parquet/{name}/*/*.parquet', hive_partitioning = false)"
        differing = f"(FROM {lines} EXCEPT ALL FROM {parquet}) UNION ALL (FROM {parquet} EXCEPT ALL FROM {lines})"
        assert duckdb.sql(f"SELECT count(*) FROM ({differing})").fetchall() == [(0,)]
        assert duckdb.sql(f"SELECT count(*) FROM {parquet}").fetchall() != [(0,)]


async def test_without_duckdb_parquet_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ExportError, match=r"pip install 'lockstep-psa\[analytics\]'") as refused:
        formats.writer_of("parquet")
    assert "\n" not in str(refused.value)


async def test_a_file_that_the_manifest_names_and_that_is_gone_is_told(tmp_path: Path) -> None:
    await exported(recorded(), tmp_path, tables=("health",))
    [file] = [file for file in files_in(tmp_path) if file.suffix == ".jsonl"]
    file.unlink()
    with pytest.raises(ExportError, match="the manifest names it, but it is gone"):
        await exported(recorded(), tmp_path, tables=("health",))
