"""One slice with everything in it: what is poisoned or unmapped is set aside, and nobody else waits for it."""

from __future__ import annotations

from schemas.commands import CreateTicket
from schemas.envelope import Envelope
from schemas.events import decode_command, decode_fact
from schemas.facts import Fact
from schemas.identity import derived_id, partition_of
from schemas.storms import StormCandidateSeen
from schemas.topics import AUDIT, DEAD_LETTERS, FOR_TOPIC, HANDOFFS, STORM_CANDIDATES, TICKET_COMMANDS
from streams.ports import InputRecord, OutputRecord
from streams.stage import AgentStage
from tests.core.spec import START, policy, subject, triggered

ALERTS = "ninjaone.alerts"


def record(fact: Fact, offset: int, *, key: str, topic: str = ALERTS, ce_type: str | None = None) -> InputRecord:
    envelope = Envelope(
        id=derived_id(topic, key, offset if topic == "control" else fact.to_json().decode()),
        type=ce_type or fact.ce_type,
        source="/test",
        time=START,
        recorded=START,
        key=key,
    )
    return InputRecord(topic, 0, offset, key.encode(), fact.to_json(), envelope.to_headers(), START)


def alert(device: int, *, organization: int) -> Fact:
    uid = f"{device:08d}-0000-4000-8000-000000000000"
    return triggered(uid=uid, subject=subject(device, organization=organization))


def poison(offset: int) -> InputRecord:
    return InputRecord(ALERTS, 0, offset, b"999", b"\xff\x00", [], START)


def opened(outputs: list[OutputRecord]) -> list[str]:
    commands = [decode_command(out.headers, out.value).data for out in outputs if out.topic == TICKET_COMMANDS]
    return [command.key for command in commands if isinstance(command, CreateTicket)]


def test_a_poisoned_and_an_unmapped_organization_delay_nobody_in_the_same_slice() -> None:
    stage = AgentStage("incidents")
    good = [alert(device, organization=17) for device in range(400, 420)]
    records = [record(policy(), 0, key="policy", topic="control")]
    for number, fact in enumerate(good):
        records.append(poison(3 * number))
        # Organization 99 has no company.
        records.append(record(alert(700 + number, organization=99), 3 * number + 1, key=str(700 + number)))
        records.append(record(fact, 3 * number + 2, key=str(400 + number)))
    result = stage.decide(0, records, {})
    assert opened(list(result.outputs)) == [str(device) for device in range(400, 420)]
    assert sum(out.topic == DEAD_LETTERS for out in result.outputs) == 20
    assert set(result.unreadable) == {(ALERTS, 3 * number) for number in range(20)}
    # Every alert that could be read has its decision, the parked ones too.
    assert {out.key for out in result.outputs if out.topic == AUDIT} >= {b"%d" % n for n in (*range(400, 420), *range(700, 720))}  # fmt: skip


def test_what_is_decided_for_the_others_is_the_same_bytes_with_and_without_the_poison() -> None:
    facts = [record(alert(400 + n, organization=17), 2 * n + 1, key=str(400 + n)) for n in range(10)]
    start = [record(policy(), 0, key="policy", topic="control")]
    mixed = start + [one for n, fact in enumerate(facts) for one in (poison(2 * n), fact)]
    alone = AgentStage("incidents").decide(0, start + facts, {})
    beside = AgentStage("incidents").decide(0, mixed, {})
    assert [out for out in beside.outputs if out.topic != DEAD_LETTERS] == list(alone.outputs)
    assert beside.states == alone.states


def test_what_is_told_to_another_agent_is_in_the_slice_that_told_it() -> None:
    storm = {"name": "all", "when": {}, "storm": {"devices": 3, "within": "2m"}}
    records = [
        record(policy(rules=[storm]), 0, key="policy", topic="control"),
        record(alert(407, organization=17), 0, key="407"),
    ]
    (told,) = [out for out in AgentStage("incidents").decide(0, records, {}).outputs if out.topic == HANDOFFS]
    assert (told.partition, told.key, dict(told.headers)[FOR_TOPIC]) == (0, b"l31", STORM_CANDIDATES.encode())
    event = decode_fact(told.headers, told.value)
    assert isinstance(event.data, StormCandidateSeen)
    assert event.envelope.causation_id == dict(records[1].headers)["ce_id"].decode()


def test_a_parked_organization_does_not_stand_in_another_ones_partition_order() -> None:
    # Two keys of one partition: the first is parked for ever, the second is decided in a later slice all the same.
    stage = AgentStage("incidents")
    other = next(n for n in range(701, 900) if partition_of(str(n), 6) == partition_of("700", 6))
    first = stage.decide(
        0,
        [record(policy(), 0, key="policy", topic="control"), record(alert(700, organization=99), 0, key="700")],
        {},
    )
    assert opened(list(first.outputs)) == []
    state = {key: value for key, value in first.states.items() if value is not None}
    second = stage.decide(0, [record(alert(other, organization=17), 1, key=str(other))], state)
    assert opened(list(second.outputs)) == [str(other)]
