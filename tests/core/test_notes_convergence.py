"""Any order, any duplicates, with acknowledgements and notes of technicians among the facts: the same machine again."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from schemas.facts import AlertAcknowledged, TicketNoteObserved
from tests.core.spec import subject
from tests.core.test_convergence import AnyOrder

_FAST = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


class NotesBothWays(AnyOrder):
    """Whatever is written where, each acknowledgement stands in a ticket once at most and nothing is asked for twice."""

    written = 0

    @precondition(lambda self: self.vendors.active)
    @rule(data=st.data())
    def an_alert_is_acknowledged(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.vendors.active)))
        self.vendors.activity += 1
        self.on_the_way.append(
            AlertAcknowledged(
                uid=uid,
                subject=subject(),
                activity_id=self.vendors.activity,
                acknowledged_at=self.vendors.tick(),
                user_id=12,
            )
        )

    @precondition(lambda self: self.vendors.tickets)
    @rule(data=st.data())
    def a_technician_writes(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(list(self.vendors.tickets.values())))
        self.written += 1
        ticket.touched = True
        self.on_the_way += [
            TicketNoteObserved(
                key="407",
                ticket_id=ticket.id,
                external_id=ticket.external_id,
                note_id=self.written,
                created_at=self.vendors.tick(),
                creator_resource_id=7,
            ),
            self.vendors.seen(ticket),
        ]

    def _check_tickets(self) -> None:
        super()._check_tickets()
        for ticket in self.vendors.tickets.values():
            assert all(count == 1 for count in Counter(ticket.notes).values()), "one note twice"
        told = {fact.activity_id for fact in self.delivered if isinstance(fact, AlertAcknowledged)}
        for alert in self.scene.body().get("alerts", {}).values():
            assert {entry[0] for entry in alert.get("acks", ())} <= told
            assert "acks" not in alert or not alert.get("active"), "an acknowledgement was never told"


class NotesAndAll(NotesBothWays):
    """With holds, settling, reopening and what is touched left open."""

    lifecycle: ClassVar[dict[str, Any]] = {
        "hold": "3s",
        "settle": "8s",
        "reopen_within": "1d",
        "close_if": "untouched",
        "note_every": 0,
    }


TestNotesBothWays = NotesBothWays.TestCase
TestNotesBothWays.settings = _FAST
TestNotesAndAll = NotesAndAll.TestCase
TestNotesAndAll.settings = _FAST
