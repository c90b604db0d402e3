"""What people see of the state: parked work with its reason, alerts by disposition."""

from __future__ import annotations

from schemas.facts import ParkedRetried, Selection
from streams.core.views import dispositions, parked_in
from tests.core.spec import (
    EXTERNAL_A,
    START,
    UID_A,
    UID_B,
    Scene,
    companies,
    device,
    devices,
    incidents,
    subject,
    ticket,
    triggered,
)


def parked(scene: Scene) -> list[tuple[str, str, int | None, str]]:
    items = parked_in(scene.agent, "407", scene.state[b"407"])
    return [(item.id, item.what, item.organization_id, item.reason) for item in items]


def test_a_parked_alert_is_listed_by_its_uid_with_what_to_do() -> None:
    scene = incidents(companies((1, "Elsewhere")), triggered(subject=subject(organization=99)))
    assert parked(scene) == [(UID_A, "Alert", 99, "UnmappedOrganization")]
    (item,) = parked_in("incidents", "407", scene.state[b"407"])
    assert "organization: 99" in item.detail


def test_a_refused_ticket_is_listed_by_its_external_id_which_a_retry_takes() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    assert parked(scene) == [(EXTERNAL_A, "CreateTicket", 17, "UnknownQueue")]
    scene.when(ParkedRetried(selection=Selection(ids=(EXTERNAL_A,)), actor="ada"))
    assert (parked(scene), scene.kinds) == ([], ["CreateTicket"])


def test_a_refused_reset_is_listed_by_its_alert() -> None:
    scene = incidents(triggered()).settle("CreateTicket").when(ticket(START + 40_000, completed=True))
    assert parked(scene.settle("ResetAlert", "Rejected", reason="Forbidden")) == [
        (UID_A, "ResetAlert", 17, "Forbidden")
    ]


def test_parked_devices_are_listed_by_their_key() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct")
    assert parked(scene) == [("407", "upsert", 17, "UnknownProduct")]


def test_the_context_has_nothing_parked() -> None:
    assert parked_in("incidents", "~context", incidents().state[b"~context"]) == []


def test_alerts_are_counted_by_disposition() -> None:
    scene = incidents(triggered(), triggered(11, UID_B))
    assert dispositions(scene.state[b"407"]) == {"ticketed": 1, "appended": 1}
