"""The whole NinjaOne side as the role runs it: loops, rhythm, a closed gate, trouble, and the way back."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from connectors.errors import CallFailed, Situation
from connectors.pacing import back_off, keep_polling
from connectors.ports import CallsSuspended
from schemas.facts import AlertReset, AlertTriggered, DeviceObserved
from tests.connectors.memory_log import SwitchedGate
from tests.connectors.ninja_connected import Naps, bench


class ShortNaps(Naps):
    """Sleeps a hundredth, so that loops turn but do not spin."""

    async def __call__(self, seconds):
        self.taken.append(seconds)
        await asyncio.sleep(min(seconds / 100, 0.02))


@asynccontextmanager
async def running(made, **changes):
    made.naps = ShortNaps()
    connector = made.connector(poll_seconds=1, inventory_seconds=5, **changes)
    task = asyncio.create_task(connector.run())
    try:
        yield connector
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(check):
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.01)


async def test_it_runs_by_itself_and_tells_devices_alerts_and_resets():
    async with bench() as made, running(made):
        await until(
            lambda: len(made.log.of(DeviceObserved)) == 8 and made.log.compacted["cursors"].get("ninjaone.activities")
        )
        uid = await made.lab.alert()
        await until(lambda: made.log.of(AlertTriggered))
        await made.lab.control("POST", f"alerts/{uid}/clear")
        await until(lambda: made.log.of(AlertReset))
        await made.lab.control("PATCH", "devices/1001", {"displayName": "RENAMED"})
        await until(lambda: made.log.facts(DeviceObserved)[-1].subject.device_name == "RENAMED")


async def test_pollers_read_one_at_a_time_per_endpoint():
    async with bench(devices=40) as made, running(made):
        await made.lab.setting(latency_ms=5)
        await until(lambda: made.log.compacted.get("cursors", {}).get("ninjaone.activities"))
        for number in range(20):
            await made.lab.control("PATCH", f"devices/{1001 + number}", {"displayName": f"N{number}"})
        await asyncio.sleep(0.3)
        assert max(row["inflight"] for row in await made.calls("activities")) == 1


async def test_while_the_gate_is_closed_there_is_no_call_and_afterwards_nothing_is_missing():
    async with bench() as made, running(made):
        await until(lambda: made.log.compacted.get("cursors", {}).get("ninjaone.activities"))
        made.gate.closed = "locked"
        await asyncio.sleep(0.1)
        quiet = len(await made.calls())
        uid = await made.lab.alert()
        await asyncio.sleep(0.2)
        assert len(await made.calls()) == quiet
        made.gate.closed = None
        await until(lambda: made.log.of(AlertTriggered))
        assert made.log.facts(AlertTriggered)[0].uid == uid


async def test_an_hour_of_trouble_is_waited_out():
    async with bench() as made, running(made):
        await until(lambda: made.log.compacted.get("cursors", {}).get("ninjaone.activities"))
        fault = await made.lab.fault("html", count=-1)
        await made.lab.alert()
        await asyncio.sleep(0.2)
        assert made.log.of(AlertTriggered) == []
        await made.lab.control("DELETE", f"faults/{fault}")
        await until(lambda: made.log.of(AlertTriggered))
        assert any(line.startswith("troubled") for line in made.gate.told)


async def test_a_broker_that_is_away_is_waited_out():
    async with bench() as made, running(made):
        await until(lambda: made.log.compacted.get("cursors", {}).get("ninjaone.activities"))
        made.log.refusing = ConnectionError("no broker")
        await made.lab.alert()
        await asyncio.sleep(0.1)
        made.log.refusing = None
        await until(lambda: len(made.log.of(AlertTriggered)) == 1)


class Rounds:
    """Work that does as told, then ends the poller."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)

    async def __call__(self):
        if not self.outcomes:
            raise asyncio.CancelledError
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


async def polled(gate, *outcomes, jitter=0.0):
    naps = Naps()
    pauses = []

    async def pause():
        pauses.append(1)

    with suppress(asyncio.CancelledError):
        await keep_polling("test", Rounds(*outcomes), pause, gate=gate, sleep=naps, jitter=lambda: jitter)
    return naps.taken, len(pauses)


def failed(**changes):
    return CallFailed(
        **{"vendor": "ninjaone", "situation": Situation.SERVER_ERROR, "write": False, "detail": "x", **changes}
    )


async def test_failures_in_a_row_double_the_wait_and_a_success_starts_anew():
    naps, pauses = await polled(SwitchedGate("ninjaone"), failed(), failed(), None, failed(), jitter=1.0)
    assert naps == [1.0, 2.0, 1.0]
    assert pauses == 1


async def test_flow_control_is_obeyed_by_the_next_round():
    naps, _ = await polled(SwitchedGate("ninjaone"), failed(situation=Situation.THROTTLED, retry_after=90.0))
    assert naps == [90.0]


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([failed(), failed()], []),
        (
            [failed(), failed(), failed(detail="403, permission missing")],
            ["test: 3 times in a row: 403, permission missing"],
        ),
        ([failed()] * 3 + [KeyError("oops")], ["test: 4 times in a row: KeyError: 'oops'"]),
        ([failed()] * 3 + [None], []),
        ([failed(), failed(), None, failed()], []),
    ],
)
async def test_a_failure_that_lasts_is_told_until_a_round_succeeds(outcomes, told):
    failing = {}
    with suppress(asyncio.CancelledError):
        await keep_polling(
            "test",
            Rounds(*outcomes),
            _no_pause,
            gate=SwitchedGate("ninjaone"),
            sleep=Naps(),
            jitter=lambda: 0.0,
            failing=failing,
        )
    assert list(failing.values()) == told


async def _no_pause():
    return None


async def test_a_programming_error_is_one_line_and_not_the_end(caplog):
    naps, pauses = await polled(SwitchedGate("ninjaone"), KeyError("oops"), None)
    assert (len(naps), pauses) == (1, 1)
    assert [record.getMessage() for record in caplog.records] == ["test: KeyError: 'oops'"]
    assert caplog.records[0].exc_info is False or caplog.records[0].exc_info is None


async def test_a_suspended_poller_asks_the_gate_twice_a_second_and_calls_nothing():
    gate = SwitchedGate("ninjaone")
    gate.closed = "locked"

    class Opening(Naps):
        async def __call__(self, seconds):
            await super().__call__(seconds)
            if len(self.taken) == 3:
                gate.closed = None

    naps = Opening()
    rounds = Rounds(CallsSuspended("locked"), None)

    async def pause():
        return None

    with suppress(asyncio.CancelledError):
        await keep_polling("test", rounds, pause, gate=gate, sleep=naps, jitter=lambda: 0.0)
    assert naps.taken == [0.5, 0.5, 0.5]
    assert rounds.outcomes == []


@pytest.mark.parametrize(
    ("failures", "jitter", "expected"), [(1, 1.0, 1.0), (1, 0.0, 0.5), (4, 1.0, 8.0), (50, 1.0, 60.0)]
)
def test_the_back_off_doubles_is_spread_and_has_an_end(failures, jitter, expected):
    assert back_off(failures, first=1.0, jitter=jitter) == expected
