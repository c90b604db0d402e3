"""Refuses to start where the Faust and aiokafka internals are not the ones that were read and tested.

The transport overrides and calls names that are no public contract. Any of them changing silently could turn into
loss, so versions, names and parameters are compared at every start. After an upgrade: read the changes, run the kafka
tests, then change this table.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.app.base import App, BootStrategy
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from streams.delivery.fatal import EXIT_FATAL, StartRefused

Internal = tuple[Any, str, tuple[str, ...] | None]

VERSIONS: Mapping[str, str] = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}

#: What is overridden or called, with its parameters as they were read. ``None``: an attribute, not a function.
INTERNALS: tuple[Internal, ...] = (
    (WorkerThread, "__init__", ("self", "service", "kwargs")),
    (driver.AIOKafkaConsumerThread, "Worker", None),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ("self", "transport")),
    (driver.AIOKafkaConsumerThread, "_commit", ("self", "offsets")),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer", ("self",)),
    (driver.AIOKafkaConsumerThread, "assignment", ("self",)),
    (driver.Consumer, "_new_consumer_thread", ("self",)),
    (driver.Consumer, "on_partitions_revoked", ("self", "revoked")),
    (driver.Consumer, "on_partitions_assigned", ("self", "assigned", "generation_id")),
    (driver.Consumer, "perform_seek", ("self",)),
    (driver.Consumer, "getmany", ("self", "timeout")),
    (driver.Consumer, "_getmany", ("self", "active_partitions", "timeout")),
    (driver.Consumer, "force_commit", ("self", "topics", "start_new_transaction")),
    (driver.Consumer, "commit", ("self", "topics", "start_new_transaction")),
    (driver.Consumer, "_commit", ("self", "offsets")),
    (driver.Consumer, "wait_empty", ("self",)),
    (driver.Consumer, "verify_all_partitions_active", ("self",)),
    (driver.Consumer, "seek_wait", ("self", "partitions")),
    (driver.Consumer, "earliest_offsets", ("self", "partitions")),
    (driver.Consumer, "highwaters", ("self", "partitions")),
    (driver.Consumer, "assignment", ("self",)),
    (driver.Consumer, "_get_active_partitions", ("self",)),
    (driver.Consumer, "flow_active", None),
    (driver.Transport, "Consumer", None),
    (App, "_create_directories", ("self",)),
    (App, "consumer_generation_id", None),
    (App, "rebalancing", None),
    (App, "BootStrategy", None),
    (BootStrategy, "enable_web", None),
    (BootStrategy, "enable_kafka_producer", None),
    (AIOKafkaProducer, "begin_transaction", ("self",)),
    (AIOKafkaProducer, "commit_transaction", ("self",)),
    (AIOKafkaProducer, "create_batch", ("self",)),
    (AIOKafkaProducer, "send_batch", ("self", "batch", "topic", "partition")),
    (AIOKafkaConsumer, "highwater", ("self", "partition")),
    (RangePartitionAssignor, "assign", ("cluster", "members")),
    (RoundRobinPartitionAssignor, "assign", ("cluster", "members")),
)

#: Which of them are coroutines (``getmany``: an asynchronous generator); the others are plain functions.
AWAITED: Mapping[Any, frozenset[str]] = {
    driver.AIOKafkaConsumerThread: frozenset({"_commit"}),
    driver.Consumer: frozenset(
        {
            "on_partitions_revoked",
            "on_partitions_assigned",
            "perform_seek",
            "getmany",
            "_getmany",
            "force_commit",
            "commit",
            "_commit",
            "wait_empty",
            "verify_all_partitions_active",
            "seek_wait",
            "earliest_offsets",
            "highwaters",
        }
    ),
    AIOKafkaProducer: frozenset({"begin_transaction", "commit_transaction", "send_batch"}),
}


def check_internals() -> None:
    """Raise ``StartRefused`` (exit 70) with one line that names what is other than expected."""
    found = [*_other_versions(VERSIONS), *_other_internals(INTERNALS), *_other_manners(AWAITED, INTERNALS)]
    if found:
        raise StartRefused(
            f"this installation is not the one delivery was tested with: {'; '.join(found)}. "
            "Install the locked versions (make setup).",
            exit_code=EXIT_FATAL,
        )


def _other_versions(expected: Mapping[str, str]) -> list[str]:
    found = []
    for package, wanted in expected.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            installed = "not installed"
        if installed != wanted:
            found.append(f"{package} {installed} (tested: {wanted})")
    return found


def _other_internals(expected: tuple[Internal, ...]) -> list[str]:
    found = []
    for owner, name, wanted in expected:
        where = f"{owner.__module__}.{owner.__qualname__}.{name}"
        if not hasattr(owner, name):
            found.append(f"{where} is gone")
        elif wanted is not None:
            function = getattr(owner, name)
            if not inspect.isroutine(function):
                found.append(f"{where} is a {type(function).__name__}, no longer a function")
                continue
            parameters = tuple(inspect.signature(function).parameters)
            if parameters != wanted:
                found.append(f"{where} takes ({', '.join(parameters)}), not ({', '.join(wanted)})")
    return found


def _other_manners(awaited: Mapping[Any, frozenset[str]], expected: tuple[Internal, ...]) -> list[str]:
    """What is awaited, or is called without awaiting, and is no longer of that kind: it would not run, without a word."""
    found = []
    for owner, name, wanted in expected:
        function = getattr(owner, name, None)
        if wanted is None or not inspect.isroutine(function):
            continue
        is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        if is_async != (name in awaited.get(owner, frozenset())):
            manner = "is asynchronous now" if is_async else "is no longer asynchronous"
            found.append(f"{owner.__module__}.{owner.__qualname__}.{name} {manner}")
    return found
