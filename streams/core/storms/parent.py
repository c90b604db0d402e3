"""The parent ticket of a storm: the incident of an alert that no vendor knows, declared by the agent ``storms``.

Such an alert (``storms_own`` in its entry, ``listed`` when its devices were last named) has the key of its place and lives like any other, but for its end: when
somebody completes the ticket there is nothing to reset for it at NinjaOne. It is over at once, and its storm is told, so
that each member is reset by its own key.
"""

from __future__ import annotations

from schemas.storms import StormTicketCompleted
from schemas.topics import STORM_CANDIDATES
from streams.core.alerts import Alert, extent
from streams.core.decision import Draft
from streams.core.incident import dispose, leave


def is_storms_own(alert: Alert) -> bool:
    """Whether an alert is a storm's own."""
    return "storms_own" in alert


def ticket_completed(draft: Draft, external_id: str, uid: str) -> None:
    """Somebody completed the parent ticket while the storm's alert was active."""
    draft.change("ResetSettled", {"settled": extent(draft.body["alerts"][uid])}, "alerts", uid)
    dispose(draft, uid, "closed", "TicketCompleted", active=None, closed_at=draft.now, fact=None, wait=None, held=None)
    leave(draft, external_id, uid, by_us=True, settle_ms=0)
    draft.tell(StormTicketCompleted(uid=uid), key=draft.key, topic=STORM_CANDIDATES, about=external_id)
