"""A recorded log changed in a thousand random ways, as ``audit verify`` reads it: each is named, and the untouched one is not."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import orjson
import pytest

from schemas.audit import AuditRecord
from schemas.topics import AUDIT
from streams.core.differing import Difference
from streams.core.engine import decide
from streams.core.verify import Verifier, event_of
from tests.core.spec import START, Scene, companies, device, devices, incidents, reset, subject, triggered
from tests.core.spec import ticket as seen
from tests.streams.recorded_log import evidence

Log = list[bytes]
MUTATIONS = 1000


def recorded() -> tuple[str, Scene]:
    """Thirty devices of two organizations, one of which gets its company in the middle: all kinds of facts and decisions."""
    scene = incidents(triggered()).settle("CreateTicket")
    for number in range(10, 40):
        organization = 17 if number % 3 else 99
        where = subject(device=number, organization=organization, organization_name=f"O{organization}")
        uid = f"{number:032x}"
        scene.when(triggered(100 + number, subject=where, uid=uid), key=str(number))
        if number % 4 == 0:
            scene.when(reset(200 + number, uid=uid), key=str(number))
        if number == 25:
            scene.when(companies((6, "O99")))
    scene.settle("CreateTicket").when(seen(START + 30_000, completed=True)).settle("ResetAlert")
    return "incidents", scene


@pytest.fixture(scope="module")
def story() -> tuple[str, Scene]:
    return recorded()


def found_in(agent: str, log: Log, live: dict[bytes, bytes]) -> Difference | str | None:
    """As ``streams.replay.verify`` goes about it: the short way, and the long one where it says no."""
    verifier = Verifier(agent=agent)
    for value in log:
        try:
            document = orjson.loads(value)
            if document["agent"] == agent and verifier.agrees(document, value):
                continue
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        try:
            record = AuditRecord.from_json(value)
        except ValueError:
            return "not an audit record"
        found = verifier.feed(record)
        if found is not None:
            return found
    return verifier.finish(live)


def log_of(scene: Scene) -> Log:
    return [record.to_json() for record in scene.records]


def edit(log: Log, by: random.Random) -> Log:
    """One byte of one record."""
    place = by.randrange(len(log))
    value = bytearray(log[place])
    at = by.randrange(len(value))
    value[at] = by.choice([byte for byte in b'0123456789abcdef"{}:,' if byte != value[at]])
    return [*log[:place], bytes(value), *log[place + 1 :]]


def forge(log: Log, by: random.Random) -> Log:
    """A field of a record with a hash that fits again."""
    place = by.randrange(len(log))
    record = AuditRecord.from_json(log[place])
    field, value = by.choice(
        [
            ("revision", record.revision + 1),
            ("recorded_at", record.recorded_at + 1),
            ("state", "0" * 32),
            ("decision", {}),
            ("decision", {**record.decision, "reasons": [{"reason": "Duplicate", "of": "forged"}]}),
            ("fact", {**record.fact.model_dump(), "offset": record.fact.offset + 1000}),
            ("previous", "e" * 64),
        ]
    )
    forged = AuditRecord.model_validate({**record.model_dump(), field: value})
    hashed = AuditRecord.model_validate({**forged.model_dump(), "hash": forged.chained()})
    return [*log[:place], hashed.to_json(), *log[place + 1 :]]


def remove(log: Log, by: random.Random) -> Log:
    place = by.randrange(len(log))
    return [*log[:place], *log[place + 1 :]]


def reorder(log: Log, by: random.Random) -> Log:
    """Two records change places."""
    one, other = by.sample(range(len(log)), 2)
    moved = list(log)
    moved[one], moved[other] = moved[other], moved[one]
    return moved


def swap(log: Log, by: random.Random) -> Log:
    """Two neighbours change places, whatever their keys and topics."""
    place = by.randrange(len(log) - 1)
    return [*log[:place], log[place + 1], log[place], *log[place + 2 :]]


def insert(log: Log, by: random.Random) -> Log:
    """A record of elsewhere in the log, once more."""
    return [*log[: (place := by.randrange(len(log) + 1))], by.choice(log), *log[place:]]


KINDS: list[Callable[[Log, random.Random], Log]] = [edit, forge, remove, reorder, swap, insert]


def test_the_log_as_it_was_recorded_verifies_by_the_short_way_alone(story: tuple[str, Scene]) -> None:
    agent, scene = story
    verifier = Verifier(agent=agent)
    assert all(verifier.agrees(orjson.loads(value), value) for value in log_of(scene))
    assert verifier.finish(scene.state) is None
    assert (verifier.records, verifier.commands) == (len(scene.records), len(scene.commands))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_of_a_thousand_random_changes_is_named(kind: Callable[[Log, random.Random], Log], story) -> None:
    agent, scene = story
    log = log_of(scene)
    unnamed = []
    for seed in range(MUTATIONS // len(KINDS)):
        changed = kind(log, random.Random(f"{kind.__name__} {seed}"))
        if changed != log and found_in(agent, changed, dict(scene.state)) is None:
            unnamed.append(seed)
    assert unnamed == []


def test_each_swap_of_two_neighbours_of_a_real_run_is_named() -> None:
    """Topics and keys alternate there, and most neighbours have nothing to do with each other."""
    logs: dict[tuple[str, int], Log] = defaultdict(list)
    for raw in evidence().topics[AUDIT]:
        logs[orjson.loads(raw.value or b"")["agent"], raw.partition].append(raw.value or b"")
    unnamed, unrelated = [], 0
    for (agent, partition), log in logs.items():
        for place in range(len(log) - 1):
            one, other = (orjson.loads(value) for value in log[place : place + 2])
            unrelated += one["key"] != other["key"] and one["fact"]["topic"] != other["fact"]["topic"]
            verifier, changed = Verifier(agent=agent), [*log[:place], log[place + 1], log[place]]
            if all(verifier.feed(AuditRecord.from_json(value)) is None for value in changed):
                unnamed.append((agent, partition, place))
    assert unnamed == []
    assert unrelated > 10


def test_records_without_a_number_may_come_before_those_that_have_one_and_not_after() -> None:
    scene = recorded()[1]
    decided: Log = []
    state: dict[bytes, bytes] = {}
    for record in scene.records:
        if decided and AuditRecord.from_json(decided[-1]).fact == record.fact:
            continue
        sequence = len(decided) + 1 if len(decided) > 20 else None
        for step in decide("incidents", event_of(record.fact), record.fact, state, sequence=sequence):
            decided.append(step.value)
            state[step.key.encode()] = step.state
    records = [AuditRecord.from_json(value) for value in decided]
    assert {record.sequence is None for record in records[:21]} == {True}
    assert records[30].sequence == 31
    assert found_in("incidents", decided, state) is None
    verifier = Verifier(agent="incidents")
    late = AuditRecord.model_validate({**records[30].model_dump(), "sequence": None})
    late = AuditRecord.model_validate({**late.model_dump(), "hash": late.chained()})
    assert [verifier.feed(record) for record in records[:30]] == [None] * 30
    assert "sequence: recorded none, decided 31" in str(verifier.feed(late))


def test_the_log_of_the_devices_is_watched_as_well() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem")
    assert found_in("devices", log_of(scene), dict(scene.state)) is None
    assert found_in("devices", log_of(scene)[:-1], dict(scene.state)) is not None
