"""``audit verify``: every recorded fact decided again, per agent and partition, and compared with the live state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from schemas.audit import AuditRecord
from schemas.topics import AGENT_STATE, AUDIT
from streams.core.verify import Difference, Verifier
from streams.kafka_options import KafkaOptions
from streams.readers import end_offsets, read_all
from streams.views import state_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What a verification found: how much was decided again, and the first difference (``None``: none).

    ``settled`` is false where slices were committed while we read, so that the live state could not be compared.
    """

    records: int
    commands: int
    difference: Difference | str | None
    settled: bool


async def verify_audit(options: KafkaOptions, *, progress: Callable[[int], None] = lambda count: None) -> AuditResult:
    """Read the whole audit and decide it again; then compare with the live state, which has to stand still for it.

    Never calls a vendor. Raises ``ReadError``.
    """
    for last in (False, False, True):
        before = await end_offsets(options, AUDIT)
        verifiers, difference, records = await _decide_again(options, progress)
        if difference is not None:
            return _result(verifiers, records, difference, settled=True)
        live = {agent: await state_documents(options, agent) for agent in AGENT_STATE}
        if await end_offsets(options, AUDIT) == before:
            for (agent, partition), verifier in sorted(verifiers.items()):
                difference = verifier.finish(live[agent].get(partition, {}))
                if difference is not None:
                    return _result(verifiers, records, difference, settled=True)
            return _result(verifiers, records, None, settled=True)
        if last:
            return _result(verifiers, records, None, settled=False)
        await asyncio.sleep(1)
    raise AssertionError("unreachable")


async def _decide_again(
    options: KafkaOptions, progress: Callable[[int], None]
) -> tuple[dict[tuple[str, int], Verifier], Difference | str | None, int]:
    verifiers: dict[tuple[str, int], Verifier] = {}
    records = 0
    async for raw in read_all(options, AUDIT):
        records += 1
        try:
            record = AuditRecord.from_json(raw.value or b"")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = f"audit[{raw.partition}]@{raw.offset}"
            return verifiers, f"{where}: this is not an audit record ({first['msg']})", records
        place = (record.agent, raw.partition)
        verifier = verifiers.get(place)
        if verifier is None:
            verifier = verifiers[place] = Verifier(agent=record.agent)
        difference = verifier.feed(record)
        if difference is not None:
            return verifiers, difference, records
        if records % 1000 == 0:
            progress(records)
            # Deciding is pure arithmetic: let the process answer its heartbeats and signals in between.
            await asyncio.sleep(0)
    return verifiers, None, records


def _result(
    verifiers: dict[tuple[str, int], Verifier], records: int, difference: Difference | str | None, *, settled: bool
) -> AuditResult:
    commands = sum(verifier.commands for verifier in verifiers.values())
    return AuditResult(records=records, commands=commands, difference=difference, settled=settled)
