"""A control that must lose: our worker, but state and place are written outside a transaction, before the outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from bench.contenders import ours
from bench.contenders.common import arguments, job_of
from streams.delivery.transactions import SliceProducer
from streams.ports import OutputRecord


def install() -> None:
    """Replace the transaction by two plain writes in the wrong order; die between them now and then."""
    args = arguments()
    state_topic = job_of(args).stage.state_topic
    plain: list[Any] = []

    async def commit(
        self: SliceProducer, records: Iterable[OutputRecord], before_commit: Callable[[], None] | None = None
    ) -> None:
        if not plain:
            plain.append(AIOKafkaProducer(bootstrap_servers=args.servers, acks="all", enable_idempotence=True))
            await plain[0].start()
        records = list(records)
        for topics_of_state in (True, False):
            part = [record for record in records if (record.topic == state_topic) is topics_of_state]
            sent = [await plain[0].send(r.topic, r.value, key=r.key, partition=r.partition) for r in part]
            await asyncio.gather(*sent)
            if topics_of_state and before_commit is not None:
                before_commit()

    SliceProducer.commit = commit  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    asyncio.run(ours.main())
