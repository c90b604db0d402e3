"""While one customer tries a policy, another one's devices become, stay and lose their items as without it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.spec import HOUR, START, Scene, companies, device, organizations, policy, removed, subject
from tests.core.test_canary import Move, of_b

BASE = {"companies": {"map": []}, "devices": {"grace": "2h"}}
NAMES = {17: "Alpha", 18: "Beta"}


def seen(scene: Scene, organization: int, *, serial: str = "5CG1", minutes: int = 0) -> None:
    key = 390 + organization
    where = subject(key, organization=organization, organization_name=NAMES[organization])
    scene.when(device(scene.now + minutes, where=where, serial=serial), key=str(key))


def _removed(scene: Scene) -> None:
    scene.when(removed(scene.now).model_copy(update={"device_id": 408}), key="408")


def _settled(outcome: str) -> Move:
    def move(scene: Scene) -> None:
        mine = [issued for issued in scene.commands if issued.envelope.key == "408"]
        if mine:
            more = {"reason": "UnknownName"} if outcome == "Rejected" else {}
            scene.settle_command(mine[-1], outcome, **more)

    return move


def _fire(scene: Scene) -> None:
    if b"408" in scene.state and scene.timers("408"):
        scene.fire("408")


def _next(scene: Scene, step: int) -> int:
    return int(scene.body("~context")["policy"]["revision"]) + step


OF_B: list[Move] = [
    lambda scene: seen(scene, 18),
    lambda scene: seen(scene, 18, serial="5CG2", minutes=1),
    _removed,
    *(_settled(outcome) for outcome in ("Succeeded", "Rejected", "Deferred")),
    _fire,
    lambda scene: scene.later(HOUR),
    lambda scene: scene.when(companies((5, "Alpha"), (6, "Beta"))),
    lambda scene: scene.when(companies((5, "Alpha"), (7, "Beta"))),
    lambda scene: scene.when(organizations((17, "Alpha"), (18, "Beta"))),
    lambda scene: scene.when(organizations((17, "Alpha"), (18, "Beta & Sons"))),
    lambda scene: scene.when(policy(_next(scene, 10), **{**BASE, "devices": {"grace": "1h"}})),
]


def tried(step: int, **parts: Any) -> Move:
    return lambda scene: scene.when(policy(_next(scene, step), **parts).model_copy(update={"organizations": (17,)}))


TRIED: list[Move] = [
    tried(1, companies={"map": [{"organization": 17, "company": 6}, {"organization": 18, "company": 9}]}),
    tried(2, companies={"auto_match": "never", "map": []}, devices={"on_delete": "keep"}),
    tried(3, companies={"unmapped": {"company": 6}}, devices={"fields": {"os": "OS"}, "grace": 0}),
    lambda scene: seen(scene, 17),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.tuples(st.just(True), st.sampled_from(OF_B)), st.tuples(st.just(False), st.sampled_from(TRIED))),
        min_size=4,
        max_size=25,
    )
)
def test_with_a_canary_for_one_organization_the_items_of_another_are_the_same_as_without(
    moves: list[tuple[bool, Move]],
) -> None:
    names = (organizations((17, "Alpha"), (18, "Beta")), companies((5, "Alpha"), (6, "Beta")))
    with_it, without = (Scene("devices", policy(1, **BASE), *names) for _ in range(2))
    for concerns_b, move in moves:
        move(with_it)
        if concerns_b:
            move(without)
    assert of_b(with_it) == of_b(without)
    assert with_it.body("408") == without.body("408")
    assert with_it.now == without.now >= START
