"""Kafka that is not there, not allowed or not as configured: one line, exit 1, within seconds."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator

import pytest

from streams.broker import EmbeddedBroker
from tests.cli.terminal import CANARY, Terminal

NEEDS_KAFKA = [
    "status",
    "status --json",
    "status --role worker",
    "explain 17",
    "audit verify",
    "audit tail",
    "export --to out",
    "advise",
    "topics",
    "parked list",
    "parked held",
    "parked retry --all",
    "parked dismiss --all --reason x",
    "pause",
    "resume",
]


@pytest.mark.parametrize("verb", NEEDS_KAFKA)
def test_a_verb_that_needs_the_running_system_says_that_there_is_none(terminal: Terminal, verb: str) -> None:
    said = terminal.run(*verb.split())
    assert said.code == 1
    assert said.line.startswith("lockstep: no embedded broker is running on .lockstep/kafka: start `lockstep up` first")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{bootstrap_servers: '127.0.0.1:1'}", "Kafka at 127.0.0.1:1 does not answer"),
        ("{bootstrap_servers: kafka}", "kafka.bootstrap_servers: 'kafka' is not host:port"),
        ("{bootstrap_servers: '192.0.2.1:9092'}", "plaintext to 192.0.2.1 is refused"),
        (
            "{bootstrap_servers: '127.0.0.1:1', security: {protocol: SASL_SSL}}",
            "protocol SASL_SSL needs mechanism, username and password",
        ),
        ("{bootstrap_servers: '127.0.0.1:1', security: {protocol: SSL, ca_file: nix}}", "nix cannot be used"),
    ],
)
def test_a_kafka_that_cannot_be_used_is_one_line(terminal: Terminal, text: str, words: str) -> None:
    terminal.write(f"kafka: {text}\n")
    said = terminal.run("topics", LOCKSTEP_KAFKA__SECURITY__USERNAME=CANARY)
    assert said.code == 1
    assert words in said.line


def test_a_role_whose_kafka_is_away_ends_with_one_line_at_the_end_of_its_log(terminal: Terminal) -> None:
    terminal.write("kafka: {bootstrap_servers: '127.0.0.1:1'}\n")
    said = terminal.run("run", "worker", within=20)
    assert (said.code, said.out) == (1, "")
    last = said.err.splitlines()[-1]
    assert last.startswith("lockstep: Kafka at 127.0.0.1:1 does not answer")
    assert "kafka.bootstrap_servers" in last


def test_a_second_up_on_the_same_folder_names_the_first(terminal: Terminal) -> None:
    lock = terminal.write("4711\n", ".lockstep/kafka/owner.lock").open("r+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        # Whoever runs a system on this machine beside the tests may have the default port.
        said = terminal.run("up", LOCKSTEP_RECEIVER__PORT="0")
    finally:
        lock.close()
    assert said.code == 1
    assert ".lockstep/kafka is in use by process 4711" in said.line
    assert "set another kafka.data_dir" in said.line


def test_a_sandbox_whose_port_is_taken_says_so(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = terminal.run("sandbox", "--ninjaone-port", str(taken.getsockname()[1]))
    assert said.code == 1
    assert "choose another port, or 0 for any" in said.line


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose topics were made with two partitions."""
    folder = tmp_path_factory.mktemp("away")
    with EmbeddedBroker(folder / "kafka") as broker:
        yield broker.bootstrap_servers


@pytest.mark.kafka
def test_a_taken_receiver_port_and_another_partition_count_are_named_with_the_way_out(
    terminal: Terminal, kafka: str
) -> None:
    terminal.write(
        "version: 1\ndevices: {types: [{type: W, product: P}]}\nrules: [{name: all, when: {}}]\n", "policy.yaml"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal.write(f"kafka: {{bootstrap_servers: '{kafka}', partitions: 2}}\nreceiver: {{port: {port}}}\n")
        said = terminal.run("run", "connectors", within=60)
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith(
        f"lockstep: receiver: cannot listen on 127.0.0.1:{port}: it is taken by process {os.getpid()} ("
    )
    assert last.endswith("); choose another receiver.port")
    terminal.write(f"kafka: {{bootstrap_servers: '{kafka}', partitions: 3}}\n")
    said = terminal.run("run", "worker", within=60)
    assert said.code != 0
    assert "kafka.partitions" in said.err.splitlines()[-1]
    assert "2" in said.err.splitlines()[-1]
