"""The limit on dead letters of the connectors: one list stops, its rows stay where they are, the rest goes on."""

from __future__ import annotations

import pytest

from connectors.ports import Publication
from schemas.facts import DeviceRemoved
from streams.limit import DeadLetterLimit
from streams.limited_log import LimitedLog, TooManyDeadLetters
from tests.connectors.memory_log import MemoryLog

SMALL = DeadLetterLimit(consecutive=3, setting="connectors.dead_letters")
FACT = Publication(
    topic="ninjaone.devices",
    key="7",
    id="i",
    source="/t",
    time=1,
    fact=DeviceRemoved(device_id=7, removed_at=1, cause="Deleted"),
)


async def refuse(log: LimitedLog, stage: str, times: int = 1) -> None:
    for _ in range(times):
        await log.publish_dead_letter(stage=stage, error="id: not a number", value=b"{}", headers={})


async def test_a_list_stops_at_the_limit_and_stays_stopped_while_others_go_on() -> None:
    below = MemoryLog()
    log = LimitedLog(below, SMALL)
    await refuse(log, "ninjaone activities", 2)
    with pytest.raises(TooManyDeadLetters, match=r"3 rows in a row of ninjaone activities cannot be read") as told:
        await refuse(log, "ninjaone activities")
    assert "LOCKSTEP_CONNECTORS__DEAD_LETTERS__CONSECUTIVE=-1" in str(told.value)
    await log.publish([FACT])
    with pytest.raises(TooManyDeadLetters):
        await refuse(log, "ninjaone activities")
    await refuse(log, "ninjaone alerts", 2)
    assert len(below.dead_letters) == 4
    assert list(log.stopped) == ["ninjaone activities"]


async def test_what_is_understood_in_between_ends_a_run() -> None:
    log = LimitedLog(MemoryLog(), SMALL)
    for _ in range(5):
        await refuse(log, "ninjaone alerts", 2)
        await log.publish([FACT])
    assert log.stopped == {}


async def test_webhooks_are_always_kept_and_minus_one_stops_nothing() -> None:
    below = MemoryLog()
    await refuse(LimitedLog(below, SMALL), "webhook ninjaone", 10)
    await refuse(LimitedLog(below, DeadLetterLimit(consecutive=-1)), "ninjaone alerts", 10)
    assert len(below.dead_letters) == 20
