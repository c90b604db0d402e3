"""Records that no agent can decode, written into fact topics: each must come out as a dead letter with its reason."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.envelope import Envelope
from streams.kafka_options import KafkaOptions

Place = tuple[str, int, int]

_KEY = "drill"
#: Other faults may just have killed the broker, filled its disk and killed it again while it came up, which it answers
#: with pauses of 30 s: 110 s without it were seen.
CONNECT_WITHIN_S, WRITE_WITHIN_S = 300.0, 90.0


def poison(what: str, now: int = 0) -> tuple[bytes | None, list[tuple[str, Any]]]:
    """Value and headers of one kind of undecodable record (``POISONS`` and ``newer_version``)."""
    good = _headers("lockstep.alert.triggered.v1", now)
    broken: dict[str, tuple[bytes | None, list[tuple[str, Any]]]] = {
        "no_headers": (b'{"key":"1"}', []),
        "not_json": (b'{"key":"1","uid":', good),
        "other_shape": (b'{"weather":"fine"}', good),
        "header_not_utf8": (b"{}", [*good, ("ce_source", b"\xff\xfe")]),
        # Kafka's headers may have no value at all; a client that decodes it as bytes falls over.
        "header_null": (b"{}", [(name, None if name == "ce_id" else value) for name, value in good]),
        "unknown_type": (b"{}", _headers("lockstep.weather.forecast.v1", now)),
        "no_value": (None, good),
        "newer_version": (b'{"key":"1","more":"than we know"}', _headers("lockstep.alert.triggered.v2", now)),
    }
    return broken[what]


async def plant(options: KafkaOptions, what: str, topic: str, partition: int) -> Place:
    """Write it, once. Returns where it stands. Raises ``KafkaError`` where the broker stays away."""
    value, headers = poison(what)
    deadline = time.monotonic() + CONNECT_WITHIN_S
    while True:
        # Idempotent, so that a broker that is killed meanwhile does not make two of it.
        producer = AIOKafkaProducer(
            **options.client(), enable_idempotence=True, acks="all", request_timeout_ms=int(WRITE_WITHIN_S * 1000)
        )
        try:
            await producer.start()
            break
        except KafkaError:
            await producer.stop()
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
    try:
        sent = await producer.send_and_wait(topic, value, _KEY.encode(), partition, headers=headers)
    finally:
        await producer.stop()
    return topic, partition, int(sent.offset)


def _headers(ce_type: str, now: int) -> list[tuple[str, Any]]:
    envelope = Envelope(id=f"drill-{ce_type}", type=ce_type, source="lockstep/drill", time=now, recorded=now, key=_KEY)
    return list(envelope.to_headers())
