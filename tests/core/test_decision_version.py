"""Over an update of Lockstep: which build decided stands in the audit, and what another build decided is judged by its chain."""

from __future__ import annotations

from hashlib import blake2b

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.cli.audit import _other_builds
from streams.core import engine, version
from streams.core.differing import Difference
from streams.core.verify import Verifier
from streams.core.version import DECISIONS
from streams.replay.verify import AuditResult
from tests.core.spec import (
    HOUR,
    START,
    Scene,
    companies,
    device,
    devices,
    incidents,
    note,
    policy,
    removed,
    reset,
    triggered,
)
from tests.core.spec import ticket as seen

#: What the story below comes to, by version. After a change of decisions: raise ``DECISIONS`` and add a line. (Before a version
#: was released its line may be replaced instead.)
KNOWN = {1: "c7708eb9562060b6"}


def story() -> list[Scene]:
    alerts = incidents(triggered()).settle("CreateTicket").when(triggered(11), note(), reset()).settle("CompleteTicket")
    alerts.when(companies((6, "Westwind")), seen(START + 30_000, completed=True))
    items = (
        devices(device()).settle("UpsertConfigurationItem").when(device(START + HOUR, os_name="Windows Server 2025"))
    )
    items.when(removed(START + 2 * HOUR), policy(2, devices={"grace": "0s"}))
    return [alerts, items]


def test_a_change_of_decisions_raises_their_version() -> None:
    digest = blake2b(digest_size=8)
    for scene in story():
        for record in scene.records:
            decided = [record.decision, [command.value for command in record.commands], record.state]
            digest.update(orjson.dumps(decided, option=orjson.OPT_SORT_KEYS))
    assert digest.hexdigest() == KNOWN[DECISIONS], (
        "the same facts are decided otherwise than by the version in streams/core/version.py: raise it, and write here what "
        "the new one comes to"
    )


def older(monkeypatch: pytest.MonkeyPatch, number: int | None) -> Scene:
    """An audit whose first part another build wrote, and whose second this one."""
    whole = engine.decide

    def then(*arguments, **more):  # type: ignore[no-untyped-def]
        return whole(*arguments, **{**more, "decisions": number})

    monkeypatch.setattr("tests.core.spec.engine.decide", then)
    scene = incidents(triggered()).settle("CreateTicket")
    monkeypatch.undo()
    return scene.when(reset()).settle("CompleteTicket")


def fed(records: list[AuditRecord], state: dict[bytes, bytes] | None) -> tuple[Verifier, list[Difference]]:
    """As ``audit verify`` goes about it, the short way first."""
    verifier = Verifier(agent="incidents")
    found = []
    for record in records:
        value = record.to_json()
        if not verifier.agrees(orjson.loads(value), value) and (difference := verifier.feed(record)) is not None:
            found.append(difference)
    if state is not None and (difference := verifier.finish(state)) is not None:
        found.append(difference)
    return verifier, found


def test_every_record_names_the_version_that_decided_it() -> None:
    assert {record.decisions for scene in story() for record in scene.records} == {version.DECISIONS}


def test_records_from_before_it_was_named_are_decided_again_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = older(monkeypatch, None)
    assert b"decisions" not in scene.records[0].to_json()
    assert b"decisions" in scene.records[-1].to_json()
    verifier, found = fed(scene.records, scene.state)
    assert (found, dict(verifier.others)) == ([], {})


def test_what_another_build_decided_is_counted_and_the_rest_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = older(monkeypatch, 7)
    before = sum(record.decisions == 7 for record in scene.records)
    verifier, found = fed(scene.records, scene.state)
    assert (found, dict(verifier.others), verifier.otherwise) == ([], {7: before}, 0)
    assert 0 < before < len(scene.records)


def forged(record: AuditRecord, **fields: object) -> AuditRecord:
    changed = AuditRecord.model_validate({**record.model_dump(), **fields})
    return AuditRecord.model_validate({**changed.model_dump(), "hash": changed.chained()})


def test_that_this_build_would_decide_otherwise_is_told_and_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    records = older(monkeypatch, 7).records[:2]
    reasons = {**records[1].decision, "reasons": [{"reason": "AsItWasThen"}]}
    verifier, found = fed([records[0], forged(records[1], decision=reasons)], None)
    assert (found, verifier.otherwise) == ([], 1)
    assert verifier.first_otherwise is not None
    assert verifier.first_otherwise.field == "decision.reasons"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"recorded_at": 5}, "hash"),
        ({"previous": "f" * 64}, "hash"),
        ({"state": "0" * 64}, "hash"),
        ({"count": 9}, "hash"),
    ],
)
def test_a_record_of_another_build_that_was_changed_is_found(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], named: str
) -> None:
    first, second, *_ = older(monkeypatch, 7).records
    _, found = fed([first, AuditRecord.model_validate({**second.model_dump(), **fields})], None)
    assert [difference.field for difference in found] == [named]


@pytest.mark.parametrize("field", ["previous", "state", "count"])
def test_so_is_one_that_a_forger_gave_a_hash_that_fits(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    records = older(monkeypatch, 7).records
    at = next(place for place, record in enumerate(records) if record.key == "407")
    bad = forged(records[at], **{field: 9 if field == "count" else "f" * 64})
    _, found = fed([*records[:at], bad], None)
    assert [difference.field for difference in found] == [field]


def test_a_cut_in_what_another_build_decided_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record for record in older(monkeypatch, 7).records if record.decisions == 7 and record.key == "407"]
    assert len(records) >= 2
    _, found = fed(records[1:], None)
    assert [difference.field for difference in found] == ["count"]


def test_what_audit_verify_says_of_it_is_plain() -> None:
    first = Difference(
        agent="incidents",
        key="407",
        count=3,
        field="revision",
        topic="t",
        partition=0,
        offset=9,
        recorded="1",
        decided="2",
    )
    mixed = AuditResult(
        records=10, commands=2, difference=None, settled=True, others={0: 7}, otherwise=1, first_otherwise=first
    )
    assert list(_other_builds(mixed)) == [
        f"7 of them were decided by an older build (decisions 0, this one makes {DECISIONS}): not judged by its decisions",
        "the other 3 were decided again the same",
        "this build would decide 1 of them otherwise, the first: incidents 407 #3 (t[0]@9): revision: recorded 1, decided 2",
    ]
    assert list(_other_builds(AuditResult(records=10, commands=2, difference=None, settled=True))) == []
