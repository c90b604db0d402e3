"""The agent as the Faust documentation writes it: ``table[key] = value``, ``await topic.send``, one event at a time.

Faust delivers again after a crash. ``LOCKSTEP_IDIOMATIC=seen`` adds what is then usually added: the state remembers the
last offset it has seen of each topic, and an event up to it is skipped. Without it such an agent doubles, with it, it
loses: the table's changelog may reach the broker before the outputs do.

Two kindnesses: child loggers at WARNING (half as fast again) and a static member id, so that a restart is quick.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import faust
import orjson

from bench.contenders.common import RateMeter, arguments, hold_back, job_of
from streams.ports import InputRecord

args = arguments()
job = job_of(args)
meter = RateMeter(args.until)
stage = meter.timed(job.stage)

app = faust.App(
    f"{args.own_prefix}idiomatic",
    broker=f"kafka://{args.servers}",
    store="memory://",
    datadir=str(args.data_dir / "idiomatic"),
    topic_partitions=args.partitions,
    broker_session_timeout=args.session,
    broker_heartbeat_interval=1.0,
    broker_commit_interval=0.5,
    consumer_auto_offset_reset="earliest",
    consumer_group_instance_id=args.instance,
    key_serializer="raw",
    value_serializer="raw",
    web_enabled=False,
    topic_disable_leader=True,
)
facts = app.topic(*job.stage.topics, key_type=bytes, value_type=bytes)
outputs = {name: app.topic(name, key_type=bytes, value_type=bytes) for name in job.outputs}
states: Any = app.Table("states", key_type=bytes, value_type=bytes, partitions=args.partitions)


SKIPS_SEEN = os.environ.get("LOCKSTEP_IDIOMATIC") == "seen"


class Documents(Mapping[bytes, bytes]):
    """The table without the offsets that stand before each document."""

    def __getitem__(self, key: bytes) -> bytes:
        return bytes(states[key].partition(b"\n")[2])

    def __iter__(self) -> Iterator[bytes]:
        return iter(states)

    def __len__(self) -> int:
        return len(states)


def seen_offsets(key: bytes) -> dict[str, int]:
    """The last offset of each topic that is in the state of a key."""
    known = states.get(key)
    return orjson.loads(known.partition(b"\n")[0]) if known else {}


@app.agent(facts)
async def decide(stream: Any) -> None:
    documents = Documents()
    async for event in stream.events():
        message = event.message
        record = InputRecord(
            message.topic,
            message.partition,
            message.offset,
            message.key,
            message.value,
            message.headers or (),
            int(message.timestamp * 1000),
        )
        seen = seen_offsets(message.key) if SKIPS_SEEN else {}
        if message.offset <= seen.get(message.topic, -1):
            continue
        result = stage.decide(message.partition, [record], documents if SKIPS_SEEN else states)
        for key, document in result.states.items():
            if SKIPS_SEEN:
                offsets = {**seen, message.topic: message.offset}
                document = orjson.dumps(offsets) + b"\n" + (document or b"")
            states[key] = document
        for out in result.outputs:
            await outputs[out.topic].send(
                key=out.key, value=out.value, partition=out.partition, headers=list(out.headers)
            )
        meter.add(1)


if __name__ == "__main__":
    os.makedirs(args.data_dir / "idiomatic", exist_ok=True)
    for name in ("faust", "aiokafka", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    hold_back(job.audit_topic)
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False)
    worker.execute_from_commandline()
