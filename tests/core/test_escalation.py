"""A condition that becomes worse raises its ticket's priority, where the rule says so."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings

from schemas.commands import Command, CreateTicket, RaiseTicketPriority
from schemas.facts import AlertObserved, AlertTriggered, Fact
from streams.core.decision import Issued
from streams.core.policy.lint import lint
from streams.core.policy.policy import parse_policy
from tests.core.spec import (
    EXTERNAL_A,
    START,
    UID_B,
    Scene,
    incidents,
    observed,
    policy,
    reset,
    ticket,
    triggered,
)
from tests.core.test_convergence import AnyOrder, Ticket, Vendors

MAP = {"CRITICAL": "Critical", "MAJOR": "High", "default": "Medium"}


def opened(severity: str = "MINOR", *, priority: Any = MAP, **settings: Any) -> Scene:
    """A ticket of this severity, under a policy that raises."""
    defaults = {"priority": priority, "lifecycle": {"escalate": True, **settings}}
    return incidents(triggered(severity=severity), defaults=defaults).settle("CreateTicket")


def test_a_worse_repeat_raises_the_priority_of_the_open_ticket_by_the_rules_map() -> None:
    scene = opened("MAJOR").when(triggered(20, severity="CRITICAL"))
    assert scene.kinds == ["AppendTicketNote", "RaiseTicketPriority"]
    command = scene.issued[1]
    assert isinstance(command, RaiseTicketPriority)
    assert (command.ticket_id, command.priority, command.expected) == (5001, "Critical", "High")
    assert command.effect_key == f"{EXTERNAL_A}#priority.CRITICAL"


def test_without_the_key_nothing_is_raised_and_nothing_more_is_remembered() -> None:
    scene = incidents(triggered(severity="MAJOR"), defaults={"priority": MAP}).settle("CreateTicket")
    assert scene.when(triggered(20, severity="CRITICAL")).kinds == ["AppendTicketNote"]
    assert not {"level", "wants"} & scene.body()["incidents"][EXTERNAL_A].keys()


def test_an_equal_or_lower_severity_changes_nothing() -> None:
    scene = opened("MAJOR")
    before = scene.body()["incidents"][EXTERNAL_A]["level"]
    for activity, severity in ((20, "MAJOR"), (21, "MINOR")):
        scene.when(triggered(activity, severity=severity))
        changes = {entry["change"] for entry in scene.records[-1].decision["changes"]}
        assert not changes & {"SeverityRose", "PriorityToRaise"}
    assert scene.body()["incidents"][EXTERNAL_A]["level"] == before
    assert "RaiseTicketPriority" not in scene.all_kinds()


def test_a_severity_that_nobody_knows_is_the_lowest() -> None:
    assert opened("MINOR").when(triggered(20, severity="NEW_AND_UNHEARD_OF")).kinds == ["AppendTicketNote"]


def test_where_the_rule_has_one_priority_for_both_nothing_is_asked_for() -> None:
    assert opened("MINOR").when(triggered(20, severity="MODERATE")).kinds == ["AppendTicketNote"]


def test_another_alert_of_the_condition_raises_it_too() -> None:
    assert "RaiseTicketPriority" in opened().when(triggered(20, UID_B, severity="CRITICAL")).kinds


def test_it_is_raised_step_by_step_and_each_step_once() -> None:
    scene = opened().when(triggered(20, severity="MAJOR"))
    assert scene.when(triggered(21, severity="CRITICAL")).kinds == []
    assert scene.when(triggered(21, severity="CRITICAL")).reasons == ["Duplicate"]
    scene.settle("RaiseTicketPriority")
    (second,) = scene.issued
    assert isinstance(second, RaiseTicketPriority)
    assert (second.priority, second.expected) == ("Critical", "High")
    assert scene.settle("RaiseTicketPriority").kinds == []
    assert scene.when(triggered(22, severity="CRITICAL")).kinds == []


def test_what_became_worse_before_there_was_a_ticket_raises_it_when_there_is_one() -> None:
    defaults = {"priority": MAP, "lifecycle": {"escalate": True}}
    scene = incidents(triggered(severity="MINOR"), triggered(20, severity="CRITICAL"), defaults=defaults)
    assert scene.kinds == []
    assert "RaiseTicketPriority" in scene.settle("CreateTicket").kinds


def test_a_priority_that_a_technician_changed_stays_and_is_not_asked_for_again() -> None:
    scene = (
        opened()
        .when(triggered(20, severity="CRITICAL"))
        .settle("RaiseTicketPriority", "Rejected", reason="PriorityChanged")
    )
    assert (scene.kinds, scene.reasons) == ([], ["PriorityNotRaised"])
    assert scene.when(triggered(30, severity="CRITICAL")).kinds == []


def test_a_completed_ticket_is_not_raised() -> None:
    scene = opened().when(ticket(START + 15_000, completed=True)).when(triggered(20, severity="CRITICAL"))
    assert "RaiseTicketPriority" not in scene.all_kinds()


def test_a_ticket_that_was_complete_when_it_was_to_be_raised_has_the_priority_that_it_had() -> None:
    scene = opened().when(triggered(20, severity="MAJOR"))
    scene.settle("RaiseTicketPriority", how="NothingToDo", reason="AlreadyComplete").when(ticket(START + 60_000))
    command = scene.when(triggered(30, severity="CRITICAL")).last("RaiseTicketPriority").command
    assert isinstance(command, RaiseTicketPriority)
    assert (command.expected, command.priority) == ("Medium", "Critical")


def test_a_raising_that_fails_for_a_while_comes_again_unless_the_ticket_is_done() -> None:
    scene = opened().when(triggered(20, severity="CRITICAL")).settle("RaiseTicketPriority", "Deferred")
    assert scene.fire().kinds == ["RaiseTicketPriority"]
    scene.settle("RaiseTicketPriority", "Deferred").when(ticket(START + 60_000, completed=True))
    assert scene.fire().kinds == []


def test_a_condition_that_comes_back_worse_raises_the_ticket_that_it_reopens() -> None:
    scene = opened(reopen_within="1d").when(reset(15)).settle("CompleteTicket")
    scene.when(ticket(START + 30_000, completed=True))
    assert scene.when(triggered(40, severity="CRITICAL")).kinds == ["ReopenTicket"]
    assert scene.settle("ReopenTicket", ticket_activity_at=START + 50_000).kinds == ["RaiseTicketPriority"]


def test_what_became_worse_and_was_cleared_before_there_was_a_ticket_is_only_completed() -> None:
    defaults = {"priority": MAP, "lifecycle": {"escalate": True}}
    scene = incidents(triggered(severity="MINOR"), triggered(20, severity="CRITICAL"), defaults=defaults)
    scene.when(reset(30)).settle("WithdrawCommand", "Rejected", reason="TooLate")
    assert "RaiseTicketPriority" not in scene.settle("CreateTicket").kinds
    assert "CompleteTicket" in scene.kinds


def test_a_cleared_alert_completes_the_ticket_whatever_it_was_to_have() -> None:
    scene = opened().when(triggered(20, severity="CRITICAL")).settle("RaiseTicketPriority").when(reset(30))
    assert scene.kinds == ["CompleteTicket"]


def test_a_ticket_from_before_the_rule_raised_is_raised_from_what_it_was_given() -> None:
    scene = incidents(triggered(severity="MAJOR"), defaults={"priority": MAP}).settle("CreateTicket")
    scene.when(policy(2, defaults={"priority": MAP, "lifecycle": {"escalate": True}}))
    scene.when(triggered(20, severity="CRITICAL"))
    command = scene.last("RaiseTicketPriority").command
    assert isinstance(command, RaiseTicketPriority)
    assert (command.expected, command.priority) == ("High", "Critical")


def test_the_priority_of_a_ticket_that_was_taken_over_is_not_ours_to_raise() -> None:
    defaults = {"priority": MAP, "lifecycle": {"escalate": True}}
    scene = incidents(observed(psa_ticket_id="7001", severity="MINOR"), defaults=defaults)
    scene.settle("AdoptTicket", ticket_id=7001).when(triggered(20, severity="CRITICAL"))
    assert "RaiseTicketPriority" not in scene.all_kinds()


def test_a_rule_that_raises_with_one_priority_for_all_is_warned_of() -> None:
    rule = {"name": "all", "when": {}, "lifecycle": {"escalate": True}}
    (finding,) = lint(parse_policy({"version": 1, "rules": [rule]}))
    assert (finding.key, finding.level) == ("rules.0.lifecycle.escalate", "warning")
    assert lint(parse_policy({"version": 1, "rules": [rule], "defaults": {"priority": MAP}})) == []


SEVERITY_OF = ("NONE", "MINOR", "MODERATE", "MAJOR", "CRITICAL")
RANK = {"Medium": 0, "High": 1, "Critical": 2}


class Worsening(Vendors):
    """Alerts that become better and worse, tickets that have a priority."""

    def __init__(self) -> None:
        super().__init__()
        self.priorities: dict[int, str] = {}
        self.lowered = False

    def raise_alert(self, uid: str, *, listed: bool) -> list[Fact]:
        severity = SEVERITY_OF[(self.activity * 7 + len(uid)) % 5]
        facts = super().raise_alert(uid, listed=listed)
        return [
            fact.model_copy(update={"severity": severity}) if isinstance(fact, AlertTriggered | AlertObserved) else fact
            for fact in facts
        ]

    def _bring_about(self, issued: Issued, command: Command) -> list[Fact]:
        if isinstance(command, RaiseTicketPriority):
            has = self.priorities[command.ticket_id]
            kept: Ticket = self.tickets[command.ticket_id]
            if kept.completed or has == command.priority:
                reason = "AlreadyComplete" if kept.completed else ""
                return [self.settled(issued, "Succeeded", how="NothingToDo", reason=reason)]
            assert has == command.expected, "what was raised is not what was given"
            self.lowered |= RANK[str(command.priority)] < RANK[has]
            self.priorities[command.ticket_id] = str(command.priority)
            return [self.settled(issued, "Succeeded"), self.seen(kept)]
        facts = super()._bring_about(issued, command)
        if isinstance(command, CreateTicket):
            self.priorities[max(self.tickets)] = str(command.priority)
        return facts


class Escalating(AnyOrder):
    """An open ticket ends with the priority that the worst of its repeats asks for, and no raising lowers one."""

    lifecycle: ClassVar[dict[str, Any]] = {"escalate": True}
    priority: ClassVar[str | dict[str, str]] = MAP

    def vendors_of(self) -> Vendors:
        return Worsening()

    def _check_tickets(self) -> None:
        super()._check_tickets()
        assert isinstance(self.vendors, Worsening)
        assert not self.vendors.lowered, "a raising lowered a priority"
        for incident in self.scene.body().get("incidents", {}).values():
            if "ticket" in incident and "ended" not in incident:
                assert "wants" not in incident
                assert self.vendors.priorities[incident["ticket"]] == incident["level"]["priority"]


class EscalatingAndAll(Escalating):
    """With the other settings of a lifecycle."""

    lifecycle: ClassVar[dict[str, Any]] = {
        "escalate": True,
        "hold": "3s",
        "settle": "8s",
        "reopen_within": "1d",
        "reopen": "any",
        "close_if": "untouched",
        "note_every": 0,
    }


_FAST = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
TestEscalating = Escalating.TestCase
TestEscalating.settings = _FAST
TestEscalatingAndAll = EscalatingAndAll.TestCase
TestEscalatingAndAll.settings = _FAST
