"""Topic ``outcomes``: settlements as facts, written without transactions because agents need contiguous offsets."""

from __future__ import annotations

from collections.abc import Sequence

from streams.executor.ledger import Telling
from streams.executor.settings import ExecutorSettings
from streams.executor.settlement import outcome_record
from streams.log import KafkaLog


class OutcomeLog:
    """``ledger.Outcomes`` on Kafka. ``partitions`` is how many the topic has."""

    def __init__(self, log: KafkaLog, settings: ExecutorSettings, *, partitions: int) -> None:
        self._log = log
        self._topic = settings.outcomes
        self._partitions = partitions
        self._source = f"/lockstep/executor/{settings.commands}"

    async def publish(self, tellings: Sequence[Telling]) -> None:
        """``Outcomes.publish``. Raises ``streams.log.LogError``."""
        await self._log.write(
            [
                outcome_record(
                    telling.fact,
                    identity=telling.identity,
                    correlation_id=telling.correlation_id,
                    topic=self._topic,
                    partitions=self._partitions,
                    source=self._source,
                )
                for telling in tellings
            ]
        )
