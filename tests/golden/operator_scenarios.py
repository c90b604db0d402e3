"""The small scenarios of what is refused, fails, is parked, comes late, or is tried by an operator."""

from __future__ import annotations

from typing import Any

from schemas.facts import ConnectionChanged, ParkedDismissed, ParkedRetried, Selection
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    UID_C,
    Scene,
    companies,
    incidents,
    lifecycle,
    observed,
    organizations,
    policy,
    reset,
    subject,
    ticket,
    triggered,
)
from tests.golden.scenarios import Records, completed, scenario


@scenario("Tickets of NinjaOne's own integration are taken over, joined, refused, or answered by one of ours.")
def taking_over() -> Records:
    scene = incidents(observed(psa_ticket_id="7001"), observed(UID_B, psa_ticket_id="7001", alert_subject="D:"))
    scene.settle("AdoptTicket", ticket_id=7001, ticket_number="T7001").when(ticket(START + 50_000, number=7001))
    scene.when(observed(UID_C, psa_ticket_id="7002", alert_subject="E:"))
    scene.settle("AdoptTicket", "Rejected", reason="TicketMissing", detail="There is no ticket 7002")
    scene.when(policy(2, **lifecycle(takeover="adopt_or_open")))
    scene.when(ParkedRetried(selection=Selection(everything=True), actor="kim")).settle(
        "AdoptTicket", "Rejected", reason="TicketMissing"
    )
    scene.settle("CreateTicket", ticket_id=7003, ticket_number="T7003")
    scene.when(reset(90), reset(91, UID_B), reset(92, UID_C))
    for issued in [one for one in scene.commands if type(one.command).__name__ == "CompleteTicket"]:
        scene.settle_command(issued)
    return scene.records


@scenario("An alert of an organization without a company is parked, and goes on when the company is there.")
def unmapped_then_mapped() -> Records:
    lost = subject(device=9, organization=99, organization_name="Westwind")
    scene = incidents().when(triggered(subject=lost), key="9")
    scene.when(organizations((17, "Nordwind GmbH"), (99, "Westwind")), companies((6, "West wind")))
    scene.later(HOUR).when(companies((6, "Westwind"), (29683, "Nordwind"))).settle("CreateTicket")
    return scene.when(reset(90), key="9").settle("CompleteTicket").records


@scenario("Autotask refuses a ticket: it is parked, retried, refused again and dismissed.")
def parked_retried_dismissed() -> Records:
    scene = incidents(triggered()).settle(
        "CreateTicket", "Rejected", reason="UnknownQueue", detail="There is no queue NOC"
    )
    scene.later(HOUR).when(ParkedRetried(selection=Selection(ids=(EXTERNAL_A,)), actor="kim"))
    scene.settle("CreateTicket", "Rejected", reason="UnknownQueue", detail="There is no queue NOC")
    scene.when(
        ParkedDismissed(
            selection=Selection(everything=True, because="UnknownQueue"), actor="kim", note="decommissioned"
        )
    )
    return scene.when(reset(90)).records


@scenario("A create fails for ten minutes and comes again by timer; its alert clears, and it is withdrawn.")
def deferred_then_withdrawn() -> Records:
    scene = (
        incidents(triggered())
        .settle("CreateTicket", "Deferred", reason="TimedOut")
        .fire()
        .later(MINUTE)
        .when(reset(20))
    )
    create = scene.last("CreateTicket")
    return scene.settle("WithdrawCommand").settle_command(create, "Withdrawn").records


@scenario("A ticket turns up twice, one belongs to another incident, one is found complete.")
def doubled_and_merged_tickets() -> Records:
    scene = incidents(triggered()).settle("CreateTicket")
    scene.settle(
        "CreateTicket", reason="DoubledTicket", ticket_id=4999, ticket_number="T4999", detail="the older one counts"
    )
    scene.when(triggered(11, UID_C, alert_subject="D:"))
    scene.settle("CreateTicket", reason="MergedByTenant", ticket_id=4999, ticket_number="T4999")
    return scene.when(reset(90)).settle("CompleteTicket", how="NothingToDo").records


@scenario("Autotask becomes Unhealthy with work under way, and is connected again.")
def connection_change() -> Records:
    def change(previous: Any, state: Any, reason: str, epoch: int) -> ConnectionChanged:
        return ConnectionChanged(
            connection="autotask", previous=previous, state=state, reason=reason, epoch=epoch, credentials="ab12",
            changed_at=START + epoch * HOUR, by="kim",
        )  # fmt: skip

    scene = incidents(change("NotConnected", "Healthy", "Connection succeeded with provided credentials.", 1))
    scene.when(triggered()).later(MINUTE).when(change("Healthy", "Unhealthy", "the API user is locked", 1))
    scene.when(triggered(11, UID_C, alert_subject="D:")).later(HOUR)
    scene.when(change("Unhealthy", "Healthy", "Connection succeeded with provided credentials.", 2)).settle(
        "CreateTicket"
    )
    return scene.when(reset(90), reset(91, UID_C)).records


@scenario("A revision is tried for one organization, promoted, rolled back, and another is tried and ended.")
def canary_and_promote() -> Records:
    both = {"companies": {"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 29690}]}}

    def revision(number: int, queue: str, *only: int) -> Any:
        return policy(number, defaults={"queue": queue}, **both).model_copy(update={"organizations": only})

    scene = Scene("incidents", revision(1, "Monitoring"))
    number = 0
    for published in (
        revision(2, "NOC", 17),
        revision(2, "NOC"),
        revision(3, "Monitoring"),
        revision(4, "Triage", 18),
        revision(5, "Monitoring"),
    ):
        scene.later(HOUR).when(published)
        for organization, device in ((17, 407), (18, 408)):
            number += 1
            where = subject(device, organization, organization_name=f"Customer {organization}")
            uid = f"{number:08d}-0000-4000-8000-000000000000"
            scene.when(triggered(number, uid, subject=where, alert_subject=f"{number}:"), key=str(device))
            scene.settle("CreateTicket", ticket_id=5000 + number, ticket_number=f"T{5000 + number}")
    return scene.records


@scenario("Alerts are forgotten after thirty days, and an old uid fires again.")
def memory_of_thirty_days() -> Records:
    scene = completed().later(31 * DAY).when(triggered(40, UID_B, alert_subject="D:")).settle("CreateTicket")
    scene.when(triggered(10), observed(UID_A, at=scene.now)).settle(
        "CreateTicket", ticket_id=5003, ticket_number="T5003"
    )
    return scene.records
