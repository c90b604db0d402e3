"""A verification that is put away and taken up again, anywhere between two facts, comes to the same as one that was not."""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from typing import Any

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.core import engine
from streams.core.differing import Difference
from streams.core.rebuild import Rebuilder
from streams.core.verify import Verifier
from tests.core.spec import HOUR, UID_B, Scene, companies, device, devices, incidents, reset, subject, triggered
from tests.core.test_verify_mutations import KINDS, Log, log_of, recorded

Found = Difference | str | None
#: After every record.
EVERYWHERE = range(10_000)


@pytest.fixture(scope="module")
def story() -> tuple[str, Scene]:
    return recorded()


def again(verifier: Verifier) -> Verifier:
    """As it comes back from a file."""
    saved = orjson.loads(orjson.dumps(verifier.saved()))
    return Verifier.resumed(agent=verifier.agent, state=dict(verifier.state), saved=saved)


def gone_through(
    agent: str, log: Log, live: dict[bytes, bytes], split: Container[int] = (), begin: dict[bytes, bytes] | None = None
) -> tuple[Found, dict[str, Any]]:
    """The first difference, and all counts; put away after the records in ``split``, where a fact ends there."""
    verifier, found = Verifier(agent=agent, state=begin), None
    for place, value in enumerate(log):
        found = fed(verifier, value)
        if found is not None:
            break
        if place in split and not verifier.within:
            verifier = again(verifier)
    else:
        found = verifier.finish(live)
    return found, verifier.saved() if not verifier.within else {"records": verifier.records}


def fed(verifier: Verifier, value: bytes) -> Found:
    try:
        document = orjson.loads(value)
        if verifier.has(document):
            return verifier.link(AuditRecord.from_json(value))
        if document["agent"] == verifier.agent and verifier.agrees(document, value):
            return None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    try:
        return verifier.feed(AuditRecord.from_json(value))
    except ValueError:
        return "not an audit record"


def updated(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Three devices wait for their company, which comes in one fact; another build decided until then."""
    decide = engine.decide

    def then(*arguments: Any, **more: Any) -> Any:
        return decide(*arguments, **{**more, "decisions": 7})

    monkeypatch.setattr("tests.core.spec.engine.decide", then)
    scene = incidents(triggered()).settle("CreateTicket")
    for number in (8, 9, 10):
        where = subject(device=number, organization=99, organization_name="Westwind")
        scene.when(triggered(10 + number, f"{number:032x}", subject=where), key=str(number))
    scene.when(companies((6, "Westwind")))
    monkeypatch.undo()
    return scene.when(reset()).settle("CompleteTicket")


def items() -> Scene:
    return devices(device()).settle("UpsertConfigurationItem").when(device(os_name="Windows Server 2025"))


def test_a_whole_log_comes_to_the_same_put_away_after_every_fact(
    monkeypatch: pytest.MonkeyPatch, story: tuple[str, Scene]
) -> None:
    for agent, scene in [story, ("devices", items()), ("incidents", updated(monkeypatch))]:
        log, live = log_of(scene), dict(scene.state)
        at_once, in_parts = gone_through(agent, log, live), gone_through(agent, log, live, EVERYWHERE)
        assert at_once[0] is None
        assert in_parts == at_once


def test_what_another_build_decided_about_many_keys_is_put_away_between_two_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = updated(monkeypatch)
    places = [place for place, record in enumerate(scene.records) if record.decisions == 7]
    _, saved = gone_through("incidents", log_of(scene), scene.state, EVERYWHERE)
    assert saved["others"] == [(7, len(places))]
    assert saved["otherwise"] == 0
    of_one_fact = [record.fact.offset for record in scene.records if record.fact.topic == "control"]
    assert max(of_one_fact.count(offset) for offset in of_one_fact) > 3


def test_a_log_that_begins_at_a_checkpoint_is_linked_to_it_over_a_split() -> None:
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR).when(triggered(11, UID_B, alert_subject="D:"))
    state = dict(scene.state)
    scene.later(HOUR).when(reset(90)).settle("CompleteTicket")
    log = log_of(scene)[1:]
    at_once = gone_through("incidents", log, scene.state, begin=state)
    assert at_once[0] is None
    assert gone_through("incidents", log, scene.state, EVERYWHERE, begin=state) == at_once
    without_one = [*log[:1], *log[2:]]
    found, _ = gone_through("incidents", without_one, scene.state, EVERYWHERE, begin=state)
    assert found is not None
    assert found == gone_through("incidents", without_one, scene.state, begin=state)[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_changed_log_comes_to_the_same_difference_before_and_after_a_split(
    kind: Callable[[Log, random.Random], Log], story: tuple[str, Scene]
) -> None:
    agent, scene = story
    log, live = log_of(scene), dict(scene.state)
    for seed in range(5):
        by = random.Random(f"{kind.__name__} {seed}")
        changed = kind(log, by)
        at_once = gone_through(agent, changed, live)
        assert gone_through(agent, changed, live, [by.randrange(len(changed))]) == at_once
        assert gone_through(agent, changed, live, range(0, len(changed), 3)) == at_once
        assert (at_once[0] is None) == (changed == log)


def test_within_a_fact_of_many_keys_nothing_can_be_put_away() -> None:
    scene = incidents(triggered())
    for number in (8, 9):
        where = subject(device=number, organization=99, organization_name="Westwind")
        scene.when(triggered(10 + number, f"{number:032x}", subject=where), key=str(number))
    before = len(scene.records)
    scene.when(companies((6, "Westwind")))
    verifier = Verifier(agent="incidents")
    assert [fed(verifier, value) for value in log_of(scene)[: before + 1]] == [None] * (before + 1)
    assert verifier.within


def test_what_no_verifier_has_saved_is_refused() -> None:
    saved = Verifier(agent="incidents").saved()
    for name in saved:
        with pytest.raises(KeyError):
            Verifier.resumed(
                agent="incidents", state={}, saved={key: value for key, value in saved.items() if key != name}
            )


def test_a_rebuild_comes_to_the_same_documents_put_away_after_every_record() -> None:
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR).when(triggered(11, UID_B, alert_subject="D:"))
    scene.later(HOUR).when(reset(90)).settle("CompleteTicket")
    rebuilder = Rebuilder()
    for record in scene.records:
        rebuilder.feed(orjson.loads(record.to_json()))
        rebuilder = Rebuilder.resumed(rebuilder.documents(), digests=dict(rebuilder.digests), records=rebuilder.records)
    assert rebuilder.documents() == scene.state
    assert (rebuilder.records, rebuilder.broken()) == (len(scene.records), None)


def test_a_rebuild_that_does_not_add_up_before_a_split_is_told_after_it() -> None:
    scene = incidents(triggered()).settle("CreateTicket")
    rebuilder = Rebuilder()
    for record in scene.records:
        document = orjson.loads(record.to_json())
        rebuilder.feed({**document, "state": "0" * 32} if document["key"] == "407" else document)
    resumed = Rebuilder.resumed(rebuilder.documents(), digests=rebuilder.digests, records=rebuilder.records)
    assert resumed.broken() == rebuilder.broken() == "407"
