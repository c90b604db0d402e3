"""An executor that nobody tells whether the topic is its own: a rebalance that does not end must not leave it without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.topics import TICKET_COMMANDS
from streams.executor.executor import POLL_MS, Executor
from streams.executor.settings import ExecutorSettings
from streams.kafka_options import KafkaOptions


class Ended(Exception):
    pass


def end(line: str) -> Any:
    raise Ended(line)


def executor() -> Executor:
    settings = ExecutorSettings(kafka=KafkaOptions(bootstrap_servers="localhost:1"), commands=TICKET_COMMANDS)
    unused: Any = SimpleNamespace()
    return Executor(settings, effects=unused, gate=unused, now=lambda: 0, end_process=end)


def poll(standing: Executor, *, seconds: int) -> None:
    for _ in range(seconds * 1000 // POLL_MS):
        standing._wait_for_group()


def test_a_group_that_does_not_decide_for_two_minutes_ends_the_process() -> None:
    standing = executor()
    poll(standing, seconds=120)
    with pytest.raises(Ended, match="its group has not said for 120 s who owns the topic"):
        poll(standing, seconds=1)


def test_who_stands_by_may_do_so_for_ever() -> None:
    standing = executor()
    poll(standing, seconds=100)
    standing.assigned([])
    poll(standing, seconds=3600)


async def test_a_new_rebalance_has_its_own_two_minutes() -> None:
    standing = executor()
    standing.assigned([])
    await standing.revoked()
    poll(standing, seconds=120)
    with pytest.raises(Ended):
        poll(standing, seconds=1)
