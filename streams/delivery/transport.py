"""Faust's aiokafka transport with our own delivery: membership, rebalances and fetching are Faust's, the rest is not.

Everything overridden here is listed in ``selfcheck``, which refuses to start on other versions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import WorkerThread

from streams.assignors import METADATA_AGE_MS, knowing
from streams.delivery.assignment import Assignment, AssignmentOver
from streams.delivery.continuity import Continuity, Place
from streams.delivery.fatal import described, die
from streams.delivery.lane import Batch
from streams.ports import InputRecord

#: While some lane is full, ask again soon: aiokafka wakes a waiting fetch for new data only, not for room.
POLL_WHILE_FULL_S = 0.05

Hand = Callable[[Batch], Awaitable[None]]

#: What Faust's own delivery gets of the records: nothing.
_FOR_FAUST: tuple[Any, ...] = ()


class _DaemonThread(WorkerThread):
    """A thread that cannot keep the process alive when the broker does not answer its goodbye."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer of one agent, in a thread of its own, so that deciding never delays a heartbeat."""

    Worker = _DaemonThread

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        settings = transport.assignment.settings
        session_ms = int(settings.session_timeout_s * 1000)
        return AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            client_id=f"{self.app.conf.id}.consumer",
            group_id=self.app.conf.id,
            group_instance_id=settings.instance_id,
            # Range gives a worker the same partition numbers of all topics; Faust without tables takes round-robin.
            partition_assignment_strategy=[knowing(RangePartitionAssignor, settings.partitions)],
            metadata_max_age_ms=METADATA_AGE_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # What agents read is written without transactions; read committed would only cost.
            isolation_level="read_uncommitted",
            session_timeout_ms=session_ms,
            # Members learn of a rebalance by their next heartbeat, so this is what a join waits for.
            heartbeat_interval_ms=min(session_ms // 5, 1000),
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=300_000,
            **settings.client_options,
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # For lag tools only: nothing reads them back, so a refusal during a rebalance is no reason to end.
        try:
            held = self.assignment()
            wanted = {TopicPartition(tp.topic, tp.partition): offset for tp, offset in offsets.items() if tp in held}
            if wanted:
                await self._ensure_consumer().commit(wanted)
        except (KafkaError, IllegalStateError):
            return False
        return True


class Consumer(driver.Consumer):
    """Hands whole fetched batches to the lanes and seeks to the places that the agent's own changelog names."""

    transport: Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lanes = self.transport.assignment
        self.continuity = Continuity(self.lanes.stage.name)
        self._committed: dict[TP, int] = {}
        #: What a fetch brought for an assignment that was over when it came. The fetch may have begun before a seek and
        #: ended after it, so the consumer may stand behind records that nobody got.
        self._dropped: set[TP] = set()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- rebalances --------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Void what was fetched, let Faust stop the flow and wait for running slices (``wait_empty``)."""
        self.lanes.suspend()
        self._committed.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Check that all topics have the same numbers, give up the rest; Faust then seeks (``perform_seek``)."""
        held: dict[str, set[int]] = defaultdict(set)
        for tp in assigned:
            held[tp.topic].add(tp.partition)
        self.lanes.assigned = numbers = self.lanes.check_same_numbers(held)
        self.lanes.suspend()
        await self.lanes.give_up_all_but(numbers)
        if not numbers:
            # Faust seeks nothing then, so nothing is taken over that would say so.
            self.lanes.report_none()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Take over what is assigned and seek to the committed places. Called by Faust before it resumes the flow.

        A new rebalance cancels this, or takes the assignment away under it (``IllegalStateError``, which Faust takes
        as "again"); either way the token is void and the next call does the whole of it.
        """
        self.lanes.suspend()
        generation, token = self.app.consumer_generation_id, self.lanes.token
        try:
            held = {TP(tp.topic, tp.partition) for tp in self.assignment()}
            await self.lanes.take_over({tp.partition for tp in held}, generation)
            places = await self._places(held)
            await self.seek_wait(places)
        except (IllegalStateError, asyncio.CancelledError):
            raise
        except BaseException as error:
            if token != self.lanes.token:
                # A rebalance came in between and gave lanes up under us: this seek is stale, the next one counts.
                raise AssignmentOver("the assignment changed during the seek") from error
            die(f"agent {self.lanes.stage.name}: partitions not taken over: {described(error)}")
        if generation == self.app.consumer_generation_id and token == self.lanes.token:
            self.continuity.start({(tp.topic, tp.partition): offset for tp, offset in places.items()})
            self.lanes.resume()

    async def _places(self, held: set[TP]) -> dict[TP, int]:
        """Where each input goes on: the committed place, checked against what the broker still has."""
        beginnings = await self.earliest_offsets(*held)
        ends = await self.highwaters(*held)
        places: dict[TP, int] = {}
        for tp in held:
            lane = self.lanes.lanes[tp.partition]
            place = Place(tp.topic, tp.partition, lane.next_offsets.get(tp.topic))
            places[tp] = lane.next_offsets[tp.topic] = self.continuity.checked(place, beginnings[tp], ends[tp])
        return places

    # -- fetching ----------------------------------------------------------------------------------------------------

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:
        """One fetch. Yields nothing to Faust: batches go through the agent's channel to the lanes.

        Partitions whose lane is full are not asked for, so one full lane holds up nobody else. Never seeks while the
        flow is inactive: Faust's own ``getmany`` does, beside the rebalance and with an assignment that may be over.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if self.should_stop or not self.flow_active:
            return
        lanes, token = self.lanes, self.lanes.token
        active = self._get_active_partitions()
        await self._return_to_dropped()
        wanted = {tp for tp in active if lanes.has_room(tp.partition)}
        if not wanted:
            await self._wait_for_room(timeout)
            return
        fetched = await self._getmany(wanted, timeout if len(wanted) == len(active) else POLL_WHILE_FULL_S)
        self._dropped.update(fetched)
        for tp, records in fetched.items():
            if lanes.token != token or not self.flow_active:
                return
            self._dropped.discard(tp)
            batch = await self._continuous(token, tp, records)
            if batch is not None:
                await self.transport.hand(batch)
        for nothing in _FOR_FAUST:
            yield nothing

    async def _wait_for_room(self, timeout: float) -> None:
        self.lanes.room.clear()
        try:
            async with asyncio.timeout(timeout):
                await self.lanes.room.wait()
        except TimeoutError:
            pass

    async def _continuous(self, token: int, tp: TP, records: Sequence[ConsumerRecord]) -> Batch | None:
        """The records that come next in this partition, or ``None`` after going back to close a gap."""
        inputs = [_input(record) for record in records]
        fresh = self.continuity.take(tp.topic, tp.partition, inputs)
        if fresh is None:
            await self._go_back(tp)
            return None
        if not fresh:
            return None
        follows = self.continuity.follows(tp.topic, tp.partition, fresh[0].offset)
        return Batch(token, tp.topic, tp.partition, fresh, follows)

    async def _return_to_dropped(self) -> None:
        """Go back to where the lanes stand in every partition whose records were dropped since the last look.

        Without it such a partition would stand still until its next record shows the gap. Where the seek that came in
        between has put it right already, this asks the broker for a page a second time, and nothing more.
        """
        dropped, self._dropped = self._dropped, set()
        for tp in dropped:
            offset = self.continuity.expected(tp.topic, tp.partition)
            if offset is None:
                continue
            if tp not in self._get_active_partitions():
                self._dropped.add(tp)  # paused for the moment: it is gone back to when it is fetched from again
            else:
                with contextlib.suppress(IllegalStateError):  # taken away by a rebalance, and sought when it comes back
                    await self.seek_wait({tp: offset})

    async def _go_back(self, tp: TP) -> None:
        try:
            beginning = (await self.earliest_offsets(tp))[tp]
            offset = self.continuity.after_gap(tp.topic, tp.partition, beginning)
            await self.seek_wait({tp: offset})
        except IllegalStateError:
            return  # a rebalance took the partition away meanwhile; it is sought again when it comes back

    # -- acknowledgement and stop ------------------------------------------------------------------------------------

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Tell the group where the agent stands, for lag tools. The changelog is what counts."""
        moved = {
            TP(topic, number): offset
            for number, lane in self.lanes.lanes.items()
            for topic, offset in lane.next_offsets.items()
            if self._committed.get(TP(topic, number)) != offset
        }
        if moved and await self._commit(moved):
            self._committed.update(moved)
            return True
        return False

    async def wait_empty(self) -> None:
        """Wait for the slices under way (what waits was voided), then report the offsets."""
        await self.lanes.settled()
        await self.commit()

    async def verify_all_partitions_active(self) -> None:
        """Faust's own detector looks at its stream monitor, which our batches do not pass; ``watch`` does this."""


class Transport(driver.Transport):
    """Faust's transport with our consumer; ``hand`` puts a batch into the agent's channel."""

    Consumer = Consumer

    def __init__(self, *args: Any, assignment: Assignment, hand: Hand, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.assignment = assignment
        self.hand = hand


def _input(record: ConsumerRecord) -> InputRecord:
    return InputRecord(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        record.headers,
        record.timestamp,
    )
