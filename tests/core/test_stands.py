"""How something stood at a moment, in lines for people, from the records until then."""

from __future__ import annotations

import pytest

from streams.explaining import Story, told
from tests.core.spec import (
    EXTERNAL_A,
    HOUR,
    START,
    UID_A,
    UID_C,
    Scene,
    companies,
    device,
    devices,
    incidents,
    reset,
    subject,
    triggered,
)
from tests.core.spec import ticket as seen
from tests.core.storm_world import World, storm_policy


def story() -> Scene:
    scene = incidents(triggered(), triggered(11, UID_C, alert_subject="D:")).later(HOUR)
    create = next(one for one in scene.commands if one.command.effect_key == EXTERNAL_A)
    # An outcome need not say the number; then a sight of the ticket does.
    scene.settle_command(create, ticket_number=None).when(seen(START + HOUR)).later(HOUR).when(reset(90)).settle(
        "CompleteTicket"
    )
    return scene.when(seen(START + 2 * HOUR, completed=True))


def at(wanted: str, hours: float) -> Story:
    return told(story().records, wanted, as_of=START + round(hours * HOUR))


OPENED = f"alert {UID_A}: ticketed (Opened), active, incident {EXTERNAL_A}"


@pytest.mark.parametrize("wanted", [UID_A, UID_A.replace("-", ""), EXTERNAL_A, "T20261124.5001", "5001"])
def test_an_alert_and_its_ticket_stand_as_they_did_by_any_name_that_they_ever_had(wanted: str) -> None:
    assert at(wanted, 0.5).stands == [OPENED, f"incident {EXTERNAL_A}: no ticket yet, 1 active alert"]
    assert at(wanted, 1.5).stands == [
        OPENED,
        f"incident {EXTERNAL_A}: ticket T20261124.5001, open, 1 active alert",
    ]
    assert at(wanted, 3).stands == [
        f"alert {UID_A}: closed (Reset), not active, incident {EXTERNAL_A}",
        f"incident {EXTERNAL_A}: ticket T20261124.5001, completed, 0 active alerts",
    ]


def test_a_device_stands_with_all_of_its_alerts() -> None:
    lines = at("407", 0.5).stands
    assert {line.partition(":")[0] for line in lines if line.startswith("alert")} == {
        f"alert {UID_A}",
        f"alert {UID_C}",
    }
    assert sum(line.startswith("incident") for line in lines) == 2


def test_what_happened_is_cut_at_both_ends() -> None:
    scene = story()
    whole = told(scene.records, UID_A).happenings
    later = told(scene.records, UID_A, since=START + HOUR).happenings
    between = told(scene.records, UID_A, since=START + HOUR, as_of=START + HOUR).happenings
    assert len(whole) > len(later) > len(between) > 0
    assert {happening.at for happening in between} == {START + HOUR}
    assert told(scene.records, UID_A).stands == []


def test_before_it_was_known_nothing_stood() -> None:
    assert at(UID_A, -1).stands == []


def test_a_device_stands_with_its_item_and_what_is_parked() -> None:
    scene = devices(companies((1, "Elsewhere")), device()).settle("UpsertConfigurationItem").later(HOUR)
    scene.when(device(START + HOUR, where=subject(organization=99, organization_name="Westwind")))
    assert told(scene.records, "407", as_of=START).stands == ["device 407: item 700 of company 29683"]
    assert "device 407: upsert parked: UnmappedOrganization" in told(scene.records, "407", as_of=START + HOUR).stands


def test_a_place_stands_with_its_storm() -> None:
    world = World(**storm_policy()).down(1, 2, 3, 4).work()
    records = [*world.incidents.records, *world.storms.records]
    lines = told(records, "l31", as_of=world.now).stands
    [storm] = [line for line in lines if line.startswith("storm ")]
    assert storm.endswith("4 alerts in it")
