"""Facts of a shadow about the connector that works beside it: which tickets it opened, and what became of them.

No agent reads them: what Lockstep would do follows from the same facts as live. They are kept, not looked up when the report is
made, because tickets are completed and alerts vanish meanwhile. The key is the alert's uid or the ticket's id.
"""

from __future__ import annotations

from typing import ClassVar

from schemas.facts import Fact


class AlertTicketNamed(Fact):
    """An active alert names the ticket of NinjaOne's own integration (``psaTicketId``), by id or by number.

    The alert's own fact is written without it in a shadow, so that it is decided as if Lockstep were alone.
    """

    ce_type: ClassVar[str] = "lockstep.shadow.alert-ticket-named.v1"
    uid: str
    key: str
    ticket: str


class OtherTicketObserved(Fact):
    """A ticket of the other connector as Autotask shows it, once per change. Times are Autotask's, epoch ms.

    ``queue``, ``priority`` and ``status`` are the labels that the tenant has for the ids, empty where it has none.
    """

    ce_type: ClassVar[str] = "lockstep.shadow.other-ticket-observed.v1"
    ticket_id: int
    ticket_number: str
    title: str
    company_id: int | None
    configuration_item_id: int | None
    queue_id: int | None
    queue: str
    priority_id: int | None
    priority: str
    status_id: int
    status: str
    creator_resource_id: int | None
    created_at: int | None
    completed: bool
    completed_at: int | None
    last_activity_at: int


SHADOW_FACTS: tuple[type[Fact], ...] = (AlertTicketNamed, OtherTicketObserved)
