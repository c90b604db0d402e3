"""An open ticket whose configuration item somebody deleted follows its device to the item of today, sentence by sentence."""

from __future__ import annotations

from typing import Any

from schemas.commands import RestoreTicket
from schemas.drift import DriftObserved
from schemas.facts import CommandSettled
from streams.core.drift.compare import compare
from streams.core.drift.findings import Comparison, Drift
from tests.core.drift_world import COMPANY, alert_row, complete_ticket, device_row, item_row, log_of, open_ticket, seen
from tests.core.spec import DAY, START, Scene, device, devices, incidents, removed, triggered


def item_known(number: int, company: int = COMPANY, at: int = START) -> CommandSettled:
    """The agent ``incidents`` hears of the device's item."""
    return CommandSettled(
        key="407",
        command_id=f"item {number}",
        command_type="lockstep.command.upsert-configuration-item.v1",
        effect_key="407",
        incident=None,
        outcome="Succeeded",
        settled_at=at,
        item_id=number,
        company_id=company,
    )


def ticketed(*later: Any) -> Scene:
    """A ticket that was opened with item 700."""
    return incidents(item_known(700), triggered()).settle("CreateTicket").when(*later)


def found(scene: Scene, row: Any, *lost: int, items: Any = (), fleet: Scene | None = None) -> Comparison:
    log = log_of(scene, fleet or devices(device()).settle("UpsertConfigurationItem"))
    rows = (device_row(log),) if "observed" in log.devices["407"] else ()
    return compare(log, seen(alert_row(), tickets=(row,), items=items, devices=rows, lost_items=frozenset(lost)))


def of_ticket(comparison: Comparison) -> list[Drift]:
    return [drift for drift in comparison.drifts if drift.ticket_id is not None]


def test_a_ticket_whose_item_was_deleted_gets_the_item_of_today() -> None:
    scene = ticketed(item_known(701, at=START + 1))
    (drift,) = of_ticket(found(scene, open_ticket(configurationItemID=700), 700, items=(item_row(701),)))
    (fact,) = drift.repairs
    assert isinstance(fact, DriftObserved)
    assert (drift.drift, drift.fields) == ("ForeignEdit", ("configurationItemID",))
    assert drift.what == "ticket T5001 carries the configuration item 700, which was deleted; its device has 701"
    (command,) = scene.when(fact).issued
    assert isinstance(command, RestoreTicket)
    assert (command.configuration_item_id, command.company_id, command.external_id) == (701, None, None)


def test_one_whose_item_exists_though_it_is_not_that_of_today_is_left_as_it_is() -> None:
    scene = ticketed(item_known(701, at=START + 1))
    old = item_row(700, isActive=False)
    assert of_ticket(found(scene, open_ticket(configurationItemID=700), items=(old, item_row(701)))) == []
    assert of_ticket(found(scene, open_ticket(configurationItemID=701), 700, items=(item_row(701),))) == []


def test_while_its_device_has_no_item_either_it_waits_for_the_one_that_is_made() -> None:
    for present in (700, None):
        comparison = found(ticketed(), open_ticket(configurationItemID=present), 700)
        (drift,) = of_ticket(comparison)
        assert (drift.drift, drift.fields, drift.repairs, drift.waits) == (
            "ForeignEdit",
            ("configurationItemID",),
            (),
            True,
        )
        assert "gets the one that is made" in drift.left
        assert [other.drift for other in comparison.drifts if other.ticket_id is None] == ["MissingItem"]


def test_what_else_was_changed_of_it_is_mended_meanwhile() -> None:
    row = open_ticket(configurationItemID=700, externalID="CRM-1")
    (drift,) = of_ticket(found(ticketed(), row, 700))
    assert (drift.fields, drift.waits, len(drift.repairs)) == (("externalID",), False, 1)


def test_where_the_device_is_gone_or_elsewhere_no_item_comes_and_none_is_asked_for() -> None:
    gone = devices(device()).settle("UpsertConfigurationItem").when(removed(START + DAY))
    moved = devices(device(), companies={"map": [{"organization": 17, "company": 500}]}).settle(
        "UpsertConfigurationItem"
    )
    for fleet in (gone, moved):
        assert of_ticket(found(ticketed(), open_ticket(configurationItemID=700), 700, fleet=fleet)) == []
    elsewhere = ticketed(item_known(900, company=500, at=START + 1))
    assert of_ticket(found(elsewhere, open_ticket(configurationItemID=700), 700, fleet=moved)) == []


def test_completed_tickets_and_those_opened_without_an_item_are_left_alone() -> None:
    assert of_ticket(found(incidents(triggered()).settle("CreateTicket"), open_ticket(configurationItemID=5), 5)) == []
    done = found(ticketed(), complete_ticket(configurationItemID=700), 700, items=(item_row(701),))
    assert "ForeignEdit" not in {drift.drift for drift in done.drifts}
