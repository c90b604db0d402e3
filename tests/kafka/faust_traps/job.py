"""The same input for our worker: one topic, one partition, and a stage that does what the plain programs do."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from bench import counting
from bench.contenders.common import say
from streams.ports import InputRecord, SliceResult


@dataclass(frozen=True)
class TrappedStage(counting.CountingStage):
    """``LOCKSTEP_TEST_TRAP``: ``raises`` or ``exits`` (70) on fact 3, ``slow`` (3 s) on fact 3, ``endless`` on fact 0."""

    def decide(
        self, partition: int, records: Sequence[InputRecord], state: Mapping[bytes, bytes], decided: int = 0
    ) -> SliceResult:
        trap = os.environ.get("LOCKSTEP_TEST_TRAP")
        if trap is not None and any(record.offset == (0 if trap == "endless" else 3) for record in records):
            say(event=trap)
            if trap == "raises":
                raise ValueError("fact 3")
            if trap == "exits":
                os._exit(70)
            time.sleep(3 if trap == "slow" else 3600)
        return super().decide(partition, records, state, decided)


def job(facts_prefix: str, own_prefix: str, partitions: int) -> counting.CountingJob:
    """The counting job with the first of its topics only."""
    made = counting.job(facts_prefix, own_prefix, partitions)
    known = {field.name: getattr(made.stage, field.name) for field in fields(made.stage)}
    made.stage = TrappedStage(**{**known, "topics": made.stage.topics[:1]})
    return made
