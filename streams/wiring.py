"""From settings to what the parts are built with: Kafka's options and topic settings."""

from __future__ import annotations

import asyncio

from streams.broker import attach
from streams.kafka_options import KafkaOptions
from streams.settings import Settings
from streams.topics import Prepared, TopicSettings, create_topics

#: A role that starts with the machine may come before the broker, which needs about 4 s, and more on a busy machine.
BROKER_WITHIN_S = 60.0


async def kafka_options(settings: Settings, *, wait: float = 0.0) -> KafkaOptions:
    """How to reach Kafka. With the embedded broker: through its ``broker.json``, for at most ``wait`` seconds.

    Raises ``BrokerError`` where no embedded broker runs, ``KafkaOptionsError`` for options that do not fit.
    """
    servers = settings.kafka.bootstrap_servers
    if settings.kafka.embedded:
        servers = await asyncio.to_thread(attach, settings.data_dir, wait=wait)
    security = settings.kafka.security
    return KafkaOptions(
        bootstrap_servers=servers,
        protocol=security.protocol,
        mechanism=security.mechanism,
        username=security.username,
        password=security.password.get_secret_value() if security.password else None,
        ca_file=security.ca_file,
        cert_file=security.cert_file,
        key_file=security.key_file,
        allow_plaintext=security.allow_plaintext,
    )


async def prepare_topics(settings: Settings, options: KafkaOptions) -> Prepared:
    """Create the topics of the catalogue; what exists with other settings is reported, not changed."""
    return await create_topics(options, topic_settings(settings))


def topic_settings(settings: Settings) -> TopicSettings:
    """What the settings say about all topics."""
    kafka = settings.kafka
    return TopicSettings(
        partitions=kafka.partitions,
        replication_factor=kafka.replication_factor,
        retention_days=kafka.retention_days,
        audit_retention_days=kafka.audit_retention_days,
    )
