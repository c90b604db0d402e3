"""Whose log it is, live or a shadow's, is written down once, and the other kind is refused with one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.topics import CATALOGUE
from streams.broker import EmbeddedBroker
from streams.clock import machine_now
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.mode import ModeError, claim
from streams.ports import OutputRecord
from streams.topics import TopicSettings, create_topics


async def test_a_log_is_live_or_a_shadow_s_for_good(broker: EmbeddedBroker, topic_prefix: str) -> None:
    options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
    wanted = [
        replace(topic, name=f"{topic_prefix}{mode}.{topic.name}")
        for topic in CATALOGUE
        for mode in ("new", "old")
        if topic.name in ("operations", "audit")
    ]
    await create_topics(options, TopicSettings(partitions=1), catalogue=wanted)
    new = {"topic": f"{topic_prefix}new.operations", "audit": f"{topic_prefix}new.audit"}
    old = {"topic": f"{topic_prefix}old.operations", "audit": f"{topic_prefix}old.audit"}
    async with KafkaLog(options, now=machine_now) as log:
        await claim(options, log, "shadow", **new)
        await claim(options, log, "shadow", **new)
        with pytest.raises(
            ModeError, match=r"mode is live, but the log at .* belongs to a shadow; a live installation"
        ):
            await claim(options, log, "live", **new)
        await log.write([OutputRecord(old["audit"], 0, b"407", b"{}")])
        with pytest.raises(ModeError, match=r"mode is shadow, but the log at .* belongs to a live installation"):
            await claim(options, log, "shadow", **old)
        await claim(options, log, "live", **old)
        await claim(options, log, "live", **old)
