"""Writing to Kafka what connectors and tools have to say: ``connectors.ports.Log`` on aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from connectors.ports import Now, Publication
from schemas.envelope import Envelope, rfc3339
from schemas.identity import partition_of
from schemas.topics import CONTROL, DEAD_LETTERS
from streams.dead_letters import DEAD_ERROR, DEAD_STAGE, DEAD_TIME
from streams.kafka_options import LOOK_AT, MAX_RECORD_BYTES, KafkaOptions
from streams.ports import OutputRecord
from streams.readers import last_values

#: A broker that was killed is back within 7 s; one that takes longer than this is worth an error. What was sent may
#: still arrive afterwards: ids are derived, so a repetition is recognised.
ACK_SECONDS = 30.0


class LogError(RuntimeError):
    """Kafka did not take what was written; one line: what, where, why."""


class KafkaLog:
    """An idempotent producer (acks=all) that waits for the broker. Satisfies ``connectors.ports.Log``.

    ``now`` gives ``recordedtime``. ``async with KafkaLog(options, now=clock.now) as log``. Not for slices and command
    executors, which write in transactions of their own.
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        now: Now,
        ack_seconds: float = ACK_SECONDS,
        control: str = CONTROL,
        dead_letters: str = DEAD_LETTERS,
    ) -> None:
        self._options = options
        self._now = now
        self._ack_seconds = ack_seconds
        self._control = control
        self._dead_letters = dead_letters
        self._producer: Any = None
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises ``LogError`` at once where Kafka does not answer; later writes wait for it."""
        async with self._bounded("the connection"):
            await self._open()

    async def stop(self) -> None:
        """Send what is under way, within the time of one acknowledgement, and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(self._ack_seconds):
                    await producer.stop()

    async def __aenter__(self) -> KafkaLog:
        await self.start()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.stop()

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Write facts, in order per partition; returns when the broker has all of them. Raises ``LogError``."""
        recorded = self._now()
        records: list[OutputRecord] = []
        for publication in publications:
            envelope = _envelope(publication, recorded)
            partitions = await self.partitions(publication.topic)
            targets: Iterable[int] = [partition_of(publication.key, partitions)]
            if publication.topic == self._control:
                targets = range(partitions)
            value, headers, key = publication.fact.to_json(), envelope.to_headers(), publication.key.encode()
            records += [OutputRecord(publication.topic, target, key, value, headers) for target in targets]
        await self.write(records)

    async def publish_dead_letter(self, *, stage: str, error: str, value: bytes, headers: Mapping[str, str]) -> None:
        """Keep bytes that never became a record (an unreadable webhook), with the headers they came with."""
        about = {DEAD_STAGE: stage, DEAD_ERROR: error, DEAD_TIME: rfc3339(self._now())}
        everything = [(name, text.encode()) for name, text in {**headers, **about}.items()]
        partitions = await self.partitions(self._dead_letters)
        await self.write(
            [OutputRecord(self._dead_letters, partition_of(stage, partitions), stage.encode(), value, everything)]
        )

    async def remembered(self, topic: str) -> Mapping[str, bytes]:
        """The last value per key of a compacted topic, read to its current end. Raises ``ReadError``."""
        return await last_values(self._options, topic)

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        """Write the value of a key to a compacted topic; ``None`` forgets it. Raises ``LogError``."""
        partition = partition_of(key, await self.partitions(topic))
        await self.write([OutputRecord(topic, partition, key.encode(), value)])

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic really has. Raises ``LogError`` where it does not exist."""
        async with self._bounded(f"topic {topic}"):
            producer = await self._reopen()
            # From the list of all topics: asking for one would create it where the cluster creates on demand.
            found = producer.client.cluster.partitions_for_topic(topic)
            if not found:
                cluster = await producer.client.fetch_all_metadata()
                found = cluster.partitions_for_topic(topic)
        if not found:
            raise LogError(
                f"there is no topic '{topic}': `lockstep up` creates it, `lockstep topics` lists what exists"
            )
        return len(found)

    async def write(self, records: Sequence[OutputRecord]) -> list[int]:
        """Write records as they are; returns their offsets when the broker has acknowledged every one.

        Raises ``LogError``.
        """
        if not records:
            return []
        async with self._bounded(f"{len(records)} record(s) for {records[0].topic}"):
            producer = await self._reopen()
            waiting = [
                await producer.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                for record in records
            ]
            written = await asyncio.gather(*waiting)
        return [one.offset for one in written]

    async def _open(self) -> Any:
        async with self._opening:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._options.client(),
                    client_id="lockstep.log",
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=MAX_RECORD_BYTES,
                    # Grows only with what waits; a sweep of thousands of devices then takes few round trips.
                    max_batch_size=256 * 1024,
                    request_timeout_ms=10_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _reopen(self) -> Any:
        """The producer; where it had to be discarded, wait for a broker that is just coming back."""
        while True:
            try:
                return await self._open()
            except (KafkaConnectionError, OSError):
                await asyncio.sleep(0.5)

    @contextlib.asynccontextmanager
    async def _bounded(self, what: str) -> AsyncIterator[None]:
        """Turn whatever Kafka answers, or its silence, into one line."""
        before = self._producer
        try:
            async with asyncio.timeout(self._ack_seconds):
                yield
        except MessageSizeTooLargeError:
            limit = MAX_RECORD_BYTES // 1024 // 1024
            raise LogError(f"Kafka at {self._options.bootstrap_servers} refused {what}: over {limit} MiB") from None
        except TimeoutError:
            # Silence is the broker's, or that of a producer whose sender has ended, which would last. One that another
            # write opened meanwhile is left alone.
            if self._producer is before:
                await self._discard()
            raise LogError(
                f"Kafka at {self._options.bootstrap_servers} did not acknowledge {what} within {self._ack_seconds:g} s"
            ) from None
        except KafkaConnectionError:
            await self._discard()
            raise LogError(f"Kafka at {self._options.bootstrap_servers} does not answer ({what}): {LOOK_AT}") from None
        except (KafkaError, OSError) as error:
            # The producer may be in a state it cannot leave (fenced, sequence lost): the next write opens another.
            await self._discard()
            raise LogError(f"Kafka at {self._options.bootstrap_servers} refused {what}: {_one_line(error)}") from None

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(1):
                    await producer.stop()


def _envelope(publication: Publication, recorded: int) -> Envelope:
    return Envelope(
        id=publication.id,
        type=publication.fact.ce_type,
        source=publication.source,
        time=publication.time,
        recorded=recorded,
        key=publication.key,
        correlation_id=publication.correlation_id,
    )


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}{': ' + text[0][:200] if text else ''}"
