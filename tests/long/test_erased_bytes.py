"""How long the bytes of an erased value stay on Kafka's disk: minutes, by the topic's settings and the connectors' record."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from connectors.personal import Personal, PersonalStore
from schemas.topics import BY_NAME, PERSONAL
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.personal import KeptPersonal, erase, to_erase
from streams.readers import last_values
from streams.topics import TopicSettings, create_topics

GONE, STAYS = "zoe.quartzfield", "max.basaltstone"
#: 62 s until the segment is closed, 15 s until the cleaner looks, a second until the file goes; the rest is a busy machine.
WITHIN_S = 240.0


def holds(folder: Path, value: str) -> bool:
    """Whether a file of the log holds the value, those that wait to be deleted included."""
    return any(value.encode() in path.read_bytes() for path in folder.rglob(f"{PERSONAL}-0/*") if path.is_file())


@pytest.mark.long
async def test_an_erased_value_leaves_the_disk_within_minutes_and_others_stay(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
        wanted = [BY_NAME[name] for name in (PERSONAL, "control")]
        await create_topics(options, TopicSettings(partitions=1), catalogue=wanted)
        kept = KeptPersonal(options)
        await kept.start()
        async with KafkaLog(options, now=lambda: round(time.time() * 1000)) as log:
            rolling = asyncio.create_task(kept.roll(log))
            store = PersonalStore(log, kept.values, now=lambda: 0)
            values = [(key, name) for key, name in (("407", GONE), ("9", STAYS))]
            await store.keep([Personal(key=key, kind="last_user", value=name) for key, name in values])
            await erase(log, await to_erase(options, device="407"), actor="ada", at=1)
            began = time.monotonic()
            assert GONE not in str(await last_values(options, PERSONAL)), "readers have forgotten it at once"
            assert holds(tmp_path, GONE)
            while holds(tmp_path, GONE):
                assert time.monotonic() - began < WITHIN_S
                await asyncio.sleep(1)
            print(f"\nthe bytes of an erased value left the disk after {time.monotonic() - began:.0f} s")
            assert holds(tmp_path, STAYS)
            assert len(await last_values(options, PERSONAL)) == 1
            rolling.cancel()
        await kept.stop()
