"""Where the demo plays: a folder of its own, the two simulators as a process, and an installation as ``lockstep up`` runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from connectors.sandbox.remote import Remote
from schemas.identity import derived_id
from streams.broker import BrokerError, EmbeddedBroker
from streams.broker_cluster import EmbeddedCluster
from streams.broker_folder import running
from streams.clock import VARIABLE, Clock, clock_of
from streams.kafka_options import KafkaOptions
from streams.policy_file import STARTER
from streams.secrets_file import store_secrets
from streams.settings import Settings, load_settings
from streams.supervisor import die_with_parent
from streams.up import Installation

FOLDER = Path(".lockstep") / "demo"
ORGANIZATIONS, DEVICES = 3, 60
#: How often a condition is looked at while the story waits for it.
LOOK_S = 0.2


class StoryFailed(Exception):
    """Something the demo promises did not happen in time; one line."""


class Theatre:
    """The running parts, with handles to watch and to disturb them. ``async with Theatre(...) as theatre``.

    ``changes`` are laid over the sections of the demo's configuration (``{"worker": {"processes": 1}}``).
    ``sandbox_clock``: all roles follow the simulators' clock, so that hours can pass at once. ``cluster``: three brokers with
    three copies of everything, in place of the one that an installation has by default.
    """

    def __init__(
        self,
        *,
        seed: int,
        tell: Callable[[str], None],
        folder: Path = FOLDER,
        devices: int = DEVICES,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        sandbox_clock: bool = False,
        cluster: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.seed = seed
        self.devices = devices
        self.changes = changes or {}
        self.tell = tell
        self.clock = Clock()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
        self.ninja: Remote
        self.psa: Remote
        self.settings: Settings
        self.installation: Installation
        self._sandbox: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._closing = contextlib.AsyncExitStack()
        self._sandbox_clock = sandbox_clock
        self._cluster = EmbeddedCluster(self.folder / "kafka", progress=tell) if cluster else None

    @property
    def brokers(self) -> Sequence[EmbeddedBroker]:
        """The brokers of the installation, in the order of their numbers."""
        if self._cluster is not None:
            return list(self._cluster.brokers.values())
        return [broker for broker in [self.installation.broker] if broker is not None]

    @property
    def options(self) -> KafkaOptions:
        """How to reach the demo's Kafka."""
        assert self.installation.options is not None
        return self.installation.options

    @property
    def config(self) -> Path:
        """The demo's configuration file."""
        return self.folder / "lockstep.yaml"

    async def __aenter__(self) -> Theatre:
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything, those that use Kafka before Kafka."""
        self._stop.set()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        await self._closing.aclose()
        if self._sandbox is not None and self._sandbox.returncode is None:
            self._sandbox.terminate()
            await self._sandbox.wait()

    async def _open(self) -> None:
        if running(self.folder / "kafka") is not None:
            raise BrokerError(f"a demo is already running in {self.folder}; end it first (Ctrl-C where it was started)")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        addresses = await self._start_sandbox()
        if self._cluster is not None:
            self._closing.push_async_callback(self._cluster.stop)
            await self._cluster.start()
        self._configure(addresses)
        if self._sandbox_clock:
            self.environment[VARIABLE] = addresses["ninjaone"]["base_url"]
            self.clock = await self._closing.enter_async_context(clock_of(self.environment))
        self.installation = Installation(self.settings, config=self.config, now=self.clock.now, tell=self.tell)
        self._closing.push_async_callback(self.installation.close)
        await self.installation.start()
        self._running = asyncio.create_task(self.installation.run(self._stop, environment=self.environment))

    async def _start_sandbox(self) -> dict[str, dict[str, str]]:
        arguments = [
            "sandbox",
            "--seed",
            str(self.seed),
            "--organizations",
            str(ORGANIZATIONS),
            "--devices",
            str(self.devices),
        ]
        self._sandbox = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "streams.main",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        assert self._sandbox.stdout is not None
        try:
            line = await asyncio.wait_for(self._sandbox.stdout.readline(), 30)
            addresses: dict[str, dict[str, str]] = orjson.loads(line)
        except (TimeoutError, orjson.JSONDecodeError):
            raise StoryFailed("the simulators did not start") from None
        self.ninja = await self._closing.enter_async_context(Remote(addresses["ninjaone"]["base_url"]))
        psa = addresses["autotask"]["discovery_url"].split("/atservicesrest")[0]
        self.psa = await self._closing.enter_async_context(Remote(psa))
        return addresses

    def _configure(self, addresses: dict[str, dict[str, str]]) -> None:
        ninja, psa = addresses["ninjaone"], addresses["autotask"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        webhooks = f"http://127.0.0.1:{port}/webhooks"
        document: dict[str, Any] = {
            "kafka": {"data_dir": "kafka"},
            "ninjaone": {
                "base_url": ninja["base_url"],
                "client_id": ninja["client_id"],
                "poll_seconds": 2,
                "inventory_seconds": 20,
                "webhook": {"public_url": f"{webhooks}/ninjaone"},
            },
            "autotask": {
                "discovery_url": psa["discovery_url"],
                "username": psa["username"],
                "poll_seconds": 2,
                "companies_seconds": 20,
            },
            "receiver": {"port": port},
            # The shortest session that Kafka allows: a killed worker's partitions move on after 6 s.
            "worker": {"processes": 2, "session_timeout_seconds": 6},
            "secrets_file": "secrets.yaml",
        }
        if self._cluster is not None:
            document["kafka"] |= {"bootstrap_servers": self._cluster.bootstrap_servers, "replication_factor": 3}
        for section, values in self.changes.items():
            document[section] = {**document.get(section, {}), **values}
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))
        (self.folder / "policy.yaml").write_text(STARTER)
        secrets = self.folder / "secrets.yaml"
        hook = derived_id("demo webhook", self.seed, str(self.folder))
        store_secrets(secrets, "ninjaone", {"client_secret": ninja["client_secret"], "webhook": {"secret": hook}})
        store_secrets(secrets, "autotask", {"secret": psa["secret"], "integration_code": psa["integration_code"]})
        self.settings = load_settings(self.config, {})

    async def lockstep(self, *arguments: str) -> tuple[int, str]:
        """Run a verb against the demo, as an operator would; its exit code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "streams.main",
            *arguments,
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self.environment,
            preexec_fn=die_with_parent,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode().strip()

    def pid_of(self, role: str) -> int:
        """The process id of a supervised role."""
        assert self.installation.supervisor is not None
        process = self.installation.supervisor.children[role].process
        if process is None:
            raise StoryFailed(f"role {role} is not running")
        return process.pid


async def until(what: str, condition: Callable[[], Awaitable[Any]], *, seconds: float) -> Any:
    """Wait until ``condition`` gives something true and return it. Raises ``StoryFailed`` naming what did not happen."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if loop.time() > deadline:
            raise StoryFailed(f"{what}: did not happen within {seconds:g} s")
        await asyncio.sleep(LOOK_S)
