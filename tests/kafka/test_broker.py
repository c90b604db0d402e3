"""The embedded broker: found while it runs, gone with its owner, back after a kill, and never two on one folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams import broker_folder, kafka_runtime
from streams.broker import BrokerError, EmbeddedBroker, attach

OWNER = """
import sys, time
from pathlib import Path
from streams.broker import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])) as broker:
    print(broker.pid, flush=True)
    time.sleep(300)
"""


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Waiting for another process: there is no event to await."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def owner_of(folder: Path):
    """A process of its own that owns a broker; yields (process, the broker's pid)."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert eventually(lambda: not broker_folder.brokers_on(folder))


async def write(servers: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def create(servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def test_a_record_written_to_the_broker_is_read_back(broker: EmbeddedBroker, topic_prefix: str) -> None:
    await create(broker.bootstrap_servers, topic_prefix + "a")
    await write(broker.bootstrap_servers, topic_prefix + "a", [b"1", b"2"])
    assert await read(broker.bootstrap_servers, topic_prefix + "a", 2) == [b"1", b"2"]


def test_others_find_the_running_broker_through_its_folder(broker: EmbeddedBroker) -> None:
    assert attach(broker.data_dir) == broker.bootstrap_servers
    note = json.loads((broker.data_dir / "broker.json").read_text())
    assert (note["bootstrap_servers"], note["pid"]) == (broker.bootstrap_servers, broker.pid)


def test_its_only_copy_never_leaves_the_replicas_that_may_lead(broker: EmbeddedBroker) -> None:
    # A feature at level 0 has no record among those that a folder is formatted with; by default this one has.
    written = (broker.data_dir / "data" / "bootstrap.checkpoint").read_bytes()
    assert b"metadata.version" in written
    assert b"eligible.leader.replicas.version" not in written


def test_it_listens_on_loopback_only(broker: EmbeddedBroker) -> None:
    listening = [c.laddr.ip for c in psutil.Process(broker.pid).net_connections("tcp") if c.status == "LISTEN"]
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_its_files_are_small_before_anything_is_written(broker: EmbeddedBroker) -> None:
    apparent = sum(file.stat().st_size for file in (broker.data_dir / "data").rglob("*") if file.is_file())
    assert apparent < 64 * 1024 * 1024


def test_where_no_broker_runs_one_line_says_so_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"no embedded broker is running on .*: start `lockstep up` first") as caught:
        attach(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_second_owner_of_the_folder_is_refused_in_one_line(broker: EmbeddedBroker) -> None:
    with pytest.raises(BrokerError, match=f"is in use by process {os.getpid()}, which runs the embedded broker"):
        EmbeddedBroker(broker.data_dir).open()
    assert attach(broker.data_dir) == broker.bootstrap_servers


@pytest.mark.faults
async def test_after_kill_nine_the_broker_comes_back_at_the_same_address_with_its_records(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "k")
    await broker.start()
    try:
        await create(broker.bootstrap_servers, "facts")
        await write(broker.bootstrap_servers, "facts", [b"before"])
        address, killed = broker.bootstrap_servers, broker.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: broker.restarts == 1 and broker.pid not in (None, killed))
        assert attach(tmp_path / "k", wait=30) == address
        await write(address, "facts", [b"after"])
        assert await read(address, "facts", 2) == [b"before", b"after"]
        assert broker.failure is None
    finally:
        await broker.stop()
    assert not (tmp_path / "k" / "broker.json").exists()


def test_the_broker_dies_with_an_owner_that_is_killed_with_sigkill(tmp_path: Path) -> None:
    with owner_of(tmp_path) as (owner, pid):
        owner.kill()
        owner.wait()
        assert eventually(lambda: not psutil.pid_exists(pid))


def test_the_broker_dies_even_when_its_keeper_is_killed_first(tmp_path: Path) -> None:
    with owner_of(tmp_path) as (owner, pid):
        keeper = psutil.Process(pid).parent()
        assert keeper is not None
        os.kill(owner.pid, signal.SIGSTOP)  # an owner that cannot react
        keeper.kill()
        assert eventually(lambda: not psutil.pid_exists(pid))


@pytest.mark.faults
def test_a_killed_owners_folder_is_taken_over_with_its_records_and_address(tmp_path: Path) -> None:
    with owner_of(tmp_path) as (owner, pid):
        address = attach(tmp_path)
        owner.kill()
        owner.wait()
        with EmbeddedBroker(tmp_path) as successor:
            assert not psutil.pid_exists(pid)
            assert successor.bootstrap_servers == address


def test_a_broker_json_of_a_dead_process_is_not_believed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(gone.pid).create_time()
    gone.wait()
    note = {"bootstrap_servers": "127.0.0.1:1", "pid": gone.pid, "pid_started": started}
    (tmp_path / "broker.json").write_text(json.dumps(note))
    with pytest.raises(BrokerError, match="no embedded broker is running"):
        attach(tmp_path)


def test_a_broker_json_whose_process_id_now_belongs_to_another_program_is_not_believed(tmp_path: Path) -> None:
    note = {"bootstrap_servers": "127.0.0.1:1", "pid": os.getpid(), "pid_started": 1.0}
    (tmp_path / "broker.json").write_text(json.dumps(note))
    assert broker_folder.running(tmp_path) is None


def test_an_orphan_broker_is_ended_before_its_folder_is_used_again(tmp_path: Path) -> None:
    marker = str(tmp_path / "server.properties")
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "kafka.Kafka", marker])
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)", "kafka.Kafka", marker + ".other"]
    )
    try:
        assert eventually(lambda: len(broker_folder.brokers_on(tmp_path)) == 1)
        broker_folder.clear_strays(tmp_path, grace=5)
        assert orphan.poll() is not None or orphan.wait(5) is not None
        assert stranger.poll() is None
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()


def test_kept_ports_are_used_again_and_given_up_only_when_taken(tmp_path: Path) -> None:
    first = broker_folder.choose_ports(tmp_path)
    assert broker_folder.choose_ports(tmp_path) == first
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", first.clients))
        thief.listen()
        other = broker_folder.choose_ports(tmp_path)
        assert first.clients not in (other.clients, other.controller)
    assert broker_folder.choose_ports(tmp_path) == other


def test_a_folder_of_something_else_is_refused_in_one_line_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=SomebodyElses\nnode.id=77\n")
    with pytest.raises(
        BrokerError, match=r"does not start: .*Exception: Stored node id 77 .* \(see .*broker\.log\)"
    ) as caught:
        EmbeddedBroker(tmp_path).open()
    assert "\n" not in str(caught.value)
    assert not broker_folder.brokers_on(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerError, match="cannot be written"):
        EmbeddedBroker(tmp_path / "file" / "k").open()


def test_without_network_and_jars_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("M2_REPO", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    told: list[str] = []
    with pytest.raises(
        BrokerError,
        match=r"jars of Apache Kafka .* could not be fetched .*the proxy .* does not answer\): check the network",
    ) as caught:
        kafka_runtime.resolve(cache=tmp_path / "cache", progress=told.append)
    assert "\n" not in str(caught.value)
    assert told == ["fetching Apache Kafka 4.2.2 (about 25 MB, once)"]


def test_once_resolved_no_network_is_touched(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = kafka_runtime.resolve(cache=tmp_path).classpath
    monkeypatch.setattr(kafka_runtime, "_fetch", lambda java: pytest.fail("asked the network"))
    told: list[str] = []
    assert kafka_runtime.resolve(cache=tmp_path, progress=told.append).classpath == jars
    assert told == []


def test_jars_that_vanished_are_fetched_again(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"x")
    note = tmp_path / "note.json"
    kafka_runtime._remember(note, (jar,))
    assert kafka_runtime._recall(note) == (jar,)
    jar.write_bytes(b"")
    assert kafka_runtime._recall(note) is None


def test_options_meant_for_other_java_programs_do_not_reach_the_broker(tmp_path: Path) -> None:
    java = tmp_path / "runtime" / "bin" / "java"
    environment = kafka_runtime.java_environment({"_JAVA_OPTIONS": "-Xmx9g", "PATH": "/usr/bin", "LANG": "C"}, java)
    assert environment == {"LANG": "C", "JAVA_HOME": str(tmp_path / "runtime"), "PATH": str(java.parent)}
