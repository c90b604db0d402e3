"""Devices and configuration items compared, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.drift import DriftObserved
from schemas.facts import ParkedDismissed, Selection
from streams.core.drift.compare import compare
from streams.core.drift.findings import Comparison, LogSide, Tell
from tests.core.drift_world import COMPANY, device_row, explained, item_row, log_of, one, seen
from tests.core.spec import HOUR, START, Scene, companies, device, devices, removed, subject

AT_ONCE = {"devices": {"grace": "0s"}}
LATER = {"devices": {"grace": "7d"}}


def made(**parts: Any) -> Scene:
    """A device with its item."""
    return devices(device(), **parts).settle("UpsertConfigurationItem")


def found_of(scene: Scene, *items: Any, **more: Any) -> Comparison:
    """The device lives as the log knows it, beside these items."""
    log = log_of(devices=scene)
    return compare(log, seen(items=tuple(items), devices=(device_row(log),), **more))


def facts_of(found: Comparison) -> list[tuple[str, int | None, int | None]]:
    facts = [repair for repair in one(found).repairs if isinstance(repair, DriftObserved)]
    return [(fact.drift, fact.company_id, fact.item_id) for fact in facts]


# --- in step, or explained


def test_a_device_with_its_item_is_in_step() -> None:
    found = found_of(made(), item_row())
    assert (found.drifts, found.explained) == ([], [])


def test_an_inactive_item_of_another_company_is_history() -> None:
    assert found_of(made(), item_row(), item_row(701, companyID=500, isActive=False)).drifts == []


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (devices(device()), "Waiting:UpsertConfigurationItem"),
        (devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="AmbiguousItem"), "AmbiguousItem"),
        (devices(companies((1, "Elsewhere")), device(where=subject(organization=99))), "UnmappedOrganization"),
        (devices(device(where=subject(organization=99))), "CompaniesNotKnown"),
    ],
)
def test_a_device_whose_item_waits_for_something_is_explained(scene: Scene, reason: str) -> None:
    log = log_of(devices=scene)
    assert explained(log, seen(devices=(device_row(log),))) == {"item": reason}


def test_a_device_that_was_given_up_is_explained() -> None:
    scene = devices(device(where=subject(organization=99)))
    scene.when(ParkedDismissed(selection=Selection(everything=True), actor="eve", note="known"))
    log = log_of(devices=scene)
    assert explained(log, seen(devices=(device_row(log),))) == {"item": "Dismissed"}


def test_the_item_of_a_removed_device_is_explained_within_its_grace_and_where_the_policy_keeps_it() -> None:
    within = made(**LATER).when(removed())
    assert explained(log_of(devices=within), seen(items=(item_row(),))) == {"item": "WithinGrace"}
    kept = made(devices={"on_delete": "keep"}).when(removed())
    assert explained(log_of(devices=kept), seen(items=(item_row(),))) == {"item": "KeptByPolicy"}


def test_a_device_that_waits_for_approval_is_not_gone() -> None:
    log = log_of(devices=made())
    assert explained(log, seen(items=(item_row(),), pending=frozenset({"407"}))) == {"item": "PendingApproval"}


def with_serial_twin(**twins: Any) -> Comparison:
    """The device's own item, and one of nobody with its serial number."""
    scene = devices(device(serial_twins=()), devices=twins)
    (command,) = scene.issued
    scene.settle("UpsertConfigurationItem")
    own, other = item_row(serialNumber="5CG1234XYZ"), item_row(701, referenceNumber="", serialNumber="5cg1234xyz")
    log = log_of(devices=scene, wanted={"407": command})
    return compare(log, seen(items=(own, other), devices=(device_row(log),)))


def test_a_twin_by_serial_number_is_the_policys_to_judge() -> None:
    told = with_serial_twin()
    assert (told.drifts, told.reasons("item")) == ([], {"TwinInAutotask": 1})
    assert facts_of(with_serial_twin(twins="retire")) == [("ItemTwin", COMPANY, 700)]


# --- apart


def test_an_item_that_was_changed_where_it_is_ours_is_a_foreign_edit() -> None:
    found = found_of(made(), item_row(), foreign={"407": ("referenceTitle", "NinjaOne Link")})
    assert (one(found).drift, one(found).fields) == ("ForeignEdit", ("referenceTitle", "NinjaOne Link"))
    assert facts_of(found) == [("ForeignEdit", COMPANY, 700)]


@pytest.mark.parametrize("number", ["", "INV-77"])
def test_an_item_that_lost_our_key_is_a_foreign_edit(number: str) -> None:
    found = found_of(made(), item_row(referenceNumber=number))
    assert (one(found).drift, one(found).fields, one(found).item_ids) == ("ForeignEdit", ("referenceNumber",), (700,))


def test_two_active_items_of_a_device_are_twins() -> None:
    found = found_of(made(), item_row(), item_row(701))
    assert (one(found).drift, one(found).item_ids) == ("ItemTwin", (700, 701))
    assert facts_of(found) == [("ItemTwin", COMPANY, None)]


def test_a_twin_in_another_company_is_retired_there() -> None:
    found = found_of(made(), item_row(), item_row(701, companyID=500))
    assert (one(found).drift, facts_of(found)) == ("ItemTwin", [("ItemTwin", 500, 701)])


def test_an_item_in_another_company_is_retired_there_and_made_here() -> None:
    found = found_of(made(), item_row(companyID=500))
    assert (one(found).drift, one(found).fields) == ("ForeignEdit", ("companyID",))
    assert facts_of(found) == [("ItemTwin", 500, 700), ("ForeignEdit", COMPANY, None)]


def test_an_inactive_item_of_a_living_device_is_stale() -> None:
    found = found_of(made(), item_row(isActive=False))
    assert (one(found).drift, facts_of(found)) == ("StaleItem", [("StaleItem", COMPANY, None)])


def test_an_active_item_of_a_device_that_is_gone_unheard_is_stale_and_its_removal_is_told() -> None:
    drift = one(compare(log_of(devices=made()), seen(items=(item_row(),))))
    assert (drift.drift, drift.repairs) == ("StaleItem", (Tell("removed", "407"),))


def test_an_item_that_is_active_again_after_its_retirement_is_stale() -> None:
    scene = made(**AT_ONCE).when(removed()).settle("RetireConfigurationItem", item_id=700, company_id=COMPANY)
    found = compare(log_of(devices=scene), seen(items=(item_row(),)))
    assert (one(found).drift, facts_of(found)) == ("StaleItem", [("StaleItem", COMPANY, 700)])


def test_an_item_of_no_device_that_anybody_knows_is_stale() -> None:
    found = compare(log_of(), seen(items=(item_row(referenceNumber="ls.999"),)))
    assert (one(found).drift, one(found).key) == ("StaleItem", "999")


def test_an_item_that_was_deleted_is_missing() -> None:
    found = found_of(made())
    assert (one(found).drift, facts_of(found)) == ("MissingItem", [("MissingItem", COMPANY, None)])


def test_a_device_that_the_log_never_heard_of_or_takes_for_removed_is_told() -> None:
    unknown = compare(log_of(), seen(devices=(device_row(),)))
    assert (one(unknown).drift, one(unknown).repairs) == ("MissingItem", (Tell("device", "407"),))
    back = compare(log_of(devices=made(**LATER).when(removed())), seen(devices=(device_row(),), items=(item_row(),)))
    assert (one(back).drift, one(back).repairs) == ("MissingItem", (Tell("device", "407"),))


def test_a_device_that_changed_unheard_is_told() -> None:
    drift = one(compare(log_of(devices=made()), seen(items=(item_row(),), devices=(device_row(digest="other"),))))
    assert (drift.drift, drift.repairs) == ("MissedChange", (Tell("device", "407"),))


def test_a_removal_of_a_device_without_an_item_is_told() -> None:
    scene = devices(device(START + HOUR, where=subject(organization=99)))
    drift = one(compare(log_of(devices=scene), seen()))
    assert (drift.drift, drift.repairs) == ("MissedChange", (Tell("removed", "407"),))


def test_items_that_are_missing_in_large_numbers_are_told_and_left() -> None:
    bodies = {str(number): log_of(devices=made()).devices["407"] for number in range(1000, 1030)}
    log = LogSide(incidents={}, devices=bodies)
    found = compare(log, seen(devices=tuple(device_row(log, key) for key in bodies)))
    assert {drift.drift for drift in found.drifts} == {"MissingItem"}
    assert not any(drift.repairs for drift in found.drifts)
