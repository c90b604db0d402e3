"""A group whose leader does not know its topics for a moment divides them all the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from schemas.topics import TICKET_COMMANDS
from streams.assignors import METADATA_AGE_MS, knowing
from streams.delivery import transport
from streams.delivery.settings import WorkerSettings
from streams.executor import executor
from streams.executor.settings import ExecutorSettings
from streams.kafka_options import KafkaOptions

TOPICS = ["ninjaone.alerts", "outcomes", "timers"]


def divided(assignor: Any, *, members: int, partitions: int) -> list[set[tuple[str, int]]]:
    """What each member gets of a cluster of which nothing is known."""
    of = knowing(assignor, partitions)
    wanted = {f"worker-{number}": of.metadata(TOPICS) for number in range(members)}
    found = of.assign(ClusterMetadata(), wanted)
    return [
        {(topic, number) for topic, numbers in each.assignment for number in numbers}
        for _, each in sorted(found.items())
    ]


def test_aiokafkas_own_leaves_out_what_it_does_not_see() -> None:
    wanted = {"worker-1": RangePartitionAssignor.metadata(TOPICS)}
    assert RangePartitionAssignor.assign(ClusterMetadata(), wanted)["worker-1"].assignment == []


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor])
@pytest.mark.parametrize("members", [1, 2, 4])
def test_every_partition_has_exactly_one_owner(assignor: Any, members: int) -> None:
    owned = divided(assignor, members=members, partitions=6)
    assert sum(len(each) for each in owned) == len(TOPICS) * 6
    assert set.union(*owned) == {(topic, number) for topic in TOPICS for number in range(6)}


def test_a_worker_has_the_same_partition_numbers_of_all_topics() -> None:
    for each in divided(RangePartitionAssignor, members=2, partitions=6):
        numbers = {number for _, number in each}
        assert each == {(topic, number) for topic in TOPICS for number in numbers}


def test_the_name_of_the_protocol_stays_so_that_older_members_may_be_in_the_group() -> None:
    assert knowing(RangePartitionAssignor, 6).name == "range"
    assert knowing(RoundRobinPartitionAssignor, 1).name == "roundrobin"


def test_what_the_cluster_says_counts_where_it_says_something() -> None:
    class Cluster:
        def partitions_for_topic(self, topic: str) -> set[int] | None:
            return {0, 1} if topic == "outcomes" else None

    of = knowing(RangePartitionAssignor, 6)
    [(_, given)] = of.assign(Cluster(), {"worker-1": of.metadata(["outcomes", "timers"])}).items()
    assert dict(given.assignment) == {"outcomes": [0, 1], "timers": [0, 1, 2, 3, 4, 5]}


class Made(Exception):
    """A consumer was about to be made; ``with_`` is what it was given."""

    def __init__(self, with_: dict[str, Any]) -> None:
        self.with_ = with_


def making(**given: Any) -> None:
    raise Made(given)


def check(given: dict[str, Any], *, name: str, partitions: int) -> None:
    [assignor] = given["partition_assignment_strategy"]
    [(_, found)] = assignor.assign(ClusterMetadata(), {"one": assignor.metadata(["timers"])}).items()
    assert assignor.name == name
    assert dict(found.assignment) == {"timers": list(range(partitions))}
    assert given["metadata_max_age_ms"] == METADATA_AGE_MS


def test_workers_divide_with_the_partitions_of_their_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transport, "AIOKafkaConsumer", making)
    settings = WorkerSettings(bootstrap_servers="localhost:1", partitions=5, data_dir=tmp_path)
    thread: Any = SimpleNamespace(app=SimpleNamespace(conf=SimpleNamespace(id="lockstep.incidents")))
    given: Any = SimpleNamespace(assignment=SimpleNamespace(settings=settings))
    with pytest.raises(Made) as made:
        transport.ConsumerThread._create_worker_consumer(thread, given)
    check(made.value.with_, name="range", partitions=5)


async def test_executors_divide_their_one_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "AIOKafkaConsumer", making)
    settings = ExecutorSettings(kafka=KafkaOptions(bootstrap_servers="localhost:1"), commands=TICKET_COMMANDS)
    unused: Any = SimpleNamespace()
    with pytest.raises(Made) as made:
        await executor.Executor(settings, effects=unused, gate=unused, now=lambda: 0)._open()
    check(made.value.with_, name="roundrobin", partitions=1)
