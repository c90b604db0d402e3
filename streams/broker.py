"""The embedded broker: a real Apache Kafka as a child process on loopback, its data on disk.

``EmbeddedBroker`` owns one (``up``, ``demo``, tests); everything else finds it with ``attach``. What lies in the
folder: ``broker.json`` (while one answers), ``broker-down.json`` (while one is missed), ``owner.lock``,
``server.properties``, ``ports.json``, ``broker.log``, and the log segments in ``data/``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from streams import broker_folder as folder
from streams import kafka_runtime
from streams.broker_settings import HOST, NO_ELIGIBLE_REPLICAS, Node, alone, cluster_id, jvm_options, server_properties
from streams.broker_words import lacks_room, port_was_taken, why_it_ended
from streams.kafka_runtime import KAFKA_VERSION, BrokerError, KafkaRuntime

__all__ = ["BrokerError", "EmbeddedBroker", "attach"]

#: 4 s seen; a long log to recover after a kill on a slow disk takes its time.
READY_SECONDS = 120.0
#: A clean stop takes 1 to 3 s; after this the process is killed (the log is recovered at the next start).
GRACE_SECONDS = 20.0
#: Restarts that never became ready, in a row, before the broker is given up.
ATTEMPTS = 5

_KEEPER = Path(__file__).with_name("broker_keeper.py")


def attach(data_dir: Path, *, wait: float = 0.0) -> str:
    """The ``bootstrap_servers`` of the embedded broker that runs on ``data_dir``.

    ``wait``: how many seconds to go on looking. Raises ``BrokerError`` where none runs.
    """
    deadline = time.monotonic() + wait
    while True:
        note = folder.running(data_dir)
        if note is not None and folder.answers(str(note["bootstrap_servers"])):
            return str(note["bootstrap_servers"])
        if time.monotonic() >= deadline:
            why = folder.down(data_dir)
            if why is not None:
                raise BrokerError(
                    f"the embedded broker on {data_dir} is down: {why}; it is started again until it runs"
                )
            raise BrokerError(
                f"no embedded broker is running on {data_dir}: start `lockstep up` first, "
                "or set kafka.bootstrap_servers to a running Kafka"
            )
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Member:
    """One broker of a cluster: its place, and the cluster's id, which all of them share."""

    node: Node
    cluster: str


class EmbeddedBroker:
    """Owns the broker of one folder: starts it, restarts it when it dies, stops it; it never outlives this process.

    ``async start()/stop()`` or ``with EmbeddedBroker(folder) as broker``. ``bootstrap_servers`` is set once started and
    stays the same over restarts. ``failure`` says why it was given up, if it was. ``progress`` gets a line for people
    when something takes longer, when the broker is lost and when it is back. ``member`` makes it one of a cluster:
    which, of what cluster.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        heap_mb: int = 384,
        progress: Callable[[str], None] = lambda line: None,
        member: Member | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.bootstrap_servers = ""
        self.pid: int | None = None
        self.restarts = 0
        self.failure: str | None = None
        self._heap_mb = heap_mb
        self._progress = progress
        self._member = member
        self._node = None if member is None else member.node
        self._words = ""
        self._code: int | None = None
        self._missed = False
        self._lock: IO[str] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Return when the broker answers. Raises ``BrokerError``: no Java, no jars, another owner, no start."""
        await asyncio.to_thread(self.open)

    async def stop(self) -> None:
        """Stop the broker cleanly; does nothing where none was started."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> EmbeddedBroker:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        """``start`` for callers without a loop."""
        if self._lock is not None:
            raise BrokerError(f"the embedded broker on {self.data_dir} was already started by this process")
        self._lock = folder.lock(self.data_dir)
        try:
            runtime = kafka_runtime.resolve(progress=self._progress)
            folder.clear_strays(self.data_dir, grace=GRACE_SECONDS)
            self._format(runtime)
            self._stopping.clear()
            self._settled.clear()
            self.failure = None
            self._words = ""
            self._thread = threading.Thread(target=self._supervise, args=(runtime,), name="kafka-keeper", daemon=True)
            self._thread.start()
            self._settled.wait()
            if self.failure is not None:
                raise BrokerError(self.failure)
        except OSError as error:
            self.close()
            raise BrokerError(f"the broker's folder {self.data_dir} cannot be written ({error.strerror})") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """``stop`` for callers without a loop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.failure is None:
            folder.withdraw_down(self.data_dir)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End the broker with SIGKILL, as a machine that is lost: it stays down, with its records, until ``open``."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.close()

    def _format(self, runtime: KafkaRuntime) -> None:
        """Write the properties, and give an empty folder its cluster id."""
        self._write_properties()
        if (self.data_dir / "data" / "meta.properties").exists():
            return
        cluster = cluster_id(self.data_dir) if self._member is None else self._member.cluster
        arguments = ["format", f"--cluster-id={cluster}", "--ignore-formatted"]
        if self._member is None:
            arguments += ["--feature", NO_ELIGIBLE_REPLICAS]
        arguments += ["--config"]
        done = subprocess.run(
            runtime.command(*jvm_options(self._heap_mb), "kafka.tools.StorageTool", *arguments, str(self._properties)),
            env=runtime.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            why = said[-1] if said else f"exit code {done.returncode}"
            raise BrokerError(f"the folder {self.data_dir} cannot be set up for Kafka {KAFKA_VERSION}: {why[:300]}")

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    def _write_properties(self) -> None:
        # The others of a cluster look for its members where they were told to: those keep their ports.
        self._node = alone(folder.choose_ports(self.data_dir)) if self._member is None else self._member.node
        folder.write_atomically(self._properties, server_properties(log_dir=self.data_dir / "data", node=self._node))
        self.bootstrap_servers = f"{HOST}:{self._node.own.clients}"

    def _supervise(self, runtime: KafkaRuntime) -> None:
        """The thread: run the broker until ``close``; bring it back when it dies."""
        failed = 0
        try:
            while not self._stopping.is_set():
                if self._run_once(runtime):
                    failed = 0
                elif self._settled.is_set() and lacks_room(self._words):
                    # It was not even started. However long the disk stays full, two seconds after that it is.
                    failed = 1
                else:
                    failed += 1
                    if failed >= ATTEMPTS or (not self._settled.is_set() and not port_was_taken(self._words)):
                        self.failure = self._explain()
                        return
                if not self._stopping.is_set():
                    self._miss()
                    # At once after a run that worked, then 2, 4, 8, 16 s: a full disk is not freed by hurry.
                    self._stopping.wait(2.0**failed if failed else 0.0)
                    self.restarts += 1
        except Exception as error:
            self.failure = f"the embedded broker on {self.data_dir} cannot be run: {error}"
        finally:
            self._settled.set()

    def _run_once(self, runtime: KafkaRuntime) -> bool:
        """One life of the broker. Returns whether it ever answered."""
        if not self._settled.is_set() or port_was_taken(self._words):
            self._write_properties()
        with folder.open_log(self.data_dir) as log:
            keeper = subprocess.Popen(
                [
                    *(sys.executable, "-I", str(_KEEPER), str(GRACE_SECONDS), str(self.data_dir)),
                    *runtime.command(*jvm_options(self._heap_mb), "kafka.Kafka", str(self._properties)),
                ],
                env=runtime.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C goes to everything in the foreground; the broker has to outlast those that use it.
                start_new_session=True,
            )
        try:
            assert keeper.stdout is not None
            first = keeper.stdout.readline().strip()
            self.pid = int(first) if first else None
            ready = self._await_ready(keeper)
            if ready and self.pid is not None:
                folder.announce(self.data_dir, self.bootstrap_servers, self.pid)
                self._settled.set()
                self._regain()
                while not self._stopping.is_set() and keeper.poll() is None:
                    self._stopping.wait(0.1)
            return ready
        finally:
            folder.withdraw(self.data_dir)
            self._end(keeper)
            self.pid = None

    def _await_ready(self, keeper: subprocess.Popen[bytes]) -> bool:
        assert self._node is not None
        node, deadline = self._node.node_id, time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stopping.is_set() and keeper.poll() is None:
            if folder.answers(self.bootstrap_servers) and folder.has_controller(self.bootstrap_servers, node):
                return True
            self._stopping.wait(0.1)
        return False

    def _end(self, keeper: subprocess.Popen[bytes]) -> None:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        self._code = keeper.poll()
        keeper.stdin.close()
        try:
            keeper.wait(GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        self._words = keeper.stdout.read().decode(errors="replace")
        keeper.stdout.close()

    def _miss(self) -> None:
        why = why_it_ended(self._words, self._code)
        folder.announce_down(self.data_dir, why)
        if not self._missed and self._settled.is_set():
            self._missed = True
            self._progress(f"the embedded broker is down: {why}; it is started again until it runs")

    def _regain(self) -> None:
        folder.withdraw_down(self.data_dir)
        if self._missed:
            self._missed = False
            self._progress("the embedded broker runs again")

    def _explain(self) -> str:
        why = why_it_ended(self._words, self._code)
        folder.announce_down(self.data_dir, why)
        return f"the embedded broker on {self.data_dir} does not start: {why} (see {folder.log_path(self.data_dir)})"
