"""The partitions that an agent of this process holds: taking them over, giving them up, keeping them apart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping

from aiokafka.errors import IllegalStateError

from streams.delivery.changelog import load_changelog
from streams.delivery.fatal import described, die
from streams.delivery.lane import Batch, Lane
from streams.delivery.settings import AtCheckpoint, OnProgress, PartitionsHeld, WorkerSettings
from streams.delivery.transactions import SliceProducer
from streams.ports import Stage

#: Faust gives up waiting for a seek after ``broker_request_timeout`` (90 s) and then fetches without it. Loading
#: 100,000 documents takes about a second, so 60 s is ample, and we end before Faust goes on.
TAKE_OVER_TIMEOUT_S = 60.0

log = logging.getLogger("lockstep.delivery")


class AssignmentOver(IllegalStateError):  # type: ignore[misc]
    """What was being taken over belongs to an assignment that is over; Faust takes this error as "seek again"."""


class Assignment:
    """One lane per partition number held, for one agent.

    A *token* names the current assignment and seek. It changes with every rebalance, and a batch with another token
    is dropped: it will be fetched again from the committed place.
    """

    def __init__(
        self,
        *,
        stage: Stage,
        settings: WorkerSettings,
        on_progress: OnProgress | None = None,
        at_checkpoint: AtCheckpoint | None = None,
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.token = 0
        #: What the group gave us last; those without a running lane are still to be taken over.
        self.assigned: set[int] = set()
        self.lanes: dict[int, Lane] = {}
        self.room = asyncio.Event()
        self._generation = -1
        self._on_progress = on_progress
        self._at_checkpoint = at_checkpoint
        self._waiting_for = ""

    # -- during a rebalance ------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Void everything fetched so far and let no lane begin another slice."""
        self.token += 1
        for lane in self.lanes.values():
            lane.suspend()

    async def settled(self) -> None:
        """Wait for the slices under way."""
        await asyncio.gather(*(lane.settled() for lane in self.lanes.values()))

    def check_same_numbers(self, held: Mapping[str, set[int]]) -> set[int]:
        """The partition numbers held, which must be the same for all topics of the agent; else exit 70.

        ``held`` maps each topic to its numbers. Faust falls back to round-robin without tables, which gives partition
        n of two topics to different workers; then a device would have two writers.
        """
        numbers = [held.get(topic, set()) for topic in self.stage.topics]
        if any(other != numbers[0] for other in numbers):
            shown = ", ".join(f"{topic} {sorted(held.get(topic, set()))}" for topic in self.stage.topics)
            die(f"agent {self.stage.name}: assigned different partition numbers of its topics ({shown})")
        return set(numbers[0])

    async def give_up_all_but(self, kept: Collection[int]) -> None:
        """Close the lanes of partitions that now belong to somebody else."""
        await _closed([self.lanes.pop(number) for number in list(self.lanes) if number not in kept])

    async def take_over(self, numbers: set[int], generation: int) -> None:
        """Open, load and keep ready the lanes of ``numbers``; ``resume`` lets them work.

        What was held in the generation just before is kept as it is: nobody else can have owned it in between. All
        else is opened (which fences) and read anew. A rebalance may cancel this at any point; what was not completed
        is closed and taken over again next time.
        """
        began, token = time.monotonic(), self.token
        if generation not in (self._generation, self._generation + 1):
            await self.give_up_all_but(())
        await self.give_up_all_but(numbers)
        gained = sorted(numbers - set(self.lanes))
        self._generation = generation
        try:
            async with asyncio.timeout(TAKE_OVER_TIMEOUT_S):
                opened = await self._opened(gained)
        except TimeoutError:
            die(
                f"agent {self.stage.name}: partitions {gained} not loaded within {TAKE_OVER_TIMEOUT_S:.0f} s: "
                f"{self._waiting_for}"
            )
        if self.token != token:
            # Another rebalance came while we opened: what we hold now is for its own seek to find out.
            await _closed(opened.values())
            raise AssignmentOver("the assignment changed while it was taken over")
        self.lanes.update(opened)
        self._report(gained, time.monotonic() - began)

    def report_none(self) -> None:
        """Say that nothing is held any more: who does something for its partitions has to stop."""
        self._report([], 0.0)

    def resume(self) -> None:
        """Let the lanes work. Call it when the fetch position of every partition is where its lane stands."""
        for lane in self.lanes.values():
            lane.resume()
        self.room.set()

    async def _opened(self, gained: list[int]) -> dict[int, Lane]:
        if not gained:
            return {}
        lanes = {number: self._new_lane(number) for number in gained}
        complete = False
        try:
            self._waits("Kafka did not let the former owners' transactions be ended")
            await asyncio.gather(*(lane.producer.open() for lane in lanes.values()))
            # Only now: the former owner is fenced, so the end of the changelog stands still.
            loaded = await load_changelog(self.settings, self.stage.state_topic, gained, waiting_for=self._waits)
            for number, lane in lanes.items():
                lane.adopt(loaded[number])
            complete = True
        finally:
            if not complete:
                await asyncio.shield(_closed(lanes.values()))
        return lanes

    def _waits(self, what: str) -> None:
        self._waiting_for = what

    def _new_lane(self, number: int) -> Lane:
        return Lane(
            stage=self.stage,
            partition=number,
            settings=self.settings,
            producer=SliceProducer(settings=self.settings, agent=self.stage.name, partition=number),
            on_room=self.room.set,
            on_progress=self._on_progress,
            at_checkpoint=self._at_checkpoint,
        )

    def _report(self, gained: list[int], seconds: float) -> None:
        states = sum(lane.states for lane in self.lanes.values())
        log.info(
            "agent %s holds partitions %s (%d loaded, %d states, %.2f s)",
            self.stage.name, sorted(self.lanes), len(gained), states, seconds,
        )  # fmt: skip
        if self._on_progress is not None:
            self._on_progress(
                PartitionsHeld(
                    agent=self.stage.name,
                    partitions=tuple(sorted(self.lanes)),
                    loaded=tuple(gained),
                    states=states,
                    seconds=seconds,
                )
            )

    # -- while records flow ------------------------------------------------------------------------------------------

    def deliver(self, batch: Batch) -> None:
        """Hand a batch to its lane, unless it belongs to an assignment that is over."""
        if batch.token == self.token:
            lane = self.lanes.get(batch.partition)
            if lane is None:
                die(f"agent {self.stage.name}: records of {batch.topic} partition {batch.partition}, which is not held")
            lane.offer(batch)

    def has_room(self, number: int) -> bool:
        """Whether partition ``number`` is worked on here and more should be fetched for it."""
        lane = self.lanes.get(number)
        return lane is not None and lane.running and lane.has_room

    async def close(self) -> None:
        """Finish the slices under way and close all lanes."""
        self.suspend()
        await self.give_up_all_but(())


async def _closed(lanes: Iterable[Lane]) -> None:
    # A producer that cannot say goodbye has nothing left to lose: what it committed is committed, and the next owner
    # fences it. An exception here would only keep Faust from finishing its rebalance.
    for outcome in await asyncio.gather(*(lane.close() for lane in lanes), return_exceptions=True):
        if isinstance(outcome, Exception):
            log.warning("a lane was not closed cleanly: %s", described(outcome))
