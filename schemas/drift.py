"""What a comparison saw apart: the fact by which ``lockstep reconcile --repair`` asks an agent to mend it."""

from __future__ import annotations

from typing import ClassVar, Literal

from schemas.facts import Fact

#: The classes of drift that a decision of an agent can mend; all others are mended by facts of the vendors alone.
MendableDrift = Literal[
    "MissedClose",
    "MissedReset",
    "MissedChange",
    "MissingTicket",
    "OrphanTicket",
    "DoubledTicket",
    "ForeignEdit",
    "ItemTwin",
    "StaleItem",
    "MissingItem",
]


class DriftObserved(Fact):
    """Log, NinjaOne and Autotask were compared and differ in something that no other fact would mend.

    ``drift`` is its class (docs/reconcile.md). About a ticket it goes to ``autotask.tickets``, about an item to
    ``ninjaone.devices``; the agent decides by its own state whether that is still so. ``observed_at`` (epoch ms) is when the vendors were
    asked. ``fields`` names what somebody changed, by Autotask's names; ``item_id`` and ``company_id`` are the item that
    is meant, or what the ticket had when it was opened.
    """

    ce_type: ClassVar[str] = "lockstep.drift.observed.v1"
    key: str
    drift: MendableDrift
    observed_at: int
    organization_id: int | None = None
    external_id: str | None = None
    ticket_id: int | None = None
    ticket_number: str = ""
    uid: str | None = None
    item_id: int | None = None
    company_id: int | None = None
    fields: tuple[str, ...] = ()


DRIFT_FACTS: tuple[type[Fact], ...] = (DriftObserved,)
