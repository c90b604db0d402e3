"""``reconcile``: log, NinjaOne and Autotask compared; what two looks show is apart. With ``repair`` it is mended by events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.ports import Publication
from streams.clock import Clock
from streams.core.drift.compare import compare
from streams.core.drift.findings import Comparison, Drift
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.reconciling.awaiting import Followed, follow, places
from streams.reconciling.log_side import Known, LogReader
from streams.reconciling.scope import Scope, UnknownScope
from streams.reconciling.vendors_side import Look, Vendors, look, published_as
from streams.settings import Settings

#: A repair may need another one: what is told of a ticket may show that a decision is needed, and of one incident or device one
#: command is under way at a time.
ROUNDS = 5

Step = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Judged:
    """A drift, and what became of it: ``found`` (nothing was tried), ``mended`` or ``left``, with the reason."""

    drift: Drift
    state: str = "found"
    why: str = ""
    facts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Reconciled:
    """The report. ``last`` is the comparison at the end."""

    judged: list[Judged]
    last: Comparison

    @property
    def left(self) -> int:
        """How many drifts there still are."""
        return sum(one.state != "mended" for one in self.judged)


@dataclass(slots=True)
class Reconciler:
    """One run. ``classes``: only these; ``grace``: seconds between the two looks of which both must show a drift."""

    settings: Settings
    config: Path | None
    options: KafkaOptions
    log: KafkaLog
    clock: Clock
    scope: Scope
    classes: Collection[str]
    grace: float
    within: float
    step: Step
    progress: Progress

    async def run(self, *, repair: bool) -> Reconciled:
        """Compare, and mend if wanted.

        Raises ``ConnectionClosed``, ``CallFailed``, ``CallsSuspended``, ``SurveyIncomplete``, ``UnknownScope``, ``ReadError``, ``LogError``.
        """
        reader = LogReader(self.options)
        known = await reader.read()
        opened = Vendors.opened(self.settings, self.config, self.options, self.log, now=self.clock.now, known=known)
        async with opened as vendors:
            seen, first = await self._look(reader, vendors, known)
            judged: list[Judged] = []
            last = first
            if first.drifts:
                self.step(f"{len(first.drifts)} differences; looking again in {self.grace:g} s whether they stay")
                await asyncio.sleep(self.grace)
                seen, last = await self._look(reader, vendors, await reader.read())
                before = {drift.identity for drift in first.drifts}
                judged = [Judged(one) for one in last.keep(lambda one: one.identity in before) if self._wanted(one)]
            if repair and judged:
                last = await self._mend(reader, vendors, seen, judged)
            return Reconciled(judged, last)

    def _wanted(self, drift: Drift) -> bool:
        return not self.classes or drift.drift in self.classes

    async def _look(self, reader: LogReader, vendors: Vendors, known: Known) -> tuple[Look, Comparison]:
        """Both vendors, then the log as it is after that: what settled meanwhile is no difference."""
        seen = await look(vendors, known, key=self.scope.key, now=self.clock.now, step=self.step)
        after = await reader.read()
        wrong = self.scope.unknown(after.log, seen.side, after.organizations)
        if wrong is not None:
            raise UnknownScope(wrong)
        found = compare(*self.scope.of(after.log, seen.side))
        found.drifts = [drift.where_named(self.classes) for drift in found.drifts]
        return seen, found

    async def _mend(self, reader: LogReader, vendors: Vendors, seen: Look, judged: list[Judged]) -> Comparison:
        """Publish the repairs, wait for what they bring about, and compare again; a few times, if that goes on."""
        pending = [(one, one.drift) for one in judged]
        known = _by_key(one.drift for one in judged)
        for place in range(ROUNDS):
            followed = await self._publish(vendors, seen, pending)
            seen, last = await self._look(reader, vendors, await reader.read())
            last.keep(lambda drift: _any_of(known, drift) or not self._wanted(drift))
            now = _by_key(last.drifts)
            before, pending = pending, []
            for one, _ in before:
                standing = [drift for drift in now[one.drift.key] if same_matter(one.drift, drift)]
                one.state = "left" if standing else "mended"
                one.why = (standing[0].left or followed.why_not(one.facts) or "it is still so") if standing else ""
                pending += [(one, drift) for drift in standing if drift.repairs or drift.waits]
            same = {_tried(drift) for _, drift in pending} <= {_tried(drift) for _, drift in before}
            if not pending or (same and place > 0) or place == ROUNDS - 1:
                break
        return last

    async def _publish(self, vendors: Vendors, seen: Look, pending: Sequence[tuple[Judged, Drift]]) -> Followed:
        publications: dict[str, Publication] = {}
        for one, drift in pending:
            for repair in drift.repairs:
                publication = await published_as(repair, drift.key, drift.organization_id, vendors, seen)
                if publication is not None:
                    publications[publication.id] = publication
                    one.facts.append(publication.id)
        start = await places(self.options)
        self.step(f"{len(publications)} facts published; waiting for what comes of them")
        await self.log.publish(list(publications.values()))
        return await follow(self.options, start, publications.keys(), within=self.within, progress=self.progress)


def _tried(drift: Drift) -> tuple[Hashable, bool]:
    return drift.identity, bool(drift.repairs)


def _by_key(drifts: Iterable[Drift]) -> defaultdict[str, list[Drift]]:
    found: defaultdict[str, list[Drift]] = defaultdict(list)
    for drift in drifts:
        found[drift.key].append(drift)
    return found


def _any_of(known: Mapping[str, list[Drift]], drift: Drift) -> bool:
    return any(same_matter(one, drift) for one in known.get(drift.key, ()))


def same_matter(one: Drift, other: Drift) -> bool:
    """Whether a drift is about what an earlier one was about, whatever its class is by now."""
    if one.key != other.key:
        return False
    if one.ticket_id is not None and one.ticket_id == other.ticket_id:
        return True
    if set(one.uids) & set(other.uids) or set(one.item_ids) & set(other.item_ids):
        return True
    return one.identity == other.identity
