"""Three brokers, two copies in step: any one may be lost, and the work goes on while it is away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from bench.kafka_io import ends_of
from streams import broker_folder
from streams.broker import BrokerError
from streams.broker_cluster import NODES, EmbeddedCluster
from tests.kafka.delivery_run import Run, counting_run, kept

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

#: Three brokers and a worker on a machine that is busy with other things; alone, each wait is over in seconds.
PATIENCE_S = 150.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """One for all tests here: whoever kills a broker brings it back."""
    with EmbeddedCluster(tmp_path_factory.mktemp("cluster") / "kafka", progress=print) as running:
        yield running


async def coordinator_of(cluster: EmbeddedCluster, run: Run) -> int:
    """The broker that keeps the worker's group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await admin.start()
    try:
        prefix = run.fleet.plan.own_prefix.rstrip(".")
        return int(await admin.find_coordinator(f"{prefix}.{run.job.stage.name}"))
    finally:
        await admin.close()


async def leads_most(cluster: EmbeddedCluster, run: Run) -> int:
    """The broker through which most of the job's records go."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    await admin.start()
    try:
        topics = await admin.describe_topics([*run.job.stage.topics, *run.job.outputs, run.job.stage.state_topic])
    finally:
        await admin.close()
    [(most, _)] = Counter(part["leader"] for topic in topics for part in topic["partitions"]).most_common(1)
    return int(most)


async def whole(cluster: EmbeddedCluster, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not await cluster.whole():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def test_one_of_three_brokers_is_lost_then_another_and_the_work_goes_on(
    cluster: EmbeddedCluster, topic_prefix: str, tmp_path: Path
) -> None:
    async with counting_run(cluster.bootstrap_servers, topic_prefix, tmp_path, copies=3) as run:
        await whole(cluster)
        feeding = run.feed(100_000, per_second=200)
        async with kept(run, instance="only") as lives:
            await run.decided(500, PATIENCE_S)
            for choose in (coordinator_of, leads_most):
                lost = await choose(cluster, run)
                await asyncio.to_thread(cluster.kill, lost)
                assert not await cluster.whole()
                began = time.monotonic()
                await run.decided(run.audited + 500, PATIENCE_S)
                print(f"without broker {lost}: 500 facts in {time.monotonic() - began:.1f} s, {len(lives)} lives")
                await asyncio.to_thread(cluster.revive, lost)
                await whole(cluster)
            await run.stop(feeding)
            facts = sum([sum((await ends_of(run.servers, topic)).values()) for topic in run.job.stage.topics])
            await run.decided(facts, PATIENCE_S)
        verdict = await run.verdict()
    assert verdict.facts == facts > 1500
    assert verdict.flawless, verdict


def test_a_second_owner_of_the_clusters_folder_is_refused_in_one_line(cluster: EmbeddedCluster) -> None:
    with pytest.raises(BrokerError, match=f"is in use by process {os.getpid()}"):
        EmbeddedCluster(cluster.data_dir).open()
    assert all(broker.pid is not None for broker in cluster.brokers.values())


OWNER = """
import sys, time
from pathlib import Path
from streams.broker_cluster import EmbeddedCluster
with EmbeddedCluster(Path(sys.argv[1])) as cluster:
    print(*(broker.pid for broker in cluster.brokers.values()), flush=True)
    time.sleep(300)
"""


def test_no_broker_outlives_an_owner_that_is_killed_with_sigkill(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 3
    finally:
        owner.kill()
        owner.communicate()
    deadline = time.monotonic() + 40
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not any(broker_folder.brokers_on(tmp_path / f"node-{number}") for number in NODES)
