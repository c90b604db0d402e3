"""``audit verify``: every recorded fact decided again, per agent and partition, and compared with the live state."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from schemas.audit import AuditRecord
from schemas.topics import AGENT_STATE, AUDIT
from streams.core.verify import Difference, Verifier
from streams.kafka_options import KafkaOptions
from streams.readers import end_offsets, first_offsets, read_all
from streams.replay.partitions import Tell, over_partitions
from streams.views import state_documents

#: A reader of the log answers its heartbeats and signals in between so many records.
BREATHE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What a verification found: how much was decided again, and the first difference (``None``: none).

    ``settled`` is false where slices were committed while we read, so that the live state could not be compared.
    ``others`` counts the records of other versions of the core (``streams.core.version``), ``otherwise`` those among them that
    this build would decide otherwise, of which ``first_otherwise`` is one. None of that is a difference.
    """

    records: int
    commands: int
    difference: Difference | str | None
    settled: bool
    others: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    first_otherwise: Difference | None = None


async def verify_audit(
    options: KafkaOptions,
    *,
    progress: Callable[[int, int], None] = lambda count, total: None,
    processes: int | None = None,
) -> AuditResult:
    """Read the whole audit and decide it again; then compare with the live state, which has to stand still for it.

    ``progress`` is told how many of about how many records are done. Never calls a vendor. Raises ``ReadError``.
    """
    for last in (False, False, True):
        before, begin = await end_offsets(options, AUDIT), await first_offsets(options, AUDIT)
        total = sum(end - begin[place] for place, end in before.items())
        parts = await over_partitions(
            VerifyPartition(options),
            sorted(partition for _, partition in before),
            records=total,
            progress=lambda count, total=total: progress(count, total),  # type: ignore[misc]
            processes=processes,
        )
        records, commands = sum(part.records for part in parts), sum(part.commands for part in parts)
        broken = next((part.difference for part in parts if part.difference is not None), None)
        settled = await end_offsets(options, AUDIT) == before
        if broken is None and settled:
            broken = next((part.from_live for part in parts if part.from_live is not None), None)
        if broken is not None or settled or last:
            return AuditResult(
                records=records,
                commands=commands,
                difference=broken,
                settled=settled or broken is not None,
                others=sum((Counter(part.others) for part in parts), Counter[int]()),
                otherwise=sum(part.otherwise for part in parts),
                first_otherwise=next((part.first_otherwise for part in parts if part.first_otherwise), None),
            )
        await asyncio.sleep(1)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPartition:
    """One partition decided again: ``difference`` within its audit, ``from_live`` against the state (which may move)."""

    records: int
    commands: int
    difference: Difference | str | None
    from_live: Difference | None = None
    others: Mapping[int, int] = field(default_factory=dict)
    otherwise: int = 0
    first_otherwise: Difference | None = None


@dataclass(frozen=True, slots=True)
class VerifyPartition:
    """The job of one partition (``streams.replay.partitions``)."""

    options: KafkaOptions

    async def __call__(self, partition: int, tell: Tell) -> VerifiedPartition:
        """Decide the partition's audit again, then compare with its live state."""
        verifiers: dict[str, Verifier] = {agent: Verifier(agent=agent) for agent in AGENT_STATE}
        records, difference = 0, None
        async for raw in read_all(self.options, AUDIT, partitions=[partition]):
            records += 1
            difference = _fed(verifiers, raw.value or b"", f"audit[{raw.partition}]@{raw.offset}")
            if difference is not None:
                break
            if records % BREATHE == 0:
                tell(records)
                await asyncio.sleep(0)
        tell(records)
        commands = sum(verifier.commands for verifier in verifiers.values())
        if difference is not None:
            return VerifiedPartition(records=records, commands=commands, difference=difference)
        return VerifiedPartition(
            records=records,
            commands=commands,
            difference=None,
            from_live=_compared(verifiers, await self._live(partition)),
            others=sum((verifier.others for verifier in verifiers.values()), Counter[int]()),
            otherwise=sum(verifier.otherwise for verifier in verifiers.values()),
            first_otherwise=next((v.first_otherwise for v in verifiers.values() if v.first_otherwise), None),
        )

    async def _live(self, partition: int) -> dict[str, Mapping[bytes, bytes]]:
        documents = {agent: await state_documents(self.options, agent, partition) for agent in AGENT_STATE}
        return {agent: found.get(partition, {}) for agent, found in documents.items()}


def _fed(verifiers: Mapping[str, Verifier], value: bytes, where: str) -> Difference | str | None:
    # What is decided again byte for byte needs no second look; all else is taken apart to say where it differs.
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        document = orjson.loads(value)
        if verifiers[document["agent"]].agrees(document, value):
            return None
    try:
        record = AuditRecord.from_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{where}: this is not an audit record ({first['msg']})"
    if record.agent not in verifiers:
        return f"{where}: there is no agent '{record.agent}'"
    return verifiers[record.agent].feed(record)


def _compared(verifiers: Mapping[str, Verifier], live: Mapping[str, Mapping[bytes, bytes]]) -> Difference | None:
    for agent, verifier in verifiers.items():
        difference = verifier.finish(live[agent])
        if difference is not None:
            return difference
    return None
