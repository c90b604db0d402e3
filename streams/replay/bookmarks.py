"""Bookmarks: how far a job has come in its partition, in a file, so that an interrupted run goes on where it was.

    <folder>/verify-3.jsonl    what is gone through and how far; then what is known there, a row a line; then the digest of all

A file is replaced as a whole and readable by its owner only: it holds what the state topics hold, tokens in place of personal
values. Who may write here may also make a run pass over records: ``--anew`` believes nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from streams.clock import machine_now
from streams.ports import InputRecord
from streams.readers import ReadError

#: What a killed process did since its last bookmark is done again: the work of about so many seconds.
EVERY_S = 10.0
#: Where a bookmark takes longer than a hundredth of that, the next one waits: it costs one percent of the time at most.
_QUICK_S, _SHARE = EVERY_S / 100, 0.01

Row = dict[str, Any]


class DamagedBookmark(ValueError):
    """A file that is not, or not wholly, what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """The last record that was gone through: its offset, Kafka's timestamp (epoch ms), the SHA-256 of key and value.

    ``records``: how many were gone through by then, in all runs; ``at``: when (epoch ms).
    """

    offset: int
    timestamp: int
    sha256: str
    records: int
    at: int

    @classmethod
    def after(cls, raw: InputRecord, records: int) -> Bookmark:
        """The one to keep when ``raw`` was the last of so many."""
        return cls(offset=raw.offset, timestamp=raw.timestamp, sha256=digest(raw), records=records, at=machine_now())

    def is_of(self, raw: InputRecord) -> bool:
        """Whether a record is the very one, of the very log: a topic that was made anew has other offsets, times or bytes."""
        return (raw.offset, raw.timestamp, digest(raw)) == (self.offset, self.timestamp, self.sha256)


def digest(raw: InputRecord) -> str:
    """The SHA-256 of a record's key and value."""
    return sha256(b"%b\n%b" % (raw.key or b"", raw.value or b"")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmarks:
    """Where the jobs of a run keep theirs: goes with a job to its process. ``about``: what is gone through (JSON data).

    ``known`` are those that the run goes on from, by partition.
    """

    folder: Path
    verb: str
    about: Mapping[str, Any]
    known: Mapping[int, Bookmark] = field(default_factory=dict)
    every_s: float = EVERY_S

    def path(self, partition: int) -> Path:
        """The file of a partition."""
        return self.folder / f"{self.verb}-{partition}.jsonl"


class Keeping:
    """Keeps the bookmark of one partition from time to time. Without ``bookmarks`` none is kept.

    What cannot be written costs the bookmark and never the work: ``trouble`` says why.
    """

    def __init__(self, bookmarks: Bookmarks | None, partition: int) -> None:
        self.trouble: str | None = None
        self._bookmarks = bookmarks
        self._partition = partition
        self._every_s = bookmarks.every_s if bookmarks is not None else float("inf")
        self._began = time.monotonic()
        self._due = self._began + self._every_s

    @property
    def bookmark(self) -> Bookmark | None:
        """The one that this job goes on from."""
        return None if self._bookmarks is None else self._bookmarks.known.get(self._partition)

    def start(self, topic: str) -> dict[tuple[str, int], int]:
        """Where to begin to read."""
        return {} if self.bookmark is None else {(topic, self._partition): self.bookmark.offset + 1}

    def rows(self) -> Iterator[Row]:
        """What was known at the bookmark; nothing without one. Raises ``OSError``, ``DamagedBookmark``."""
        if self._bookmarks is not None and self.bookmark is not None:
            yield from rows_in(self._bookmarks.path(self._partition))

    @property
    def due(self) -> bool:
        """Whether it is time to keep one."""
        return time.monotonic() >= self._due

    @property
    def due_at_end(self) -> bool:
        """Whether a partition that is done is worth one: a tenth of the time suffices, for it costs no more than a hundredth of that."""
        return time.monotonic() >= min(self._due, self._began + self._every_s / 10)

    def keep(self, raw: InputRecord | None, records: int, rows: Iterable[Row]) -> None:
        """Keep one after ``raw``, if anything was read since the last; ``rows``: what is known there."""
        if self._bookmarks is None or raw is None:
            return
        began = time.monotonic()
        head = {"about": self._bookmarks.about, "bookmark": asdict(Bookmark.after(raw, records))}
        path = self._bookmarks.path(self._partition)
        try:
            _replace(path, chain([head], rows))
            self.trouble = None
        except OSError as error:
            self.trouble = f"{path}: {error.strerror}"
        now = time.monotonic()
        took = now - began
        self._due = now + max(self._every_s, took / _SHARE if took > _QUICK_S else 0)


def unreadable(partition: int, error: Exception) -> ReadError:
    """The file was whole a moment ago, and is not what a job reads."""
    return ReadError(f"what an earlier run kept of audit[{partition}] cannot be read ({error}): begin with --anew")


def head_of(path: Path, *, whole: bool = True) -> tuple[Mapping[str, Any], Bookmark] | None:
    """What a file is about and how far it is; ``None`` where there is none. ``whole``: after a look at all of it.

    Raises ``DamagedBookmark``, ``OSError``.
    """
    try:
        rows = _rows(path)
        with contextlib.closing(rows):
            head = next(rows)
            about, bookmark = dict(head["about"]), Bookmark(**head["bookmark"])
            for _ in rows if whole else ():
                pass
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, StopIteration):
        raise DamagedBookmark(str(path)) from None
    return about, bookmark


def rows_in(path: Path) -> Iterator[Row]:
    """What is known at the bookmark of a file. Raises ``DamagedBookmark``, ``OSError``."""
    rows = _rows(path)
    next(rows, None)
    return rows


def _rows(path: Path) -> Generator[Row]:
    """Every row of a file; whether it is whole is known at its end."""
    whole = sha256()
    last: Row = {}
    with path.open("rb") as lines:
        for place, line in enumerate(lines):
            if place:
                yield last
            try:
                last = orjson.loads(line)
            except orjson.JSONDecodeError:
                raise DamagedBookmark(str(path)) from None
            if last == {"sha256": whole.hexdigest()}:
                return
            whole.update(line)
    raise DamagedBookmark(str(path))


def _replace(path: Path, rows: Iterable[Row]) -> None:
    """Write a file so that it is the old one or the new one, whole, whatever happens. Raises ``OSError``."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        whole = sha256()
        with os.fdopen(handle, "wb") as file:
            for row in rows:
                line = orjson.dumps(row) + b"\n"
                whole.update(line)
                file.write(line)
            file.write(orjson.dumps({"sha256": whole.hexdigest()}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    # A rename is on the disk when its folder is; not every file system knows of that.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
