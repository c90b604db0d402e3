"""Taking partitions over while another rebalance comes in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError

from streams.delivery.assignment import Assignment, AssignmentOver
from streams.delivery.settings import WorkerSettings
from streams.stage import AgentStage


class _Lane:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def assignment(tmp_path: Path) -> Assignment:
    settings = WorkerSettings(bootstrap_servers="127.0.0.1:1", partitions=6, data_dir=tmp_path)
    return Assignment(stage=AgentStage("incidents"), settings=settings)


async def test_lanes_opened_for_an_assignment_that_is_over_are_closed_and_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = assignment(tmp_path)
    opened = {number: _Lane() for number in (0, 1, 2)}

    async def opening(gained: list[int]) -> dict[int, Any]:
        holding.suspend()  # what a rebalance does first
        return {number: opened[number] for number in gained}

    monkeypatch.setattr(holding, "_opened", opening)
    with pytest.raises(AssignmentOver):
        await holding.take_over({0, 1, 2}, 1)
    assert holding.lanes == {}
    assert all(lane.closed for lane in opened.values())


def test_faust_takes_a_stale_take_over_for_a_new_rebalance() -> None:
    # Faust's recovery answers IllegalStateError by seeking again (faust/tables/recovery.py, "another rebalance started").
    assert issubclass(AssignmentOver, IllegalStateError)
