"""The small scenarios: one thing that happens in the life of an alert, a ticket or a storm, from its beginning to silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from schemas.audit import AuditRecord
from tests.core.spec import (
    EXTERNAL_A,
    HOUR,
    MINUTE,
    START,
    UID_B,
    UID_C,
    Scene,
    acknowledgement,
    gone,
    incidents,
    lifecycle,
    note,
    observed,
    policy,
    reset,
    ticket,
    triggered,
)

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


@scenario("A list of active alerts opens what no activity told of; two lists without it close it.")
def seen_in_the_list_only() -> Records:
    scene = incidents(observed()).settle("CreateTicket").later(HOUR).when(gone(START + HOUR))
    return scene.settle("CompleteTicket").when(gone(START + HOUR, cause="DeviceRemoved")).records
