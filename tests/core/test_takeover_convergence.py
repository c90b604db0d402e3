"""Any order, any duplicates, beside another integration that opens tickets of its own: the machine of ``test_convergence``."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings

from schemas.commands import AdoptTicket, Command
from schemas.facts import AlertObserved, Fact, TicketObserved
from streams.core.decision import Issued
from tests.core.test_convergence import AnyOrder, Ticket, Vendors

_FAST = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
#: External id of a ticket that nobody has taken over.
NOBODYS = ""


class TwoIntegrations(Vendors):
    """What stands in the list of active alerts has a ticket already."""

    def raise_alert(self, uid: str, *, listed: bool) -> list[Fact]:
        facts = super().raise_alert(uid, listed=listed)
        for place, fact in enumerate(facts):
            if isinstance(fact, AlertObserved):
                native = Ticket(5000 + len(self.tickets), NOBODYS)
                self.tickets[native.id] = native
                facts[place] = fact.model_copy(update={"psa_ticket_id": str(native.id)})
        return facts

    def _bring_about(self, issued: Issued, command: Command) -> list[Fact]:
        if not isinstance(command, AdoptTicket):
            return super()._bring_about(issued, command)
        ticket = self.tickets[int(command.ticket)]
        assert self._find(command.external_id) in (None, ticket), "an incident with a ticket takes over another"
        if ticket.external_id != command.external_id:
            if ticket.external_id != NOBODYS:
                return [self.settled(issued, "Rejected", reason="TicketTaken")]
            if ticket.completed:
                return [self.settled(issued, "Rejected", reason="TicketAlreadyComplete")]
        ticket.external_id = command.external_id
        return [self.settled(issued, "Succeeded", ticket_id=ticket.id), self.seen(ticket)]


class TakingOver(AnyOrder):
    """What can be taken over is; what cannot waits for a person."""

    one_per_condition = False

    def vendors_of(self) -> Vendors:
        return TwoIntegrations()

    def deliver(self, fact: Fact) -> None:
        if isinstance(fact, TicketObserved) and fact.external_id == NOBODYS:
            # The poll asks for tickets of ours.
            return
        super().deliver(fact)

    def _rightly_parked(self, alert: dict[str, Any]) -> bool:
        return alert["disposition"] == "parked" and alert["reason"] == "TicketAlreadyComplete"

    def _in_ticket(self, incident: dict[str, Any]) -> list[str]:
        return [] if "parked" in incident else super()._in_ticket(incident)

    def _check_tickets(self) -> None:
        every = self.vendors.tickets
        self.vendors.tickets = {number: ticket for number, ticket in every.items() if ticket.external_id != NOBODYS}
        super()._check_tickets()
        adopted = Counter(i["ticket"] for i in self.scene.body().get("incidents", {}).values() if "ticket" in i)
        assert all(count == 1 for count in adopted.values()), "one ticket for two incidents"


class OpeningInstead(TakingOver):
    """Where it cannot be taken over, a ticket of ours is opened."""

    lifecycle: ClassVar[dict[str, Any]] = {"takeover": "adopt_or_open", "hold": "3s"}

    def _rightly_parked(self, alert: dict[str, Any]) -> bool:
        return False


class TakingOverAndAll(TakingOver):
    """With the other settings of a lifecycle."""

    lifecycle: ClassVar[dict[str, Any]] = {"hold": "3s", "settle": "8s", "reopen_within": "1d", "note_every": 0}


class LeavingAlone(TakingOver):
    """What carries a ticket is left to the other integration."""

    lifecycle: ClassVar[dict[str, Any]] = {"takeover": "ignore"}

    def _rightly_parked(self, alert: dict[str, Any]) -> bool:
        return (alert["disposition"], alert["reason"]) == ("suppressed", "LeftToOtherIntegration")

    def _check_tickets(self) -> None:
        assert "AdoptTicket" not in self.scene.all_kinds()
        super()._check_tickets()


TestTakingOver = TakingOver.TestCase
TestOpeningInstead = OpeningInstead.TestCase
TestTakingOverAndAll = TakingOverAndAll.TestCase
TestLeavingAlone = LeavingAlone.TestCase
for _case in [value for name, value in dict(globals()).items() if name.startswith("Test")]:
    _case.settings = _FAST
# A test case is collected under any name.
del _case
