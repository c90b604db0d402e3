"""Topics: created once as the catalogue says, reported and never changed afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import CATALOGUE, Topic
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions, KafkaOptionsError
from streams.log import KafkaLog
from streams.ports import OutputRecord
from streams.topics import DAY_MS, TopicsError, TopicSettings, create_topics, describe

SETTINGS = TopicSettings(partitions=3, replication_factor=1, retention_days=400)


def catalogue(prefix: str, *names: str) -> list[Topic]:
    return [replace(topic, name=prefix + topic.name) for topic in CATALOGUE if not names or topic.name in names]


async def make(options: KafkaOptions, topic: NewTopic) -> None:
    admin = AIOKafkaAdminClient(**options.client())
    await admin.start()
    try:
        await admin.create_topics([topic])
    finally:
        await admin.close()


@pytest.fixture
def options(broker: EmbeddedBroker) -> KafkaOptions:
    return KafkaOptions(bootstrap_servers=broker.bootstrap_servers)


async def test_every_topic_of_the_catalogue_is_created_with_its_settings(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix)
    prepared = await create_topics(options, SETTINGS, catalogue=wanted)
    assert sorted(prepared.created) == sorted(topic.name for topic in wanted)
    assert prepared.findings == ()
    found = {status.topic.removeprefix(topic_prefix): status for status in await describe(options, catalogue=wanted)}
    assert {name: status.partitions for name, status in found.items()} == {
        topic.name: topic.partitions or 3 for topic in CATALOGUE
    }
    assert (found["audit"].cleanup, found["audit"].retention_ms) == ("delete", 400 * DAY_MS)
    assert (found["connections"].cleanup, found["connections"].retention_ms) == ("delete", -1)
    assert (found["incidents.state"].cleanup, found["incidents.state"].retention_ms) == ("compact", None)


async def test_creating_them_again_changes_and_reports_nothing(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix, "ninjaone.alerts", "attempts")
    await create_topics(options, SETTINGS, catalogue=wanted)
    again = await create_topics(options, SETTINGS, catalogue=wanted)
    assert (again.created, again.findings) == ((), ())


async def test_a_topic_with_other_settings_is_reported_and_left_as_it_is(options, topic_prefix) -> None:
    (wanted,) = catalogue(topic_prefix, "ninjaone.alerts")
    await make(
        options, NewTopic(wanted.name, 2, 1, topic_configs={"retention.ms": "1000", "max.message.bytes": "99999999"})
    )
    for _ in range(2):
        prepared = await create_topics(options, SETTINGS, catalogue=[wanted])
        assert prepared.created == ()
        assert [(f.setting, f.expected, f.found) for f in prepared.findings] == [
            ("partitions", "3", "2"),
            ("retention.ms", str(400 * DAY_MS), "1000"),
        ]
    assert "set kafka.partitions to 2" in str(prepared.findings[0])


async def test_keeping_for_ever_is_a_setting(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix, "audit")
    await create_topics(options, replace(SETTINGS, retention_days=-1), catalogue=wanted)
    (status,) = await describe(options, catalogue=wanted)
    assert status.retention_ms == -1


async def test_more_copies_than_brokers_is_refused_in_one_line(options, topic_prefix) -> None:
    with pytest.raises(TopicsError, match=r"topic .* cannot be created: .*[Rr]eplication") as caught:
        await create_topics(
            options, replace(SETTINGS, replication_factor=3), catalogue=catalogue(topic_prefix, "audit")
        )
    assert "\n" not in str(caught.value)


async def test_a_broker_that_is_not_there_is_one_line() -> None:
    with pytest.raises(TopicsError, match=r"Kafka at 127\.0\.0\.1:1 does not answer as expected") as caught:
        await create_topics(KafkaOptions(bootstrap_servers="127.0.0.1:1"), SETTINGS)
    assert "\n" not in str(caught.value)


async def test_a_description_counts_records_and_what_each_group_has_not_read(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix, "ninjaone.alerts")
    name, group = wanted[0].name, topic_prefix + "group"
    await create_topics(options, SETTINGS, catalogue=wanted)
    async with KafkaLog(options, now=lambda: 0) as log:
        await log.write([OutputRecord(name, n % 3, b"k", b"v") for n in range(7)])
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **options.client())
    await consumer.start()
    consumer.assign([TopicPartition(name, 0)])
    await consumer.commit({TopicPartition(name, 0): 1})
    await consumer.stop()
    (status,) = await describe(options, catalogue=wanted)
    assert (status.records, status.offsets, dict(status.lag)) == (7, 7, {group: 2})


async def test_a_transaction_s_marker_is_neither_a_record_nor_lag(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix, "audit")
    name, group = wanted[0].name, topic_prefix + "group"
    await create_topics(options, replace(SETTINGS, partitions=1), catalogue=wanted)
    producer = AIOKafkaProducer(transactional_id=topic_prefix + "writer", **options.client())
    await producer.start()
    for count in (2, 1):
        async with producer.transaction():
            for _ in range(count):
                await producer.send_and_wait(name, b"v", partition=0)
    await producer.stop()
    (quiet,) = await describe(options, catalogue=wanted)
    assert (quiet.records, quiet.offsets, dict(quiet.lag)) == (None, 5, {})
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **options.client())
    await consumer.start()
    consumer.assign([TopicPartition(name, 0)])
    for committed, lag in ((0, 3), (2, 1), (4, 0)):
        await consumer.commit({TopicPartition(name, 0): committed})
        (status,) = await describe(options, catalogue=wanted)
        assert dict(status.lag) == {group: lag}, committed
    await consumer.stop()


async def test_a_topic_that_is_missing_is_described_as_missing_and_not_created(options, topic_prefix) -> None:
    wanted = catalogue(topic_prefix, "audit")
    for _ in range(2):
        (status,) = await describe(options, catalogue=wanted)
        assert not status.exists


@pytest.mark.parametrize("address", ["kafka.example.org:9092", "10.0.0.7:9092", "127.0.0.1:9092,10.0.0.7:9092"])
def test_plaintext_beyond_this_machine_is_refused_unless_allowed_by_name(address: str) -> None:
    with pytest.raises(
        KafkaOptionsError, match=r"plaintext to .* is refused .* kafka\.security\.allow_plaintext to true"
    ):
        KafkaOptions(bootstrap_servers=address)
    with pytest.raises(KafkaOptionsError, match="plaintext"):
        KafkaOptions(
            bootstrap_servers=address, protocol="SASL_PLAINTEXT", mechanism="PLAIN", username="u", password="p"
        )
    assert KafkaOptions(bootstrap_servers=address, allow_plaintext=True).servers == address.split(",")


@pytest.mark.parametrize("address", ["127.0.0.1:9092", "localhost:9092", "[::1]:9092"])
def test_plaintext_on_this_machine_is_fine(address: str) -> None:
    assert KafkaOptions(bootstrap_servers=address).client() == {
        "bootstrap_servers": [address],
        "security_protocol": "PLAINTEXT",
    }


def test_tls_with_a_password_becomes_the_clients_arguments_and_stays_out_of_the_repr() -> None:
    options = KafkaOptions(
        bootstrap_servers="k:9093", protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="lockstep", password="hush"
    )
    arguments = options.security()
    assert arguments.pop("ssl_context").check_hostname is True
    assert arguments == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "lockstep",
        "sasl_plain_password": "hush",
    }
    assert "hush" not in repr(options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bootstrap_servers": "localhost"}, "'localhost' is not host:port"),
        ({"bootstrap_servers": ""}, "'' is not host:port"),
        (
            {"bootstrap_servers": "k:1", "protocol": "SASL_SSL", "mechanism": "PLAIN"},
            "needs mechanism, username and password",
        ),
        (
            {"bootstrap_servers": "k:1", "protocol": "SSL", "cert_file": "c.pem"},
            "cert_file and key_file belong together",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused_in_one_line(given, said) -> None:
    with pytest.raises(KafkaOptionsError, match=said):
        KafkaOptions(**given)


def test_a_certificate_file_that_is_missing_is_named(tmp_path) -> None:
    options = KafkaOptions(bootstrap_servers="k:1", protocol="SSL", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(KafkaOptionsError, match=r"ca\.pem cannot be used \(No such file"):
        options.client()
