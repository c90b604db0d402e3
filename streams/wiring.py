"""From settings to what the parts are built with: Kafka's options, topic settings, the policy's first revision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from connectors.ports import Now, Publication
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.facts import PolicyPublished
from schemas.identity import derived_id
from schemas.topics import CONTROL
from streams.broker import attach
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.policy_file import read_policy
from streams.readers import read_all
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
    kafka = settings.kafka
    wanted = TopicSettings(
        partitions=kafka.partitions, replication_factor=kafka.replication_factor, retention_days=kafka.retention_days
    )
    return await create_topics(options, wanted)


@dataclass(frozen=True, slots=True)
class Revision:
    """A policy revision as it was published; ``at`` is epoch ms."""

    fact: PolicyPublished
    at: int


async def policy_revisions(options: KafkaOptions) -> list[Revision]:
    """Every published policy revision that the log still has, the one in force last."""
    found: dict[int, Revision] = {}
    async for record in read_all(options, CONTROL, partitions=[0]):
        try:
            event = decode_fact(record.headers, record.value)
        except DecodeError:
            continue  # the agents keep it as a dead letter; here it only means: not a policy
        if isinstance(event.data, PolicyPublished):
            found.setdefault(event.data.revision, Revision(event.data, event.envelope.recorded))
    return [found[revision] for revision in sorted(found)]


async def policy_in_force(options: KafkaOptions) -> PolicyPublished | None:
    """The latest published policy revision, or ``None`` before the first."""
    revisions = await policy_revisions(options)
    return revisions[-1].fact if revisions else None


async def publish_policy(
    log: KafkaLog, options: KafkaOptions, document: str, *, now: Now, author: str, note: str = ""
) -> tuple[int, bool]:
    """Put a policy into force for every partition. Returns its revision and whether anything was published.

    ``document`` is canonical JSON of a policy that passed its check. A policy that equals the one in force is not published again.
    """
    current = await policy_in_force(options)
    if current is not None and current.document == document:
        return current.revision, False
    revision = (current.revision if current else 0) + 1
    fact = PolicyPublished(revision=revision, document=document, author=author, note=note)
    identity = derived_id("policy", revision, document)
    await log.publish(
        [Publication(topic=CONTROL, key="policy", id=identity, source="lockstep/policy", time=now(), fact=fact)]
    )
    return revision, True


async def first_policy(
    settings: Settings, log: KafkaLog, options: KafkaOptions, *, now: Now, tell: Callable[[str], None]
) -> None:
    """Publish the policy file at the first start; later, say when the file differs from what is in force.

    Raises ``PolicyFileError`` only where there is nothing in force yet.
    """
    current = await policy_in_force(options)
    if current is None:
        revision, _ = await publish_policy(
            log, options, read_policy(settings.policy_path).document, now=now, author="first start"
        )
        tell(f"policy {settings.policy_path} published as revision {revision}")
        return
    try:
        if read_policy(settings.policy_path).document == current.document:
            return
        difference = f"differs from revision {current.revision}, which is in force"
    except ValueError as error:
        difference = f"cannot be used ({error}); revision {current.revision} is in force"
    tell(f"policy file {settings.policy_path} {difference}; 'lockstep policy publish' puts the file into force")
