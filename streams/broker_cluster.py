"""Three embedded brokers that hold three copies of everything: for drills and tests that lose one of them.

Each is an ``EmbeddedBroker`` in a folder of its own (``node-1`` to ``node-3``); all three vote and all three serve. One may
be missing: two copies in step are enough for a write, two votes for a decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO

from aiokafka.admin import AIOKafkaAdminClient

from streams import broker_folder as folder
from streams.broker import GRACE_SECONDS, BrokerError, EmbeddedBroker, Member
from streams.broker_settings import Node, Ports, cluster_id

NODES = (1, 2, 3)


class EmbeddedCluster:
    """Owns the brokers of one folder; they never outlive this process.

    ``async start()/stop()`` or ``with EmbeddedCluster(folder) as cluster``. ``bootstrap_servers`` names all three, also
    those that are down. Topics want ``kafka.replication_factor`` 3 (that of Kafka's own topics is). A broker that dies by
    itself is brought back; one that was killed here stays down until it is revived.
    """

    def __init__(
        self, data_dir: Path, *, heap_mb: int = 256, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.bootstrap_servers = ""
        self.brokers: dict[int, EmbeddedBroker] = {}
        self._heap_mb = heap_mb
        self._progress = progress
        self._lock: IO[str] | None = None

    async def start(self) -> None:
        """Return when all three answer. Raises ``BrokerError``, as that of a single broker."""
        await asyncio.to_thread(self.open)

    async def stop(self) -> None:
        """Stop all that run."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> EmbeddedCluster:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        """``start`` for callers without a loop."""
        if self._lock is not None:
            raise BrokerError(f"the embedded cluster on {self.data_dir} was already started by this process")
        self._lock = folder.lock(self.data_dir)
        try:
            ports = self._choose_ports()
            cluster = cluster_id(self.data_dir)
            self.brokers = {
                number: EmbeddedBroker(
                    self._folder(number),
                    heap_mb=self._heap_mb,
                    progress=self._progress,
                    member=Member(Node(number, ports), cluster),
                )
                for number in NODES
            }
            # Together: one alone has no quorum and would not become ready.
            self._all(lambda broker: broker.open())
            self.bootstrap_servers = ",".join(broker.bootstrap_servers for broker in self.brokers.values())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """``stop`` for callers without a loop."""
        self._all(lambda broker: broker.close())
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self, number: int) -> None:
        """End one broker with SIGKILL; it stays down until ``revive``."""
        self.brokers[number].kill()

    def revive(self, number: int) -> None:
        """Start a broker that was killed, with the records it had; returns when it answers. See ``whole``."""
        self.brokers[number].open()

    async def whole(self) -> bool:
        """Whether every partition has all its copies in step, so that the next broker may be lost."""
        # The controller misses a killed broker only after its session.
        if any(broker.pid is None for broker in self.brokers.values()):
            return False
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=5000)
        await admin.start()
        try:
            topics = await admin.describe_topics()
        finally:
            await admin.close()
        return all(
            len(partition["isr"]) == len(partition["replicas"]) for topic in topics for partition in topic["partitions"]
        )

    def _folder(self, number: int) -> Path:
        return self.data_dir / f"node-{number}"

    def _choose_ports(self) -> dict[int, Ports]:
        chosen: dict[int, Ports] = {}
        for number in NODES:
            place = self._folder(number)
            place.mkdir(exist_ok=True)
            # An earlier owner's broker would still hold the ports of its folder.
            folder.clear_strays(place, grace=GRACE_SECONDS)
            promised = {port for ports in chosen.values() for port in (ports.clients, ports.controller)}
            chosen[number] = folder.choose_ports(place, promised=promised)
        return chosen

    def _all(self, act: Callable[[EmbeddedBroker], None]) -> None:
        with ThreadPoolExecutor(len(NODES)) as threads:
            for done in [threads.submit(act, broker) for broker in self.brokers.values()]:
                done.result()
