"""What a running role tells about itself, for ``lockstep status``: a record per role and process in topic ``roles``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from connectors.ports import Now
from schemas.topics import ROLES
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.readers import read_all

#: Often enough for a person who looks, seldom enough to be no load: 5 roles make 2.5 small records a second.
EVERY_S = 2.0
#: A role that has not been heard of for this long is shown as gone: five missed reports.
GONE_AFTER_MS = 10_000
#: What a role that ended long ago said is no longer of interest.
FORGET_AFTER_MS = 24 * 3600 * 1000


class Reporter:
    """Publishes a role's figures every two seconds while it runs, and that it ended when it ends well."""

    def __init__(
        self, log: KafkaLog, *, role: str, name: str, now: Now, figures: Callable[[], Mapping[str, Any]]
    ) -> None:
        self.key = f"{name}@{socket.gethostname()}"
        self._log = log
        self._about = {
            "role": role,
            "name": name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_at": now(),
        }
        self._now = now
        self._figures = figures

    async def run(self, stop: asyncio.Event) -> None:
        """Report until ``stop`` is set."""
        while not stop.is_set():
            await self._report(running=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)
        await self._report(running=False)

    async def _report(self, *, running: bool) -> None:
        report = {**self._about, "at": self._now(), "running": running, "figures": dict(self._figures())}
        # A broker that is away must not end a role: the report is missed, and the next one tries again.
        with contextlib.suppress(LogError):
            await self._log.remember(ROLES, self.key, orjson.dumps(report))


async def roles(
    options: KafkaOptions, *, now: int, forget_after_ms: int | None = FORGET_AFTER_MS
) -> list[dict[str, Any]]:
    """The last report of every role of the last day (``forget_after_ms``; ``None``: of any time), by name.

    ``state`` is running, ended or gone (not heard of), ``heard_at`` when Kafka got the report (epoch ms).

    ``now`` is this machine's own time (epoch ms): whether a process lives is judged by when Kafka got its report, not
    by a clock that may follow a sandbox.
    """
    found: dict[bytes, tuple[int, dict[str, Any]]] = {}
    async for record in read_all(options, ROLES):
        if record.key is not None and record.value is not None:
            found[record.key] = record.timestamp, orjson.loads(record.value)
    recent: list[dict[str, Any]] = []
    for heard, report in found.values():
        if forget_after_ms is None or now - heard < forget_after_ms:
            silent = now - heard > GONE_AFTER_MS
            ended = not report.get("running", True)
            state = "ended" if ended else "gone" if silent else "running"
            recent.append({**report, "state": state, "heard_at": heard})
    return sorted(recent, key=lambda report: str(report["name"]))
