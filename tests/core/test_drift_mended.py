"""What the agents decide about a drift that was observed: one command, or the reason why none; and the same again in a replay."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import CompleteTicket, CreateTicket, ResetAlert, RestoreTicket, RetireConfigurationItem
from schemas.drift import DriftObserved
from schemas.facts import ParkedDismissed, Selection
from streams.core.verify import Verifier
from tests.core.drift_world import ASKED_AT, COMPANY
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    EXTERNAL_B,
    START,
    UID_A,
    UID_B,
    Scene,
    device,
    devices,
    incidents,
    lifecycle,
    policy,
    removed,
    reset,
    ticket,
    triggered,
)

ELSEWHERE = 500


def drift(kind: Any, **more: Any) -> DriftObserved:
    return DriftObserved(key="407", drift=kind, observed_at=ASKED_AT, organization_id=17, **more)


def of_ticket(kind: Any, number: int = 5001, external_id: str = EXTERNAL_A, **more: Any) -> DriftObserved:
    return drift(kind, ticket_id=number, ticket_number=f"T{number}", external_id=external_id, **more)


def ticketed(**parts: Any) -> Scene:
    return incidents(triggered(), **parts).settle("CreateTicket")


def over(**parts: Any) -> Scene:
    scene = ticketed(**parts).when(ticket(START + 20_000), reset()).settle("CompleteTicket")
    return scene.when(ticket(START + 1_800_000, completed=True))


def made(**parts: Any) -> Scene:
    return devices(device(), **parts).settle("UpsertConfigurationItem")


def replays(scene: Scene) -> bool:
    verifier = Verifier(agent=scene.agent)
    return [verifier.feed(record) for record in scene.records] == [None] * len(scene.records)


# --- tickets


def test_a_ticket_that_is_open_although_its_incident_is_over_is_completed_by_its_rule() -> None:
    scene = over(defaults={"complete_status": "Closed by RMM"}).when(of_ticket("MissedClose"))
    (command,) = scene.issued
    assert isinstance(command, CompleteTicket)
    assert (command.ticket_id, command.status, command.incident) == (5001, "Closed by RMM", EXTERNAL_A)
    assert replays(scene)


def test_while_a_repair_is_under_way_the_same_drift_asks_for_nothing_more() -> None:
    scene = over().when(of_ticket("MissedClose"), of_ticket("MissedClose", uid=UID_A))
    assert (scene.kinds, scene.reasons) == ([], ["CommandUnderWay"])


def test_a_repair_leaves_the_incident_as_it_was_and_its_refusal_has_a_reason() -> None:
    scene = over()
    before = scene.body()["incidents"]
    scene.when(of_ticket("MissedClose")).settle("CompleteTicket")
    assert (scene.body()["incidents"], "pending" in scene.body()) == (before, False)
    scene.later(1).when(of_ticket("MissedClose", uid=UID_A)).settle("CompleteTicket", "Rejected", reason="Required")
    assert (scene.reasons, "pending" in scene.body()) == (["NotMended"], False)
    scene.later(1).when(of_ticket("MissedClose", uid=UID_B)).settle("CompleteTicket", "Deferred", reason="ServerError")
    assert (scene.reasons, scene.timers()) == (["NotMended"], [])


@pytest.mark.parametrize(
    ("scene", "fact", "reason"),
    [
        (ticketed(), of_ticket("MissedClose"), "IncidentIsOpen"),
        (over(), of_ticket("MissedClose", number=5002), "OtherTicket"),
        (over(), of_ticket("MissedClose", external_id=EXTERNAL_B), "UnknownIncident"),
        (over(), of_ticket("OrphanTicket"), "IncidentKnown"),
        (over(), of_ticket("DoubledTicket"), "TicketOfIncident"),
        (over(), of_ticket("MissedReset", uid=UID_B), "AlertMovedOn"),
        (over(), of_ticket("MissingTicket"), "IncidentEnded"),
        (over(), of_ticket("ItemTwin"), "NotForIncidents"),
        (incidents(triggered()), of_ticket("MissedClose"), "CommandUnderWay"),
    ],
)
def test_what_is_no_drift_by_the_state_has_a_reason(scene: Scene, fact: DriftObserved, reason: str) -> None:
    scene.when(fact)
    assert (scene.kinds, scene.reasons) == ([], [reason])


def test_a_ticket_whose_rule_never_completes_stays_open() -> None:
    scene = ticketed(**lifecycle(close_if="never")).when(ticket(START + 30_000, completed=True)).settle("ResetAlert")
    assert scene.when(of_ticket("MissedClose")).reasons == ["NeverCompleted"]


def test_a_ticket_that_somebody_gave_up_stays_open() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Rejected", reason="RequiredField")
    scene.when(ParkedDismissed(selection=Selection(everything=True), actor="eve", note="by hand"))
    assert scene.when(of_ticket("MissedClose")).reasons == ["Dismissed"]


def test_before_a_policy_nothing_is_mended() -> None:
    for agent, fact in (("incidents", of_ticket("OrphanTicket")), ("devices", drift("ItemTwin"))):
        scene = Scene(agent).when(fact)
        assert (scene.kinds, scene.reasons) == ([], ["NoPolicy"])


def test_an_alert_that_is_active_after_its_reset_is_reset_once_more() -> None:
    scene = ticketed().when(ticket(START + 1_800_000, completed=True)).settle("ResetAlert").when(reset())
    (command,) = scene.when(of_ticket("MissedReset", uid=UID_A)).issued
    assert isinstance(command, ResetAlert)
    assert (command.uid, scene.settle("ResetAlert").kinds) == (UID_A, [])
    assert "pending" not in scene.body()
    assert replays(scene)


def test_an_orphan_is_completed_with_a_word_why() -> None:
    (command,) = incidents().when(of_ticket("OrphanTicket", external_id=EXTERNAL_B)).issued
    assert isinstance(command, CompleteTicket)
    assert (command.ticket_id, command.status) == (5001, "Complete")
    assert "no incident" in command.resolution


def test_a_double_is_completed_and_names_the_ticket_that_is_kept() -> None:
    scene = ticketed().when(of_ticket("DoubledTicket", number=5002))
    (command,) = scene.issued
    assert isinstance(command, CompleteTicket)
    assert (command.ticket_id, "T20261124.5001" in command.resolution) == (5002, True)
    # It is no completion of the incident's own ticket: the end of the alert still asks for that.
    assert scene.settle("CompleteTicket").when(reset()).kinds == ["CompleteTicket"]
    assert replays(scene)


def test_two_doubles_of_one_incident_are_mended_one_after_the_other() -> None:
    scene = ticketed().when(of_ticket("DoubledTicket", number=5002), of_ticket("DoubledTicket", number=5003))
    assert scene.reasons == ["CommandUnderWay"]
    scene.settle("CompleteTicket").later(1).when(of_ticket("DoubledTicket", number=5003, uid=UID_A))
    assert scene.kinds == ["CompleteTicket"]


def test_after_its_ticket_was_deleted_an_alert_gets_another_one() -> None:
    scene = ticketed().when(of_ticket("MissingTicket"))
    (command,) = scene.issued
    assert isinstance(command, CreateTicket)
    assert (command.external_id, scene.disposition()) == (f"{EXTERNAL_A}.2", ("ticketed", "Opened"))
    scene.settle("CreateTicket", ticket_id=5009).when(reset())
    assert [command.ticket_id for command in scene.issued if isinstance(command, CompleteTicket)] == [5009]
    assert replays(scene)


def test_a_late_sight_of_the_deleted_ticket_opens_and_closes_nothing() -> None:
    scene = ticketed().when(of_ticket("MissingTicket")).settle("CreateTicket", ticket_id=5009)
    scene.when(ticket(START + 30_000))
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.body()["alerts"][UID_A]["incident"] == f"{EXTERNAL_A}.2"


def test_an_incident_whose_ticket_was_deleted_is_forgotten_in_its_time() -> None:
    scene = ticketed().when(of_ticket("MissingTicket")).settle("CreateTicket", ticket_id=5009)
    assert EXTERNAL_A in scene.body()["incidents"]
    scene.later(31 * DAY).when(triggered(90, UID_B))
    assert EXTERNAL_A not in scene.body()["incidents"]


def test_what_is_ours_of_a_ticket_is_restored_and_nothing_else() -> None:
    (command,) = ticketed().when(of_ticket("ForeignEdit", fields=("externalID",))).issued
    assert isinstance(command, RestoreTicket)
    assert (command.external_id, command.company_id, command.configuration_item_id) == (EXTERNAL_A, None, None)
    fields = ("companyID", "configurationItemID")
    (command,) = ticketed().when(of_ticket("ForeignEdit", fields=fields, company_id=COMPANY, item_id=700)).issued
    assert isinstance(command, RestoreTicket)
    assert (command.external_id, command.company_id, command.configuration_item_id) == (None, COMPANY, 700)


# --- items


@pytest.mark.parametrize("kind", ["ForeignEdit", "MissingItem", "StaleItem", "ItemTwin"])
def test_the_item_of_a_living_device_is_asked_for_once_more(kind: Any) -> None:
    scene = made().when(drift(kind, company_id=COMPANY, item_id=700))
    assert scene.kinds == ["UpsertConfigurationItem"]
    assert replays(scene)


def test_an_item_in_another_company_is_retired_there_and_the_devices_own_stays() -> None:
    scene = made().when(drift("ItemTwin", company_id=ELSEWHERE, item_id=701))
    (command,) = scene.issued
    assert isinstance(command, RetireConfigurationItem)
    assert (command.company_id, command.reference_number, command.item_id) == (ELSEWHERE, "ls.407", 701)
    scene.settle("RetireConfigurationItem", item_id=701, company_id=ELSEWHERE)
    assert (scene.body()["item"], scene.body()["written"]["company"]) == ({"id": 700, "company": COMPANY}, COMPANY)
    assert replays(scene)


def test_an_item_that_is_active_after_its_retirement_is_retired_again() -> None:
    scene = made(devices={"grace": "0s"}).when(removed()).settle("RetireConfigurationItem", item_id=700)
    (command,) = scene.when(drift("StaleItem", company_id=COMPANY, item_id=700)).issued
    assert isinstance(command, RetireConfigurationItem)
    assert command.company_id == COMPANY


def test_an_item_of_a_device_that_was_never_known_is_retired() -> None:
    scene = devices().when(drift("StaleItem", company_id=COMPANY, item_id=700))
    assert scene.kinds == ["RetireConfigurationItem"]
    scene.settle("RetireConfigurationItem", "Deferred", reason="ServerError")
    assert scene.fire().kinds == ["RetireConfigurationItem"]


def test_within_its_grace_an_item_is_not_retired() -> None:
    scene = made(devices={"grace": "7d"}).when(removed())
    assert scene.when(drift("StaleItem", company_id=ELSEWHERE, item_id=700)).reasons == ["WithinGrace"]
    kept = made(devices={"on_delete": "keep"}).when(removed())
    assert kept.when(drift("StaleItem", company_id=ELSEWHERE, item_id=700)).reasons == ["KeptByPolicy"]


def test_while_a_command_of_the_item_waits_nothing_more_is_asked() -> None:
    scene = devices(device()).when(drift("ForeignEdit", company_id=COMPANY))
    assert (scene.kinds, scene.reasons) == ([], ["CommandUnderWay"])


def test_a_device_that_is_not_there_has_nothing_to_write() -> None:
    assert devices().when(drift("MissingItem")).reasons == ["NothingToWrite"]


def test_under_a_canary_the_policy_of_the_organization_decides() -> None:
    tried = policy(2, defaults={"complete_status": "Tried"}).model_copy(update={"organizations": (17,)})
    scene = incidents(tried).when(of_ticket("OrphanTicket", external_id=EXTERNAL_B))
    assert (scene.issued[0].status, scene.records[-1].revision) == ("Tried", 2)  # type: ignore[attr-defined]
    assert replays(scene)
