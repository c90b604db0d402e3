"""The embedded broker: a real Apache Kafka as a child process on loopback, its data on disk.

``EmbeddedBroker`` owns one (``up``, ``demo``, tests); everything else finds it with ``attach``. What lies in the
folder: ``broker.json`` (while one answers), ``owner.lock``, ``server.properties``, ``ports.json``, ``broker.log``, and
the log segments in ``data/``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from streams import broker_folder as folder
from streams import kafka_runtime
from streams.broker_settings import HOST, NODE_ID, Ports, cluster_id, jvm_options, server_properties
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
            raise BrokerError(
                f"no embedded broker is running on {data_dir}: start `lockstep up` first, "
                "or set kafka.bootstrap_servers to a running Kafka"
            )
        time.sleep(0.1)


class EmbeddedBroker:
    """Owns the broker of one folder: starts it, restarts it when it dies, stops it; it never outlives this process.

    ``async start()/stop()`` or ``with EmbeddedBroker(folder) as broker``. ``bootstrap_servers`` is set once started and
    stays the same over restarts. ``failure`` says why it was given up, if it was. ``progress`` gets a line for people
    when something takes longer.
    """

    def __init__(
        self, data_dir: Path, *, heap_mb: int = 384, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.bootstrap_servers = ""
        self.pid: int | None = None
        self.restarts = 0
        self.failure: str | None = None
        self._heap_mb = heap_mb
        self._progress = progress
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
            self._thread = threading.Thread(target=self._supervise, args=(runtime,), name="kafka-keeper", daemon=True)
            self._thread.start()
            self._settled.wait()
            if self.failure is not None:
                raise BrokerError(self.failure)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """``stop`` for callers without a loop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _format(self, runtime: KafkaRuntime) -> None:
        """Write the properties, and give an empty folder its cluster id."""
        self._write_properties(folder.choose_ports(self.data_dir))
        if (self.data_dir / "data" / "meta.properties").exists():
            return
        arguments = ["format", f"--cluster-id={cluster_id(self.data_dir)}", "--ignore-formatted", "--config"]
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

    def _write_properties(self, ports: Ports) -> None:
        text = server_properties(log_dir=self.data_dir / "data", ports=ports)
        folder.write_atomically(self._properties, text)
        self.bootstrap_servers = f"{HOST}:{ports.clients}"

    def _supervise(self, runtime: KafkaRuntime) -> None:
        """The thread: run the broker until ``close``; bring it back when it dies."""
        failed = 0
        try:
            while not self._stopping.is_set():
                if self._run_once(runtime):
                    failed = 0
                else:
                    failed += 1
                    if failed >= ATTEMPTS or (not self._settled.is_set() and not self._port_was_taken()):
                        self.failure = self._explain()
                        return
                if not self._stopping.is_set():
                    # At once after a run that worked, then 2, 4, 8, 16 s: a full disk is not freed by hurry.
                    self._stopping.wait(2.0**failed if failed else 0.0)
                    self.restarts += 1
        except Exception as error:
            self.failure = f"the embedded broker on {self.data_dir} cannot be run: {error}"
        finally:
            self._settled.set()

    def _run_once(self, runtime: KafkaRuntime) -> bool:
        """One life of the broker. Returns whether it ever answered."""
        if not self._settled.is_set() or self._port_was_taken():
            self._write_properties(folder.choose_ports(self.data_dir))
        with folder.open_log(self.data_dir) as log:
            keeper = subprocess.Popen(
                [
                    *(sys.executable, "-I", str(_KEEPER), str(GRACE_SECONDS)),
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
                while not self._stopping.is_set() and keeper.poll() is None:
                    self._stopping.wait(0.1)
            return ready
        finally:
            folder.withdraw(self.data_dir)
            self._end(keeper)
            self.pid = None

    def _await_ready(self, keeper: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._stopping.is_set() and keeper.poll() is None:
            if folder.answers(self.bootstrap_servers) and folder.has_controller(self.bootstrap_servers, NODE_ID):
                return True
            self._stopping.wait(0.1)
        return False

    def _end(self, keeper: subprocess.Popen[bytes]) -> None:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.close()
        try:
            keeper.wait(GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        keeper.stdout.close()

    def _port_was_taken(self) -> bool:
        return "Address already in use" in folder.log_of_last_start(self.data_dir)

    def _explain(self) -> str:
        said = [line for line in folder.log_of_last_start(self.data_dir).splitlines() if "Exception" in line]
        why = said[-1].strip()[:300] if said else f"no answer within {READY_SECONDS:.0f} s"
        return f"the embedded broker on {self.data_dir} does not start: {why} (see {folder.log_path(self.data_dir)})"
