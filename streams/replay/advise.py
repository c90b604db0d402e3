"""``advise``: what holds would have saved, by what-ifs over the log: first the policy in force, then a draft for each hold,
and last the one draft with everything that is advised, whose numbers are the ones to believe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from schemas.facts import AlertFact, AlertObserved, AlertTriggered
from schemas.topics import AUDIT
from streams.core.advice import (
    CANDIDATES,
    LONGEST_MS,
    Advice,
    Condition,
    Group,
    advised,
    condition_of,
    draft,
    groups,
    tried,
    uid_of,
    without_tests,
)
from streams.core.policy.policy import parse_policy
from streams.core.whatif import Comparison, Side
from streams.kafka_options import KafkaOptions
from streams.readers import read_all
from streams.replay.partitions import BREATHE
from streams.replay.whatif import what_ifs

_SIGHTINGS: dict[str, type[AlertFact]] = {AlertTriggered.ce_type: AlertTriggered, AlertObserved.ce_type: AlertObserved}


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """What came of it. ``before`` and ``after`` are the policy in force and the draft with everything that is advised.

    ``document`` is that draft as canonical JSON; ``later`` are the delays (ms) of the tickets that it opens all the same.
    """

    facts: int
    before: Side
    after: Side
    advice: tuple[Advice, ...]
    document: str

    @property
    def later(self) -> list[int]:
        """By how much the tickets that are opened all the same come later (ms), those that do."""
        both = self.before.tickets.keys() & self.after.tickets.keys()
        delays = [self.after.tickets[name].ordered_at - self.before.tickets[name].ordered_at for name in both]
        return sorted(delay for delay in delays if delay > 0)


async def advise(
    options: KafkaOptions,
    document: str,
    *,
    since: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> Advised:
    """Try every hold on every condition, under the policy in ``document`` since then (epoch ms). Raises ``ReadError``."""

    async def compute(documents: Sequence[str]) -> list[Comparison]:
        return await what_ifs(
            options, documents, since=since, beyond_ms=LONGEST_MS, progress=progress, processes=processes
        )

    [base] = await compute([document])
    wanted = {uid_of(ticket) for ticket in base.draft.tickets.values()}
    conditions = await _conditions(options, wanted) if wanted else {}
    before = without_tests(base.draft, conditions)
    found = groups(parse_policy(orjson.loads(document)), before, conditions)
    if not found:
        return Advised(facts=base.facts, before=before, after=before, advice=(), document=document)
    drafts = [draft(document, {group: minutes for group, _ in found}) for minutes in CANDIDATES]
    tries = [without_tests(each.draft, conditions) for each in await compute(drafts)]
    advice = weigh(found, before, tries, conditions)
    holds = {one.group: one.best.minutes for one in advice if one.best is not None}
    if not holds:
        return Advised(facts=base.facts, before=before, after=before, advice=advice, document=document)
    whole = draft(document, holds)
    [last] = await compute([whole])
    after = without_tests(last.draft, conditions)
    return Advised(facts=base.facts, before=before, after=after, advice=advice, document=whole)


def weigh(
    found: Sequence[tuple[Group, int]], base: Side, drafts: Sequence[Side], conditions: Mapping[str, Condition]
) -> tuple[Advice, ...]:
    """Every group with what each hold came to for it; ``drafts`` in the order of ``CANDIDATES``."""
    mine: dict[tuple[str, Condition | None], list[str]] = {}
    for ticket in base.tickets.values():
        mine.setdefault((str(ticket.rule), conditions.get(uid_of(ticket))), []).append(ticket.external_id)
    return tuple(
        advised(
            group,
            count,
            [
                tried(group, minutes, base, side, mine[group.rule, group.condition])
                for minutes, side in zip(CANDIDATES, drafts, strict=True)
            ],
        )
        for group, count in found
    )


async def _conditions(options: KafkaOptions, wanted: set[str]) -> dict[str, Condition]:
    """The conditions of these alerts (uids of 32 digits), as they were first sighted."""
    found: dict[str, Condition] = {}
    seen = 0
    async for raw in read_all(options, AUDIT):
        seen += 1
        if seen % BREATHE == 0:
            await asyncio.sleep(0)
        take_condition(found, wanted, raw.value or b"")
    return found


def take_condition(found: dict[str, Condition], wanted: set[str], value: bytes) -> None:
    """What one audit record says of the condition of an alert that is wanted, where nothing was said before."""
    record = orjson.loads(value)
    model = _SIGHTINGS.get(record["fact"]["headers"].get("ce_type", ""))
    if model is None:
        return
    alert = model.from_json(record["fact"]["value"])
    uid = alert.uid.replace("-", "").lower()
    if uid in wanted and uid not in found:
        condition = condition_of(alert)
        if condition is not None:
            found[uid] = condition
