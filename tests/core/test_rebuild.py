"""``rebuild`` in small: the recorded decisions lead to the very documents that the agent keeps."""

from __future__ import annotations

import orjson
import pytest

from streams.core.rebuild import Rebuilder
from tests.core.spec import (
    START,
    Scene,
    companies,
    device,
    devices,
    incidents,
    policy,
    removed,
    reset,
    subject,
    triggered,
)
from tests.core.spec import ticket as seen


def alerts() -> Scene:
    lost = subject(device=9, organization=99, organization_name="Westwind")
    scene = incidents(triggered()).settle("CreateTicket").when(triggered(11))
    scene.when(triggered(subject=lost, uid="0" * 32), key="9").when(reset()).settle("CompleteTicket")
    return scene.when(companies((6, "Westwind")), seen(START + 30_000, completed=True))


def items() -> Scene:
    return devices(device()).settle("UpsertConfigurationItem").when(removed(), policy(2, devices={"grace": "0s"}))


def rebuilt(scene: Scene, *, until: int | None = None) -> Rebuilder:
    rebuilder = Rebuilder()
    for record in scene.records[:until]:
        rebuilder.feed(orjson.loads(record.to_json()))
    return rebuilder


@pytest.mark.parametrize("scene", [alerts(), items()], ids=["incidents", "devices"])
def test_the_recorded_decisions_lead_to_the_live_documents_byte_for_byte(scene: Scene) -> None:
    rebuilder = rebuilt(scene)
    assert rebuilder.documents() == scene.state
    assert rebuilder.broken() is None
    assert rebuilder.records == len(scene.records)


def test_the_first_records_lead_to_the_state_of_that_time() -> None:
    scene = alerts()
    before = dict(scene.state)
    count = len(scene.records)
    scene.when(triggered(60))
    assert scene.state != before
    assert rebuilt(scene, until=count).documents() == before


def test_changes_that_do_not_lead_to_the_named_state_are_told_by_their_key() -> None:
    scene = alerts()
    rebuilder = Rebuilder()
    for record in scene.records:
        document = orjson.loads(record.to_json())
        if record.key == "407":
            document["decision"].get("changes", []).clear()
        rebuilder.feed(document)
    assert rebuilder.broken() == "407"


@pytest.mark.parametrize("broken", [{}, {"key": "407"}, [], "x"])
def test_what_is_no_record_is_refused(broken: object) -> None:
    with pytest.raises((KeyError, TypeError)):
        Rebuilder().feed(broken)  # type: ignore[arg-type]
