"""Creating the topics of the catalogue, checking those that exist, and describing them for ``lockstep topics``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from schemas.topics import CATALOGUE, PERSONAL, Topic
from streams.kafka_options import LOOK_AT, MAX_RECORD_BYTES, KafkaOptions
from streams.readers import CONNECT_SECONDS, end_offsets, first_offsets, read_all

DAY_MS = 24 * 3600 * 1000
#: How old a segment of topic ``personal`` is when the next record closes it; only closed ones are cleaned.
ERASED_SEGMENT_MS = 60_000
#: Up to so many offsets behind a transactional topic are read to be counted.
COUNTED = 10_000


class TopicsError(RuntimeError):
    """Topics could not be created or described; one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """What the settings say about all topics. Days of ``-1`` keep for ever; the audit is kept as the facts unless it is said."""

    partitions: int = 6
    replication_factor: int = 1
    retention_days: int = 400
    audit_retention_days: int | None = None

    def days(self, topic: Topic) -> int:
        """For how many days a topic of the catalogue keeps its records."""
        if topic.kept == "for ever":
            return -1
        own = self.audit_retention_days if topic.kept == "audit" else None
        return self.retention_days if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A topic exists, with another setting than Lockstep would give it. Nothing was changed."""

    topic: str
    setting: str
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        return f"topic {self.topic}: {self.setting} is {self.found}, expected {self.expected}; {self.hint or 'left as it is'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What ``create_topics`` did and found."""

    created: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStatus:
    """One line of ``lockstep topics``. ``offsets`` is the span of offsets, ``records`` how many of them a reader gets.

    ``records`` is ``None`` where only reading would tell: a transaction ends with a marker that takes an offset, and compaction
    takes records away. ``lag`` counts, per consumer group, the records after its committed offsets.
    """

    topic: str
    exists: bool
    partitions: int = 0
    replication_factor: int = 0
    offsets: int = 0
    records: int | None = 0
    cleanup: str = ""
    retention_ms: int | None = None
    holds: str = ""
    lag: Mapping[str, int] = field(default_factory=dict)


def wanted_partitions(topic: Topic, settings: TopicSettings) -> int:
    """How many partitions a topic of the catalogue is to have."""
    return settings.partitions if topic.partitions is None else topic.partitions


def wanted_configs(topic: Topic, settings: TopicSettings) -> dict[str, str]:
    """The topic-level settings that Lockstep gives a new topic."""
    days = settings.days(topic)
    configs = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(MAX_RECORD_BYTES),
        # With three copies one may be missing; with fewer there is nothing to choose.
        "min.insync.replicas": "2" if settings.replication_factor >= 3 else "1",
    }
    if topic.cleanup != "delete":
        # Only closed segments are compacted, and by default those close after 1 GB or a week: a changelog that is
        # read whole at every start must not grow that long. 8 MiB load in well under a second.
        configs |= {
            "segment.bytes": str(8 * 1024 * 1024),
            "segment.ms": str(3600 * 1000),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": str(DAY_MS),
        }
    if topic.name == PERSONAL:
        # What is erased is to leave the disk within minutes: the connectors close a segment with one record a minute
        # while something is to be removed, and the cleaner does not wait for more.
        configs |= {
            "segment.ms": str(ERASED_SEGMENT_MS),
            "min.cleanable.dirty.ratio": "0.0",
            "max.compaction.lag.ms": str(ERASED_SEGMENT_MS),
            "file.delete.delay.ms": "1000",
        }
    if topic.cleanup != "compact":
        # A cluster may limit bytes by default; what must be replayable for 400 days has no such limit.
        configs |= {"retention.ms": str(-1 if days < 0 else days * DAY_MS), "retention.bytes": "-1"}
    return configs


async def create_topics(
    options: KafkaOptions, settings: TopicSettings, *, catalogue: Sequence[Topic] = CATALOGUE
) -> Prepared:
    """Create what is missing; report, and never change, what exists with other settings. Safe to repeat.

    Raises ``TopicsError`` where the broker does not answer or refuses (for instance more copies than brokers).
    """
    async with _admin(options) as admin:
        existing = await _describe(admin, catalogue)
        missing = [topic for topic in catalogue if topic.name not in existing]
        created = await _create(admin, missing, settings)
        late = [topic for topic in missing if topic.name not in created]
        if late:
            # Somebody else created them meanwhile: look at them like at any other that was there.
            existing |= await _describe(admin, late)
        findings = await _findings(admin, settings, existing, catalogue)
    return Prepared(created=tuple(created), findings=findings)


async def examine(
    options: KafkaOptions, settings: TopicSettings, *, catalogue: Sequence[Topic] = CATALOGUE
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Which topics are missing, and which have other settings; creates nothing. Raises ``TopicsError``."""
    async with _admin(options) as admin:
        existing = await _describe(admin, catalogue)
        findings = await _findings(admin, settings, existing, catalogue)
    return tuple(topic.name for topic in catalogue if topic.name not in existing), findings


async def _findings(
    admin: Any, settings: TopicSettings, existing: Mapping[str, list[int]], catalogue: Sequence[Topic]
) -> tuple[Finding, ...]:
    present = [topic for topic in catalogue if topic.name in existing]
    configs = await _configs(admin, [topic.name for topic in present])
    return tuple(
        finding
        for topic in present
        for finding in _compare(topic, settings, existing[topic.name], configs.get(topic.name, {}))
    )


async def describe(options: KafkaOptions, *, catalogue: Sequence[Topic] = CATALOGUE) -> list[TopicStatus]:
    """Every topic of the catalogue as it is, in the catalogue's order. Raises ``TopicsError``."""
    async with _admin(options) as admin:
        existing = await _describe(admin, catalogue)
        names = [topic.name for topic in catalogue if topic.name in existing]
        configs = await _configs(admin, names)
        committed = await _committed(admin)
    firsts = await first_offsets(options, *names) if names else {}
    ends = await end_offsets(options, *names, isolation="read_uncommitted") if names else {}
    return [
        _status(
            topic,
            existing.get(topic.name),
            configs.get(topic.name, {}),
            firsts,
            ends,
            await _lag(options, topic, ends, committed),
        )
        for topic in catalogue
    ]


async def _lag(
    options: KafkaOptions,
    topic: Topic,
    ends: Mapping[tuple[str, int], int],
    committed: Mapping[str, Mapping[tuple[str, int], int]],
) -> dict[str, int]:
    """How many records each group has not read. Behind a transactional topic they are counted: markers are none.

    More than ``COUNTED`` offsets are taken as they are: one more or less does not matter then.
    """
    mine = [place for place in ends if place[0] == topic.name]
    found: dict[str, int] = {}
    for group, offsets in committed.items():
        behind = {place: offsets[place] for place in mine if offsets.get(place, ends[place]) < ends[place]}
        if not any(place in offsets for place in mine):
            continue
        found[group] = sum(ends[place] - offset for place, offset in behind.items())
        if topic.transactional and 0 < found[group] <= COUNTED:
            partitions = [partition for _, partition in behind]
            records = read_all(options, topic.name, partitions=partitions, start=behind)
            found[group] = sum([1 async for _ in records])
    return found


def _status(
    topic: Topic,
    partitions: list[int] | None,
    configs: Mapping[str, str],
    firsts: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
    lag: Mapping[str, int],
) -> TopicStatus:
    if partitions is None:
        return TopicStatus(topic=topic.name, exists=False, holds=topic.holds)
    mine = [place for place in ends if place[0] == topic.name]
    span = sum(ends[place] - firsts[place] for place in mine)
    exact = not topic.transactional and topic.cleanup == "delete"
    retention = configs.get("retention.ms")
    return TopicStatus(
        topic=topic.name,
        exists=True,
        partitions=len(partitions),
        replication_factor=min(partitions),
        offsets=span,
        records=span if exact or not span else None,
        cleanup=configs.get("cleanup.policy", ""),
        retention_ms=int(retention) if retention is not None and topic.cleanup != "compact" else None,
        holds=topic.holds,
        lag=lag,
    )


def _compare(topic: Topic, settings: TopicSettings, partitions: list[int], configs: Mapping[str, str]) -> list[Finding]:
    findings = []
    wanted = wanted_partitions(topic, settings)
    if len(partitions) != wanted:
        hint = "start with the number it has"
        if topic.partitions is None:
            hint = f"set kafka.partitions to {len(partitions)}: keys must not change their partition"
        findings.append(
            Finding(topic=topic.name, setting="partitions", expected=str(wanted), found=str(len(partitions)), hint=hint)
        )
    if min(partitions) != settings.replication_factor:
        copies, found = str(settings.replication_factor), str(min(partitions))
        findings.append(Finding(topic=topic.name, setting="replication factor", expected=copies, found=found))
    for name, value in wanted_configs(topic, settings).items():
        found = configs.get(name, value)
        # A larger limit serves as well.
        if found != value and not (name == "max.message.bytes" and int(found) > int(value)):
            findings.append(Finding(topic=topic.name, setting=name, expected=value, found=found))
    return findings


async def _describe(admin: Any, catalogue: Sequence[Topic]) -> dict[str, list[int]]:
    """The number of copies per partition, for the topics that exist."""
    names = {topic.name for topic in catalogue}
    # All topics: asking for one that is missing would create it where the cluster creates on demand.
    return {
        topic["topic"]: [len(partition["replicas"]) for partition in topic["partitions"]]
        for topic in await admin.describe_topics()
        if topic["topic"] in names and not topic["error_code"]
    }


async def _create(admin: Any, missing: Sequence[Topic], settings: TopicSettings) -> list[str]:
    if not missing:
        return []
    new = [
        NewTopic(
            topic.name,
            wanted_partitions(topic, settings),
            settings.replication_factor,
            topic_configs=wanted_configs(topic, settings),
        )
        for topic in missing
    ]
    response = await admin.create_topics(new)
    created = []
    for name, code, *message in response.topic_errors:
        if code == 0:
            created.append(name)
        elif code != TopicAlreadyExistsError.errno:
            why = message[0] if message and message[0] else for_code(code).__name__
            raise TopicsError(f"topic {name} cannot be created: {why}")
    await _await_leaders(admin, created)
    return created


async def _await_leaders(admin: Any, created: Sequence[str]) -> None:
    """Until every new partition has a leader; before that writers see errors."""
    while True:
        ready = {
            topic["topic"]
            for topic in await admin.describe_topics()
            if not topic["error_code"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }
        if ready.issuperset(created):
            return
        await asyncio.sleep(0.05)


async def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _kind, name, entries in (resource[:5] for resource in response.resources):
            if code:
                raise TopicsError(f"the settings of topic {name} cannot be read: {message or for_code(code).__name__}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _committed(admin: Any) -> dict[str, dict[tuple[str, int], int]]:
    found: dict[str, dict[tuple[str, int], int]] = {}
    for group, _kind in sorted(await admin.list_consumer_groups()):
        offsets = await admin.list_consumer_group_offsets(group)
        found[group] = {(tp.topic, tp.partition): place.offset for tp, place in offsets.items() if place.offset >= 0}
    return found


@contextlib.asynccontextmanager
async def _admin(options: KafkaOptions) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**options.client(), client_id="lockstep.topics", request_timeout_ms=30_000)
    try:
        async with asyncio.timeout(CONNECT_SECONDS * 2):
            await admin.start()
            yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        text = str(error).removeprefix(f"{type(error).__name__}: ").strip().splitlines()
        why = f"{type(error).__name__}{': ' + text[0][:200] if text else ''}"
        if isinstance(error, KafkaConnectionError):
            why = f"no connection; {LOOK_AT}"
        raise TopicsError(f"Kafka at {options.bootstrap_servers} does not answer as expected ({why})") from None
    finally:
        await admin.close()
