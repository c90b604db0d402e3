"""How the embedded broker is set up: ``server.properties`` and the JVM's options for one small node on loopback."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.identity import derived_id

HOST = "127.0.0.1"
#: Below the ranges from which systems take ports for outgoing connections (Linux 32768, macOS 49152), so that a
#: stopped broker's port is still there when it comes back.
FIRST_PORT, PORTS = 20_000, 10_000

#: Longer than the retention of facts: a Lockstep that stood still for a year still knows where its executors were.
OFFSETS_RETENTION_MINUTES = 500 * 24 * 60


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the client and the controller listener."""

    clients: int
    controller: int


@dataclass(frozen=True, slots=True)
class Node:
    """A broker's place among its likes: ``ports`` are those of every node of the cluster by its id, this one included."""

    node_id: int
    ports: Mapping[int, Ports]

    @property
    def own(self) -> Ports:
        """The ports of this node."""
        return self.ports[self.node_id]


#: Kafka's default (1) takes a replica that stopped uncleanly out of the list of those that may lead. With one copy that
#: leaves nobody: for a moment, as NotEnoughReplicas in 2 of 12 runs after a full disk had ended the broker twice.
NO_ELIGIBLE_REPLICAS = "eligible.leader.replicas.version=0"


def alone(ports: Ports) -> Node:
    """The place of a broker that has no likes."""
    return Node(1, {1: ports})


def port_candidates(data_dir: Path) -> Sequence[int]:
    """Ports to try, in order: the same for the same folder, others for another, so that several rarely meet."""
    start = int(derived_id("ports", str(data_dir))[:8], 16) % PORTS
    return [FIRST_PORT + (start + step) % PORTS for step in range(PORTS)]


def cluster_id(data_dir: Path) -> str:
    """Kafka's form of a cluster id (16 bytes, base64 for URLs), derived from the folder."""
    raw = bytes.fromhex(derived_id("cluster", str(data_dir)))
    # The first byte is fixed so that the text never begins with a dash, which the tool takes for an option.
    return base64.urlsafe_b64encode(b"L" + raw[1:]).decode().rstrip("=")


def server_properties(*, log_dir: Path, node: Node) -> str:
    """The text of ``server.properties``: KRaft, broker and controller in one process, tuned small.

    Three nodes or more keep three copies of everything, of which two have to be in step for a write.
    """
    copies = min(3, len(node.ports))
    in_step = 2 if copies == 3 else 1
    voters = ",".join(f"{number}@{HOST}:{ports.controller}" for number, ports in sorted(node.ports.items()))
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": voters,
        "listeners": f"CLIENTS://{HOST}:{node.own.clients},CONTROLLER://{HOST}:{node.own.controller}",
        "advertised.listeners": f"CLIENTS://{HOST}:{node.own.clients}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": log_dir,
        "default.replication.factor": copies,
        "min.insync.replicas": in_step,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_step,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_step,
        "share.coordinator.state.topic.num.partitions": 1,
        "auto.create.topics.enable": "false",
        # After a kill the controller waits out the former life's session before it lets the broker in again (9 s by
        # default); four missed heartbeats are enough between two halves of one process.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        # A group of one process need not wait for others to join; a killed member is missed after 6 s at the earliest.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 6000,
        "offsets.retention.minutes": OFFSETS_RETENTION_MINUTES,
        # Disk: index files are allocated whole (two per partition; 10 MB each by default, some 2 GB in all).
        # 256 KiB still index 85 MB at one entry per 4 KiB and 12 bytes per entry, more than a segment has.
        "log.index.size.max.bytes": 256 * 1024,
        "log.segment.bytes": 64 * 1024 * 1024,
        "offsets.topic.segment.bytes": 16 * 1024 * 1024,
        "transaction.state.log.segment.bytes": 16 * 1024 * 1024,
        "metadata.log.segment.bytes": 16 * 1024 * 1024,
        "metadata.max.retention.bytes": 32 * 1024 * 1024,
        # An idle controller writes a record of nothing twice a second by default; with one node nobody waits for it.
        "metadata.max.idle.interval.ms": 5000,
        # One copy only: what was acknowledged survives a killed process anyway, a power cut up to this age.
        "log.flush.interval.ms": 1000,
        "log.flush.scheduler.interval.ms": 1000,
        # Memory: the cleaner's buffer alone would be 128 MB.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.cleaner.io.buffer.size": 128 * 1024,
        "log.cleaner.threads": 1,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


#: Kafka's loggers that tell as mere information what becomes of logs while they are recovered, and of transactions: how a
#: transaction that ended without its markers was found (docs/decisions/0008-the-version-of-kafka.md).
TELLING = (
    "kafka.log.LogManager",
    "org.apache.kafka.storage.internals.log.LogLoader",
    "org.apache.kafka.storage.internals.log.UnifiedLog",
    "kafka.coordinator.transaction",
)


def jvm_options(heap_mb: int) -> list[str]:
    """Heap (at most so many MiB) and logging. slf4j-simple writes warnings to standard error, which goes to ``broker.log``."""
    return [
        "-Xms96m",
        f"-Xmx{heap_mb}m",
        # One small heap on a machine that is shared: the serial collector needs no threads and least memory.
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        # Kafka unmaps its index files the old way; Java 24 and later would print four lines about it at every start.
        "--sun-misc-unsafe-memory-access=allow",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        *(f"-Dorg.slf4j.simpleLogger.log.{name}=info" for name in TELLING),
    ]
