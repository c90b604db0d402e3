"""Storms on the whole line: many devices of one site are one ticket, and when it is over nothing is left open on either side.

Every order of the same is in ``tests/core``; here the agents, the forwarder between them and both vendors meet once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.line.system import Row, System, is_complete, until

#: Far longer than it takes until alerts raised at once have been told, also on a busy machine.
WITHIN_S = 25
#: What is left of a storm is waited for, so this one is as short as it may be.
SHORT_S = 12


def rule(name: str, devices: int, within: int, **more: str) -> Row:
    return {
        "name": name,
        "when": {"message": {"matches": f"^{name}:"}},
        "storm": {"devices": devices, "within": f"{within}s", **more},
    }


@pytest.fixture(scope="module", autouse=True)
def rules(system: System) -> Iterator[None]:
    """A rule per test, chosen by the beginning of the message."""
    policy = system.policy()
    watching = [
        rule("site", 10, WITHIN_S),
        rule("some stay down", 6, SHORT_S),
        rule("completed", 6, WITHIN_S),
        rule("few", 6, SHORT_S),
        rule("killed", 10, WITHIN_S),
        rule("behind", 4, WITHIN_S, by="parent"),
    ]
    policy["rules"] = [*watching, *policy["rules"]]
    system.publish(policy)
    yield
    system.publish(system.policy())


@pytest.fixture(scope="module")
def site(system: System) -> list[Row]:
    """Forty devices of one location, new in NinjaOne."""
    home = system.fleet()[0]
    where = {"organizationId": home["organizationId"], "locationId": home["locationId"]}
    return [system.add(**where) for _ in range(40)]


def offline(system: System, devices: list[Row], text: str) -> list[str]:
    return [system.alert(device, text, sourceType="AGENT_OFFLINE", severity="CRITICAL") for device in devices]


def parents(system: System, beyond: set[int]) -> list[Row]:
    """The tickets of places that were not there before."""
    return [t for t in system.tickets() if t["externalID"].split(".")[1].startswith("l") and t["id"] not in beyond]


def parent_of(system: System, beyond: set[int]) -> Row:
    return until("the storm has its ticket", lambda: parents(system, beyond), seconds=60)[0]


def before(system: System) -> set[int]:
    return {ticket["id"] for ticket in system.tickets()}


def test_forty_devices_of_one_site_offline_are_one_ticket_and_all_back_completes_it(
    system: System, site: list[Row]
) -> None:
    there = before(system)
    uids = offline(system, site, "site: is offline")
    parent = parent_of(system, there)
    assert "10 or more devices at" in parent["title"]
    assert "Devices of this storm: 10" in parent["description"]
    for uid in (uids[0], uids[-1]):
        until(
            "it is said to be part of the storm", lambda uid=uid: "PartOfStorm" in system.lockstep("explain", uid).out
        )
    notes = until(
        "the others are named",
        lambda: [n for n in system.psa.state()["ticketNotes"] if n["ticketID"] == parent["id"]],
        seconds=WITHIN_S + 30,
    )
    assert "Devices of this storm: 40" in notes[0]["description"]
    system.silence(3)
    assert [ticket["id"] for ticket in system.tickets() if ticket["id"] not in there] == [parent["id"]]
    for uid in uids:
        system.clear(uid)
    system.completed(parent, seconds=60)
    system.silence(3)
    assert [ticket["id"] for ticket in system.tickets() if ticket["id"] not in there] == [parent["id"]]
    assert system.doubled(there) == 0
    assert all(system.resets(uid) == [] for uid in uids)
    assert system.lockstep("audit", "verify").code == 0


def test_devices_that_stay_down_when_most_are_back_get_tickets_of_their_own(system: System, site: list[Row]) -> None:
    there = before(system)
    uids = offline(system, site[:8], "some stay down: is offline")
    parent = parent_of(system, there)
    for uid in uids[:6]:
        system.clear(uid)
    own = system.opened(*uids[6:], seconds=SHORT_S + 45)
    system.completed(parent)
    assert all(system.ticket_of(uid) is None for uid in uids[:6])
    for uid in uids[6:]:
        system.clear(uid)
    system.completed(*own)


def test_a_technician_who_completes_the_parent_ticket_resets_every_alert_of_the_storm(
    system: System, site: list[Row]
) -> None:
    there = before(system)
    uids = offline(system, site[:8], "completed: is offline")
    parent = parent_of(system, there)
    for uid in uids:
        until("it is part of the storm", lambda uid=uid: "PartOfStorm" in system.lockstep("explain", uid).out)
    system.complete(parent)
    until("every alert is reset", lambda: not set(uids) & system.active(), seconds=60)
    system.silence(3)
    assert all(len(system.resets(uid)) == 1 for uid in uids)
    assert [ticket["id"] for ticket in system.tickets() if ticket["id"] not in there] == [parent["id"]]
    assert all(is_complete(ticket) for ticket in system.tickets() if ticket["id"] not in there)


def test_fewer_devices_than_a_storm_needs_get_their_own_tickets(system: System, site: list[Row]) -> None:
    there = before(system)
    uids = offline(system, site[:3], "few: is offline")
    tickets = system.opened(*uids, seconds=SHORT_S + 45)
    assert parents(system, there) == []
    for uid in uids:
        system.clear(uid)
    system.completed(*tickets)


def test_killing_the_worker_that_forwards_in_the_middle_of_a_storm_loses_and_doubles_nothing(
    system: System, site: list[Row]
) -> None:
    there = before(system)
    forwarding = [
        role["name"]
        for role in system.status()["roles"]
        if role["state"] == "running" and role["figures"].get("handoffs", {}).get("active")
    ]
    assert len(forwarding) == 1, "one worker forwards"
    uids = offline(system, site[:8], "killed: is offline")
    system.kill(forwarding[0])
    uids += offline(system, site[8:16], "killed: is offline")
    parent = parent_of(system, there)
    for uid in uids:
        system.clear(uid)
    system.completed(parent, seconds=90)
    system.silence(4)
    # Whoever's answer came too late has a ticket of its own, which is complete by now as well.
    assert all(is_complete(ticket) for ticket in system.tickets() if ticket["id"] not in there)
    assert system.doubled(there) == 0
    assert system.lockstep("audit", "verify").code == 0


def test_a_host_that_fails_with_its_guests_is_one_ticket_that_carries_the_hosts_item(system: System) -> None:
    host = system.take(node_class="VMWARE_VM_HOST")[0]
    where = {"organizationId": host["organizationId"], "locationId": host["locationId"], "parentDeviceId": host["id"]}
    guests = [system.add(**where) for _ in range(4)]
    until("the host has its item", lambda: system.item(host))
    item = system.item(host)
    there = before(system)
    uids = offline(system, [*guests, host], "behind: is offline")

    def on_the_host() -> list[Row]:
        return [t for t in system.tickets() if t["externalID"].startswith(f"ls.{host['id']}.") and t["id"] not in there]

    parent = until("the host has the ticket", on_the_host, seconds=60)[0]
    assert parent["title"].startswith(f"4 or more devices behind {host['displayName']}")
    assert item is not None
    assert parent["configurationItemID"] == item["id"]
    assert f"/deviceDashboard/{host['id']}/" in parent["description"]
    for uid in uids:
        until(
            "it is said to be part of the storm", lambda uid=uid: "PartOfStorm" in system.lockstep("explain", uid).out
        )
        system.clear(uid)
    system.completed(parent)
    assert {ticket["id"] for ticket in system.tickets()} - there == {parent["id"]}
