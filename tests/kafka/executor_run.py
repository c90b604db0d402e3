"""One run of executors on the shared broker against the Autotask sandbox: topics, processes, commands, the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from connectors.sandbox.serve import RunningSandbox
from schemas.commands import Command, CreateTicket, WithdrawCommand
from schemas.envelope import Envelope
from schemas.events import Event, decode_fact
from schemas.facts import CommandSettled
from schemas.identity import derived_id, external_id, partition_of
from schemas.topics import ATTEMPTS, CATALOGUE, DEAD_LETTERS, OUTCOMES, TICKET_COMMANDS, Topic
from streams.kafka_options import KafkaOptions
from streams.readers import read_all
from streams.topics import TopicSettings, create_topics
from tests.connectors.autotask_tenant import FIRST_COMPANY

PARTITIONS = 4
NOW = 1_796_000_000_000


@dataclass
class Host:
    """An executor process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    figures_file: Path

    def figures(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return json.loads(self.figures_file.read_text())
        return {}

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def ended(self, timeout_s: float = 40.0) -> int:
        assert await eventually(lambda: self.process.poll() is not None, timeout_s), self.tail()
        assert self.process.returncode is not None
        return self.process.returncode

    async def owns(self, timeout_s: float = 40.0) -> None:
        assert await eventually(lambda: bool(self.figures().get("owner")), timeout_s), self.tail()

    async def waits_with(self, count: int, timeout_s: float = 30.0) -> None:
        """Until so many commands wait in its window."""
        assert await eventually(lambda: self.figures().get("waiting") == count, timeout_s), (
            self.figures(),
            self.tail(),
        )

    def tail(self) -> str:
        return f"{self.name}: {self.process.poll()} {self.log.read_text()[-2000:]}"


async def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


@dataclass
class Run:
    """What a test drives. Keys begin with ``series``, so that tests share a sandbox and not their tickets."""

    servers: str
    prefix: str
    folder: Path
    sandbox: RunningSandbox
    series: int
    producer: Any
    hosts: list[Host] = field(default_factory=list)
    sent: list[tuple[str, Command]] = field(default_factory=list)

    @property
    def options(self) -> KafkaOptions:
        return KafkaOptions(bootstrap_servers=self.servers)

    @property
    def closed(self) -> Path:
        """While this file exists no call may go out."""
        return self.folder / "closed"

    def start(self, name: str, **options: Any) -> Host:
        given = {
            "name": name,
            "servers": self.servers,
            "prefix": self.prefix,
            "commands": TICKET_COMMANDS,
            "folder": str(self.folder),
            "autotask": self.sandbox.addresses()["autotask"],
            **options,
        }
        log = self.folder / f"{name}.{len(self.hosts)}.log"
        figures = self.folder / f"figures.{name}.json"
        figures.unlink(missing_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.kafka.executor_host", json.dumps(given)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        host = Host(name, process, log, figures)
        self.hosts.append(host)
        return host

    def create(self, number: int) -> CreateTicket:
        key = f"{self.series}{number:05d}"
        identity = external_id(key, f"{self.series:08x}{number:024x}")
        return CreateTicket(
            key=key,
            effect_key=identity,
            incident=identity,
            organization_id=number % 3,
            external_id=identity,
            company_id=FIRST_COMPANY,
            title=f"alert {number}",
            description="an alert",
            queue="Monitoring",
            status="New",
            priority="Critical",
            ticket_type="Incident",
            source="Monitoring Alert",
            due_at=NOW,
        )

    def withdraw(self, number: int) -> WithdrawCommand:
        command = self.create(number)
        return WithdrawCommand(
            key=command.key,
            effect_key=f"withdraw:{number}",
            incident=command.incident,
            command_id=self.id_of(command),
            command_topic=TICKET_COMMANDS,
            reason="AlertReset",
        )

    def id_of(self, command: Command) -> str:
        return derived_id("test", self.series, command.ce_type, command.effect_key)

    async def send(self, commands: Sequence[Command]) -> None:
        """Write commands as an agent does: in one transaction."""
        async with self.producer.transaction():
            for command in commands:
                identity = self.id_of(command)
                headers = Envelope(
                    id=identity,
                    type=command.ce_type,
                    source="/test",
                    time=NOW,
                    recorded=time.time_ns() // 1_000_000,
                    key=command.key,
                    correlation_id=command.incident,
                ).to_headers()
                self.sent.append((identity, command))
                await self.producer.send(
                    self.prefix + TICKET_COMMANDS,
                    command.to_json(),
                    key=command.key.encode(),
                    headers=headers,
                    partition=0,
                )

    async def send_raw(self, value: bytes) -> None:
        async with self.producer.transaction():
            await self.producer.send(self.prefix + TICKET_COMMANDS, value, key=b"k", headers=[("h", b"1")], partition=0)

    async def lose(self, topic: str) -> None:
        """Everything in a topic is gone, and it begins anew at offset 0."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            await admin.delete_topics([self.prefix + topic])
            deadline = time.monotonic() + 20
            while self.prefix + topic in await admin.list_topics():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        finally:
            await admin.close()
        await create_topics(self.options, TopicSettings(partitions=PARTITIONS), catalogue=_catalogue(self.prefix))

    async def outcomes(self) -> list[Event[CommandSettled]]:
        """Everything in ``outcomes``, each checked to be where its key belongs."""
        found: list[Event[CommandSettled]] = []
        async for record in read_all(self.options, self.prefix + OUTCOMES):
            event: Any = decode_fact(record.headers, record.value)
            assert isinstance(event.data, CommandSettled)
            assert record.partition == partition_of(event.data.key, PARTITIONS)
            found.append(event)
        return found

    async def all_settled(self, timeout_s: float = 60.0, *, forgotten: bool = False) -> dict[str, CommandSettled]:
        """Wait until every command sent has its settlement. Repetitions must be the same to the byte.

        Of what was ``forgotten`` a repetition may say that it was found, and the last one is returned.
        """
        deadline = time.monotonic() + timeout_s
        wanted = {identity for identity, _ in self.sent}
        while True:
            events = await self.outcomes()
            if wanted <= {event.data.command_id for event in events} or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        settled: dict[str, CommandSettled] = {}
        for event in events:
            if event.data.reason == "DoubledTicket" and event.data.command_id in settled:
                continue
            if forgotten and event.data.how == "FoundByLookUp":
                settled.pop(event.data.command_id, None)
            known = settled.setdefault(event.data.command_id, event.data)
            assert known == event.data, "two different settlements of one command"
        assert set(settled) == wanted, "\n".join(host.tail() for host in self.hosts)
        return settled

    async def tickets(self) -> Counter[str]:
        """How many tickets the vendor has per external id of this run."""
        rows = await self._rows()
        prefix = f"ls.{self.series}"
        return Counter(row["externalID"] for row in rows if (row.get("externalID") or "").startswith(prefix))

    async def calls(self, method: str = "POST") -> list[dict[str, Any]]:
        """Calls for tickets that the vendor saw since ``mark``."""
        async with httpx.AsyncClient() as http:
            rows = (await http.get(f"{self.sandbox.autotask_url}/_sandbox/calls?since={self.marked}")).json()
        return [row for row in rows if row["method"] == method and row["path"].lower().endswith("/tickets")]

    marked: int = 0

    async def mark(self) -> None:
        """Count calls from here on."""
        async with httpx.AsyncClient() as http:
            rows = (await http.get(f"{self.sandbox.autotask_url}/_sandbox/calls?since=0")).json()
        self.marked = rows[-1]["seq"] if rows else 0

    async def post_ticket(self, command: CreateTicket) -> int:
        """A second ticket with the same external id, as a write that arrives late makes it."""
        rows = await self._rows()
        row = next(row for row in rows if row["externalID"] == command.external_id)
        known = ("companyID", "title", "status", "priority", "queueID", "dueDateTime", "externalID", "ticketType")
        body = {name: row[name] for name in known}
        answer = await self._vendor("POST", "Tickets", body)
        return int(answer["itemId"])

    async def open_tickets(self, identity: str) -> int:
        return sum(row["externalID"] == identity and row["completedDate"] is None for row in await self._rows())

    async def _rows(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as http:
            state = (await http.get(f"{self.sandbox.autotask_url}/_sandbox/state")).json()
        return list(state["tickets"])

    async def _vendor(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "UserName": self.sandbox.username,
            "Secret": self.sandbox.secret,
            "ApiIntegrationCode": self.sandbox.integration_code,
        }
        url = f"{self.sandbox.autotask_url}/atservicesrest/V1.0/{path}"
        async with httpx.AsyncClient() as http:
            answer = await http.request(method, url, json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def fault(self, kind: str, **given: Any) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.sandbox.autotask_url}/_sandbox/faults", json={"kind": kind, **given})
        assert answer.is_success, answer.text

    async def no_faults(self) -> None:
        async with httpx.AsyncClient() as http:
            await http.delete(f"{self.sandbox.autotask_url}/_sandbox/faults")


def _catalogue(prefix: str) -> list[Topic]:
    names = (TICKET_COMMANDS, ATTEMPTS, OUTCOMES, DEAD_LETTERS)
    return [replace(topic, name=prefix + topic.name) for topic in CATALOGUE if topic.name in names]


@contextlib.asynccontextmanager
async def executor_run(
    servers: str, prefix: str, folder: Path, sandbox: RunningSandbox, *, series: int
) -> AsyncIterator[Run]:
    """Topics with ``prefix``, no executor yet; what runs at the end is killed."""
    options = KafkaOptions(bootstrap_servers=servers)
    await create_topics(options, TopicSettings(partitions=PARTITIONS), catalogue=_catalogue(prefix))
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{prefix}agent", acks="all")
    await producer.start()
    run = Run(servers, prefix, folder, sandbox, series, producer)
    await run.mark()
    try:
        yield run
    finally:
        for host in run.hosts:
            if host.process.poll() is None:
                host.process.kill()
            host.process.wait()
        await run.no_faults()
        await producer.stop()
