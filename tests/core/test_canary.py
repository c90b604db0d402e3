"""A policy that some organizations try first, sentence by sentence: for whom it counts, and that nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import CreateTicket
from schemas.facts import Fact, PolicyPublished
from streams.core.context import parse_context
from streams.core.revisions import standing
from streams.core.verify import Verifier
from tests.core.spec import (
    MINUTE,
    UID_A,
    UID_B,
    UID_C,
    Scene,
    companies,
    device,
    organizations,
    policy,
    removed,
    reset,
    subject,
    triggered,
)

#: The canary's customer and another one: organization, device, company.
A, B = (17, 407, 29683), (18, 408, 29690)
MAP = {"map": [{"organization": number, "company": company} for number, _, company in (A, B)]}


def for_all(revision: int = 1, queue: str = "Monitoring", **parts: Any) -> PolicyPublished:
    defaults = {"queue": queue, **parts.pop("defaults", {})}
    return policy(revision, **{"companies": MAP, "defaults": defaults, **parts})


def canary(revision: int = 2, queue: str = "NOC", only: tuple[int, ...] = (17,), **parts: Any) -> PolicyPublished:
    return for_all(revision, queue, **parts).model_copy(update={"organizations": only})


def alert(who: tuple[int, int, int], uid: str = UID_A, activity: int = 10, **more: Any) -> Fact:
    where = subject(who[1], organization=who[0], organization_name=f"Customer {who[0]}")
    return triggered(activity, uid, subject=where, **more)


def raised(scene: Scene, who: tuple[int, int, int], uid: str = UID_A) -> tuple[Any, int]:
    """An alert of a customer's device: the queue of its ticket, and the revision that the audit names."""
    scene.when(alert(who, uid), key=str(who[1]))
    (command,) = scene.issued
    assert isinstance(command, CreateTicket)
    return command.queue, scene.records[-1].revision


def begun(*facts: Fact) -> Scene:
    return Scene("incidents", for_all(), *facts)


def test_a_canary_counts_for_its_organizations_and_the_others_keep_the_previous_revision() -> None:
    scene = begun(canary())
    assert raised(scene, A) == ("NOC", 2)
    assert raised(scene, B, UID_B) == ("Monitoring", 1)


def test_what_comes_of_a_command_or_a_timer_is_decided_by_the_organization_of_its_incident() -> None:
    scene = begun(canary(defaults={"lifecycle": {"hold": "5m"}}))
    scene.when(alert(A))
    assert scene.disposition() == ("held", "Holding")
    assert scene.fire().records[-1].revision == 2
    assert scene.issued[0].queue == "NOC"  # type: ignore[attr-defined]
    assert scene.settle("CreateTicket").records[-1].revision == 2
    scene.when(alert(B, UID_B), key="408").settle("CreateTicket", ticket_id=5002)
    assert scene.records[-1].revision == 1


def test_the_same_revision_for_all_promotes_the_canary() -> None:
    scene = begun(canary(), for_all(2, "NOC"))
    assert raised(scene, A) == ("NOC", 2)
    assert raised(scene, B, UID_B) == ("NOC", 2)
    assert scene.body("~context").keys() >= {"policy"}
    assert "canary" not in scene.body("~context")


def test_another_revision_for_all_takes_the_canary_back() -> None:
    scene = begun(canary(), for_all(3))
    assert raised(scene, A) == ("Monitoring", 3)
    assert raised(scene, B, UID_B) == ("Monitoring", 3)


def test_a_second_canary_takes_the_place_of_the_first() -> None:
    scene = begun(canary(), canary(3, "Triage", only=(18,)))
    assert raised(scene, A) == ("Monitoring", 1)
    assert raised(scene, B, UID_B) == ("Triage", 3)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ((canary(), canary()), "Duplicate"),
        ((canary(3), canary(2)), "Superseded"),
        ((canary(3), for_all(2)), "Superseded"),
        ((canary(2), for_all(2, "NOC"), canary(2)), "Superseded"),
        ((for_all(1),), "Duplicate"),
        ((canary(2).model_copy(update={"document": "{}"}),), "PolicyRefused"),
    ],
)
def test_publications_that_come_twice_late_or_broken_change_nothing(facts: tuple[Fact, ...], reason: str) -> None:
    *before, last = facts
    scene = begun(*before)
    was = scene.body("~context")
    scene.when(last, identity="again")
    assert scene.reasons == [reason]
    assert scene.body("~context") == was


def test_before_anything_is_in_force_for_all_there_is_nothing_to_try() -> None:
    scene = Scene("incidents", canary())
    assert scene.reasons == ["NoPolicyForAll"]
    assert scene.when(alert(A)).disposition() == ("parked", "NoPolicy")


def test_what_waited_for_a_company_goes_out_where_the_canary_maps_it() -> None:
    nobody = {"companies": {"map": []}}
    scene = Scene("incidents", policy(1, **nobody), companies((1, "Elsewhere")), alert(A))
    scene.when(alert(B, UID_B), key="408").when(canary())
    assert scene.disposition()[0] == "ticketed"
    assert scene.disposition(UID_B, "408") == ("parked", "UnmappedOrganization")
    assert [step.key for step in scene.steps] == ["~context", "407"]


def test_the_mapping_and_what_is_remembered_follow_each_organizations_policy() -> None:
    names = (organizations((17, "Alpha"), (18, "Beta")), companies((5, "Alpha"), (6, "Beta"), (7, "Gamma")))
    scene = Scene("devices", policy(1, companies={"map": []}), *names)
    never = policy(2, companies={"auto_match": "never", "map": [{"organization": n, "company": 7} for n in (17, 18)]})
    scene.when(never.model_copy(update={"organizations": (17,)}))
    rows = {row.organization_id: (row.company_id, row.how) for row in parse_context(scene.state[b"~context"]).mapping()}
    assert rows == {17: (7, "map"), 18: (6, "exact")}
    assert sorted(scene.body("~context")["remembered"]) == ["18"]
    unmapped = policy(3, companies={"auto_match": "never", "map": []})
    for fact in (
        unmapped.model_copy(update={"organizations": (17,)}),
        companies((5, "Alpha"), (6, "Beta"), (8, "More")),
    ):
        scene.when(fact)
        assert sorted(scene.body("~context")["remembered"]) == ["18"], "what it may not match by name is not remembered"


def test_a_maintenance_window_of_the_canary_holds_back_its_organizations_only() -> None:
    window = {"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T05:00:00Z"}
    scene = begun(canary(maintenance=[window]))
    assert scene.when(alert(A)).disposition() == ("suppressed", "Maintenance:move")
    assert raised(scene, B, UID_B) == ("Monitoring", 1)


def test_items_of_the_canarys_organizations_are_made_as_it_says_and_kept_as_it_says() -> None:
    shapes = {"types": [{"type": "Server", "product": "Other"}], "fields": {"os": "OS"}, "on_delete": "keep"}
    scene = Scene("devices", for_all(), device(), canary(devices=shapes))
    assert [command.product for command in scene.issued] == ["Other"]  # type: ignore[attr-defined]
    assert scene.records[-1].revision == 2
    where = subject(408, organization=18)
    assert scene.when(device(where=where), key="408").issued[0].product == "Managed Device"  # type: ignore[attr-defined]
    assert scene.when(removed()).reasons == ["KeptByPolicy"]
    assert scene.when(removed().model_copy(update={"device_id": 408}), key="408").kinds == ["RetireConfigurationItem"]


def test_what_is_in_force_is_read_from_the_log_as_the_agents_take_it() -> None:
    facts = [for_all(), canary(2), canary(3, only=(18,)), for_all(2), for_all(3, "NOC")]
    revisions = [(found.revision, found.canary_revision) for found in (standing(facts[:n]) for n in range(6))]
    assert revisions == [(0, 0), (1, 0), (1, 2), (1, 3), (1, 3), (3, 0)]


def test_an_audit_with_a_canary_verifies() -> None:
    scene = begun(canary(defaults={"lifecycle": {"hold": "5m"}}), alert(A), alert(B, UID_B)).fire()
    scene.settle("CreateTicket").when(for_all(3), reset())
    verifier = Verifier(agent="incidents")
    assert [verifier.feed(record) for record in scene.records] == [None] * len(scene.records)
    assert verifier.finish(scene.state) is None


# --- nobody else notices

Move = Callable[[Scene], object]


def _settle(kind: str, outcome: str) -> Move:
    def move(scene: Scene) -> None:
        mine = [issued for issued in scene.commands if issued.envelope.key == "408"]
        found = [issued for issued in mine if type(issued.command).__name__ == kind]
        if found:
            scene.settle_command(found[-1], outcome, **({"reason": "Nope"} if outcome == "Rejected" else {}))

    return move


def _fire(scene: Scene) -> None:
    if b"408" in scene.state and scene.timers("408"):
        scene.fire("408")


#: What happens to the other customer.
OF_B: list[Move] = [
    *(
        lambda scene, uid=uid, n=n: scene.when(alert(B, uid, n, alert_subject=uid), key="408")
        for uid in (UID_A, UID_B, UID_C)
        for n in (10, 30)
    ),
    *(
        lambda scene, uid=uid, n=n: scene.when(
            reset(n, uid).model_copy(update={"subject": alert(B).subject}), key="408"
        )
        for uid in (UID_A, UID_B)
        for n in (20, 40)
    ),
    *(
        _settle(kind, how)
        for kind in ("CreateTicket", "CompleteTicket")
        for how in ("Succeeded", "Rejected", "Deferred")
    ),
    _fire,
    lambda scene: scene.later(7 * MINUTE),
    lambda scene: scene.when(for_all(scene.body("~context")["policy"]["revision"] + 10, "Triage"), identity="other"),
    lambda scene: scene.when(companies((29690, "Customer 18"), (5, "Customer 17"))),
    lambda scene: scene.when(organizations((17, "Customer 17"), (18, "Customer 18"))),
]
#: What is tried for the canary's customer, and what happens there: nothing that may concern the other one.
TRIED: list[Move] = [
    lambda scene: scene.when(canary(scene.body("~context")["policy"]["revision"] + 1)),
    lambda scene: scene.when(canary(scene.body("~context")["policy"]["revision"] + 2, "Triage", companies={"map": []})),
    lambda scene: scene.when(
        canary(
            scene.body("~context")["policy"]["revision"] + 3,
            defaults={"lifecycle": {"hold": "5m", "settle": "1h", "reopen_within": "2h", "close_if": "never"}},
        )
    ),
    lambda scene: scene.when(alert(A)),
    lambda scene: scene.when(reset()),
]


def of_b(scene: Scene) -> list[tuple[Any, ...]]:
    """What was decided about the other customer, and by which revision."""
    return [
        (record.fact.value, record.decision, record.commands, record.revision, record.count, record.state)
        for record in scene.records
        if record.key == "408"
    ]


@settings(max_examples=150, deadline=None)
@given(
    moves=st.lists(
        st.one_of(st.tuples(st.just(True), st.sampled_from(OF_B)), st.tuples(st.just(False), st.sampled_from(TRIED))),
        min_size=4,
        max_size=25,
    ),
    hold=st.sampled_from(["0s", "5m"]),
)
def test_with_a_canary_for_one_organization_the_decisions_for_another_are_the_same_as_without(
    moves: list[tuple[bool, Move]], hold: str
) -> None:
    base = for_all(defaults={"lifecycle": {"hold": hold, "settle": "10m"}})
    tried, without = Scene("incidents", base), Scene("incidents", base)
    for concerns_b, move in moves:
        move(tried)
        if concerns_b:
            move(without)
    assert of_b(tried) == of_b(without)
    assert tried.body("408") == without.body("408")


def test_a_canary_is_no_occasion_to_decide_about_somebody_elses_device() -> None:
    given = for_all(devices={"grace": "1h"})
    scene = Scene("devices", given).when(device(where=subject(408, organization=18)), key="408")
    scene.when(removed().model_copy(update={"device_id": 408}), key="408")
    # Its grace is over; its timer will say so.
    scene.later(120 * MINUTE).when(canary())
    assert [step.key for step in scene.steps] == ["~context"]
