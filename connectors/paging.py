"""The vendors' ways of paging, without I/O: each tells what to ask next and checks that the answers move on.

Rows that repeat are dropped by their id, since instances may differ in whether a bound is part of its page. A page
that brings nothing new where more was due raises ``PagingError``: the listing is not complete then, and what is not
complete must not be read as "the rest is gone".
"""

from __future__ import annotations

from collections.abc import Sequence

#: Query parameters of the next page.
Params = tuple[tuple[str, str], ...]


class PagingError(ValueError):
    """Pages that do not add up; one line says how."""


class AfterPages:
    """Lists paged by ``pageSize`` and ``after`` = the id of the last row (NinjaOne's entity lists).

    The vendor's largest page is not documented, so a short first page may be the end or just its cap: it is followed
    by one more request. Later pages end the list when they are shorter than the first.
    """

    def __init__(self, page_size: int = 1000) -> None:
        self._asked = page_size
        self._largest: int | None = None
        self._after: int | None = None
        self._seen: set[int] = set()
        self._done = False

    def next(self) -> Params | None:
        """What to ask for, ``None`` when the list is complete."""
        if self._done:
            return None
        size = (("pageSize", str(self._asked)),)
        return size if self._after is None else (*size, ("after", str(self._after)))

    def take(self, ids: Sequence[int], *, count: int | None = None) -> None:
        """The ids of the rows that came, and how many came if some had no readable id.

        Raises ``PagingError`` for a full page of rows that all came before.
        """
        count = len(ids) if count is None else count
        news = set(ids) - self._seen
        if ids and not news and count >= self._asked:
            raise PagingError(f"the page after {self._after} repeats row {min(ids)}")
        self._seen |= news
        if self._largest is None:
            self._largest = count
            self._done = not ids
        else:
            # Nothing new on a page that is not full: an instance that gives the whole list, whatever ``after`` says.
            self._done = not news or count < self._largest
        if ids:
            self._after = ids[-1]


class CursorPages:
    """Reports paged by ``cursor`` (its name in the body): ends with no rows or no cursor; the offset must grow."""

    def __init__(self, page_size: int = 1000) -> None:
        self._asked = page_size
        self._cursor: str | None = None
        self._offset: int | None = None
        self._done = False

    def next(self) -> Params | None:
        """What to ask for, ``None`` when the report is complete."""
        if self._done:
            return None
        size = (("pageSize", str(self._asked)),)
        return size if self._cursor is None else (*size, ("cursor", self._cursor))

    def take(self, rows: int, cursor: str | None, offset: int | None = None) -> None:
        """How many rows came, and the cursor. Raises ``PagingError`` when the cursor stands still or jumps back."""
        if rows and self._offset is not None and offset is not None and offset <= self._offset:
            raise PagingError(f"the report's cursor went from {self._offset} to {offset}")
        self._cursor, self._offset = cursor, offset
        self._done = rows == 0 or not cursor


class ActivityPages:
    """Everything above a known activity id, whichever end of the gap the vendor serves first.

    ``newerThan`` with more rows than a page holds may bring the newest (then there is a gap below them, read back with
    ``olderThan``) or the oldest (then there is more above). Both end the same: the gap is closed, then forward again
    until a page is not full. ``largest`` is the largest page the instance gave so far: it may give less than it is
    asked for (10 to 1000 by the reference), so a shorter page is the end only when larger ones were seen.
    """

    def __init__(self, above: int, page_size: int = 1000, *, largest: int = 10) -> None:
        self.largest = largest
        self._size = page_size
        self._floor = above
        self._newest = above
        self._older: int | None = None
        self._more = True
        self._last: int | None = None

    def next(self) -> Params | None:
        """What to ask for, ``None`` when nothing newer is left and no gap is open."""
        size = ("pageSize", str(self._size))
        if self._older is not None:
            return (("olderThan", str(self._older)), size)
        return (("newerThan", str(self._floor)), size) if self._more else None

    def take(self, ids: Sequence[int], *, count: int | None = None, last: int | None = None) -> None:
        """The ids of the rows that came, in any order, and how many came if some had no readable id.

        ``last`` is the newest id of the account, where the answer names it. Raises ``PagingError`` when rows that were
        due did not come.
        """
        count = len(ids) if count is None else count
        full = bool(ids) and count >= min(self._size, self.largest)
        self.largest = max(self.largest, count)
        self._last = last
        if self._older is not None:
            self._take_back(ids, self._older, full=full)
        else:
            self._take_forward(ids, full=full)

    def _take_forward(self, ids: Sequence[int], *, full: bool) -> None:
        above = [id_ for id_ in ids if id_ > self._floor]
        if ids and not above and self._last is not None and self._last > self._floor:
            raise PagingError(f"activities newer than {self._floor} were asked for, {min(ids)} came")
        repeats = len(above) < len(ids)
        self._newest = max(self._newest, *above) if above else self._newest
        self._more = bool(above) and (full or repeats)
        if full and above and not repeats:
            self._older = min(above)
        else:
            # A page that reaches down to the floor leaves no gap; more may stand above it.
            self._floor = self._newest
            self._more = self._more and self._newer_stand_above()

    def _take_back(self, ids: Sequence[int], older: int, *, full: bool) -> None:
        below = [id_ for id_ in ids if id_ < older]
        if full and not below:
            raise PagingError(f"activities older than {older} were asked for, {max(ids)} came")
        if not full or min(below) <= self._floor:
            self._older, self._floor = None, self._newest
            self._more = self._newer_stand_above()
        else:
            self._older = min(below)

    def _newer_stand_above(self) -> bool:
        """Whether more may stand above what was read; the account's newest id, where it is known, saves a request."""
        return self._last is None or self._last > self._newest
