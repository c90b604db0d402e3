"""The checker finds nothing in what the core decides, whatever the order and duplication of facts and the settings of a rule.

The same machine as in ``tests/core/test_convergence.py``, with what it leaves behind made into evidence: a rule that
the checker reads otherwise than the core would show here in seconds, and not in a drill of minutes.
"""

from __future__ import annotations

from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import initialize

from schemas.facts import Fact, TicketObserved
from schemas.topics import AGENT_STATE, AUDIT, CATALOGUE
from streams.drill import check_lifecycle as judging
from streams.drill.check_delivery import check_closing_order
from streams.drill.check_effects import check_tickets
from streams.drill.check_ends import check_ends
from streams.drill.check_lifecycle import check_lifecycle, check_waiting
from streams.drill.evidence import Evidence
from streams.drill.policy import EACH, HELD, LIFECYCLES, SETTLES, UNTOUCHED
from streams.drill.reading import Reading
from streams.ports import InputRecord
from tests.core.test_convergence import AnyOrder, Ticket, Vendors

Row = dict[str, Any]

_CHECKS = (check_closing_order, check_tickets, check_ends, check_lifecycle, check_waiting)


class Recording(Vendors):
    """The vendors with a history, as the sandbox keeps one."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Row] = []
        self._by = "control"
        self._last: dict[int, tuple[bool, bool]] = {}

    def execute(self, outcome: str) -> list[Fact]:
        self._by = "api"
        try:
            return super().execute(outcome)
        finally:
            self._by = "control"

    def seen(self, ticket: Ticket) -> TicketObserved:
        # Every change of a ticket is followed by a sight of it.
        before = self._last.get(ticket.id)
        if before is None:
            self._row("Tickets", ticket.id, "Created", {"externalID": ticket.external_id, "completedDate": None})
        elif before[0] != ticket.completed:
            self._row("Tickets", ticket.id, "Updated", {"completedDate": "x" if ticket.completed else None})
        elif before[1] != ticket.touched:
            self._row("TicketNotes", len(self.history), "Created", {"ticketID": ticket.id})
        self._last[ticket.id] = (ticket.completed, ticket.touched)
        return super().seen(ticket)

    def _row(self, entity: str, number: int, what: str, after: Row) -> None:
        row = {"entity": entity, "id": number, "what": what, "by": self._by, "after": after}
        self.history.append({"seq": len(self.history) + 1, "t": self.clock / 1000, **row})


class Judged(AnyOrder):
    """Any order, judged by the checker as well."""

    vendors: Recording

    @initialize()
    def begin(self) -> None:
        AnyOrder.begin(self)
        self.vendors = Recording()
        self.vendors.tells_assignments = self.tells_assignments
        self.vendors.refuses_reopenings = self.refuses_reopenings

    def _check_all(self) -> None:
        super()._check_all()
        reading = Reading(self._evidence())
        # Here the look and the write are one, so every earlier touch counts.
        with patch.object(judging, "LOOKED_BEFORE_S", 0.0), patch.object(judging, "LOOKS_AFTER", 0):
            assert [str(finding) for judge in _CHECKS for finding in judge(reading)] == []

    def _evidence(self) -> Evidence:
        rows = [self._ticket_row(ticket) for ticket in self.vendors.tickets.values()]
        now = self.vendors.clock / 1000
        return Evidence(
            ninjaone={"now": now, "history": [], "alerts": [{"uid": uid} for uid in self.vendors.active]},
            autotask={"history": self.vendors.history, "tickets": rows},
            ninjaone_calls=[],
            autotask_calls=[],
            topics=self._topics(),
        )

    @staticmethod
    def _ticket_row(ticket: Ticket) -> Row:
        return {"id": ticket.id, "externalID": ticket.external_id, "completedDate": "x" if ticket.completed else None}

    def _topics(self) -> dict[str, list[InputRecord]]:
        topics: dict[str, list[InputRecord]] = {topic.name: [] for topic in CATALOGUE}
        facts = {(record.fact.topic, record.fact.offset): record.fact for record in self.scene.records}
        for (topic, offset), fact in sorted(facts.items()):
            headers = tuple((name, text.encode()) for name, text in fact.headers.items())
            topics[topic].append(InputRecord(topic, 0, offset, b"407", fact.value.encode(), headers, 0))
        for number, record in enumerate(self.scene.records):
            topics[AUDIT].append(InputRecord(AUDIT, 0, number, record.key.encode(), record.to_json(), (), 0))
        for issued in self.scene.commands:
            rows, headers = topics[issued.topic], tuple(issued.envelope.to_headers())
            rows.append(InputRecord(issued.topic, 0, len(rows), b"407", issued.command.to_json(), headers, 0))
        state = AGENT_STATE["incidents"]
        topics[state] = [
            InputRecord(state, 0, n, key, value, (), 0) for n, (key, value) in enumerate(self.scene.state.items())
        ]
        return topics


class JudgedHeld(Judged):
    """As the drill holds."""

    lifecycle: ClassVar[dict[str, Any]] = LIFECYCLES[HELD]


class JudgedSettling(Judged):
    """As the drill lets tickets settle and reopens them."""

    lifecycle: ClassVar[dict[str, Any]] = LIFECYCLES[SETTLES]


class JudgedReopening(Judged):
    """The same for long, and without settling, so that it happens often."""

    lifecycle: ClassVar[dict[str, Any]] = {"reopen_within": "1d"}


class JudgedReopeningRefused(Judged):
    """The same where Autotask refuses."""

    refuses_reopenings = True
    lifecycle: ClassVar[dict[str, Any]] = JudgedReopening.lifecycle


class JudgedUntouched(Judged):
    """As the drill leaves tickets to technicians."""

    tells_assignments = False
    lifecycle: ClassVar[dict[str, Any]] = LIFECYCLES[UNTOUCHED]


class JudgedEach(Judged):
    """As the drill gives each alert a ticket."""

    repeat = "ticket"
    lifecycle: ClassVar[dict[str, Any]] = LIFECYCLES[EACH]


class JudgedInMaintenance(Judged):
    """With a window over a part of the time."""

    lifecycle: ClassVar[dict[str, Any]] = LIFECYCLES[HELD]
    maintenance: ClassVar[list[dict[str, Any]]] = [
        {"name": "early", "from": "2026-11-24T03:00:05Z", "to": "2026-11-24T03:00:20Z"}
    ]


_FAST = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
TestTheDefaults = Judged.TestCase
TestHeld = JudgedHeld.TestCase
TestSettling = JudgedSettling.TestCase
TestReopening = JudgedReopening.TestCase
TestReopeningRefused = JudgedReopeningRefused.TestCase
TestUntouched = JudgedUntouched.TestCase
TestEach = JudgedEach.TestCase
TestInMaintenance = JudgedInMaintenance.TestCase
for _case in [value for name, value in dict(globals()).items() if name.startswith("Test")]:
    _case.settings = _FAST
# A test case is collected under any name.
del _case
