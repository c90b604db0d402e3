"""The number that an incident tells of its ticket is that ticket's."""

from __future__ import annotations

from tests.core.spec import EXTERNAL_A, START, incidents, ticket, triggered


def test_the_number_of_another_ticket_with_the_external_id_is_not_taken_for_that_of_ours() -> None:
    scene = incidents(triggered()).when(ticket(START + 20_000, number=5002))
    incident = scene.body()["incidents"][EXTERNAL_A]
    assert (incident["ticket"], incident["number"]) == (5002, "T20261124.5002")
    scene.settle("CreateTicket", ticket_number=None)
    incident = scene.body()["incidents"][EXTERNAL_A]
    assert (incident["ticket"], incident.get("number")) == (5001, None)
