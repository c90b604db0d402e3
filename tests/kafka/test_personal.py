"""Personal values on the real broker: known to whoever asks as soon as they are kept, forgotten as soon as they are erased."""

from __future__ import annotations

from connectors.personal import Personal, PersonalStore
from schemas.events import decode_fact
from schemas.personal import PersonalDataErased
from schemas.topics import BY_NAME, CONTROL, PERSONAL
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.personal import KeptPersonal, erase, to_erase, values_of
from streams.readers import read_all
from streams.topics import TopicSettings, create_topics, examine

SETTINGS = TopicSettings(partitions=2)


async def test_a_value_is_there_when_keep_returns_and_gone_when_it_is_erased_and_that_is_told(
    broker: EmbeddedBroker,
) -> None:
    options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
    mine = [BY_NAME[CONTROL], BY_NAME[PERSONAL]]
    await create_topics(options, SETTINGS, catalogue=mine)
    missing, findings = await examine(options, SETTINGS, catalogue=mine)
    assert (missing, findings) == ((), ()), "the broker took every setting as it was meant"
    writer, reader = KeptPersonal(options), KeptPersonal(options)
    await writer.start()
    await reader.start()
    async with KafkaLog(options, now=lambda: 7) as log:
        store = PersonalStore(log, writer.values, now=lambda: 7)
        for number in range(20):
            value = f"ACME\\user{number}"
            (token,) = await store.keep([Personal(key="407", kind="last_user", value=value, organization_id=17)])
            # At once, though what follows the topic may not have it yet.
            assert await reader.value("407", token) == value
            if number % 5 == 0:
                await store.keep([Personal(key="407", kind="last_user", value="ACME\\max", organization_id=17)])
                (again,) = await store.keep([Personal(key="407", kind="last_user", value=value, organization_id=17)])
                assert again == token
                assert await reader.value("407", token) == value, "one who comes back is kept again"
        await reader.values.catch_up()
        assert len(reader.values) == 1, "former users are forgotten"
        chosen = await to_erase(options, device="407")
        await erase(log, chosen, actor="ada", at=9)
        assert await reader.value("407", token) is None
        assert await values_of(options, [token]) == {token: None}
        told = [decode_fact(record.headers, record.value).data async for record in read_all(options, CONTROL)]
    erased = [fact for fact in told if isinstance(fact, PersonalDataErased)]
    assert [(fact.actor, fact.selection, fact.erased[0].count) for fact in erased] == [("ada", "device 407", 1)] * 2
    assert (await to_erase(options, device="407")).count == 0
    for kept in (writer, reader):
        await kept.stop()
