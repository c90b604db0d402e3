"""The folder of an export: files that appear whole, and a manifest that says how far they reach.

    <folder>/manifest.json                            what was asked for, how far it is, the last batch
    <folder>/alerts/day=2026-12-01/00000012.jsonl     the rows of batch 12, by table and UTC day
    <folder>/views.sql                                the tables as views for DuckDB
    <folder>/.staged/12/...                           what is not yet, or not yet all, in its place
    <folder>/.places-12.jsonl                         where each device was when batch 12 ended

A batch is committed by the one replacement of the manifest: before it, its files are in ``.staged`` only, and a reader of the
folder sees none of them; after it, whatever was not moved to its place is moved when the folder is opened again. So a process
that ends anywhere leaves each row once or, until then, not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import orjson

from schemas.tables import TABLES
from streams.analytics.formats import ExportError, Format, Writer
from streams.analytics.views import views
from streams.core.analytics.decided import Row
from streams.core.analytics.places import Places

_MANIFEST, _STAGED, _VIEWS = "manifest.json", ".staged", "views.sql"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an export holds. It is the folder's for good: other choices need another folder.

    ``since`` in epoch ms, ``None``: from the beginning. ``organization`` and ``device`` leave the rows of others out.
    """

    format: Format
    tables: tuple[str, ...]
    since: int | None = None
    organization: int | None = None
    device: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """How far an export is. ``positions``: topic and partition to the next offset; ``rows``: how many, by table.

    ``moving`` are the files of the last batch. ``missed`` counts records that were gone before they could be exported.
    """

    choice: Choice
    batch: int = 0
    positions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    places: str | None = None
    missed: int = 0

    def offsets(self) -> dict[tuple[str, int], int]:
        """The positions as the readers take them."""
        return {(topic, int(at)): next_ for topic, of in self.positions.items() for at, next_ in of.items()}


class Folder:
    """An export's folder, opened by one process at a time. ``with Folder.open(path, choice) as folder``."""

    def __init__(self, path: Path, manifest: Manifest, places: Places, lock: IO[str]) -> None:
        self.path = path
        self.manifest = manifest
        self.places = places
        self._lock = lock

    @classmethod
    def open(cls, path: Path, choice: Choice) -> Folder:
        """Take the folder and finish what was begun. Raises ``ExportError``: in use, or it holds something else."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise ExportError(
                f"{path}: cannot be written: {error.strerror}; check the path and its permissions"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ExportError(f"{path}: another export writes here; wait for its end, or take another folder") from None
        try:
            manifest = _read(path, choice)
            _finish(path, manifest)
            return cls(path, manifest, _places(path, manifest), lock)
        except OSError as error:
            lock.close()
            raise ExportError(f"{path}: cannot be written: {error.strerror}; run it again to go on") from None
        except BaseException:
            lock.close()
            raise

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *reason: object) -> None:
        self._lock.close()

    def commit(
        self,
        writer: Writer,
        rows: Mapping[tuple[str, str], Sequence[Row]],
        positions: Mapping[tuple[str, int], int],
        missed: int = 0,
    ) -> None:
        """One batch: rows by table and day, and where the log goes on after them. Raises ``OSError``, ``ExportError``."""
        batch = self.manifest.batch + 1
        staged = self.path / _STAGED / str(batch)
        files = []
        counts = dict(self.manifest.rows)
        for (table, day), found in sorted(rows.items()):
            name = f"{table}/day={day}/{batch:08}.{writer.suffix}"
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            writer.write(TABLES[table], found, staged / name)
            files.append(name)
            counts[table] = counts.get(table, 0) + len(found)
        # The manifest must not outlive, in a loss of power, the names of the files that it names.
        for folder in sorted(
            {parent for name in files for parent in (staged / name).parents if self.path in parent.parents}
        ):
            _sync(folder)
        places = self.manifest.places
        if self.places.changed:
            places = f".places-{batch}.jsonl"
            _write(self.path / places, b"".join(orjson.dumps(row) + b"\n" for row in self.places.rows()))
        manifest = replace(
            self.manifest,
            batch=batch,
            positions=_nested({**self.manifest.offsets(), **positions}),
            rows=counts,
            moving=tuple(files),
            places=places,
            missed=self.manifest.missed + missed,
        )
        _write(self.path / _MANIFEST, _document(manifest))
        self.manifest, self.places.changed = manifest, False
        _finish(self.path, manifest)


def _read(path: Path, choice: Choice) -> Manifest:
    file = path / _MANIFEST
    if not file.exists():
        strangers = [entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.name != _VIEWS]
        if strangers:
            raise ExportError(f"{path}: holds '{strangers[0]}', which is no export of ours; take an empty folder", 64)
        return Manifest(choice=choice)
    try:
        document = orjson.loads(file.read_bytes())
        if document.pop("version") != _VERSION:
            raise ExportError(f"{file}: was written by another version of Lockstep; take another folder")
        kept = Choice(**{**document["choice"], "tables": tuple(document["choice"]["tables"])})
        found = Manifest(**{**document, "choice": kept, "moving": tuple(document["moving"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExportError(
            f"{file}: is no manifest of an export; take another folder, or start anew in an empty one"
        ) from None
    _agree(path, kept, choice)
    return found


def _agree(path: Path, kept: Choice, asked: Choice) -> None:
    for name in ("format", "tables", "organization", "device"):
        before, now = getattr(kept, name), getattr(asked, name)
        if before != now:
            shown = [", ".join(value) if isinstance(value, tuple) else value for value in (before, now)]
            raise ExportError(
                f"{path}: was begun with {name} {shown[0] or 'of all'}, now it is {shown[1] or 'of all'}; take another folder",
                64,
            )
    # A later instant is what "30d" becomes tomorrow: the folder goes on as it was begun.
    if kept.since is not None and (asked.since is None or asked.since < kept.since):
        raise ExportError(f"{path}: begins later than what is asked for with --since; take another folder", 64)


def _finish(path: Path, manifest: Manifest) -> None:
    """Move what is committed to its place; take away what is not, and what is no longer needed."""
    staged = path / _STAGED / str(manifest.batch)
    moved = set()
    for name in manifest.moving:
        if (staged / name).exists():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, path / name)
        elif not (path / name).exists():
            raise ExportError(f"{path / name}: the manifest names it, but it is gone; start anew in an empty folder")
        moved |= {(path / name).parent, (path / name).parent.parent}
    for folder in sorted(moved):
        _sync(folder)
    _sync(path)
    shutil.rmtree(path / _STAGED, ignore_errors=True)
    choice = manifest.choice
    statements = views(choice.format, choice.tables, [name for name, count in manifest.rows.items() if count]).encode()
    if not (path / _VIEWS).exists() or (path / _VIEWS).read_bytes() != statements:
        _write(path / _VIEWS, statements)
    for old in path.glob(".places-*.jsonl"):
        if old.name != manifest.places:
            old.unlink()


def _places(path: Path, manifest: Manifest) -> Places:
    if manifest.places is None:
        return Places()
    file = path / manifest.places
    try:
        return Places.kept(_lines(file))
    except (OSError, ValueError, TypeError):
        raise ExportError(f"{file}: cannot be read; start anew in an empty folder") from None


def _lines(file: Path) -> Iterator[list[Any]]:
    with file.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def _nested(offsets: Mapping[tuple[str, int], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(offsets.items()):
        found.setdefault(topic, {})[str(partition)] = offset
    return found


def _document(manifest: Manifest) -> bytes:
    return orjson.dumps({"version": _VERSION, **asdict(manifest)}, option=orjson.OPT_INDENT_2) + b"\n"


def _write(path: Path, content: bytes) -> None:
    """Replace a file so that it is the old one or the new one, whole, whatever happens."""
    beside = path.with_name(f".{path.name.lstrip('.')}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    # A rename is on the disk when its folder is; not every file system knows of that.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
