"""What delivery checks about itself: its place record, its versions, and whether it still moves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.delivery import selfcheck, transport, watch
from streams.delivery.fatal import StartRefused, described
from streams.delivery.positions import decode_positions, encode_positions
from streams.delivery.settings import WorkerSettings
from streams.limit import Tally
from streams.stillness import Stillness

WHERE = ("alerts", 2)


def test_places_come_back_as_they_were_written() -> None:
    assert decode_positions(encode_positions({"b": 2, "a": 1})) == ({"a": 1, "b": 2}, {})
    tallies = {"a": Tally(3, 10, 4)}
    assert decode_positions(encode_positions({"a": 1}, tallies)) == ({"a": 1}, tallies)
    assert encode_positions({"b": 2, "a": 1}) == b'{"next":{"a":1,"b":2}}'


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"{}", b'{"next":3}', b'{"next":{"a":null}}', b'{"next":{},"dead":{"a":["x"]}}']
)
def test_a_place_record_of_another_kind_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="_positions is not readable"):
        decode_positions(value)


def test_the_installed_internals_are_the_tested_ones() -> None:
    selfcheck.check_internals()


def test_another_version_is_named_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "VERSIONS", {"aiokafka": "0.13.0", "no-such-package": "1"})
    with pytest.raises(StartRefused) as refused:
        selfcheck.check_internals()
    assert refused.value.exit_code == 70
    assert "aiokafka 0.14.0 (tested: 0.13.0); no-such-package not installed (tested: 1)" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_changed_or_missing_internal_is_named_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Owner:
        def kept(self, now: int) -> None: ...

    monkeypatch.setattr(selfcheck, "INTERNALS", ((Owner, "kept", ("self", "then")), (Owner, "gone", ("self",))))
    with pytest.raises(StartRefused, match=r"kept takes \(self, now\), not \(self, then\).*gone is gone"):
        selfcheck.check_internals()


def test_something_else_in_the_place_of_a_function_is_named_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Owner:
        became = property(lambda self: 1)
        slow: int

        async def stepped(self) -> None: ...

        def waited(self) -> None: ...

    table = tuple((Owner, name, ("self",)) for name in ("became", "stepped", "waited"))
    monkeypatch.setattr(selfcheck, "INTERNALS", table)
    monkeypatch.setattr(selfcheck, "AWAITED", {Owner: frozenset({"waited"})})
    with pytest.raises(StartRefused) as refused:
        selfcheck.check_internals()
    said = str(refused.value)
    assert "became is a property, no longer a function" in said
    assert "stepped is asynchronous now" in said
    assert "waited is no longer asynchronous" in said


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, name, wanted in selfcheck.INTERNALS if wanted is not None]
)
def test_every_function_that_we_rely_on_is_named_when_it_changes(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: object, entirely: object, different: object) -> None: ...

    monkeypatch.setattr(owner, name, other)
    with pytest.raises(StartRefused, match=rf"{owner.__qualname__}\.{name} takes \(self, entirely, different\)"):
        selfcheck.check_internals()


def test_all_that_the_transport_overrides_is_in_the_table() -> None:
    for ours in (transport.ConsumerThread, transport.Consumer, transport.Transport):
        theirs = ours.__mro__[1]
        overridden = {name for name in vars(ours) if hasattr(theirs, name) and not name.startswith("__")}
        listed = {name for owner, name, _ in selfcheck.INTERNALS if issubclass(theirs, owner)}
        # What mode's metaclass writes into every class of its own.
        assert overridden - {"logger", "abstract", "_abc_impl"} <= listed, ours


def test_a_partition_with_work_that_does_not_move_is_counted_until_it_does() -> None:
    stillness = Stillness(longest_look_s=10)
    assert stillness.seen({WHERE: (5, 9)}, 5) == {}
    assert stillness.seen({WHERE: (5, 9)}, 5) == {WHERE: 5}
    assert stillness.seen({WHERE: (5, 9)}, 5) == {WHERE: 10}
    assert stillness.seen({WHERE: (6, 9)}, 5) == {}


def test_a_partition_without_work_does_not_stand_still() -> None:
    stillness = Stillness(longest_look_s=10)
    stillness.seen({WHERE: (9, 9)}, 5)
    assert stillness.seen({WHERE: (9, 9)}, 5) == {}
    # Work that has just come has not waited yet.
    assert stillness.seen({WHERE: (9, 12)}, 5) == {WHERE: 5}


def test_a_look_after_a_long_sleep_of_the_process_counts_little() -> None:
    stillness = Stillness(longest_look_s=10)
    stillness.seen({WHERE: (5, 9)}, 5)
    assert stillness.seen({WHERE: (5, 9)}, 600) == {WHERE: 10}


def test_what_was_assigned_and_never_taken_up_is_told_apart_from_work() -> None:
    agent = SimpleNamespace(
        assigned={1, 2}, lanes={1: SimpleNamespace(running=True), 2: SimpleNamespace(running=False)}
    )
    consumer = SimpleNamespace(app=SimpleNamespace(rebalancing=False))
    assert watch._not_at_work(agent, consumer) == "partitions [2] were assigned and not taken up"
    agent.lanes[2].running = True
    assert watch._not_at_work(agent, consumer) == ""
    consumer.app.rebalancing = True
    assert watch._not_at_work(agent, consumer) == "a rebalance did not end"


async def test_a_broker_that_never_answers_one_process_ends_that_process(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def die(line: str) -> None:
        raise Ended(line)

    async def unanswered(*_: object) -> None:
        return None

    monkeypatch.setattr(watch, "die", die)
    monkeypatch.setattr(watch, "_look", unanswered)
    agent = SimpleNamespace(
        assigned=set(), lanes={}, settings=SimpleNamespace(stuck_after_s=0.04), stage=SimpleNamespace(name="alerts")
    )
    consumer = SimpleNamespace(app=SimpleNamespace(rebalancing=False))
    with pytest.raises(Ended, match="agent alerts: Kafka did not say where its topics end"):
        await asyncio.wait_for(watch.watch(agent, consumer), 10)


def test_secrets_do_not_show_in_the_settings() -> None:
    settings = WorkerSettings(
        bootstrap_servers="localhost:9092",
        partitions=6,
        data_dir=Path("."),
        client_options={"sasl_plain_password": "hush"},
    )
    assert "hush" not in repr(settings)


def test_an_error_becomes_one_line_with_its_place() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        line = described(error)
    assert line.startswith("ValueError: first at test_delivery_checks.py:")
