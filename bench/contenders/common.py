"""Arguments and reports that all contenders share."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
from aiokafka import TopicPartition
from aiokafka.producer.message_accumulator import MessageAccumulator

from bench.job import Job, load_job
from streams.ports import InputRecord, SliceResult, Stage


def arguments() -> argparse.Namespace:
    """The command line of a contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", required=True)
    parser.add_argument("--job", default="bench.counting:job")
    parser.add_argument("--facts-prefix", required=True)
    parser.add_argument("--own-prefix", required=True)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--session", type=float, default=6.0)
    parser.add_argument("--instance")
    parser.add_argument("--data-dir", type=Path, default=Path("."))
    parser.add_argument("--until", type=int, help="report the rate after so many facts")
    parser.add_argument("--slice", type=int, default=1000)
    parser.add_argument("--timers-topic", default="timers")
    parser.add_argument("--stuck-after", type=float, default=60.0)
    return parser.parse_args()


def job_of(args: argparse.Namespace) -> Job:
    """The job that the command line names."""
    return load_job(args.job, args.facts_prefix, args.own_prefix, args.partitions)


def say(**report: object) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(orjson.dumps(report).decode() + "\n")
    sys.stdout.flush()


class RateMeter:
    """Facts per second from the first decision to the end of ``until`` facts, and the process time they took.

    It begins with the first decision and not with the first piece of work done: six lanes decide a slice each before the
    first of them is committed, and those decisions would be free.
    """

    def __init__(self, until: int | None) -> None:
        self._until = until
        self._count = 0
        self._began = self._cpu = 0.0

    def timed(self, stage: Stage) -> Stage:
        """The stage, with a clock that its first decision starts."""
        return cast(Stage, _Timed(stage, self)) if self._until is not None else stage

    def begin(self) -> None:
        if not self._began:
            self._began, self._cpu = time.monotonic(), time.process_time()

    def add(self, facts: int) -> None:
        if self._until is None:
            return
        self._count += facts
        if self._count >= self._until:
            seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
            self._until, counted = None, self._count
            say(event="done", facts=counted, seconds=seconds, per_second=counted / seconds, cpu_us=cpu / counted * 1e6)


class _Timed:
    """A stage that starts the meter."""

    def __init__(self, stage: Stage, meter: RateMeter) -> None:
        self.name, self.topics, self.state_topic = stage.name, stage.topics, stage.state_topic
        self.timers, self.decisions = stage.timers, stage.decisions
        self._decide, self._begin = stage.decide, meter.begin

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        self._begin()
        return self._decide(partition, records, state, decided)


def interruption() -> Callable[[str, int], None] | None:
    """What the environment asks for, as a function for the worker's checkpoints.

    ``LOCKSTEP_TEST_DIE_AT=<checkpoint>:<n>``: SIGKILL ourselves when that checkpoint is passed the n-th time.
    ``LOCKSTEP_TEST_SLEEP_AT``: SIGSTOP instead, once, after saying ``sleeps``.
    """
    deadly, sleepy = os.environ.get("LOCKSTEP_TEST_DIE_AT"), os.environ.get("LOCKSTEP_TEST_SLEEP_AT")
    point, _, number = (deadly or sleepy or "").partition(":")
    if not point:
        return None
    left = [int(number)]

    def at(checkpoint: str, partition: int) -> None:
        if checkpoint == point:
            left[0] -= 1
            if left[0] == 0:
                if sleepy:
                    say(event="sleeps", partition=partition)
                os.kill(os.getpid(), signal.SIGKILL if deadly else signal.SIGSTOP)

    return at


def hold_back(topic: str) -> None:
    """``LOCKSTEP_TEST_HOLD=<file>``: while the file is there, records of ``topic`` stay in every producer's memory.

    As when the topic's partitions have lost a replica and the producer tries again and again, while other topics go on
    (one broker cannot be made to do that: it never demands more replicas than a topic has). SIGKILL loses what is held.
    """
    setting = os.environ.get("LOCKSTEP_TEST_HOLD")
    if not setting:
        return
    flag, drain = Path(setting), MessageAccumulator.drain_by_nodes

    def draining(
        self: Any, ignore_nodes: Collection[int], muted_partitions: frozenset[TopicPartition] = frozenset()
    ) -> Any:
        if flag.exists():
            muted_partitions |= {tp for tp in self._batches if tp.topic == topic}
        return drain(self, ignore_nodes, muted_partitions)

    MessageAccumulator.drain_by_nodes = draining
