"""Storms, sentence by sentence: many devices of one place are one ticket, and none of them is forgotten."""

from __future__ import annotations

import pytest

from schemas.facts import TicketObserved
from schemas.storms import StormCandidateLeft, StormCandidateSeen, StormJoined, StormListed
from tests.core.spec import HOUR, MINUTE, policy, subject, triggered
from tests.core.storm_world import DISK, OFFLINE, World, at_site, storm_policy, uid_of


def stormy(devices: int = 3, within: str = "2m", by: str = "location", **more: object) -> World:
    return World(**storm_policy(storm={"devices": devices, "within": within, "by": by}, **more))


def in_storm(*devices: int, **settings: object) -> World:
    """These devices are down, and have their parent ticket."""
    world = stormy(**settings).down(*devices).work()  # type: ignore[arg-type]
    assert len(world.parents) == 1
    return world


# how a storm begins


def test_four_hundred_devices_of_one_site_offline_within_a_minute_are_one_ticket_and_four_hundred_dispositions() -> (
    None
):
    world = stormy(devices=10)
    for device in range(1000, 1400):
        world.down(device).work()
        world.now += 150
    assert len(world.tickets) == 1
    assert world.dispositions() == {("appended", "PartOfStorm"): 400}
    (parent,) = world.parents
    assert parent.command.external_id.startswith("ls.l31.")
    assert parent.command.title == "10 or more devices at Main Office: Device is offline"
    world.later(5 * MINUTE)
    (note,) = parent.notes
    assert "400" in note.splitlines()[0]
    assert sum(line.startswith("- NW-") for line in note.splitlines()) == 400
    assert len(note) < 32_000
    world.verify()


def test_an_alert_that_may_be_part_of_a_storm_is_held_and_says_so() -> None:
    world = stormy().down(1).work()
    assert world.disposition(1) == ("held", "StormWatch")
    assert not world.tickets


def test_fewer_devices_than_the_rule_says_get_their_own_tickets_after_the_window() -> None:
    world = stormy().down(1, 2).work()
    assert not world.tickets
    world.later(3 * MINUTE)
    assert sorted(ticket.key for ticket in world.own) == ["1", "2"]
    assert not world.parents
    assert world.dispositions() == {("ticketed", "Opened"): 2}


def test_devices_that_go_down_one_after_the_other_are_no_storm() -> None:
    world = stormy()
    for device in range(1, 8):
        world.down(device).work().later(2 * MINUTE)
    world.later(3 * MINUTE)
    assert (len(world.own), len(world.parents)) == (7, 0)


def test_the_window_slides_so_that_any_two_minutes_count() -> None:
    world = stormy()
    for device in range(1, 4):
        world.down(device).work().later(MINUTE - 1)
    assert (len(world.own), len(world.parents)) == (0, 1)


def test_many_alerts_of_one_device_are_no_storm() -> None:
    world = stormy()
    for number in range(5):
        world.down(1, number=number).work().later(1000)
    world.later(3 * MINUTE)
    assert not world.parents


def test_the_parent_ticket_names_its_first_devices_and_its_place() -> None:
    (parent,) = in_storm(1, 2, 3).parents
    assert all(f"- NW-{device}" in parent.command.description for device in (1, 2, 3))
    assert "Location: Main Office" in parent.command.description
    assert parent.command.configuration_item_id is None


def test_the_parent_ticket_is_that_of_the_rule() -> None:
    ticket = {"queue": "NOC", "priority": "Critical", "title": "{{ device.name }} down ({{ organization.name }})"}
    (parent,) = in_storm(1, 2, 3, ticket=ticket).parents
    assert (parent.command.queue, parent.command.priority) == ("NOC", "Critical")
    assert parent.command.title == "3 or more devices at Main Office down (Nordwind GmbH)"


def test_the_parent_ticket_is_that_of_the_rule_though_no_device_stands_for_it() -> None:
    when = {"source_type": ["AGENT_OFFLINE"], "node_class": ["WINDOWS_SERVER"]}
    (parent,) = in_storm(1, 2, 3, when=when, ticket={"queue": "NOC"}).parents
    assert parent.command.queue == "NOC"


def test_the_parent_ticket_is_as_urgent_as_the_worst_of_its_devices() -> None:
    rules = storm_policy(ticket={"priority": {"CRITICAL": "Critical", "default": "Low"}})
    world = World(**rules)
    for device, severity in ((1, "MINOR"), (2, "CRITICAL"), (3, "MODERATE")):
        world.down(device, kind={**OFFLINE, "severity": severity})
    (parent,) = world.work().parents
    assert parent.command.priority == "Critical"


def test_devices_of_two_locations_are_two_storms() -> None:
    world = stormy().down(1, 2).down(3, 4, location=32).work()
    assert not world.parents
    world.down(5).down(6, location=32).work()
    assert sorted(ticket.key for ticket in world.parents) == ["l31", "l32"]


def test_devices_without_a_location_are_counted_by_organization() -> None:
    world = stormy().down(1, 2, 3, location=None).work()
    assert [ticket.key for ticket in world.parents] == ["o17"]


def test_one_condition_across_the_locations_of_an_organization_is_one_storm_where_the_rule_says_so() -> None:
    world = stormy(by="organization").down(1).down(2, location=32).down(3, location=33).work()
    (parent,) = world.parents
    assert parent.key == "o17"
    assert parent.command.title == "3 or more devices at Nordwind GmbH: Device is offline"


def test_two_conditions_are_two_storms() -> None:
    world = World(rules=[{"name": "all", "when": {}, "storm": {"devices": 3, "within": "2m"}}])
    world.down(1, 2).down(3, kind=DISK).work()
    assert not world.parents
    world.down(4).down(5, 6, number=1, kind=DISK).work()
    assert len(world.parents) == 2
    assert world.dispositions() == {("appended", "PartOfStorm"): 6}


def test_policies_of_ninjaone_that_each_call_a_device_offline_make_one_storm() -> None:
    world = stormy()
    for device in (1, 2, 3):
        kind = {"source_type": "AGENT_OFFLINE", "source_config_uid": f"0000000{device}-0000-4000-8000-000000000000"}
        world.down(device, kind=kind)
    assert len(world.work().parents) == 1


def test_an_organizations_own_alert_is_no_candidate() -> None:
    world = stormy()
    world.publish(triggered(1, uid_of(0), subject=subject(None), source_type="AGENT_OFFLINE"), "o17")
    assert [ticket.key for ticket in world.work().tickets.values()] == ["o17"]


def test_a_longer_hold_of_the_rule_still_counts_for_who_is_in_no_storm() -> None:
    world = stormy(lifecycle={"hold": "10m"}).down(1).work().later(9 * MINUTE)
    assert not world.tickets
    assert len(world.later(2 * MINUTE).own) == 1


def test_the_parent_ticket_of_a_rule_with_hold_waits_as_long() -> None:
    world = stormy(lifecycle={"hold": "5m"}).down(1, 2, 3).work()
    assert not world.tickets
    assert world.dispositions() == {("appended", "PartOfStorm"): 3}
    world.later(6 * MINUTE)
    assert (len(world.parents), len(world.own)) == (1, 0)


def test_a_storm_that_is_over_within_the_hold_opens_nothing() -> None:
    world = stormy(lifecycle={"hold": "5m"}).down(1, 2, 3).work().up(1, 2, 3).work().later(HOUR)
    assert not world.tickets
    assert world.dispositions() == {("closed", "Reset"): 3}


def test_a_condition_that_has_its_ticket_already_is_not_watched() -> None:
    world = stormy().down(1).work().later(3 * MINUTE)
    assert len(world.own) == 1
    world.down(1, number=1).work()
    assert world.disposition(1, 1) == ("appended", "SameCondition")


def test_an_organization_without_a_company_parks_one_alert_and_not_each_of_the_storm() -> None:
    world = stormy().down(1, 2, 3, organization=99).work()
    assert world.dispositions() == {("appended", "PartOfStorm"): 3}
    (alert,) = world.incidents.body("l31")["alerts"].values()
    assert alert["disposition"] == "parked"
    assert not world.tickets


def test_alerts_in_a_maintenance_window_are_no_candidates_and_are_counted_when_it_ends() -> None:
    window = {"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T03:30:00Z"}
    world = World(**storm_policy(), maintenance=[window]).down(1, 2, 3).work()
    assert world.dispositions() == {("suppressed", "Maintenance:move"): 3}
    assert not world.storms.state
    world.later(31 * MINUTE)
    assert len(world.parents) == 1
    assert not world.own


@pytest.mark.filterwarnings("error")
def test_a_device_with_tags_is_told_as_it_was_observed_also_after_a_wait() -> None:
    window = {"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T03:30:00Z"}
    world = World(**storm_policy(), maintenance=[window])
    where = at_site(1).model_copy(update={"tags": ("core", "rack 2")})
    world.publish(triggered(1, uid_of(1), world.now, subject=where, source_type="AGENT_OFFLINE"), "1")
    world.work().later(31 * MINUTE)
    (seen,) = [told.fact for told in world.delivered if isinstance(told.fact, StormCandidateSeen)]
    assert seen.alert.subject == where


def test_a_rule_without_the_key_opens_its_tickets_at_once() -> None:
    world = World(rules=[{"name": "all", "when": {}}]).down(1, 2, 3).work()
    assert len(world.own) == 3
    assert not world.incidents.told


# who comes later


def test_later_ones_join_at_once_and_are_listed_in_one_note() -> None:
    world = in_storm(1, 2, 3)
    for device in range(4, 30):
        world.down(device).work()
        world.now += 500
    assert world.dispositions() == {("appended", "PartOfStorm"): 29}
    world.later(2 * MINUTE)
    (parent,) = world.parents
    assert len(parent.notes) == 1
    assert "NW-29" in parent.notes[0]
    assert len(world.tickets) == 1


def test_who_joins_after_a_note_is_listed_when_the_next_may_be_written() -> None:
    world = in_storm(1, 2, 3).down(4).work().later(10 * MINUTE)
    (parent,) = world.parents
    world.down(5).work().later(20 * MINUTE).down(6).work().later(20 * MINUTE)
    assert len(parent.notes) == 1
    world.later(HOUR)
    assert len(parent.notes) == 2
    assert all(f"NW-{device}" in parent.notes[1] for device in range(1, 7))


def test_a_listing_that_is_told_twice_is_one_note() -> None:
    world = in_storm(1, 2, 3).down(4).work().later(10 * MINUTE)
    (told,) = [told for told in world.delivered if isinstance(told.fact, StormListed)]
    commands = len(world.incidents.commands)
    world.on_the_way.append(told)
    world.work()
    assert len(world.incidents.commands) == commands


def test_who_joins_before_there_is_a_ticket_stands_in_its_description() -> None:
    world = stormy(lifecycle={"hold": "10m"}).down(1, 2, 3).work().later(MINUTE).down(4).work().later(HOUR)
    (parent,) = world.parents
    assert "Devices of this storm: 4" in parent.command.description
    assert "- NW-4" in parent.command.description
    assert parent.notes == []


def test_a_place_that_holds_too_many_gives_the_rest_their_own_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.core.storms.agent.MOST_CANDIDATES", 5)
    world = stormy().down(*range(1, 9)).work().later(3 * MINUTE)
    assert world.said("TooManyCandidates")
    assert (len(world.parents), len(world.own)) == (1, 3)


# how it ends


def test_when_all_are_back_the_parent_ticket_is_completed() -> None:
    world = in_storm(1, 2, 3).up(1).work()
    (parent,) = world.parents
    assert not parent.completed
    world.up(2, 3).work().later(HOUR)
    assert parent.completed
    assert world.dispositions() == {("closed", "Reset"): 3}
    assert not world.own
    assert "storms" not in world.storms.body("l31")
    world.verify()


def test_a_settle_of_the_rule_keeps_the_parent_open_for_a_storm_that_comes_back() -> None:
    world = in_storm(1, 2, 3, lifecycle={"settle": "10m"}).up(1, 2, 3).work().later(MINUTE)
    world.down(1, 2, 3, number=1).work()
    assert len(world.tickets) == 1
    assert not world.parents[0].completed
    world.up(1, 2, 3, number=1).work().later(HOUR)
    assert world.parents[0].completed


def test_who_stays_down_when_most_are_back_gets_a_ticket_of_its_own() -> None:
    world = in_storm(*range(1, 11)).up(*range(1, 9)).work()
    assert not world.own
    world.later(3 * MINUTE)
    assert sorted(ticket.key for ticket in world.own) == ["10", "9"]
    assert world.parents[0].completed
    assert world.disposition(9) == ("ticketed", "Opened")
    world.up(9, 10).work()
    assert all(ticket.completed for ticket in world.own)
    world.verify()


def test_a_storm_of_which_more_than_half_stays_down_goes_on() -> None:
    world = in_storm(*range(1, 11), devices=10).up(1, 2, 3, 4).work().later(HOUR)
    assert (len(world.tickets), world.parents[0].completed) == (1, False)


def test_a_storm_to_which_more_come_before_it_ends_goes_on() -> None:
    world = in_storm(1, 2, 3, 4).up(1, 2).work().later(MINUTE).down(5).work().later(HOUR)
    assert len(world.tickets) == 1
    assert world.disposition(5) == ("appended", "PartOfStorm")


def test_a_device_that_comes_back_and_goes_down_again_joins_the_storm_again() -> None:
    world = in_storm(1, 2, 3).up(1).work().down(1).work()
    assert world.disposition(1) == ("appended", "PartOfStorm")
    assert len(world.tickets) == 1


def test_when_a_technician_completes_the_parent_ticket_its_alerts_are_reset() -> None:
    world = in_storm(1, 2, 3)
    world.complete(world.parents[0]).work().later(HOUR)
    assert sorted(world.resets) == [uid_of(1), uid_of(2), uid_of(3)]
    assert world.dispositions() == {("closed", "TicketCompleted"): 3}
    assert len(world.tickets) == 1
    assert not world.active
    world.verify()


def test_no_reset_of_the_storms_own_alert_goes_to_ninjaone() -> None:
    world = in_storm(1, 2, 3)
    world.complete(world.parents[0]).work()
    assert all(issued.command.key != "l31" for issued in world.incidents.commands if "Reset" in type(issued.command).__name__)  # fmt: skip


def test_reset_opening_leaves_the_members_as_they_are_until_they_are_raised_anew() -> None:
    world = in_storm(1, 2, 3, lifecycle={"reset": "opening"})
    world.complete(world.parents[0]).work().later(HOUR)
    assert world.resets == []
    assert world.dispositions() == {("suppressed", "ResetOfOpeningOnly"): 3}
    world.down(1).work()
    assert world.disposition(1) == ("held", "StormWatch")


def test_a_member_that_ninjaone_does_not_let_be_reset_gets_a_ticket_of_its_own() -> None:
    world = in_storm(1, 2, 3, 4)
    world.up(1, 2).work()
    world.refuses_resets = True
    world.complete(world.parents[0]).work().later(HOUR)
    assert sorted(ticket.key for ticket in world.own) == ["3", "4"]


def test_a_deferred_reset_of_a_member_comes_again() -> None:
    world = in_storm(1, 2, 3)
    world.complete(world.parents[0])
    while not world.queue:
        world.deliver(world.on_the_way.pop(0))
    issued = world.queue.pop(0)
    world._settle(issued, "Deferred", {})
    world.work().later(HOUR)
    assert len(world.resets) == 3
    assert world.dispositions() == {("closed", "TicketCompleted"): 3}


def test_a_member_that_is_raised_anew_while_it_is_being_reset_looks_for_its_place_anew() -> None:
    world = in_storm(1, 2, 3)
    world.complete(world.parents[0])
    while not world.queue:
        world.deliver(world.on_the_way.pop(0))
    device = int(world.queue[0].command.key)
    world.now += 1000
    world.down(device)
    world.deliver(world.on_the_way.pop())
    issued = world.queue.pop(0)
    world._settle(issued, "Succeeded", {})
    world.work()
    assert world.disposition(device) == ("held", "StormWatch")
    assert len(world.later(HOUR).own) == 1


def test_a_new_storm_after_one_whose_ticket_a_technician_completed_has_a_new_ticket() -> None:
    world = in_storm(1, 2, 3)
    world.complete(world.parents[0]).work().later(HOUR)
    world.down(1, 2, 3, number=1).work()
    assert [ticket.completed for ticket in world.parents] == [True, False]


# what the forwarder may do


def test_an_answer_that_comes_too_late_doubles_nothing() -> None:
    world = stormy().down(1, 2, 3)
    while any(not isinstance(told.fact, StormJoined) for told in world.on_the_way):
        place = next(n for n, told in enumerate(world.on_the_way) if not isinstance(told.fact, StormJoined))
        world.deliver(world.on_the_way.pop(place))
    late, world.on_the_way = world.on_the_way, []
    assert len(late) == 3
    world.later(HOUR)
    assert len(world.own) == 3
    world.on_the_way += late
    world.work().later(HOUR)
    assert world.said("TicketAlready")
    assert world.dispositions() == {("ticketed", "Opened"): 3}
    assert all(ticket.completed for ticket in world.parents)
    assert "storms" not in world.storms.body("l31")


def test_after_an_outage_in_which_every_wait_ran_out_a_storm_is_still_one_ticket() -> None:
    world = stormy().down(1, 2, 3)
    for told in list(world.on_the_way):
        world.on_the_way.remove(told)
        world.deliver(told)
    # Decided an hour late: the timers are told before anybody can have answered.
    world.now += HOUR
    answers, world.on_the_way = world.on_the_way, []
    for due in world.timers():
        world.fire(due)
    world.on_the_way += answers
    world.work()
    assert world.dispositions() == {("appended", "PartOfStorm"): 3}
    assert (len(world.parents), len(world.own)) == (1, 0)


def test_after_an_outage_who_is_in_no_storm_waits_a_moment_longer_and_no_more() -> None:
    world = stormy().down(1).work()
    world.now += HOUR
    world.fire(*world.timers())
    assert not world.work().tickets
    # Late again, as on a machine that is slow for good.
    world.now += HOUR
    world.fire(*world.timers())
    assert len(world.work().own) == 1


def test_what_is_told_again_after_it_was_forgotten_holds_no_storm_open() -> None:
    world = in_storm(1, 2, 3)
    said = [told for told in world.delivered if isinstance(told.fact, StormCandidateSeen)]
    world.up(3).work()
    forgotten = f'"3/{uid_of(3)}":'.encode()
    assert forgotten in world.storms.state[b"l31"]
    world.storms.state[b"l31"] = world.storms.state[b"l31"].replace(forgotten, b'"9/x":')
    world.on_the_way += [told for told in said if told.fact.device_key == "3"]
    world.work()
    assert any(isinstance(told.fact, StormCandidateLeft) and told.fact.why == "NoCandidate" for told in world.delivered)
    world.up(1, 2).work()
    assert world.parents[0].completed


def test_a_ticket_of_a_storm_is_found_by_its_external_id() -> None:
    world = in_storm(1, 2, 3)
    seen = [told.fact for told in world.delivered if isinstance(told.fact, TicketObserved)]
    assert {fact.external_id for fact in seen} == {world.parents[0].command.external_id}
    assert len(world.parents[0].command.external_id) <= 50


def test_a_storm_goes_on_as_its_rule_was_when_the_policy_changes() -> None:
    world = in_storm(1, 2, 3)
    world.incidents.when(policy(2))
    world.up(1, 2, 3).work()
    assert world.parents[0].completed
