"""One run of the counting job on the shared broker: its topics, its workers, its facts, its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.counting import CountingJob, job
from bench.fleet import Fleet, Plan, Worker
from bench.kafka_io import Publisher, Reader, create_job_topics, ends_of
from bench.verdict import Verdict, judge
from streams.ports import OutputRecord

PARTITIONS = 6


@dataclass
class Run:
    """What a test drives."""

    servers: str
    job: CountingJob
    fleet: Fleet
    publisher: Publisher
    reader: Reader

    def start(self, **options: object) -> Worker:
        """One more worker (see ``Fleet.start``)."""
        return self.fleet.start(**options)  # type: ignore[arg-type]

    def feed(self, facts: int | Iterable[OutputRecord], per_second: float) -> asyncio.Task[int]:
        """Publish at a steady rate beside the test: so many facts of the job, or these."""
        if isinstance(facts, int):
            facts = self.job.facts(facts)
        return asyncio.create_task(self.publisher.publish(facts, per_second))

    async def published(self) -> int:
        """How many facts there are."""
        return sum([sum((await ends_of(self.servers, topic)).values()) for topic in self.job.stage.topics])

    async def finished(self, timeout_s: float = 60.0) -> None:
        """Wait until the last fact of every partition has an audit record.

        Each partition is decided in order, so an earlier fact without one is lost and not merely late. The caller
        publishes something to every partition after the last fault; else the last fact may be the lost one.
        """
        ends = {topic: await ends_of(self.servers, topic) for topic in self.job.stage.topics}
        last = {(topic, number, end - 1) for topic, of in ends.items() for number, end in of.items()}
        deadline = time.monotonic() + timeout_s
        while missing := last - {self.job.fact_of(record) for record in self.reader.records[self.job.audit_topic]}:
            assert time.monotonic() < deadline, f"not decided: {sorted(missing)}\n{self.state()}"
            await self.reader.read()

    async def stop(self, feeding: asyncio.Task[int]) -> None:
        """End a ``feed`` early; what it has begun to publish is published."""
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
        await self.publisher.flush()

    async def decided(self, facts: int, timeout_s: float = 60.0) -> None:
        """Wait until so many audit records are committed."""
        assert await self.reader.until(self.job.audit_topic, facts, timeout_s), self.state()

    @property
    def audited(self) -> int:
        return len(self.reader.records[self.job.audit_topic])

    async def verdict(self) -> Verdict:
        return await judge(self.servers, self.job)

    def state(self) -> str:
        """For the message of a failed assertion."""
        logs = [f"{w.name} exit {w.exit_code} holds {w.held()}: {w.log.read_text()[-600:]}" for w in self.fleet.workers]
        return "\n".join([f"{self.audited} audit records", *logs])


@contextlib.asynccontextmanager
async def counting_run(
    servers: str,
    prefix: str,
    folder: Path,
    *,
    job_name: str = "bench.counting:job",
    session_s: float = 6.0,
    copies: int = 1,
) -> AsyncIterator[Run]:
    """Topics with ``prefix``, no worker yet; what runs at the end is killed."""
    counting = job(prefix, prefix, PARTITIONS)
    await create_job_topics(servers, counting, PARTITIONS, copies)
    plan = Plan(
        servers=servers,
        facts_prefix=prefix,
        own_prefix=prefix,
        folder=folder,
        job=job_name,
        partitions=PARTITIONS,
        session_s=session_s,
    )
    async with (
        Fleet(plan) as fleet,
        Publisher(servers) as publisher,
        Reader(servers, [counting.audit_topic]) as reader,
    ):
        yield Run(servers, counting, fleet, publisher, reader)


@contextlib.asynccontextmanager
async def kept(run: Run, **options: object) -> AsyncIterator[list[Worker]]:
    """A worker that is started again when it stopped itself, as ``up`` does; yields its lives so far."""
    lives: list[Worker] = []

    async def keep() -> None:
        while True:
            lives.append(run.start(**options))
            assert await lives[-1].ended(600) in (1, 70), run.state()
            await asyncio.sleep(1)

    keeping = asyncio.create_task(keep())
    try:
        yield lives
        assert not keeping.done(), keeping.exception()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def together(workers: list[Worker], numbers: int = PARTITIONS, timeout_s: float = 30.0) -> None:
    """Wait until these workers hold all partitions, each exactly once."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = [number for worker in workers for number in worker.held()]
            if sorted(held) == list(range(numbers)) and all(worker.held() for worker in workers):
                return
            await asyncio.sleep(0.05)
