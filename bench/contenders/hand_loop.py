"""An aiokafka loop by hand: getmany, decide, send_batch, state to a changelog, commit. At least once, no Faust."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from bench.contenders.common import RateMeter, arguments, hold_back, job_of
from streams.delivery.changelog import load_changelog
from streams.delivery.settings import WorkerSettings
from streams.ports import InputRecord, OutputRecord

RECORDS = 1000


async def main() -> None:
    args = arguments()
    job = job_of(args)
    meter = RateMeter(args.until)
    hold_back(job.audit_topic)
    stage = meter.timed(job.stage)
    consumer: Any = AIOKafkaConsumer(
        *job.stage.topics,
        bootstrap_servers=args.servers,
        group_id=f"{args.own_prefix}hand",
        group_instance_id=args.instance,
        partition_assignment_strategy=[RangePartitionAssignor],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(args.session * 1000),
        heartbeat_interval_ms=1000,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=args.servers, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=512 * 1024
    )
    await asyncio.gather(consumer.start(), producer.start())
    settings = WorkerSettings(bootstrap_servers=args.servers, partitions=args.partitions, data_dir=Path("."))
    loaded = await load_changelog(settings, job.stage.state_topic, range(args.partitions))
    states = {number: part.state for number, part in loaded.items()}
    while True:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=RECORDS)
        if not fetched:
            continue
        outgoing: list[OutputRecord] = []
        changed: list[tuple[int, bytes, bytes | None]] = []
        for tp, records in fetched.items():
            inputs = [
                InputRecord(r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.timestamp) for r in records
            ]
            result = stage.decide(tp.partition, inputs, states[tp.partition])
            outgoing += result.outputs
            for key, document in result.states.items():
                changed.append((tp.partition, key, document))
                # Within one fetch a key may come again from another topic, so memory cannot wait for the broker.
                if document is None:
                    states[tp.partition].pop(key, None)
                else:
                    states[tp.partition][key] = document
        await send(producer, outgoing)
        await send(producer, [OutputRecord(job.stage.state_topic, p, key, value) for p, key, value in changed])
        await consumer.commit(
            {TopicPartition(tp.topic, tp.partition): records[-1].offset + 1 for tp, records in fetched.items()}
        )
        meter.add(sum(map(len, fetched.values())))


async def send(producer: Any, records: list[OutputRecord]) -> None:
    """One batch per topic and partition, every acknowledgement awaited."""
    batches: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for record in records:
        where = batches[(record.topic, record.partition)]
        item = {"timestamp": None, "key": record.key, "value": record.value, "headers": list(record.headers)}
        if not where or where[-1].append(**item) is None:
            where.append(producer.create_batch())
            where[-1].append(**item)
    sent = [
        await producer.send_batch(batch, topic, partition=partition)
        for (topic, partition), all_batches in batches.items()
        for batch in all_batches
    ]
    await asyncio.gather(*sent)


if __name__ == "__main__":
    asyncio.run(main())
