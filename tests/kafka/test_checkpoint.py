"""Retention takes the beginning of the audit away: it is gone through from the daily checkpoint on, and that is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.audit import AuditRecord
from schemas.topics import AUDIT, INCIDENTS_STATE
from streams.broker import EmbeddedBroker
from streams.checkpoints import take
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import OutputRecord
from streams.readers import ReadError, end_offsets
from streams.replay.rebuild import rebuild
from streams.replay.verify import verify_audit
from streams.topics import TopicSettings, create_topics
from tests.core.spec import HOUR, START, UID_B, Scene, incidents, reset, triggered

pytestmark = pytest.mark.kafka


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[str]:
    """A broker of its own: a checkpoint is made of the topics of the catalogue."""
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running.bootstrap_servers


async def write(log: KafkaLog, records: Iterable[AuditRecord], scene: Scene) -> None:
    """A slice: what was decided, and the documents after it."""
    await log.write([OutputRecord(AUDIT, 0, r.key.encode(), r.to_json()) for r in records])
    await log.write([OutputRecord(INCIDENTS_STATE, 0, key, document) for key, document in scene.state.items()])


async def cut(servers: str, offset: int) -> None:
    """What retention does, at once."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(AUDIT, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_the_log_is_gone_through_from_the_checkpoint_on_where_the_audit_no_longer_begins_at_its_beginning(
    servers: str,
) -> None:
    options = KafkaOptions(bootstrap_servers=servers)
    await create_topics(options, TopicSettings(partitions=1))
    scene = incidents(triggered()).settle("CreateTicket")
    async with KafkaLog(options, now=lambda: START) as log:
        await write(log, scene.records, scene)
        await cut(servers, 1)
        with pytest.raises(
            ReadError, match=r"audit\[0\] begins at 1 \(retention\) and no checkpoint is of then or later"
        ):
            await rebuild(options)
        before = len(scene.records)
        assert await take(options, log, at=START + HOUR) == len(scene.state)
        scene.later(2 * HOUR).when(triggered(11, UID_B, alert_subject="D:"), reset(90)).settle("CompleteTicket")
        await write(log, scene.records[before:], scene)
    await cut(servers, 2)
    verified = await verify_audit(options)
    assert (verified.difference, verified.settled) == (None, True)
    assert (verified.records, verified.passed) == (len(scene.records) - 2, before - 2)
    rebuilt = await rebuild(options)
    assert (rebuilt.compared, rebuilt.differences) == (True, [])
    assert rebuilt.documents["incidents"][0] == scene.state
    told = "audit[0] begins after retention: from the checkpoint of 2026-11-24T04:00:00.000Z on"
    assert verified.begins == rebuilt.begins == [told]
    with pytest.raises(ReadError, match="what was before is not known any more"):
        await rebuild(options, as_of=START)
    assert (await end_offsets(options, AUDIT))[AUDIT, 0] == len(scene.records)
