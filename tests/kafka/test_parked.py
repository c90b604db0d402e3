"""Dead letters from the topic and back, with the real worker and the real command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from schemas.identity import partition_of
from schemas.topics import DEAD_LETTERS, NINJAONE_ALERTS
from streams.broker import EmbeddedBroker
from streams.topics import TopicSettings, create_topics
from tests.core.spec import EXTERNAL_A, EXTERNAL_B, UID_B, UID_C, policy, triggered
from tests.kafka.parked_run import PARTITIONS, Place, envelope

pytestmark = pytest.mark.kafka

PARTITION = partition_of("407", PARTITIONS)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[str]:
    """A broker of its own: the roles know their topics by the names of the catalogue only."""
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running.bootstrap_servers


@pytest.fixture
async def place(tmp_path: Path, servers: str) -> AsyncIterator[Place]:
    """Topics and a policy, no worker yet."""
    made = Place(tmp_path, servers)
    await create_topics(made.options, TopicSettings(partitions=PARTITIONS))
    await made.publish(policy())
    try:
        yield made
    finally:
        made.close()


async def test_a_dead_letter_is_listed_retried_linked_and_decided_after_an_upgrade(place: Place) -> None:
    newer = triggered()
    headers = [*envelope(newer, ce_type="lockstep.alert.triggered.v2"), ("traceparent", b"00-4bf9")]
    (garbage,) = await place.poison([b"\xff\x00garbage"], headers=[("h", b"1")])
    (future,) = await place.poison([newer.to_json()], headers=headers)
    await place.publish(triggered(activity=11, uid=UID_B, source_config_uid="another"))
    worker = place.worker()
    # The poison holds nobody up, and is kept as it was.
    await place.ticketed(EXTERNAL_B)
    first, second = await place.dead(2)
    assert (first.value, first.key, first.headers[0]) == (b"\xff\x00garbage", b"407", ("h", b"1"))
    assert (second.value, list(second.headers[: len(headers)])) == (newer.to_json(), headers)
    listed = (await place.lockstep("parked", "list", "--json")).json()
    where = ("ninjaone.alerts", str(PARTITION), "incidents")
    shown = [(row["topic"], row["partition"], row["stage"]) for row in listed["dead_letters"]]
    assert shown == [where, where]
    assert [row["offset"] for row in listed["dead_letters"]] == [str(garbage), str(future)]
    noise, early = (row["id"] for row in listed["dead_letters"])
    assert "needs a newer version of Lockstep" in listed["dead_letters"][1]["error"]
    assert listed["counts"] == [
        {"kind": "dead letter", "organization_id": None, "reason": "Unreadable", "count": 1},
        {"kind": "dead letter", "organization_id": 17, "reason": "NewerVersion", "count": 1},
    ]

    # Too early: it comes back, once, linked; said twice it does nothing more.
    said = (await place.lockstep("parked", "retry", early, "--json")).json()
    assert (said["retried"], said["dead_letters"]) == (1, [early])
    again = (await place.dead(3))[2]
    assert (again.value, list(again.headers[: len(headers)])) == (newer.to_json(), headers)
    twice = await place.lockstep("parked", "retry", early)
    assert (twice.code, f"{early} was retried by" in twice.out, "nothing to do" in twice.out) == (0, True, True)
    await asyncio.sleep(1.5)
    assert len(await place.written(DEAD_LETTERS)) == 3
    back = (await place.letters("--because", "NewerVersion"))[-1]
    assert (back["came_back"], back["handled"]) == (early, None)

    # After the upgrade it is decided.
    assert await place.stopped(worker) == 0
    worker = place.worker(upgraded=True)
    dry = (await place.lockstep("parked", "retry", "--organization", "17", "--dry-run", "--json")).json()
    assert (dry["retried"], dry["dead_letters"]) == (0, [back["id"]])
    assert (await place.lockstep("parked", "retry", "--organization", "17")).out == "1 piece of work retried"
    await place.ticketed(EXTERNAL_A, EXTERNAL_B)

    # What is garbage is given up, by somebody and for a reason.
    dismissed = (await place.lockstep("parked", "dismiss", "--all", "--reason", "noise", "--json")).json()
    assert (dismissed["dismissed"], dismissed["dead_letters"]) == (1, [noise])
    assert (await place.lockstep("parked", "list")).out == "nothing is parked"
    assert (await place.lockstep("parked", "dismiss", "--all", "--reason", "noise")).code == 0
    handled = {row["id"]: row["handled"] for row in await place.letters("--all")}
    assert (handled[noise]["what"], handled[noise]["reason"]) == ("dismissed", "noise")
    assert handled[noise]["actor"]
    assert len(await place.written(DEAD_LETTERS)) == 3

    unknown = await place.lockstep("parked", "retry", noise, "dead-77", "nonsense")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("lockstep: not parked and no dead letter: dead-77, nonsense; 'lockstep parked list")
    assert len(unknown.err.splitlines()) == 1
    assert await place.stopped(worker) == 0


async def test_a_topic_full_of_garbage_stops_the_worker_until_an_operator_lets_it_through(place: Place) -> None:
    await place.poison([b"garbage %d" % number for number in range(60)])
    worker = place.worker()
    await place.dead(60)
    await place.poison([b"garbage %d" % number for number in range(60, 130)])
    await place.publish(triggered(activity=12, uid=UID_C))
    assert await place.ended(worker) == 70
    line = place.log().strip().splitlines()[-1]
    assert "agent incidents: 100 records in a row of ninjaone.alerts partition" in line
    assert "offset 60: header ce_specversion is missing" in line
    assert "LOCKSTEP_WORKER__DEAD_LETTERS__CONSECUTIVE=-1" in line
    # Started again it stops again, although only 70 are left in a row: what was counted stands with the place.
    for _ in range(2):
        assert await place.ended(place.worker()) == 70
        assert len(await place.written(DEAD_LETTERS)) == 60
    assert len(await place.written(NINJAONE_ALERTS)) == 131

    worker = place.worker(LOCKSTEP_WORKER__DEAD_LETTERS__CONSECUTIVE="-1")
    await place.dead(130)
    external_c = "ls.407." + UID_C.replace("-", "")
    await place.ticketed(external_c)
    assert await place.stopped(worker) == 0
    # Under the usual limit again, it goes on.
    worker = place.worker()
    await place.publish(triggered(activity=13, uid=UID_B, source_config_uid="another"))
    await place.ticketed(external_c, EXTERNAL_B)
    given_up = await place.lockstep("parked", "dismiss", "--because", "Unreadable", "--reason", "a foreign writer")
    assert given_up.out == "130 pieces of work dismissed"
    assert await place.letters() == []
    assert await place.stopped(worker) == 0
