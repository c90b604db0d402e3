"""A run that goes on where an earlier one was interrupted: who may keep bookmarks, and which of them still hold."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas import VERSION
from schemas.envelope import rfc3339
from schemas.topics import AGENT_STATE, AUDIT
from streams.core.version import DECISIONS
from streams.kafka_options import LOOK_AT, KafkaOptions
from streams.readers import Offsets, ReadError, read_all
from streams.replay.bookmarks import EVERY_S, Bookmark, Bookmarks, DamagedBookmark, head_of

#: Of the files. Raised with what is in them.
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier runs did: ``records`` until ``at`` (epoch ms)."""

    records: int
    at: int


class Ledger:
    """The bookmarks of one verb in ``folder``, for one run at a time: ``with Ledger(...) as ledger``.

    ``asked``: what else has to be the same (JSON data). ``anew`` looks at nothing that is kept. ``tell`` gets the lines for
    people. ``readings``: how often the verb reads each record. A folder that cannot be written, or that another run uses, costs
    the bookmarks and not the run: ``unkept`` says why.
    """

    def __init__(
        self,
        folder: Path,
        verb: str,
        asked: Mapping[str, Any],
        *,
        anew: bool = False,
        tell: Callable[[str], None] = lambda line: None,
        every_s: float = EVERY_S,
        readings: int = 1,
    ) -> None:
        self.earlier: Earlier | None = None
        self.begun_anew: str | None = None
        self.unkept: str | None = None
        self._folder = folder
        self._verb = verb
        self._asked = asked
        self._anew = anew
        self._tell = tell
        self._every_s = every_s
        self._readings = readings
        self._lock: IO[str] | None = None
        self._bookmarks: Bookmarks | None = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def bookmarks(self, options: KafkaOptions, first: Offsets, ends: Offsets) -> Bookmarks | None:
        """For the jobs of one pass over the audit's partitions in ``ends``. The first pass of a run tells what it goes on from.

        A later pass of the same run goes on from where the one before it ended. Raises ``ReadError``.
        """
        if self._bookmarks is None:
            if self.unkept is not None or not self._taken():
                return None
            about = {
                "format": _FORMAT,
                "lockstep": VERSION,
                "decisions": DECISIONS,
                "agents": list(AGENT_STATE),
                "cluster": await _cluster(options),
                "asked": {"verb": self._verb, **self._asked},
            }
            self._bookmarks = Bookmarks(folder=self._folder, verb=self._verb, about=about, every_s=self._every_s)
            if self._anew:
                self._remove()
            known, refused = await self._holding(options, self._bookmarks, first, ends)
            self._told(known, refused, self._readings * sum(end - first[place] for place, end in ends.items()))
        else:
            known, _ = await self._holding(options, self._bookmarks, first, ends)
        return replace(self._bookmarks, known=known)

    def cannot(self, trouble: Sequence[str | None]) -> None:
        """Some jobs could not keep theirs: said once."""
        found = next(filter(None, trouble), None)
        if found is not None and self.unkept is None:
            self._keeps_none(found)

    def done(self) -> None:
        """The run ended by itself: nothing is left to go on with."""
        self._remove()

    def kept(self) -> int:
        """How many records another run would not have to go through again."""
        return sum(bookmark.records for bookmark in self._ours().values())

    def _taken(self) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._folder / f".{self._verb}.lock").open("a+", encoding="utf-8")
        except OSError as error:
            self._keeps_none(f"{self._folder}: {error.strerror}")
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            self._keeps_none(f"another {self._verb} keeps its own in {self._folder}")
            return False
        self._lock = lock
        # What a killed process was writing.
        for draft in self._folder.glob(f"{self._verb}-*.[0-9]*"):
            with contextlib.suppress(OSError):
                draft.unlink()
        if not os.access(self._folder, os.W_OK | os.X_OK):
            self._keeps_none(f"{self._folder}: cannot be written")
            return False
        return True

    def _keeps_none(self, why: str) -> None:
        self.unkept = why
        self._tell(f"this run cannot be interrupted and go on: {why}")

    async def _holding(
        self, options: KafkaOptions, bookmarks: Bookmarks, first: Offsets, ends: Offsets
    ) -> tuple[dict[int, Bookmark], list[str]]:
        """Those that hold, and why others do not."""
        known: dict[int, Bookmark] = {}
        refused: list[str] = []
        for place in sorted(ends):
            path = bookmarks.path(place[1])
            try:
                head = head_of(path)
                if head is None:
                    continue
                why = _other(head[0], bookmarks.about)
                if why is None:
                    why = await _gone(options, place[1], head[1], first[place], ends[place])
                if why is None:
                    known[place[1]] = head[1]
                    continue
            except DamagedBookmark:
                why = f"{path} is damaged"
            except OSError as error:
                why = f"{path}: {error.strerror}"
            refused.append(why)
            # What was kept for another question is left to it, until this run keeps something itself.
            if not why.startswith(_ASKED):
                with contextlib.suppress(OSError):
                    path.unlink()
        return known, list(dict.fromkeys(refused))

    def _told(self, known: Mapping[int, Bookmark], refused: Sequence[str], total: int) -> None:
        if refused:
            more = f" (and {len(refused) - 1} more like it)" if len(refused) > 1 else ""
            self.begun_anew = f"{refused[0]}{more}"
            partly = " in part" if known else ""
            self._tell(f"begins anew{partly}: {self.begun_anew}")
        if known:
            records = sum(bookmark.records for bookmark in known.values())
            self.earlier = Earlier(records=records, at=max(bookmark.at for bookmark in known.values()))
            self._tell(
                f"goes on where an earlier run was: {records} of about {total} records were gone through until "
                f"{rfc3339(self.earlier.at)} (--anew begins at the beginning)"
            )

    def _ours(self) -> dict[Path, Bookmark]:
        """What stands there for what this run goes through."""
        found: dict[Path, Bookmark] = {}
        for path in self._folder.glob(f"{self._verb}-*.jsonl") if self._bookmarks is not None else ():
            with contextlib.suppress(DamagedBookmark, OSError):
                head = head_of(path, whole=False)
                if head is not None and self._bookmarks is not None and head[0] == self._bookmarks.about:
                    found[path] = head[1]
        return found

    def _remove(self) -> None:
        for path in self._ours():
            with contextlib.suppress(OSError):
                path.unlink()


def left(ends: Offsets, first: Offsets, bookmarks: Bookmarks | None) -> int:
    """About how many records of the audit have not been gone through yet."""
    known = bookmarks.known if bookmarks is not None else {}
    begun = {partition: bookmark.offset + 1 for partition, bookmark in known.items()}
    return sum(max(0, end - max(first[place], begun.get(place[1], 0))) for place, end in ends.items())


#: How a reason begins that is about the options of a verb, and not about its log.
_ASKED = "what is kept is of other options"


def _other(kept: Mapping[str, Any], about: Mapping[str, Any]) -> str | None:
    """Why what is kept about something is of no use here; ``None`` where it is."""
    different = {name for name in {*kept, *about} if kept.get(name) != about.get(name)}
    if not different:
        return None
    if different == {"asked"}:
        since = kept["asked"].get("since")
        return _ASKED if since is None else f"{_ASKED} (--since {rfc3339(since)})"
    if "cluster" in different:
        return "what is kept is of another Kafka cluster"
    return f"what is kept is of another version of Lockstep ({kept.get('lockstep')}, decisions {kept.get('decisions')})"


async def _gone(options: KafkaOptions, partition: int, kept: Bookmark, first: int, end: int) -> str | None:
    """Why the log is not the one that was gone through until then; ``None`` where it is, as far as the last record tells."""
    where = f"audit[{partition}]@{kept.offset}"
    if kept.offset < first:
        return f"{where} is not kept any more (retention)"
    if kept.offset < end:
        start = {(AUDIT, partition): kept.offset}
        async with aclosing(read_all(options, AUDIT, partitions=[partition], start=start)) as records:
            async for raw in records:
                return None if kept.is_of(raw) else f"{where} is another record now: the log was made anew or changed"
    return f"{where} is not there any more: the log was made anew or cut"


async def _cluster(options: KafkaOptions) -> str | None:
    """The id of the cluster; ``None`` where it has none to tell. Raises ``ReadError``."""
    admin = AIOKafkaAdminClient(**options.client(), client_id="lockstep.reader")
    try:
        await admin.start()
        found = (await admin.describe_cluster()).get("cluster_id")
        return str(found) if found is not None else None
    except (KafkaError, OSError) as error:
        raise ReadError(
            f"Kafka at {options.bootstrap_servers} does not answer ({type(error).__name__}): {LOOK_AT}"
        ) from None
    finally:
        await admin.close()
