"""What a contender has to do: a stage, facts for it, and how to tell afterwards whether each was decided once."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

from streams.ports import InputRecord, OutputRecord, Stage


class Job(Protocol):
    """A stage under test. Made by a factory ``(facts_prefix, own_prefix, partitions) -> Job``.

    Several contenders read the same facts (``facts_prefix``) and write to topics of their own (``own_prefix``).
    """

    stage: Stage
    #: Output topics and their number of partitions; ``audit_topic`` is one of them and gets one record per fact.
    outputs: Mapping[str, int]
    audit_topic: str
    command_topics: Sequence[str]

    def facts(self, count: int) -> Iterator[OutputRecord]:
        """``count`` facts for the stage's topics, in order per key. Deterministic."""
        ...

    def fact_of(self, audited: InputRecord) -> tuple[str, int, int]:
        """Topic, partition and offset of the fact that an audit record is about."""
        ...

    def commands_of(self, audited: InputRecord) -> Sequence[str]:
        """The ids of the commands that the audited decision gave out."""
        ...

    def command_id(self, command: InputRecord) -> str:
        """The id of a record in one of the command topics."""
        ...


def load_job(spec: str, facts_prefix: str, own_prefix: str, partitions: int) -> Job:
    """The job that ``module:factory`` makes."""
    module, _, factory = spec.partition(":")
    return cast(Job, getattr(importlib.import_module(module), factory)(facts_prefix, own_prefix, partitions))
