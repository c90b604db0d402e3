"""The log of one vendor's half of the connectors, with the limit on dead letters: a list that nobody understands stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.ports import Log, Publication
from streams.limit import DeadLetterLimit, Tally


class TooManyDeadLetters(RuntimeError):
    """A list of the vendor holds more unreadable rows than the limit allows; one line that says what to do."""


class LimitedLog:
    """A ``connectors.ports.Log`` that refuses the dead letter that is one too many, and every later one of its stage.

    The poller's round then fails: its cursor stays where it is, nothing is lost, and it says so at each try. The other
    lists and the other vendor go on, which the end of the process would not let them. A webhook's body is always kept: it
    cannot be left where it is, and the poll brings what it was about.
    """

    def __init__(self, log: Log, limit: DeadLetterLimit) -> None:
        self._log = log
        self._limit = limit
        self._tallies: dict[str, Tally] = {}
        #: Why a stage is stopped, for ``lockstep status``.
        self.stopped: dict[str, str] = {}

    async def publish(self, publications: Sequence[Publication]) -> None:
        """As the log's. What was understood ends a run of what was not."""
        await self._log.publish(publications)
        for stage in self._tallies:
            for _ in publications:
                self._tallies[stage] = self._tallies[stage].after(False, self._limit)

    async def publish_dead_letter(self, *, stage: str, error: str, value: bytes, headers: Mapping[str, str]) -> None:
        """As the log's. Raises ``TooManyDeadLetters`` instead once ``stage`` has reached the limit."""
        if self._limit.consecutive >= 0 and "webhook" not in stage:
            self._count(stage, error)
        await self._log.publish_dead_letter(stage=stage, error=error, value=value, headers=headers)

    async def remembered(self, topic: str) -> Mapping[str, bytes]:
        """As the log's."""
        return await self._log.remembered(topic)

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        """As the log's."""
        await self._log.remember(topic, key, value)

    def _count(self, stage: str, error: str) -> None:
        if stage not in self.stopped:
            tally = self._tallies.get(stage, Tally()).after(True, self._limit)
            if not tally.exceeds(self._limit):
                self._tallies[stage] = tally
                return
            run = tally.in_a_row >= self._limit.consecutive
            many = f"{tally.in_a_row} rows in a row" if run else f"{tally.dead} of {tally.seen} rows"
            variable = f"LOCKSTEP_{self._limit.setting.upper().replace('.', '__')}__CONSECUTIVE"
            self.stopped[stage] = (
                f"{many} of {stage} cannot be read (the last: {error[:300]}); stopped before they all become dead letters, "
                f"nothing is lost: update Lockstep, or start the connectors with {variable}=-1 to let them through"
            )
        raise TooManyDeadLetters(self.stopped[stage])
