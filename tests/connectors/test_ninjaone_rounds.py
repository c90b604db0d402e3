"""What is done when NinjaOne's deliveries queue up: the poll is asked before its time, as long as that is worth a call."""

import asyncio
from dataclasses import dataclass, field

import orjson

from connectors.ninjaone.intake import Recent
from connectors.ninjaone.lag import DeliveryLag
from connectors.ninjaone.rounds import SOONEST, WORTH, AlertRounds
from schemas.facts import AlertTriggered
from tests.connectors.ninja_connected import TOKEN, bench, started

MINUTE = 60_000


def is_late(lag: DeliveryLag, activity_at: int, now: int) -> bool:
    lag.late.clear()
    lag.seen(activity_at, now)
    return lag.late.is_set()


def test_a_delivery_is_late_by_more_than_two_seconds_than_the_quickest_one():
    lag = DeliveryLag()
    assert not is_late(lag, 1_000_000, 1_000_100)
    assert not is_late(lag, 1_001_000, 1_003_100)
    assert is_late(lag, 1_001_000, 1_003_101)


def test_clocks_that_differ_by_an_hour_either_way_are_no_delay():
    for skew in (3_600_000, -3_600_000):
        lag = DeliveryLag()
        assert not is_late(lag, 10_000_000 + skew, 10_000_000)
        assert not is_late(lag, 10_060_000 + skew, 10_060_500)
        assert is_late(lag, 10_070_000 + skew, 10_073_000)


def test_clocks_that_drifted_apart_are_no_delay_after_ten_minutes():
    lag = DeliveryLag()
    assert not is_late(lag, 0 + MINUTE, MINUTE)
    # The vendor's clock falls back by five seconds; every delivery looks late until the old measure is forgotten.
    assert is_late(lag, 2 * MINUTE - 5_000, 2 * MINUTE)
    for minute in range(5, 10):
        lag.seen(minute * MINUTE - 5_000, minute * MINUTE)
    assert not is_late(lag, 10 * MINUTE - 5_000, 10 * MINUTE)


def test_an_activity_without_a_time_says_nothing():
    lag = DeliveryLag()
    lag.seen(1_000_000, 1_000_000)
    assert not is_late(lag, 0, 9_000_000)


@dataclass
class Poller:
    """Counts what it is asked for; ``brings`` is what each catching up finds."""

    brings: int = 0
    asked: list[str] = field(default_factory=list)

    async def poll(self) -> None:
        self.asked.append("round")

    async def catch_up(self) -> int:
        self.asked.append("catch up")
        return self.brings


class Time:
    """Sleeps that end when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._waiting.append((self.now + seconds, over))
        await over.wait()

    async def pass_(self, seconds: float) -> None:
        await _let_run()
        self.now += seconds
        for due, over in self._waiting:
            if due <= self.now:
                over.set()
        await _let_run()


async def _let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _running(rounds: AlertRounds) -> None:
    while True:
        await rounds.work()
        await rounds.pause()


class Case:
    """The rounds of a poll every thirty seconds, on a clock of the test."""

    def __init__(self, brings: int) -> None:
        self.poller, self.lag, self.time = Poller(brings), DeliveryLag(), Time()
        self._rounds = AlertRounds(self.poller, self.lag, seconds=30.0, sleep=self.time.sleep)

    async def __aenter__(self) -> "Case":
        self._task = asyncio.create_task(_running(self._rounds))
        await _let_run()
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._rounds.stop()


async def test_without_late_deliveries_there_are_rounds_only():
    async with Case(brings=100) as case:
        for _ in range(60):
            await case.time.pass_(1)
    assert case.poller.asked == ["round"] * 3


async def test_while_deliveries_are_late_the_activities_are_read_every_three_seconds_and_rounds_keep_their_pace():
    async with Case(brings=WORTH) as case:
        for _ in range(60):
            case.lag.late.set()
            await case.time.pass_(1)
    assert SOONEST == 3
    assert case.poller.asked.count("round") == 3
    assert 18 <= case.poller.asked.count("catch up") <= 20


async def test_late_deliveries_that_bring_little_are_asked_about_less_and_less():
    async with Case(brings=WORTH - 1) as case:
        for _ in range(120):
            case.lag.late.set()
            await case.time.pass_(1)
    # After 3, 6, 12, 24 seconds and from then on once between two rounds.
    assert case.poller.asked.count("round") == 5
    assert case.poller.asked.count("catch up") <= 6


async def with_a_known_condition(made, connector) -> str:
    await connector.poller.poll()
    uid = await made.lab.alert()
    await connector.poller.poll()
    return uid


async def test_a_late_delivery_brings_the_alerts_that_queue_up_behind_it():
    async with bench() as made, started(made) as connector:
        known = await with_a_known_condition(made, connector)
        [first, *others] = [await made.lab.alert(subject=str(number)) for number in range(30)]
        activities = (await made.lab.rows("activities"))["activities"]
        [activity] = [row for row in activities if row.get("seriesUid") == first]
        headers = {"x-lockstep-token": TOKEN}
        connector.intake.lag.seen(made.now(), made.now())
        await made.advance(5)
        status, _ = await connector.webhook.handle(headers, orjson.dumps(activity))
        assert status == 204
        assert connector.intake.lag.late.is_set()
        assert await connector.poller.catch_up() == len(others)
        told = [fact.uid for fact in made.log.facts(AlertTriggered)]
        assert told == [known, first, *others]
        # It reads above what it has read, once, and no list of alerts.
        before = len(await made.calls())
        assert await connector.poller.catch_up() == 0
        assert len(await made.calls()) == before + 1
        assert not connector.intake.webhook_fell_silent()


async def test_catching_up_leaves_the_cursor_to_the_next_round_which_tells_nothing_twice():
    async with bench() as made, started(made) as connector:
        known = await with_a_known_condition(made, connector)
        uid = await made.lab.alert(subject="another")
        cursor = made.log.compacted["cursors"]["ninjaone.activities"]
        await connector.poller.catch_up()
        assert made.log.compacted["cursors"]["ninjaone.activities"] == cursor
        await connector.poller.poll()
        assert [fact.uid for fact in made.log.facts(AlertTriggered)] == [known, uid]
        assert orjson.loads(made.log.compacted["cursors"]["ninjaone.activities"])["published"]


async def test_a_condition_that_nobody_knows_makes_catching_up_a_whole_round():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await made.lab.alert(sourceType="AGENT_OFFLINE", sourceConfigUid="0b5d0f0a-0000-4000-8000-000000000777")
        await connector.poller.catch_up()
        [fact] = made.log.facts(AlertTriggered)
        assert fact.source_type == "AGENT_OFFLINE"


def test_of_what_was_published_all_above_the_cursor_is_remembered_and_of_the_rest_the_last():
    recent = Recent(limit=20, most=200)
    for activity in range(1, 101):
        recent.add(activity)
    assert all(activity in recent for activity in range(1, 101))
    recent.passed(90)
    assert recent.above(0) == list(range(81, 101))
    recent.passed(100)
    recent.add(101)
    assert recent.above(0) == list(range(82, 102))


def test_a_cursor_that_stands_still_for_hours_does_not_fill_the_memory():
    recent = Recent(limit=20, most=200)
    for activity in range(1, 1001):
        recent.add(activity)
    assert recent.above(0) == list(range(801, 1001))


async def test_a_busy_tenant_is_told_each_activity_once_however_many_the_overlap_holds():
    async with bench() as made, started(made) as connector:
        connector.intake.recent = Recent(limit=20)
        await with_a_known_condition(made, connector)
        for number in range(100):
            made.lab.vendor.alerts.trigger({"deviceId": 1001, "subject": str(number)})
        for _ in range(3):
            await connector.poller.poll()
        assert len(made.log.facts(AlertTriggered)) == 101
