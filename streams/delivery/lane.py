"""A lane: the one task that works on one partition number of an agent, slice after slice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.delivery.changelog import LoadedPartition
from streams.delivery.fatal import described, die
from streams.delivery.positions import POSITIONS_KEY, encode_positions
from streams.delivery.settings import AtCheckpoint, Checkpoint, OnProgress, SliceCommitted, WorkerSettings
from streams.delivery.timers import PendingTimers
from streams.delivery.transactions import SliceProducer
from streams.limit import Tally, counted
from streams.ports import InputRecord, OutputRecord, SliceResult, Stage

#: A lane is full when it holds this many slices: enough to keep it busy while the next fetch is under way (a fetch is
#: at most 1 MiB per partition), and little enough that memory does not follow the backlog.
SLICES_AHEAD = 4

#: The same bound for large records: a batch is at most one fetch of one partition, about 1 MiB.
BATCHES_AHEAD = 32


class Batch(NamedTuple):
    """Consecutive records of one topic and partition.

    ``token`` names the assignment under which they were fetched; ``follows`` the place that they continue, which is
    the first offset unless retention deleted what was next.
    """

    token: int
    topic: str
    partition: int
    records: Sequence[InputRecord]
    follows: int


class Lane:
    """State, place and right to write of one partition number, and the records that wait for it.

    It works only between ``resume`` and ``suspend``. Whatever goes wrong in a slice ends the process (exit 70): the
    slice is undone by Kafka and decided afresh by whoever takes the partition.
    """

    def __init__(
        self,
        *,
        stage: Stage,
        partition: int,
        settings: WorkerSettings,
        producer: SliceProducer,
        on_room: Callable[[], None],
        on_progress: OnProgress | None = None,
        at_checkpoint: AtCheckpoint | None = None,
    ) -> None:
        self.partition = partition
        self.producer = producer
        self.next_offsets: dict[str, int] = {}
        self.timers = PendingTimers()
        self._state: dict[bytes, bytes] = {}
        #: How many decisions led to the state.
        self._decided = 0
        self._tallies: dict[str, Tally] = {}
        self._stage = stage
        self._settings = settings
        self._on_room = on_room
        self._on_progress = on_progress
        self._at_checkpoint = at_checkpoint
        self._waiting: deque[Batch] = deque()
        self._records_waiting = 0
        self._running = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    # -- taking over and giving up -------------------------------------------------------------------------------

    def adopt(self, loaded: LoadedPartition) -> None:
        """Begin with what the changelog says."""
        self._state = loaded.state
        self._decided = sum(map(self._stage.decisions, loaded.state.values()))
        self.next_offsets = dict(loaded.next_offsets)
        self._tallies = dict(loaded.tallies)
        for key, document in loaded.state.items():
            dues = self._stage.timers(key, document)
            if dues:
                self.timers.replace(key, dues)

    def resume(self) -> None:
        """Work on what is offered from now on."""
        self._running = True
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"lane {self._stage.name}.{self.partition}")

    def suspend(self) -> None:
        """Start no further slice and forget what waits; it is fetched again from the committed place."""
        self._running = False
        self._waiting.clear()
        self._records_waiting = 0

    async def settled(self) -> None:
        """Wait for the slice that is under way, if there is one."""
        await self._idle.wait()

    async def close(self) -> None:
        """End the task and the producer, after the slice that is under way."""
        self.suspend()
        await self.settled()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.producer.close()

    # -- the records -----------------------------------------------------------------------------------------------

    @property
    def states(self) -> int:
        """How many state documents the partition has."""
        return len(self._state)

    @property
    def running(self) -> bool:
        """Whether the lane may work (loaded, sought, not in a rebalance)."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many fetched records wait."""
        return self._records_waiting

    @property
    def has_room(self) -> bool:
        """Whether more should be fetched for this partition."""
        return (
            len(self._waiting) < BATCHES_AHEAD and self._records_waiting < SLICES_AHEAD * self._settings.slice_records
        )

    def offer(self, batch: Batch) -> None:
        """Put a batch behind those that wait. Never waits itself."""
        if self._running:
            self._waiting.append(batch)
            self._records_waiting += len(batch.records)
            self._wake.set()

    async def _work(self) -> None:
        try:
            while True:
                await self._wake.wait()
                records = self._take()
                if not records:
                    self._wake.clear()
                    continue
                self._idle.clear()
                try:
                    await self._process(records)
                finally:
                    self._idle.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(f"agent {self._stage.name}, partition {self.partition}: slice not committed: {described(error)}")

    def _take(self) -> list[InputRecord]:
        """Up to one slice of what waits, in the order of arrival; whole batches where they fit."""
        had_room = self.has_room
        taken: list[InputRecord] = []
        limit = self._settings.slice_records
        while self._waiting and len(taken) < limit:
            batch = self._waiting.popleft()
            free = limit - len(taken)
            if len(batch.records) > free:
                rest = batch.records[free:]
                self._waiting.appendleft(batch._replace(records=rest, follows=rest[0].offset))
                batch = batch._replace(records=batch.records[:free])
            self._check_place(batch, taken)
            taken.extend(batch.records)
        self._records_waiting -= len(taken)
        if not had_room and self.has_room:
            self._on_room()
        return taken

    def _check_place(self, batch: Batch, taken: Sequence[InputRecord]) -> None:
        # The offset is where a gap would turn into silent loss: a slice applied over a hole makes the records in the
        # hole look done. So this is fatal here, although the fetch side has already healed what can be healed.
        expected = self.next_offsets.get(batch.topic)
        for record in reversed(taken):
            if record.topic == batch.topic:
                expected = record.offset + 1
                break
        if batch.follows != expected:
            die(
                f"agent {self._stage.name}: {batch.topic} partition {self.partition} goes on at offset {batch.follows}, "
                f"expected {expected}: a slice was lost on the way, nothing of it was committed"
            )

    async def _process(self, records: Sequence[InputRecord]) -> None:
        result = self._stage.decide(self.partition, records, self._state, self._decided)
        tallies = self._counted(records, result)
        next_offsets = {**self.next_offsets, **{record.topic: record.offset + 1 for record in records}}
        out = self._outgoing(result, encode_positions(next_offsets, tallies))
        self._pass("before_transaction")
        await self.producer.commit(out, lambda: self._pass("inside_transaction"))
        self._pass("after_commit_before_memory")
        self._tallies = tallies
        self._remember(result, next_offsets)
        if self._on_progress is not None:
            self._on_progress(self._report(records, result))

    def _counted(self, records: Sequence[InputRecord], result: SliceResult) -> dict[str, Tally]:
        """What counts against the limit after this slice; a slice that crosses the limit is not committed."""
        places = ((record.topic, record.offset) for record in records)
        limit = self._settings.dead_letters
        tallies, exceeded = counted(self._tallies, self.partition, places, result.unreadable, limit)
        if exceeded is not None:
            die(f"agent {self._stage.name}: {exceeded}")
        return tallies

    def _outgoing(self, result: SliceResult, positions: bytes) -> list[OutputRecord]:
        if POSITIONS_KEY in result.states:
            raise ValueError(f"a state document must not have the key {POSITIONS_KEY.decode()}")
        topic, partition = self._stage.state_topic, self.partition
        states = [OutputRecord(topic, partition, key, document) for key, document in result.states.items()]
        return [*result.outputs, *states, OutputRecord(topic, partition, POSITIONS_KEY, positions)]

    def _remember(self, result: SliceResult, next_offsets: dict[str, int]) -> None:
        for key, document in result.states.items():
            if document is None:
                self._state.pop(key, None)
            else:
                self._state[key] = document
        self._decided += result.decisions
        self.next_offsets = next_offsets
        for key, dues in result.timers.items():
            self.timers.replace(key, dues)

    def _report(self, records: Sequence[InputRecord], result: SliceResult) -> SliceCommitted:
        return SliceCommitted(
            agent=self._stage.name,
            partition=self.partition,
            records=len(records),
            outputs=len(result.outputs),
            states=len(result.states),
            dead_letters=len(result.unreadable),
            waiting=self._records_waiting,
            next_offsets=self.next_offsets,
        )

    def _pass(self, checkpoint: Checkpoint) -> None:
        if self._at_checkpoint is not None:
            self._at_checkpoint(checkpoint, self.partition)
