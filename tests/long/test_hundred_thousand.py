"""100,000 ids from fact to command, over three rounds of hard kills of workers and broker: every id once, in order.

The shape of Apache Kafka's own system test of transactions: seeded ids, bounces, then set equality and order.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from pathlib import Path

from bench.fleet import Fleet, Plan, Worker
from bench.incidents import job as incidents_job
from bench.kafka_io import Publisher, Reader, create_job_topics, read_all
from bench.verdict import lost_and_doubled
from streams.broker import EmbeddedBroker

PREFIX, PARTITIONS, ROUNDS, SEED = "t.hundred-thousand.", 6, 3, 20261127
PATIENCE_S = 400.0


async def test_a_hundred_thousand_ids_become_commands_once_and_in_order_over_three_rounds_of_kills(
    tmp_path: Path, scale: float
) -> None:
    facts, chance = int(100_000 * scale), random.Random(SEED)
    job = incidents_job(PREFIX, PREFIX, PARTITIONS)
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        servers = broker.bootstrap_servers
        await create_job_topics(servers, job, PARTITIONS)
        async with Publisher(servers) as publisher:
            await publisher.publish(job.facts(facts))
        plan = Plan(servers, PREFIX, PREFIX, tmp_path / "fleet", "bench.incidents:job", PARTITIONS)
        async with Fleet(plan) as fleet, Reader(servers, [job.audit_topic]) as reader:
            for turn in range(ROUNDS):
                workers = [_start(fleet, name) for name in ("a", "b")]
                known = len(reader.records[job.audit_topic])
                await _decided(reader, job.audit_topic, known + facts // (2 * ROUNDS + 2), workers)
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                victims = workers if turn == ROUNDS - 1 else [chance.choice(workers)]
                for victim in victims:
                    await victim.kill()
                assert broker.pid is not None
                restarts = broker.restarts
                os.kill(broker.pid, signal.SIGKILL)
                while broker.restarts == restarts or broker.pid is None:
                    await asyncio.sleep(0.1)
                for worker in workers:
                    await worker.kill()
            workers = [_start(fleet, name) for name in ("a", "b")]
            await _decided(reader, job.audit_topic, facts, workers)
        done = await read_all(servers, [*job.stage.topics, job.audit_topic, *job.command_topics])
    inputs = [record for topic in job.stage.topics for record in done[topic]]
    commands = [record for topic in job.command_topics for record in done[topic]]
    verdict = lost_and_doubled(job, inputs, done[job.audit_topic], commands)
    assert (verdict.facts, len(commands) > 0) == (facts, True)
    assert verdict.flawless, verdict
    promised = {identity for record in done[job.audit_topic] for identity in job.commands_of(record)}
    assert promised == {job.command_id(record) for record in commands}
    order: dict[bytes | None, list[int]] = defaultdict(list)
    for record in done[job.audit_topic]:
        order[record.key].append(job.fact_of(record)[2])
    assert all(offsets == sorted(offsets) for offsets in order.values()), "a device's facts were decided out of order"


def _start(fleet: Fleet, name: str) -> Worker:
    return fleet.start(instance=name)


async def _decided(reader: Reader, audit_topic: str, count: int, workers: list[Worker]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(reader.records[audit_topic]) < count:
        assert time.monotonic() < deadline, [worker.log.read_text()[-1000:] for worker in workers]
        await reader.read()
