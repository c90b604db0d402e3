"""From records of the command topic to commands: where to begin, decoding, and what cannot be decoded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from connectors.ports import Now
from schemas.commands import Command
from schemas.envelope import DecodeError
from schemas.events import Event, decode_command
from schemas.identity import partition_of
from streams.dead_letters import dead_letter_headers
from streams.executor.engine import Engine
from streams.executor.figures import Figures
from streams.executor.settings import ExecutorSettings
from streams.executor.window import Entry
from streams.limit import Tally, counted
from streams.log import KafkaLog
from streams.ports import OutputRecord

log = logging.getLogger("lockstep.executor")


async def start_position(consumer: Any, tp: Any, remembered: int | None) -> int:
    """Where to begin: at the place the former owner left, else at the group's committed offset, else at the beginning.

    A place that the topic no longer has (retention passed it, or the topic was made anew) is said loudly.
    """
    first = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    wanted = remembered if remembered is not None else await consumer.committed(tp)
    if wanted is None:
        return int(first)
    if wanted < first:
        log.error("%d commands of %s were removed by retention before they were carried out", first - wanted, tp.topic)
        return int(first)
    if wanted > end:
        log.error("topic %s ends at %d, before our place %d: it was made anew; starting over", tp.topic, end, wanted)
        return int(first)
    return int(wanted)


class TooManyDeadLetters(RuntimeError):
    """The topic holds more that is no command than the limit allows; one line that says what to do."""


class Reading:
    """Hands the records of one tenure to its engine, in order and each once. ``end``: where the topic ended at its start."""

    def __init__(
        self,
        engine: Engine,
        kafka: KafkaLog,
        settings: ExecutorSettings,
        figures: Figures,
        *,
        now: Now,
        start: int,
        end: int,
    ) -> None:
        self._engine = engine
        self._kafka = kafka
        self._settings = settings
        self._figures = figures
        self._now = now
        self._next = start
        self._end = end
        self._ready = False
        self._tallies: dict[str, Tally] = {}

    async def take(self, records: Sequence[Any]) -> None:
        """Take in what was fetched. Raises ``LogError`` where a dead letter cannot be kept.

        Raises ``TooManyDeadLetters`` before anything of a batch is kept or taken that crosses the limit.
        """
        fresh = [(record, _decoded(record)) for record in records if record.offset >= self._next]
        self._tallies = self._counted(fresh)
        for record, event in fresh:
            if isinstance(event, DecodeError):
                await self._keep(record, event)
                self._engine.pass_over(record.offset)
            else:
                self._engine.take(
                    Entry(
                        offset=record.offset,
                        command_id=event.envelope.id,
                        command=event.data,
                        correlation_id=event.envelope.correlation_id,
                        issued_at=event.envelope.recorded,
                    )
                )
            self._next = record.offset + 1

    def _counted(self, fresh: Sequence[tuple[Any, Event[Command] | DecodeError]]) -> dict[str, Tally]:
        topic = self._settings.topic
        errors = {(topic, record.offset): str(event) for record, event in fresh if isinstance(event, DecodeError)}
        places = [(topic, record.offset) for record, _ in fresh]
        tallies, exceeded = counted(self._tallies, 0, places, errors, self._settings.dead_letter_limit)
        if exceeded is not None:
            raise TooManyDeadLetters(str(exceeded))
        return tallies

    def arrived(self, position: int) -> None:
        """The consumer stands at ``position``: once all that waited is in the window, or it is full, work begins."""
        if not self._ready and (position >= self._end or not self._engine.window.room):
            self._ready = True
            self._engine.ready()

    async def _keep(self, record: Any, error: DecodeError) -> None:
        line = f"offset {record.offset} of {self._settings.topic} is no command: {error}"
        log.error("%s; kept in %s", line, self._settings.dead_letters)
        self._figures.error(line, self._now())
        self._figures.dead_letters += 1
        headers = dead_letter_headers(record, stage="execute", error=error, at=self._now())
        topic = self._settings.dead_letters
        partition = partition_of(record.key or b"", await self._kafka.partitions(topic))
        await self._kafka.write([OutputRecord(topic, partition, record.key, record.value, headers)])


def _decoded(record: Any) -> Event[Command] | DecodeError:
    try:
        return decode_command(record.headers, record.value)
    except DecodeError as error:
        return error
