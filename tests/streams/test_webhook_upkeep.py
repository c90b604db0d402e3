"""A vendor's webhook stays set up: over refusals, over a user who was deactivated, and over lost notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from connectors.errors import CallFailed, Situation
from streams.roles.webhook_upkeep import LOOK_AGAIN_S, SET_UP_AGAIN_S, keep_set_up, silence


class Gate:
    """Open until ``closed`` is cleared; ``reopening`` says when it opened again."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.reopening = asyncio.Event()

    async def opened(self) -> None:
        await self.open.wait()

    async def reopened(self) -> None:
        await self.reopening.wait()
        self.reopening.clear()


class Upkeep:
    """What was set up how often, what was told, and how long it would sleep; sleeping ends with ``wake``."""

    def __init__(self, *problems: Exception | None, again: float | None = None) -> None:
        self.gate = Gate()
        self.problems = list(problems)
        self.told: list[str] = []
        self.sleeps: list[float] = []
        self.wake = asyncio.Event()
        self.silent = asyncio.Event()
        due = self.silent.wait if again is None else partial(self.sleep, again)
        self.task = asyncio.create_task(
            keep_set_up(self.set_up, self.told.append, gate=self.gate, sleep=self.sleep, due=due)
        )

    async def set_up(self) -> str:
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem
        return "it delivers"

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await self.wake.wait()
        self.wake.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)


def failure(situation: Situation) -> CallFailed:
    return CallFailed(vendor="autotask", situation=situation, write=False, detail="no")


async def test_it_is_set_up_again_whenever_calls_may_go_out_again() -> None:
    it = Upkeep()
    await it.until(lambda: it.told == ["it delivers"])
    it.gate.reopening.set()
    await it.until(lambda: len(it.told) == 2)
    assert it.sleeps == []
    it.task.cancel()


async def test_it_is_looked_at_now_and_then_because_a_notice_may_be_lost() -> None:
    it = Upkeep(again=LOOK_AGAIN_S)
    await it.until(lambda: it.sleeps == [LOOK_AGAIN_S])
    it.wake.set()
    await it.until(lambda: len(it.told) == 2)
    it.task.cancel()


@pytest.mark.parametrize(
    ("situation", "pause"),
    [
        (Situation.SERVER_ERROR, SET_UP_AGAIN_S),
        (Situation.FORBIDDEN, LOOK_AGAIN_S),
        (Situation.NOT_FOUND, LOOK_AGAIN_S),
    ],
)
async def test_trouble_is_tried_again_soon_and_a_refusal_seldom(situation: Situation, pause: float) -> None:
    it = Upkeep(failure(situation))
    await it.until(lambda: it.sleeps == [pause])
    assert it.told == ["no"]
    it.wake.set()
    await it.until(lambda: it.told == ["no", "it delivers"])
    it.task.cancel()


async def test_nothing_is_set_up_while_no_calls_may_go_out() -> None:
    it = Upkeep()
    it.gate.open.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert it.told == []
    it.gate.open.set()
    await it.until(lambda: it.told == ["it delivers"])
    it.task.cancel()


async def test_one_that_fell_silent_is_set_up_again(caplog: pytest.LogCaptureFixture) -> None:
    naps: list[float] = []
    seen = iter([False, False, True])

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    await silence(lambda: next(seen), sleep=sleep)
    assert naps == [SET_UP_AGAIN_S, SET_UP_AGAIN_S]
    assert "may have switched it off" in caplog.text
    it = Upkeep()
    await it.until(lambda: it.told == ["it delivers"])
    it.silent.set()
    await it.until(lambda: len(it.told) == 2)
    it.task.cancel()
