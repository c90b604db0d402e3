"""The small scenarios: one thing that happens in the life of an alert, a ticket or a storm, from its beginning to silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from schemas.audit import AuditRecord
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
    acknowledgement,
    companies,
    gone,
    incidents,
    lifecycle,
    note,
    observed,
    organizations,
    policy,
    reset,
    subject,
    ticket,
    triggered,
)
from tests.core.storm_world import World, storm_policy

Records = Iterable[AuditRecord]
Story = Callable[[], Records]
#: Name of the journal -> what happens in it, and how it is made.
SCENARIOS: dict[str, tuple[str, Story]] = {}


def scenario(told: str) -> Callable[[Story], Story]:
    """A scenario, by the function's name, with what happens in it in one sentence."""

    def kept(story: Story) -> Story:
        SCENARIOS[story.__name__.replace("_", "-")] = (told, story)
        return story

    return kept


def ticketed(**settings: Any) -> Scene:
    return incidents(triggered(), **lifecycle(**settings)).later(2000).settle("CreateTicket")


def completed(**settings: Any) -> Scene:
    scene = ticketed(**settings).later(MINUTE).when(reset()).settle("CompleteTicket")
    return scene.when(ticket(START + 30_000, completed=True))


@scenario("An alert opens its ticket, and its reset completes it.")
def one_alert_and_its_reset() -> Records:
    return completed().records


@scenario("A technician completes the ticket, and both alerts that it gathered are reset.")
def completed_by_a_technician() -> Records:
    scene = ticketed().when(ticket(START + 5_000)).later(MINUTE).when(triggered(11, UID_B)).settle("AppendTicketNote")
    scene.later(HOUR).when(ticket(START + HOUR, completed=True))
    for issued in [one for one in scene.commands if type(one.command).__name__ == "ResetAlert"]:
        scene.settle_command(issued)
    return scene.when(reset(90), reset(91, UID_B)).records


@scenario("The reset is heard of before the alert, each twice, and nothing is opened.")
def reset_before_its_alert() -> Records:
    return incidents().when(reset(20), triggered(10), triggered(10), reset(20), gone()).records


@scenario("A disk goes up and down a hundred times in an hour under a settle of ten minutes.")
def flapping_under_settle() -> Records:
    scene = ticketed(settle="10m")
    for turn in range(100):
        scene.later(18_000).when(reset(100 + 2 * turn)).later(18_000).when(triggered(101 + 2 * turn))
        if scene.kinds:
            scene.settle("AppendTicketNote")
    scene.when(reset(900)).fire().settle("CompleteTicket")
    return scene.when(ticket(scene.now, completed=True)).records


@scenario("Two alerts are held for five minutes: one resets in time, one opens its ticket.")
def hold() -> Records:
    scene = incidents(triggered(), triggered(11, UID_C, alert_subject="D:"), **lifecycle(hold="5m"))
    scene.later(MINUTE).when(reset(20, UID_C)).fire().settle("CreateTicket")
    return scene.later(HOUR).when(reset(30)).settle("CompleteTicket").records


@scenario(
    "A condition comes back within a day, twice: its ticket is reopened, then Autotask refuses and a new one opens."
)
def reopen_within_a_day() -> Records:
    scene = completed(reopen_within="24h").later(HOUR).when(triggered(30))
    scene.settle("ReopenTicket", ticket_activity_at=scene.now).when(ticket(scene.now)).later(HOUR).when(reset(40))
    scene.settle("CompleteTicket").when(ticket(scene.now, completed=True)).later(HOUR).when(triggered(50))
    scene.settle("ReopenTicket", "Rejected", reason="StatusNeverReopens", detail="Billed")
    return scene.settle("CreateTicket", ticket_id=5002, ticket_number="T5002").records


@scenario("What a technician completed stays completed, unless the rule says any.")
def reopen_ours_only() -> Records:
    scene = ticketed(reopen_within="24h").when(ticket(START + 30_000, completed=True)).settle("ResetAlert")
    scene.when(triggered(60)).settle("CreateTicket", ticket_id=5002, ticket_number="T5002")
    scene.when(policy(2, **lifecycle(reopen_within="24h", reopen="any")))
    scene.when(ticket(START + 90_000, completed=True, number=5002, external_id=EXTERNAL_A + ".2"))
    return scene.settle("ResetAlert").when(triggered(70)).records


@scenario("Repeats for six hours are one note an hour; the others are counted.")
def note_every_hour() -> Records:
    scene = ticketed(note_every="1h")
    for turn in range(36):
        scene.later(10 * MINUTE).when(triggered(30 + turn))
        if scene.kinds:
            scene.settle("AppendTicketNote")
    return scene.when(reset(90)).settle("CompleteTicket").records


@scenario("Repeats are counted, and told when the ticket is completed.")
def repeats_are_counted() -> Records:
    scene = ticketed(repeat="count")
    for turn in range(5):
        scene.later(MINUTE).when(triggered(30 + turn, UID_B))
    return scene.when(reset(90), reset(91, UID_B)).settle("CompleteTicket").records


@scenario("Every alert has a ticket of its own, also for the same condition.")
def a_ticket_per_alert() -> Records:
    scene = ticketed(repeat="ticket").when(triggered(11, UID_B))
    scene.settle("CreateTicket", ticket_id=5002, ticket_number="T5002").later(HOUR).when(reset(20), reset(21, UID_B))
    for issued in [one for one in scene.commands if type(one.command).__name__ == "CompleteTicket"]:
        scene.settle_command(issued)
    return scene.records


@scenario(
    "A technician worked on the ticket: it stays open with a note when its alert clears, and is completed by hand."
)
def touched_by_a_technician() -> Records:
    scene = ticketed(close_if="untouched").when(note(), ticket(START + 30_000)).later(HOUR).when(reset(20))
    for kind in scene.kinds:
        scene.settle(kind)
    return scene.later(HOUR).when(ticket(scene.now, completed=True)).records


@scenario("The executor finds a touch right before it completes, and the ticket is left open.")
def touched_found_by_the_executor() -> Records:
    scene = (
        ticketed(close_if="untouched").when(reset()).settle("CompleteTicket", "Rejected", reason="TouchedByTechnician")
    )
    return scene.settle("AppendTicketNote").records


@scenario("Tickets are never completed by us.")
def never_completed() -> Records:
    scene = ticketed(close_if="never").later(HOUR).when(reset())
    return scene.settle("AppendTicketNote").when(ticket(scene.now, completed=True)).records


@scenario("A condition becomes worse twice: its ticket's priority is raised step by step.")
def escalation() -> Records:
    priority = {"CRITICAL": "Critical", "MAJOR": "High", "default": "Medium"}
    defaults = {"priority": priority, "lifecycle": {"escalate": True}}
    scene = incidents(triggered(severity="MINOR"), defaults=defaults).settle("CreateTicket")
    scene.later(MINUTE).when(triggered(20, severity="MAJOR"), triggered(21, severity="CRITICAL"))
    scene.settle("RaiseTicketPriority").settle("RaiseTicketPriority").settle("AppendTicketNote")
    return scene.when(reset(90)).settle("CompleteTicket").records


@scenario("An acknowledgement in NinjaOne becomes a note; notes of a technician and a customer are recorded.")
def notes_both_ways() -> Records:
    scene = incidents(triggered(), acknowledgement()).settle("CreateTicket").settle("AppendTicketNote")
    scene.when(acknowledgement(16, user=None)).settle("AppendTicketNote").when(note(), note())
    return scene.when(note(2, by_contact=True, internal=False), reset(90)).settle("CompleteTicket").records


@scenario("In a maintenance window nothing opens: one alert clears within it, one is decided at its end.")
def maintenance_window() -> Records:
    once = {"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T05:00:00Z"}
    scene = incidents(triggered(), triggered(11, UID_C, alert_subject="D:"), maintenance=[once])
    scene.later(MINUTE).when(reset(20, UID_C)).fire().settle("CreateTicket").later(HOUR).when(reset(30))
    return scene.settle("CompleteTicket").records


@scenario("NinjaOne's own maintenance mode suppresses an alert, and is switched off before its end.")
def maintenance_in_ninjaone() -> Records:
    mode = {"in_maintenance": True, "maintenance_ends_at": START + 2 * HOUR, "maintenance_seen_at": START}
    scene = incidents(triggered(at=START + 10_000, **mode))
    scene.later(10 * MINUTE).when(observed(maintenance_seen_at=scene.now)).settle("CreateTicket")
    return scene.when(reset(90)).settle("CompleteTicket").records


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


@scenario("A list of active alerts opens what no activity told of; two lists without it close it.")
def seen_in_the_list_only() -> Records:
    scene = incidents(observed()).settle("CreateTicket").later(HOUR).when(gone(START + HOUR))
    return scene.settle("CompleteTicket").when(gone(START + HOUR, cause="DeviceRemoved")).records


def both(world: World) -> Records:
    """What both agents of a storm recorded."""
    return [*world.incidents.records, *world.storms.records]


@scenario("Forty devices of one site go offline and come back: one parent ticket.")
def storm_of_a_site() -> Records:
    world = World(**storm_policy(storm={"devices": 10, "within": "2m"}))
    for first in range(1, 41, 8):
        world.down(*range(first, first + 8)).work().later(20_000)
    world.later(10 * MINUTE).up(*range(1, 41)).work().later(10 * MINUTE)
    return both(world)


@scenario("Most devices of a storm are back; those that stay down get tickets of their own.")
def storm_with_stragglers() -> Records:
    world = World(**storm_policy(storm={"devices": 5, "within": "2m"}))
    world.down(*range(1, 13)).work().later(5 * MINUTE).up(*range(1, 10)).work().later(10 * MINUTE)
    return both(world.up(10, 11, 12).work().later(HOUR))


@scenario("A technician completes a storm's parent ticket while devices are still down.")
def storm_completed_by_a_technician() -> Records:
    world = World(**storm_policy(storm={"devices": 3, "within": "2m"}))
    world.down(1, 2, 3, 4).work().later(5 * MINUTE)
    return both(world.complete(world.parents[0]).work().later(HOUR))


@scenario("Two devices of a site are too few for a storm: each gets its own ticket when the watch is over.")
def too_few_for_a_storm() -> Records:
    world = World(**storm_policy(storm={"devices": 3, "within": "2m"})).down(1, 2).work().later(10 * MINUTE)
    return both(world.up(1, 2).work().later(HOUR))
