"""Where retention has cut the audit, a checkpoint holds its beginning: what comes later is decided again, what is missing is named."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from schemas.audit import AuditRecord
from streams.checkpoints import DAY_MS, Checkpoint, Checkpointer, Gatherer, records_of
from streams.core.differing import Difference
from streams.core.rebuild import Rebuilder
from streams.core.verify import Verifier
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import InputRecord, OutputRecord
from tests.core.spec import HOUR, START, UID_B, Scene, incidents, reset, triggered

Records = list[AuditRecord]


def story() -> tuple[Scene, dict[bytes, bytes], int]:
    """A scene, its documents at some moment of it, and how many records had led to them."""
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR).when(triggered(11, UID_B, alert_subject="D:"))
    state, count = dict(scene.state), len(scene.records)
    scene.later(HOUR).when(reset(90)).settle("CompleteTicket").when(reset(91, UID_B))
    return scene, state, count


def gone_through(records: Records, state: dict[bytes, bytes]) -> tuple[Difference | None, Verifier]:
    verifier = Verifier(agent="incidents", state=state)
    for record in records:
        known = verifier.has(orjson.loads(record.to_json()))
        found = verifier.link(record) if known else verifier.feed(record)
        if found is not None:
            return found, verifier
    return None, verifier


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_what_a_checkpoint_has_is_linked_and_what_comes_later_is_decided_again(first: int) -> None:
    scene, state, count = story()
    found, verifier = gone_through(scene.records[first:], state)
    assert found is None
    assert verifier.passed == count - first
    assert verifier.finish(scene.state) is None


@pytest.mark.parametrize(
    ("cut", "named"),
    [
        (lambda records, count: [*records[1 : count - 2], *records[count - 1 :]], "count"),
        (lambda records, count: [*records[1:count], *records[count + 1 :]], "count"),
        (lambda records, count: [*records[1 : count - 1], *records[count:]], "sequence"),
    ],
    ids=["before the checkpoint", "after it", "the last before it"],
)
def test_a_record_that_is_missing_is_named_on_either_side(cut: Callable[[Records, int], Records], named: str) -> None:
    scene, state, count = story()
    found, _ = gone_through(cut(scene.records, count), state)
    assert found is not None
    assert found.field == named


def test_an_audit_that_does_not_lead_to_the_checkpoint_is_named() -> None:
    scene, state, count = story()
    body = orjson.loads(state[b"407"])
    body["chain"]["head"] = "f" * 64
    found, _ = gone_through(scene.records[1:count], {**state, b"407": orjson.dumps(body, option=orjson.OPT_SORT_KEYS)})
    assert found is not None
    assert (found.field, found.decided) == ("hash", "f" * 64)


def test_the_documents_of_a_checkpoint_and_the_later_changes_make_the_live_state() -> None:
    scene, state, _ = story()
    rebuilder = Rebuilder()
    rebuilder.begin(state)
    for record in scene.records[2:]:
        document = orjson.loads(record.to_json())
        if not rebuilder.has(document):
            rebuilder.feed(document)
    assert rebuilder.documents() == scene.state
    assert rebuilder.broken() is None


def read(records: list[OutputRecord]) -> list[InputRecord]:
    return [InputRecord(r.topic, r.partition, n, r.key, r.value, r.headers, START) for n, r in enumerate(records)]


def checkpoint(at: int, audit: int, documents: int = 3) -> Checkpoint:
    found = {f"{key:05d}".encode(): b'{"body":{"pad":"%b"}}' % (b"x" * 1000) for key in range(documents)}
    return Checkpoint(at=at, audit=audit, documents={"incidents": found, "devices": {}, "storms": {}})


@pytest.mark.parametrize("documents", [0, 3, 5000])
def test_a_checkpoint_is_read_as_it_was_written_in_bundles(documents: int) -> None:
    written = checkpoint(START, 7, documents)
    records = read(records_of(written, 2))
    assert (len(records) > 1) == (documents == 5000)
    gatherer = Gatherer(begin=7)
    assert [gatherer.take(record) for record in records] == [None] * (len(records) - 1) + [written]


def test_the_earliest_whole_checkpoint_that_the_audit_goes_on_from_counts() -> None:
    early, half, late = checkpoint(1, 3), checkpoint(2, 9, 5000), checkpoint(3, 11)
    gatherer = Gatherer(begin=4)
    records = read([*records_of(early, 0), *records_of(half, 0)[1:], *records_of(late, 0)])
    assert [found.at for record in records if (found := gatherer.take(record)) is not None] == [3]


class Remembering(KafkaLog):
    """A log that remembers in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def remembered(self, topic: str) -> dict[str, bytes]:
        return self.values

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        self.values[key] = value or b""


async def test_a_checkpoint_is_written_once_a_day_also_over_restarts() -> None:
    log, written = Remembering(), list[int]()

    async def write(at: int) -> int:
        written.append(at)
        return 0

    options = KafkaOptions(bootstrap_servers="127.0.0.1:1")
    for now in (START, START + HOUR, START + DAY_MS, START + DAY_MS + HOUR, START + 2 * DAY_MS + HOUR):
        await Checkpointer(options, log, lambda now=now: now).look(write)  # type: ignore[misc]
    assert written == [START + DAY_MS, START + 2 * DAY_MS + HOUR]
