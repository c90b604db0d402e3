"""A reader whose broker is away ends with the error that says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams import readers
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError, end_offsets

OPTIONS = KafkaOptions(bootstrap_servers="127.0.0.1:1")


class Away:
    """A consumer that connects, then gets no answer, and whose own tasks are cancelled when it stops."""

    def __init__(self, **_: Any) -> None:
        self._client = self
        self.closed = False

    async def start(self) -> None: ...

    async def fetch_all_metadata(self) -> Any:
        raise readers.KafkaError("away")

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        self.closed = True


async def test_the_cancellation_of_a_consumers_own_tasks_is_not_taken_for_one_of_the_verb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Away] = []

    def consumer(**options: Any) -> Away:
        made.append(Away(**options))
        return made[-1]

    monkeypatch.setattr(readers, "AIOKafkaConsumer", consumer)
    with pytest.raises(ReadError, match="does not answer"):
        await end_offsets(OPTIONS, "audit")
    assert made[0].closed


async def test_that_of_the_verb_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Away):
        async def fetch_all_metadata(self) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(readers, "AIOKafkaConsumer", Slow)
    task = asyncio.create_task(end_offsets(OPTIONS, "audit"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
