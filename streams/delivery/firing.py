"""Publishing ``TimerFired`` for the due times of the partitions that this process holds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.envelope import Envelope
from schemas.facts import TimerFired
from schemas.identity import derived_id, partition_of
from streams.delivery.assignment import Assignment
from streams.delivery.fatal import described
from streams.delivery.lane import Lane
from streams.delivery.settings import Now, WorkerSettings
from streams.delivery.timers import PendingTimer

#: How often the clock is looked at. It may follow a sandbox that jumps, so there is nothing to sleep towards.
LOOK_EVERY_S = 0.1

log = logging.getLogger("lockstep.delivery")


class TimerPublisher:
    """Says due times of all agents of a worker, with one plain idempotent producer.

    Not in a slice's transaction: input topics are written without transactions, so that their offsets have no holes.
    """

    def __init__(self, settings: WorkerSettings, assignments: Sequence[Assignment], now: Now) -> None:
        self._settings = settings
        self._assignments = assignments
        self._now = now
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        """Look at the clock until cancelled. A broker that does not answer is tried again, nothing is forgotten."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                for assignment in self._assignments:
                    for lane in list(assignment.lanes.values()):
                        if lane.running:
                            await self._say(assignment.stage.name, lane)
        finally:
            await self._drop_producer()

    async def _say(self, agent: str, lane: Lane) -> None:
        elapsed = _elapsed_ms()
        due = list(lane.timers.due(self._now(), elapsed_ms=elapsed))
        if not due:
            return
        try:
            producer = await self._opened()
            sent = [await self._send(producer, agent, entry) for entry in due]
            await asyncio.gather(*sent)
        except KafkaError as error:
            log.warning("agent %s: %d timers not published, trying again: %s", agent, len(due), described(error))
            for entry in due:
                lane.timers.unsaid(entry)
            await self._drop_producer()
            return
        for entry in due:
            lane.timers.said(entry, elapsed_ms=elapsed)

    async def _send(self, producer: AIOKafkaProducer, agent: str, entry: PendingTimer) -> asyncio.Future[object]:
        key = entry.key.decode()
        fact = TimerFired(key=key, agent=agent, timer=entry.timer, due_at=entry.at)
        envelope = Envelope(
            id=derived_id(agent, key, entry.timer, entry.at),
            type=TimerFired.ce_type,
            source=f"/lockstep/worker/{agent}",
            time=entry.at,
            recorded=self._now(),
            key=key,
        )
        sent: asyncio.Future[object] = await producer.send(
            self._settings.timers_topic,
            key=entry.key,
            value=fact.to_json(),
            headers=envelope.to_headers(),
            partition=partition_of(entry.key, self._settings.partitions),
        )
        return sent

    async def _opened(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.bootstrap_servers,
                client_id=f"{self._settings.prefix}.timers",
                acks="all",
                enable_idempotence=True,
                **self._settings.client_options,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


def _elapsed_ms() -> int:
    return time.monotonic_ns() // 1_000_000
