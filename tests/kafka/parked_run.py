"""Workers and the command line as an operator has them, over a broker of their own and no vendor at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from connectors.ports import Publication
from schemas.commands import CreateTicket
from schemas.envelope import Envelope
from schemas.events import decode_command
from schemas.facts import Fact
from schemas.identity import derived_id, partition_of
from schemas.topics import CONTROL, DEAD_LETTERS, NINJAONE_ALERTS, TICKET_COMMANDS
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import InputRecord, OutputRecord
from streams.readers import read_all
from streams.supervisor import die_with_parent

PARTITIONS = 2
T = TypeVar("T")

#: A Lockstep that understands version 2 of an alert, as one of the future will.
UPGRADED = (
    "import sys; from schemas import events; from schemas.facts import AlertTriggered; "
    "events._FACTS['lockstep.alert.triggered.v2'] = AlertTriggered; "
    "from streams.main import main; sys.exit(main())"
)


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)


@dataclass
class Place:
    """A folder with a configuration for the broker at ``servers``."""

    folder: Path
    servers: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def options(self) -> KafkaOptions:
        return KafkaOptions(bootstrap_servers=self.servers)

    @property
    def config(self) -> Path:
        path = self.folder / "lockstep.yaml"
        path.write_text(f"kafka: {{bootstrap_servers: '{self.servers}', partitions: {PARTITIONS}}}\n")
        return path

    # -- processes ---------------------------------------------------------------------------------------------------

    def worker(self, *, upgraded: bool = False, **environment: str) -> subprocess.Popen[bytes]:
        """A worker as ``lockstep up`` starts it; what it says goes to ``worker.log``."""
        program = ["-c", UPGRADED] if upgraded else ["-m", "streams.main"]
        arguments = ["run", "worker", "--name", "worker-1", "--static", "--config", str(self.config)]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**_environment(), "LOCKSTEP_WORKER__SESSION_TIMEOUT_SECONDS": "6", **environment},
                preexec_fn=die_with_parent,
            )
        self.workers.append(process)
        return process

    async def stopped(self, worker: subprocess.Popen[bytes]) -> int:
        """End it as an operator does; its exit code."""
        worker.send_signal(signal.SIGTERM)
        return await self.ended(worker)

    async def ended(self, worker: subprocess.Popen[bytes]) -> int:
        """Wait for a worker to end by itself."""
        await self.until("the worker ends", lambda: worker.poll() is not None)
        assert worker.returncode is not None
        return worker.returncode

    def close(self) -> None:
        """Nothing is left running."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    async def until(self, what: str, look: Callable[[], T], seconds: float = 60.0) -> T:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s\n{self.log()[-3000:]}"
            await asyncio.sleep(0.1)
        return found

    async def lockstep(self, *arguments: str) -> Said:
        """A verb of the command line."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "streams.main", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            env=_environment(),
        )
        assert "Traceback" not in done.stdout + done.stderr, done
        return Said(done.returncode, done.stdout.strip(), done.stderr.strip())

    async def letters(self, *arguments: str) -> list[dict[str, Any]]:
        """The dead letters that ``parked list`` shows."""
        found: list[dict[str, Any]] = (await self.lockstep("parked", "list", "--json", *arguments)).json()[
            "dead_letters"
        ]
        return found

    # -- records -----------------------------------------------------------------------------------------------------

    async def publish(self, *facts: Fact, key: str = "407") -> None:
        """Control facts to every partition, an alert to the partition of its device."""
        async with self._log() as log:
            await log.publish(
                [
                    Publication(
                        topic=NINJAONE_ALERTS if fact.ce_type.startswith("lockstep.alert") else CONTROL,
                        key=key,
                        id=derived_id(fact.ce_type, fact.to_json().decode()),
                        source="/test",
                        time=_now(),
                        fact=fact,
                    )
                    for fact in facts
                ]
            )

    async def poison(
        self, values: Sequence[bytes], *, key: str = "407", headers: Sequence[tuple[str, bytes]] = ()
    ) -> list[int]:
        """Raw records in the partition of ``key`` of the alerts' topic; their offsets."""
        async with self._log() as log:
            partition = partition_of(key, PARTITIONS)
            return await log.write(
                [OutputRecord(NINJAONE_ALERTS, partition, key.encode(), value, list(headers)) for value in values]
            )

    async def written(self, topic: str) -> list[InputRecord]:
        """Everything in a topic."""
        return [record async for record in read_all(self.options, topic)]

    async def ticketed(self, *external_ids: str, seconds: float = 60.0) -> None:
        """Wait until each of these tickets was asked for, and see that none was asked for twice."""
        deadline = time.monotonic() + seconds
        while True:
            commands = [decode_command(r.headers, r.value).data for r in await self.written(TICKET_COMMANDS)]
            created = [command.external_id for command in commands if isinstance(command, CreateTicket)]
            if set(external_ids) <= set(created):
                break
            assert time.monotonic() < deadline, f"{external_ids} not among {created}\n{self.log()[-3000:]}"
            await asyncio.sleep(0.2)
        assert len(created) == len(set(created))

    async def dead(self, count: int, seconds: float = 60.0) -> list[InputRecord]:
        """Wait until there are ``count`` records of dead letters; all of them."""
        deadline = time.monotonic() + seconds
        while len(found := await self.written(DEAD_LETTERS)) < count:
            assert time.monotonic() < deadline, f"{len(found)} dead letters, not {count}\n{self.log()[-3000:]}"
            await asyncio.sleep(0.2)
        return found

    @contextlib.asynccontextmanager
    async def _log(self):  # type: ignore[no-untyped-def]
        async with KafkaLog(self.options, now=_now) as log:
            yield log


def envelope(fact: Fact, *, ce_type: str, key: str = "407") -> list[tuple[str, bytes]]:
    """The headers of a fact under another type."""
    identity = derived_id(ce_type, fact.to_json().decode())
    return Envelope(id=identity, type=ce_type, source="/future", time=_now(), recorded=_now(), key=key).to_headers()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
