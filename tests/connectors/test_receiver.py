"""The webhook receiver over real HTTP: who may deliver, what is acknowledged when, and what becomes of the rest."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest

from connectors.ninjaone.config import WebhookConfig
from connectors.ninjaone.webhook import NinjaOneWebhook
from connectors.receiver import create_receiver
from connectors.sandbox.transport import RunningServer
from schemas.facts import AlertReset, AlertTriggered, DeviceObserved
from tests.connectors.memory_log import MemoryLog
from tests.connectors.ninja_connected import TOKEN, bench, started

HEADERS = {"X-Lockstep-Token": TOKEN}


class Recorder:
    """Stands where the other vendor's handler will be."""

    def __init__(self):
        self.seen = []

    async def handle(self, headers, body):
        self.seen.append((headers["x-signature"], body))
        return 202, "taken"


class StalledLog(MemoryLog):
    async def publish(self, publications):
        await asyncio.sleep(30)


@asynccontextmanager
async def receiving(made, connector, *, webhook=None, autotask=None):
    """The receiver of a connector on a port of its own, as the sandbox's webhook target, and a client to it."""
    server = RunningServer(create_receiver(ninjaone=webhook or connector.webhook, autotask=autotask), 0)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=5) as client:
            yield client
    finally:
        await server.stop()


async def hook(made, client, **changes):
    url = f"{client.base_url}/webhooks/ninjaone".replace("//webhooks", "/webhooks")
    headers = [{"name": "X-Lockstep-Token", "value": TOKEN}]
    await made.lab.webhook(url, headers=headers, expand=["device", "organization", "location"], **changes)


async def until(check):
    async with asyncio.timeout(3):
        while not check():
            await asyncio.sleep(0.005)


def activity(number=1, **changes):
    row = {
        "id": number,
        "activityTime": 1760000100.5,
        "deviceId": 1001,
        "seriesUid": "7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21",
        "activityType": "CONDITION",
        "statusCode": "TRIGGERED",
        "message": "Disk full",
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}


async def test_a_pushed_alert_has_the_polls_event_id_and_is_told_once():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        await connector.poller.poll()
        await hook(made, client)
        uid = await made.lab.alert(sourceType="AGENT_OFFLINE")
        await until(lambda: made.log.of(AlertTriggered))
        await connector.poller.poll()
        [pushed] = made.log.of(AlertTriggered)
        assert (pushed.fact.uid, pushed.fact.source_type) == (uid, "AGENT_OFFLINE")
        # Another process, which knows nothing of the push, polls the same activity.
        made.log.compacted["cursors"].pop("ninjaone.alerts.0", None)
        kept = orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])
        made.log.compacted["cursors"]["ninjaone.activities"] = orjson.dumps({**kept, "published": []})
        async with started(made) as other:
            await other.poller.poll()
        polled = made.log.of(AlertTriggered)[1]
        assert polled.id == pushed.id
        assert polled.fact.to_json() == pushed.fact.to_json()


async def test_a_pushed_reset_is_told_with_its_activity():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        await hook(made, client)
        uid = await made.lab.alert()
        await made.lab.control("POST", f"alerts/{uid}/clear")
        await until(lambda: made.log.of(AlertReset))
        assert made.log.facts(AlertReset)[0].uid == uid


async def test_a_pushed_inventory_activity_leads_to_a_look():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        await hook(made, client)
        await made.lab.control("PATCH", "devices/1001", {"displayName": "RENAMED"})
        await connector.looks.work()
        assert made.log.facts(DeviceObserved)[-1].subject.device_name == "RENAMED"


@pytest.mark.parametrize("headers", [{}, {"X-Lockstep-Token": "wrong"}, {"X-Lockstep-Token": ""}])
async def test_a_delivery_without_the_right_header_is_refused_and_leaves_no_trace(headers):
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        before = len(made.log.writes)
        answer = await client.post("/webhooks/ninjaone", json=activity(), headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text
        assert len(made.log.writes) == before


async def test_without_a_secret_of_ours_nobody_is_let_in():
    async with bench() as made, started(made) as connector:
        connector.webhook._secret = b""
        async with receiving(made, connector) as client:
            answer = await client.post("/webhooks/ninjaone", json=activity(), headers={"X-Lockstep-Token": ""})
        assert answer.status_code == 401
        assert "ninjaone.webhook.secret" in answer.text


async def test_an_oversized_delivery_is_refused_with_one_clear_line():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        body = b"x" * (256 * 1024 + 1)
        answer = await client.post("/webhooks/ninjaone", content=body, headers=HEADERS)
        assert (answer.status_code, answer.text) == (
            413,
            "the body is larger than 256 KiB; deliveries are one event each",
        )

        async def chunked():
            for _ in range(5):
                yield b"x" * 65536

        answer = await client.post("/webhooks/ninjaone", content=chunked(), headers=HEADERS)
        assert answer.status_code == 413
        exact = await client.post("/webhooks/ninjaone", content=b"x" * (256 * 1024), headers=HEADERS)
        assert exact.status_code == 202


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{not json", "not JSON"), (b'"text"', "the row"), (b'{"activityType":"CONDITION"}', "id"),
     (orjson.dumps(activity(seriesUid=None)), "seriesUid")],
)  # fmt: skip
async def test_what_cannot_be_understood_is_kept_and_accepted_so_that_the_hook_stays_enabled(body, words):
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        headers = {**HEADERS, "Content-Type": "application/json"}
        answer = await client.post("/webhooks/ninjaone", content=body, headers=headers)
        assert answer.status_code == 202
        [letter] = made.log.dead_letters
        assert (letter.stage, letter.value) == ("webhook ninjaone", body)
        assert words in letter.error
        assert letter.headers["content-type"] == "application/json"
        assert TOKEN not in str(letter.headers)


async def test_a_delivery_is_acknowledged_only_after_kafka_did():
    async with bench() as made, started(made) as connector:
        webhook = NinjaOneWebhook(
            connector.webhook._intake, log_=StalledLog(), config=WebhookConfig(secret=TOKEN), seconds=0.1
        )
        async with receiving(made, connector, webhook=webhook) as client:
            answer = await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)
        assert answer.status_code == 503
        assert "Kafka" in answer.text


async def test_a_broker_that_refuses_is_a_503_and_the_next_delivery_is_taken():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        made.log.refusing = ConnectionError("no broker")
        assert (await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)).status_code == 503
        assert (await client.post("/webhooks/ninjaone", content=b"{", headers=HEADERS)).status_code == 503
        made.log.refusing = None
        assert (await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)).status_code == 204
        assert len(made.log.of(AlertTriggered)) == 1


async def test_the_same_delivery_twice_is_told_once():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        for _ in range(2):
            assert (await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)).status_code == 204
        assert len(made.log.of(AlertTriggered)) == 1


async def test_an_activity_that_is_not_ours_is_answered_and_forgotten():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        before = len(made.log.writes)
        row = activity(activityType="PATCH_MANAGEMENT", statusCode="STARTED")
        assert (await client.post("/webhooks/ninjaone", json=row, headers=HEADERS)).status_code == 204
        assert len(made.log.writes) == before


async def test_an_unknown_source_type_costs_one_read_and_is_known_from_then_on():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        await hook(made, client)
        before = len(await made.calls("alerts"))
        for device_id in (1001, 1002, 1003):
            await made.lab.alert(deviceId=device_id, sourceType="CONDITION_PING", severity="MAJOR")
        await until(lambda: len(made.log.of(AlertTriggered)) == 3)
        assert {fact.source_type for fact in made.log.facts(AlertTriggered)} == {"CONDITION_PING"}
        assert {fact.severity for fact in made.log.facts(AlertTriggered)} == {"MAJOR"}
        assert len(await made.calls("alerts")) - before == 1


async def test_a_storm_of_one_unknown_condition_costs_one_read():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        uids = [await made.lab.alert(deviceId=1001 + number % 4, sourceType="CONDITION_PING") for number in range(12)]
        await made.lab.setting(latency_ms=20)
        config = made.lab.vendor.store.alerts[uids[0]]["sourceConfigUid"]
        rows = [
            activity(number, deviceId=1001 + number % 4, seriesUid=uid, sourceConfigUid=config)
            for number, uid in enumerate(uids)
        ]
        before = len(await made.calls("alerts"))
        answers = await asyncio.gather(*(client.post("/webhooks/ninjaone", json=row, headers=HEADERS) for row in rows))
        assert {answer.status_code for answer in answers} == {204}
        assert {fact.source_type for fact in made.log.facts(AlertTriggered)} == {"CONDITION_PING"}
        assert len(await made.calls("alerts")) - before == 1


async def test_an_alert_of_a_known_device_is_taken_without_any_call_while_the_gate_is_closed():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        made.gate.closed = "locked"
        before = len(await made.calls())
        answer = await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)
        assert answer.status_code == 204
        [fact] = made.log.facts(AlertTriggered)
        assert (fact.source_type, fact.subject.device_id) == (None, 1001)
        assert len(await made.calls()) == before


async def test_an_alert_of_an_unknown_device_is_left_to_the_poll_while_it_cannot_be_asked_for():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        connector.directory._devices.clear()
        made.gate.closed = "locked"
        answer = await client.post("/webhooks/ninjaone", json=activity(), headers=HEADERS)
        assert answer.status_code == 202
        assert "poll" in answer.text
        assert made.log.of(AlertTriggered) == []


async def test_autotask_deliveries_go_to_its_handler_with_their_bytes():
    recorder = Recorder()
    async with bench() as made, started(made) as connector, receiving(made, connector, autotask=recorder) as client:
        answer = await client.post("/webhooks/autotask", content=b"raw \xff", headers={"X-Signature": "abc"})
        assert (answer.status_code, answer.text) == (202, "taken")
        assert recorder.seen == [("abc", b"raw \xff")]


async def test_a_vendor_that_is_not_served_here_is_a_404_and_health_is_ok():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        assert (await client.post("/webhooks/autotask", content=b"{}")).status_code == 404
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/webhooks/ninjaone")).status_code == 405


async def test_a_delivery_of_a_known_condition_makes_no_call():
    async with bench() as made, started(made) as connector, receiving(made, connector) as client:
        await made.lab.alert(sourceType="CONDITION_PING")
        await connector.poller.poll()
        config = made.lab.vendor.store.conditions.get("CONDITION_PING")
        config = config or next(iter(made.lab.vendor.store.alerts.values()))["sourceConfigUid"]
        before = len(await made.calls())
        row = activity(5, seriesUid="11111111-58c5-4f4b-9a2c-0f5a7f0c9e21", sourceConfigUid=config)
        assert (await client.post("/webhooks/ninjaone", json=row, headers=HEADERS)).status_code == 204
        assert made.log.facts(AlertTriggered)[-1].source_type == "CONDITION_PING"
        assert len(await made.calls()) == before
