"""What the agent ``devices`` decides about a drift of a configuration item (``schemas.drift``)."""

from __future__ import annotations

from collections.abc import Callable

from schemas.commands import RetireConfigurationItem
from schemas.drift import DriftObserved
from schemas.envelope import rfc3339
from schemas.identity import reference_number
from streams.core.context import Context
from streams.core.decision import Draft


def item_drift(draft: Draft, context: Context, fact: DriftObserved, *, again: Callable[[], None]) -> None:
    """Ask for the device's item once more (``again``), or retire one that stands where no item of it should be."""
    body = draft.body
    if context.policy is None:
        return draft.reason("NoPolicy")
    if "pending" in body:
        return draft.reason("CommandUnderWay")
    written = body.get("written")
    company = written["company"] if written is not None else None
    if fact.company_id is not None and fact.company_id != company:
        if "removed" in body and written is not None:
            return draft.reason("WithinGrace" if "retire_at" in body else "KeptByPolicy")
        return _retire(draft, fact, fact.company_id)
    if "observed" not in body:
        return draft.reason("NothingToWrite")
    return again()


def _retire(draft: Draft, fact: DriftObserved, company: int) -> None:
    """Retire whatever has this device's key in that company; what the device has elsewhere stays as it is."""
    day = rfc3339(fact.observed_at)[:10]
    organization = fact.organization_id or 0
    command = RetireConfigurationItem(
        key=draft.key,
        effect_key=draft.key,
        organization_id=fact.organization_id,
        company_id=company,
        reference_number=reference_number(draft.key),
        item_id=fact.item_id,
        note=f"Lockstep: found active without need on {day}.",
    )
    identity, got = draft.issue(command)
    entry = {
        "type": type(command).__name__,
        "company": company,
        "organization": organization,
        "serial": "",
        "note": command.note,
        "n": got,
    }
    item = {} if fact.item_id is None else {"item_id": fact.item_id}
    draft.change("CommandAwaited", {**entry, **item}, "pending", identity)
