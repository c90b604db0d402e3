"""Which decisions an id means: whole names only, a number as a device's or a ticket's id."""

from __future__ import annotations

import pytest

from streams.explaining import chosen
from tests.core.spec import EXTERNAL_A, START, UID_A, incidents, reset, subject, triggered
from tests.core.spec import ticket as seen


def records():
    scene = incidents(triggered()).settle("CreateTicket").when(reset()).settle("CompleteTicket")
    scene.when(seen(START + 30_000, completed=True))
    other = subject(device=12, organization=12, organization_name="O12")
    return scene.when(triggered(40, subject=other, uid="f" * 32), key="12").records


@pytest.mark.parametrize("wanted", [UID_A, UID_A.replace("-", ""), EXTERNAL_A, "T20261124.5001", "5001"])
def test_an_alert_a_ticket_and_an_external_id_mean_one_and_the_same_story(wanted: str) -> None:
    found = chosen(records(), wanted)
    assert len(found) >= 4
    assert {record.key for record in found} == {"407"}


def test_a_device_is_found_by_its_id_alone() -> None:
    assert {record.key for record in chosen(records(), "12")} == {"12"}


@pytest.mark.parametrize("wanted", ["", "o", "1", "T", "o1", "l5", UID_A[:8], "500", "50011", "T20261124"])
def test_a_part_of_a_name_means_nothing(wanted: str) -> None:
    assert chosen(records(), wanted) == []
