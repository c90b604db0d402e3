"""The executor without Kafka: takes commands in as they are read, works on a few at once, obeys the gate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from connectors.ports import Allowance, CallsSuspended, Effects, Gate, Now
from schemas.commands import Lane, WithdrawCommand, topic_of
from streams.executor.attempt import Told
from streams.executor.figures import Figures
from streams.executor.ledger import Ledger
from streams.executor.settings import AtPoint, ExecutorSettings, Jitter, Sleep
from streams.executor.settlement import TOO_LATE, settled
from streams.executor.window import Entry, Window
from streams.executor.work import Work

#: How often gate and clock are looked at. The clock may follow a sandbox that jumps, so there is nothing to sleep towards.
TICK_S = 0.2

#: Commands whose attempt or settlement is being written beside the calls: a transaction takes 5 to 20 ms and a call 50 and
#: more, so with two of them the calls never wait for Kafka. Each costs at most one look-up after a kill.
AHEAD = 2

log = logging.getLogger("lockstep.executor")


class Engine:
    """One tenure: from taking the topic over to giving it up.

    ``take`` and ``pass_over`` are called by the reader in the order of the topic, never beyond ``window.room``.
    ``ready`` is called once what waits in the topic was read, so that the first picks know about withdrawals and lanes.
    ``allowance`` says which lanes may call at the moment (the vendor's hourly budget).
    """

    def __init__(
        self,
        *,
        settings: ExecutorSettings,
        window: Window,
        ledger: Ledger,
        effects: Effects,
        gate: Gate,
        now: Now,
        sleep: Sleep,
        jitter: Jitter,
        at: AtPoint,
        figures: Figures,
        allowance: Callable[[], Allowance] = Allowance,
    ) -> None:
        self.window = window
        self._settings = settings
        self._ledger = ledger
        self._gate = gate
        self._now = now
        self._sleep = sleep
        self._figures = figures
        self._allowance = allowance
        self._work = Work(
            settings=settings,
            window=window,
            ledger=ledger,
            effects=effects,
            now=now,
            jitter=jitter,
            at=at,
            figures=figures,
            may_call=lambda: not self._stopping and self._work.pace.not_before <= now(),
            too_late=lambda entry, command_id: self._spawn(self._too_late(entry, command_id), self._others),
        )
        self._calls: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()
        self._ready = False
        self._stopping = False

    def take(self, entry: Entry) -> None:
        """The next command of the topic."""
        told = self._ledger.told(entry.command_id)
        if (told is not None and told.settled is None) or entry.command_id in self.window:
            self.window.pass_over(entry.offset)
        elif told is not None:
            self.window.admit_in_flight(entry)
            self._spawn(self._tell_again(entry, told), self._others)
        elif topic_of(entry.command) != self._settings.commands:
            self.window.admit_in_flight(entry)
            self._spawn(self._refuse(entry), self._others)
        elif isinstance(entry.command, WithdrawCommand):
            self._withdraw(entry, entry.command)
        else:
            self.window.admit(entry, begun=self._ledger.has_begun(entry), now=self._now())
        self._wake.set()

    def pass_over(self, offset: int) -> None:
        """The record at ``offset`` is none to work on."""
        self.window.pass_over(offset)

    def ready(self) -> None:
        """What waited in the topic was read: begin."""
        self._ready = True
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``. Raises what makes going on impossible (fenced, Kafka gone, a programming error)."""
        while not self._stopping:
            self._raise_failure()
            self._dispatch()
            self._ledger.advance(self.window.position)
            await self._pause()
        self._raise_failure()

    async def stop(self, grace_s: float) -> None:
        """Begin nothing more, let calls in flight end; those that do not within ``grace_s`` are given up."""
        self._stopping = True
        self._wake.set()
        under_way = self._calls | self._others
        if under_way:
            _, left = await asyncio.wait(under_way, timeout=grace_s)
            for task in left:
                task.cancel()
            for task in left:
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            if left:
                log.warning("%d calls were given up; their effects will be looked up", len(left))
        self._raise_failure()
        self._ledger.advance(self.window.position)

    def figures(self) -> dict[str, Any]:
        """Everything that waits, why, since when; what was settled."""
        now, figures, oldest = self._now(), self._figures, self.window.oldest()
        pace, allowed = self._work.pace, self._allowance()
        waiting = self.window.figures()
        held = {lane.name.lower() for lane in Lane if lane not in allowed.lanes}
        return {
            "position": self.window.position,
            "waiting": sum(waiting["by_lane"].values()),
            **waiting,
            "window_room": self.window.room,
            "oldest_age_ms": max(0, now - oldest.issued_at) if oldest else 0,
            "in_flight": len(self._calls),
            "suspended": figures.closed_why or None,
            "suspended_since": figures.closed_since,
            "held": {lane: count for lane, count in waiting["by_lane"].items() if lane in held},
            "held_why": allowed.why or None,
            "held_since": figures.held_since,
            "slowed_down": pace.why or None,
            "slowed_down_since": pace.since,
            "next_call_at": pace.not_before if pace.not_before > now else None,
            "second_looks": len(self._work.second_looks),
        }

    def _withdraw(self, entry: Entry, command: WithdrawCommand) -> None:
        self.window.admit_in_flight(entry)
        # Taken out of the window before anything is awaited: nobody can pick it from here on.
        target = self.window.take_back(command.command_id)
        if target is not None:
            self._spawn(self._take_back(target, entry, command.reason), self._others)
        elif not self._may_wait_for(command) or not self._work.withdraw_if_not_in_place(entry, command):
            self._spawn(self._too_late(entry, command.command_id), self._others)

    def _may_wait_for(self, command: WithdrawCommand) -> bool:
        # Withdrawals call nobody, so there is nothing to learn about one; and none must come to wait for itself.
        target = self.window.entry(command.command_id)
        return target is not None and not isinstance(target.command, WithdrawCommand)

    async def _take_back(self, target: Entry, entry: Entry, reason: str) -> None:
        await self._work.take_back(target, entry, reason)
        self._wake.set()

    async def _too_late(self, entry: Entry, command_id: str) -> None:
        detail = f"command {command_id} is settled, or its effect was found in place"
        fact = settled(entry, outcome="Rejected", now=self._now(), reason=TOO_LATE, detail=detail)
        await self._work.settle(entry, fact)

    async def _refuse(self, entry: Entry) -> None:
        detail = (
            f"{type(entry.command).__name__} belongs to {topic_of(entry.command)}, not to {self._settings.commands}"
        )
        fact = settled(entry, outcome="Rejected", now=self._now(), reason="WrongTopic", detail=detail)
        await self._work.settle(entry, fact)

    async def _tell_again(self, entry: Entry, told: Told) -> None:
        """An earlier life recorded this settlement, and ended before it knew that ``outcomes`` has it."""
        assert told.settled is not None
        await self._ledger.publish([(told.settled, told.correlation_id)])
        self._work.finish(entry, told.settled)

    def _dispatch(self) -> None:
        now, pace = self._now(), self._work.pace
        closed, allowed = self._closed(), self._allowance()
        self._figures.closed(closed, now)
        self._figures.held(allowed.why, now)
        waiting = pace.not_before > now
        blocked = closed is not None or (waiting and pace.throttled) or pace.outage
        self._work.not_own.update(blocked=blocked, now=now)
        if closed is not None or waiting or not self._ready:
            return
        while len(self._calls) < (1 if pace.careful else self._settings.calls_at_once + AHEAD):
            # It frees a technician of a double, and is a call for a create.
            owed = self._work.second_looks.pick(now) if Lane.CREATE in allowed.lanes else None
            if owed is not None:
                self._spawn(self._work.look_again(owed), self._calls)
                continue
            entry = self.window.pick(now, allowed.lanes)
            if entry is None:
                return
            self._spawn(self._work.do(entry), self._calls)

    def _closed(self) -> str | None:
        """Why no call may go out, ``None`` where it may."""
        try:
            self._gate.enter()
        except CallsSuspended as suspended:
            return str(suspended) or "suspended"
        return None

    def _spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        group.add(task)
        task.add_done_callback(lambda done: self._ended(done, group))

    def _ended(self, task: asyncio.Task[None], group: set[asyncio.Task[None]]) -> None:
        group.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
        self._wake.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _pause(self) -> None:
        """Until something happened, or the next tick."""
        sleeper = asyncio.ensure_future(self._sleep(TICK_S))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()
        self._wake.clear()
