"""Runs over an audit in memory that are interrupted at any record, with a folder for what they keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from schemas.audit import AuditRecord
from streams.core.ranges import Range
from streams.core.whatif import Comparison
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import Offsets
from streams.replay import going_on, rebuild, verify, verify_partition, whatif, whatif_partition
from streams.replay.going_on import Ledger
from streams.replay.rebuild import Rebuilt
from streams.replay.verify import AuditResult
from tests.core.spec import HOUR, START, UID_B, UID_C, Scene, companies, incidents, policy, reset, subject, triggered

OPTIONS = KafkaOptions(bootstrap_servers="127.0.0.1:1")


def story() -> Scene:
    """Alerts of several customers' devices, a company for three of them at once, a policy, and an end."""
    scene = incidents(triggered()).settle("CreateTicket").later(HOUR)
    for number in (8, 9, 10):
        where = subject(device=number, organization=99, organization_name="Westwind")
        scene.when(triggered(10 + number, f"{number:032x}", subject=where), key=str(number))
    scene.later(HOUR).when(companies((6, "Westwind"))).when(triggered(31, UID_B, alert_subject="D:"))
    scene.later(HOUR).when(policy(2, defaults={"queue": "NOC"})).when(triggered(32, UID_C, alert_subject="E:"))
    return scene.later(HOUR).when(reset(90)).settle("CompleteTicket")


class Audit:
    """One partition of the audit in memory, in place of Kafka; every second offset is a transaction's marker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
        self.scene = scene
        self.records = [
            InputRecord("audit", 0, 2 * n, r.key.encode(), r.to_json(), (), r.recorded_at)
            for n, r in enumerate(scene.records)
        ]
        self.first = 0
        self.cluster = "one"
        #: The offsets that jobs read; after so many in one run the reading is interrupted.
        self.read: list[int] = []
        self.left: int | None = None
        self.interruption: type[BaseException] = asyncio.CancelledError
        self.grows: list[int] = []
        for module in (verify, rebuild, whatif):
            monkeypatch.setattr(module, "end_offsets", self._ends)
            monkeypatch.setattr(module, "first_offsets", self._firsts)
        for module in (verify_partition, rebuild, whatif_partition):
            monkeypatch.setattr(module, "read_all", self._read)
            monkeypatch.setattr(module, "beginning", self._beginning)
        for module in (verify_partition, rebuild):
            monkeypatch.setattr(module, "state_documents", self._live)
        monkeypatch.setattr(going_on, "read_all", self._from)
        monkeypatch.setattr(going_on, "_cluster", self._cluster)

    @property
    def end(self) -> int:
        return self.records[-1].offset + 2

    def interrupted_after(self, count: int) -> Audit:
        self.left, self.read = count, []
        return self

    def change(self, place: int, **fields: Any) -> None:
        """Another content of a record, with a hash that fits."""
        raw = self.records[place]
        record = AuditRecord.from_json(raw.value or b"")
        other = AuditRecord.model_validate({**record.model_dump(), **fields})
        value = AuditRecord.model_validate({**other.model_dump(), "hash": other.chained()}).to_json()
        self.records[place] = InputRecord(*raw[:4], value, *raw[5:])

    async def _ends(self, *_: Any) -> Offsets:
        return {("audit", 0): self.end}

    async def _firsts(self, *_: Any) -> Offsets:
        return {("audit", 0): self.first}

    async def _beginning(self, *_: Any) -> None:
        """Nothing of these logs lies behind a checkpoint."""

    async def _cluster(self, _: Any) -> str:
        return self.cluster

    async def _live(self, _: Any, agent: str, partition: int) -> dict[int, dict[bytes, bytes]]:
        return {partition: self.scene.state if agent == "incidents" else {}}

    async def _from(self, *_: Any, start: Offsets, **__: Any) -> AsyncIterator[InputRecord]:
        for record in self.records:
            if record.offset >= max(start.get(("audit", 0), 0), self.first):
                yield record

    async def _read(self, *_: Any, start: Offsets, **__: Any) -> AsyncIterator[InputRecord]:
        async for record in self._from(start=start):
            if self.left is not None and len(self.read) == self.left:
                self.left = None
                raise self.interruption("away")
            self.read.append(record.offset)
            yield record


class Runs:
    """Runs of one verb over an audit, with one folder; ``said``: what the last one told people."""

    def __init__(self, audit: Audit, folder: Path) -> None:
        self.audit = audit
        self.folder = folder
        self.said: list[str] = []
        self.ledger: Ledger

    async def verify(self, wanted: Range = verify_partition.WHOLE, **more: Any) -> AuditResult:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "verify", asdict(wanted), tell=self.said.append, **{"every_s": 0, **more})
        with self.ledger as ledger:
            return await verify.verify_audit(OPTIONS, wanted=wanted, ledger=ledger)

    async def rebuild(self, as_of: int | None = None) -> Rebuilt:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "rebuild", {"as_of": as_of}, tell=self.said.append, every_s=0)
        with self.ledger as ledger:
            return await rebuild.rebuild(OPTIONS, as_of=as_of, ledger=ledger)

    async def what_if(self, draft: str) -> Comparison:
        self.said, self.audit.read = [], []
        self.ledger = Ledger(self.folder, "whatif", {"policy": draft}, tell=self.said.append, every_s=0, readings=2)
        with self.ledger as ledger:
            return await whatif.what_if(OPTIONS, draft, since=START + HOUR, ledger=ledger)

    async def interrupted(self, count: int, wanted: Range = verify_partition.WHOLE) -> None:
        self.audit.left = count
        with pytest.raises(self.audit.interruption):
            await self.verify(wanted)

    @property
    def file(self) -> Path:
        return self.folder / "verify-0.jsonl"
