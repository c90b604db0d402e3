"""One job per partition over several processes: results in order, one running count, and the first error ends it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import pytest

from streams.replay.partitions import FEW, Tell, over_partitions


@dataclass(frozen=True)
class Counting:
    """Counts a partition's records in tens, and says which process did."""

    failing: int = -1

    async def __call__(self, partition: int, tell: Tell) -> tuple[int, int]:
        for done in range(10, 101, 10):
            tell(done)
            await asyncio.sleep(0)
        if partition == self.failing:
            raise ValueError(f"partition {partition} is broken")
        return partition, os.getpid()


@pytest.mark.parametrize(("records", "processes"), [(FEW, 2), (FEW - 1, 2), (FEW, 1)])
async def test_the_results_are_those_of_the_partitions_in_order_and_the_count_is_that_of_all(
    records: int, processes: int
) -> None:
    told: list[int] = []
    found = await over_partitions(Counting(), range(6), records=records, progress=told.append, processes=processes)
    assert [partition for partition, _ in found] == list(range(6))
    assert told == sorted(told)
    assert told[-1] == 600
    elsewhere = {process for _, process in found} - {os.getpid()}
    # Few records are not worth starting other processes for.
    assert (len(elsewhere) > 0) == (records >= FEW and processes > 1)


@pytest.mark.parametrize("records", [FEW, FEW - 1])
async def test_what_a_partition_raises_is_raised(records: int) -> None:
    with pytest.raises(ValueError, match="partition 3 is broken"):
        await over_partitions(Counting(failing=3), range(6), records=records, progress=lambda _: None, processes=2)
