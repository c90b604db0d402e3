"""How organizations and companies stand, from the partitions' contexts. Reads committed records; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from schemas.identity import organization_key
from schemas.topics import DEVICES_STATE
from streams.core.context import parse_context
from streams.core.devices import AGENT
from streams.core.documents import CONTEXT_KEY
from streams.core.mapping import MappingView
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError
from streams.views import state_documents

#: What needs nobody: the rest is named.
SETTLED = ("ok", "renamed", "catch-all")


async def mapping(options: KafkaOptions) -> list[MappingView]:
    """Every organization's state, by id; empty before the agents have seen any, or there is no topic yet."""
    try:
        documents = await state_documents(options, AGENT)
    except ReadError as error:
        if DEVICES_STATE in str(error):
            return []
        raise
    contexts = [found[CONTEXT_KEY.encode()] for found in documents.values() if CONTEXT_KEY.encode() in found]
    return merged([parse_context(document).mapping() for document in contexts])


def merged(partitions: Sequence[Iterable[MappingView]]) -> list[MappingView]:
    """One row an organization from what the partitions say.

    Every partition reads the same control facts, and two of different origin may come in another order: where a match
    by name was made between two renames, partitions can remember different companies. Such a row says so.
    """
    rows: dict[int, list[MappingView]] = {}
    for view in (view for partition in partitions for view in partition):
        rows.setdefault(view.organization_id, []).append(view)
    return [_one(rows[number]) for number in sorted(rows)]


def _one(views: list[MappingView]) -> MappingView:
    first = views[0]
    found = sorted({view.company_id for view in views if view.state in SETTLED and view.company_id is not None})
    if len(found) < 2:
        return first
    entry = f"{{organization: {first.organization_id}, company: ID}}"
    detail = (
        f"matched to the companies {', '.join(map(str, found))} at once; decide it with {entry} under companies.map"
    )
    return MappingView(**{**asdict(first), "state": "ambiguous", "company_id": None, "company": "", "detail": detail})


def as_rows(views: Iterable[MappingView]) -> list[dict[str, Any]]:
    """For JSON output."""
    return [{"key": organization_key(view.organization_id), **asdict(view)} for view in views]


def summary(views: Sequence[MappingView]) -> str:
    """One line: how many organizations stand how."""
    counts = Counter(view.state for view in views)
    return ", ".join(f"{counts[state]} {state}" for state in sorted(counts, key=lambda state: (state != "ok", state)))


def unsettled(views: Iterable[MappingView]) -> list[str]:
    """One line for each organization that needs somebody; one for all of them whose company nothing can be said of yet."""
    waiting = [view for view in views if view.state not in SETTLED]
    unknown = [view for view in waiting if view.state == "unknown"]
    if len(unknown) < 2:
        return [told(view) for view in waiting]
    all_of_them = f"the companies of {len(unknown)} organizations are not known yet: Autotask was never read"
    return [all_of_them, *(told(view) for view in waiting if view.state != "unknown")]


def told(view: MappingView) -> str:
    """One organization for people."""
    name = f" '{view.organization}'" if view.organization else ""
    if view.state == "unknown":
        return f"organization {view.organization_id}{name}: unknown; {view.detail}"
    company = f"company {view.company_id}" + (f" '{view.company}'" if view.company else "")
    where = f"{company} ({view.how})" if view.how else company if view.company_id is not None else "no company"
    return f"organization {view.organization_id}{name}: {view.state}, {where}" + (
        f"; {view.detail}" if view.detail else ""
    )
