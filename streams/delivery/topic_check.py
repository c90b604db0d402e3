"""Whether the topics are what the agents need: there, and with the number of partitions that the setting says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.delivery.fatal import StartRefused, described
from streams.delivery.settings import WorkerSettings
from streams.ports import Stage

#: A broker that is just starting is listening within 10 s (measured: 4); waiting 30 covers a slow machine.
BROKER_WAIT_S = 30.0

#: A topic created a moment ago may not be in the broker's metadata yet (seen: a second on a busy machine).
TOPIC_WAIT_S = 5.0


async def check_topics(stages: Sequence[Stage], settings: WorkerSettings) -> None:
    """Raise ``StartRefused`` for a missing topic or another partition count, naming the way out."""
    names = sorted({topic for stage in stages for topic in (*stage.topics, stage.state_topic)})
    deadline = asyncio.get_running_loop().time() + TOPIC_WAIT_S
    while True:
        counts = await _partition_counts(names, settings)
        missing = [name for name in names if not counts.get(name)]
        if not missing or asyncio.get_running_loop().time() >= deadline:
            break
        await asyncio.sleep(0.2)
    if missing:
        raise StartRefused(
            f"topics missing: {', '.join(missing)}. Create them with `lockstep topics`, then start again."
        )
    other = [f"{name} has {counts[name]}" for name in names if counts[name] != settings.partitions]
    if other:
        raise StartRefused(
            f"kafka.partitions is {settings.partitions}, but {', '.join(other)}. Set kafka.partitions to what the topics "
            "have; another number needs new topics, because a device's partition follows from the count."
        )


async def _partition_counts(names: Iterable[str], settings: WorkerSettings) -> dict[str, int]:
    deadline = asyncio.get_running_loop().time() + BROKER_WAIT_S
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers, **settings.client_options)
        try:
            await admin.start()
            described_topics = await admin.describe_topics(list(names))
            return {topic["topic"]: len(topic["partitions"]) for topic in described_topics}
        except (KafkaError, OSError) as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise StartRefused(
                    f"no broker answers at {settings.bootstrap_servers}: {described(error)}. Is it running?"
                ) from None
            await asyncio.sleep(0.5)
        finally:
            await admin.close()
