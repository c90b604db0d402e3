"""Storms behind one device: a host, a switch or whatever NinjaOne or the policy says that others are behind."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.policy.policy import PolicyError, parse_policy
from tests.core.spec import MINUTE, subject, triggered
from tests.core.storm_world import OFFLINE, Ticket, World, uid_of

HOST = 900
HOST_DOWN = {"source_type": "CONDITION_VM_HOST_DEVICE_DOWN", "source_config_uid": "c-host", "source_name": "Host down"}


def behind(at_least: int = 3, **parts: Any) -> World:
    rule = {
        "name": "host",
        "when": {"source_type": ["AGENT_OFFLINE", "CONDITION_VM_HOST_DEVICE_DOWN"]},
        "storm": {"devices": at_least, "within": "2m", "by": "parent"},
    }
    return World(rules=[rule, {"name": "rest", "when": {}}], **parts)


def fails(world: World, device: int, parent: int | None = HOST, kind: dict[str, Any] = OFFLINE, **where: Any) -> None:
    """An alert of a device that NinjaOne shows behind a parent (``None``: behind nothing)."""
    place = subject(
        device,
        device_name=f"NW-{device}",
        link=f"https://eu.ninjarmm.com/#/deviceDashboard/{device}/overview",
        **({"parent_id": parent, "parent_name": f"NW-{parent}"} if parent is not None else {}),
        **where,
    )
    number = world.take_activity(device)
    world.publish(triggered(number, uid_of(device), world.now, subject=place, message="no answer", **kind), str(device))
    world.work()


def own(world: World) -> list[Ticket]:
    return [one for one in world.tickets.values() if one.command.external_id.endswith("40008000000000000000")]


def parent(world: World) -> Ticket:
    (found,) = [one for one in world.tickets.values() if one not in own(world)]
    return found


def test_a_host_that_fails_with_its_guests_is_one_ticket_on_the_host_whatever_each_alert_is_called() -> None:
    world = behind()
    fails(world, HOST, None, HOST_DOWN)
    for guest in (901, 902, 903):
        fails(world, guest)
    world.later(10 * MINUTE)
    assert not own(world)
    command = parent(world).command
    assert command.external_id.startswith("ls.900.")
    assert command.title == "3 or more devices behind NW-900: no answer"
    assert "https://eu.ninjarmm.com/#/deviceDashboard/900/overview" in command.description
    assert [line for line in command.description.splitlines() if line.startswith("- ")] == [
        "- NW-900",
        "- NW-901",
        "- NW-902",
    ]
    assert world.dispositions()["appended", "PartOfStorm"] == 4
    world.verify()


def test_guests_of_two_hosts_are_two_storms_and_those_of_one_place_alone_are_none() -> None:
    world = behind(at_least=2)
    for guest, host in ((901, HOST), (911, 910), (902, HOST), (912, 910)):
        fails(world, guest, host)
    fails(world, 921, 920)
    world.later(10 * MINUTE)
    assert sorted(one.key for one in world.tickets.values()) == ["900", "910", "921"]
    world.verify()


def test_a_device_behind_nothing_has_its_own_ticket_when_the_time_for_an_answer_is_over() -> None:
    world = behind(at_least=2)
    fails(world, 950, None)
    assert world.disposition(950) == ("held", "StormWatch")
    world.later(3 * MINUTE)
    assert [one.key for one in own(world)] == ["950"]


def test_the_ticket_of_a_host_is_completed_when_the_last_behind_it_is_back() -> None:
    world = behind(at_least=2)
    for guest in (901, 902):
        fails(world, guest)
    ticket = parent(world)
    world.up(901).work()
    assert not ticket.completed
    world.up(902).work().later(5 * MINUTE)
    assert ticket.completed
    assert not own(world)
    world.verify()


def test_a_technician_who_completes_the_ticket_of_a_host_resets_what_is_behind_it() -> None:
    world = behind(at_least=2)
    fails(world, HOST, None, HOST_DOWN)
    fails(world, 901)
    world.complete(parent(world)).work()
    assert sorted(world.resets) == sorted([uid_of(HOST), uid_of(901)])
    world.verify()


def test_a_guest_that_stays_down_when_the_others_are_back_gets_a_ticket_of_its_own() -> None:
    world = behind(at_least=3)
    for guest in (901, 902, 903, 904):
        fails(world, guest)
    world.up(901, 902, 903).work().later(10 * MINUTE)
    assert [one.key for one in own(world)] == ["904"]
    assert parent(world).completed
    world.verify()


SWITCH = {"devices": {"behind": [{"parent": 800, "tags": ["rack-3"]}]}}


def test_what_the_policy_says_is_behind_a_switch_is_one_storm_with_the_switch() -> None:
    world = behind(at_least=3, **SWITCH)
    fails(world, 800, None)
    fails(world, 801, None, tags=("rack-3",))
    fails(world, 802, HOST, tags=("Rack-3",))
    fails(world, 803, None)
    world.later(10 * MINUTE)
    assert sorted(one.key for one in world.tickets.values()) == ["800", "803"]
    assert parent(world).command.title == "3 or more devices behind NW-800: no answer"
    world.verify()


def test_a_parent_that_nobody_has_named_yet_is_called_by_its_id() -> None:
    world = behind(at_least=2, **SWITCH)
    for device in (801, 802):
        fails(world, device, None, tags=("rack-3",))
    assert parent(world).command.title == "2 or more devices behind device 800: no answer"


def test_a_policy_that_puts_every_device_behind_one_is_refused() -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy({"version": 1, "devices": {"behind": [{"parent": 800}]}})
    (finding,) = raised.value.findings
    assert finding.path == ("devices", "behind", 0)
    assert "say which: device, tags or location" in finding.suggestion
