"""What becomes of published facts: their decisions in the audit, and the outcomes of the commands that these issued."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from schemas.audit import AuditRecord
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.facts import CommandSettled
from schemas.topics import AUDIT, OUTCOMES
from streams.kafka_options import KafkaOptions
from streams.readers import Offsets, end_offsets, tail


@dataclass(slots=True)
class Followed:
    """The decisions of the facts that are followed, by the fact's id, and the outcomes of their commands by theirs."""

    facts: frozenset[str]
    decided: dict[str, AuditRecord] = field(default_factory=dict)
    #: Every command that was issued, by id: its type.
    commands: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, CommandSettled] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Facts and commands together, as far as is known."""
        return len(self.facts) + len(self.commands)

    @property
    def open(self) -> int:
        """How many facts and commands there is no end of yet."""
        return self.total - len(self.decided) - len(self.outcomes)

    def why_not(self, ids: Collection[str]) -> str:
        """Why these facts mended nothing, in one line: what was decided, or how their commands ended."""
        words: list[str] = []
        for identity in sorted(self.facts & set(ids)):
            record = self.decided.get(identity)
            if record is None:
                words.append("nothing was decided in time: does a worker run, and keep up?")
                continue
            for command in record.commands:
                fact = self.outcomes.get(command.id)
                name = command.type.removeprefix("lockstep.command.").rpartition(".v")[0]
                if fact is None:
                    words.append(f"{name} has not settled yet; 'lockstep status' says what waits")
                elif fact.outcome != "Succeeded" or fact.reason:
                    words.append(f"{name} {fact.outcome}: {fact.reason} {fact.detail}".strip())
            if not record.commands:
                words += [
                    entry["reason"] + (f" ({entry['detail']})" if "detail" in entry else "")
                    for entry in record.decision.get("reasons", [])
                ]
        return "; ".join(dict.fromkeys(words))


async def places(options: KafkaOptions) -> Offsets:
    """Where audit and outcomes end now: taken before anything is published. Raises ``ReadError``."""
    return await end_offsets(options, AUDIT, OUTCOMES)


async def follow(
    options: KafkaOptions,
    start: Offsets,
    facts: Collection[str],
    *,
    within: float,
    progress: Callable[[int, int], None],
) -> Followed:
    """Wait until every fact is decided and every command of these decisions has settled, for so many seconds at most."""
    found = Followed(frozenset(facts))
    settled: dict[str, CommandSettled] = {}

    async def read() -> None:
        async for record in tail(options, AUDIT, OUTCOMES, start=start):
            if record.topic == AUDIT:
                audited = AuditRecord.from_json(record.value or b"")
                identity = audited.fact.headers.get("ce_id", "")
                if identity in found.facts:
                    found.decided[identity] = audited
                    issued = {command.id: command.type for command in audited.commands}
                    found.commands |= issued
                    found.outcomes |= {name: settled[name] for name in issued.keys() & settled.keys()}
            else:
                with contextlib.suppress(DecodeError):
                    fact = decode_fact(record.headers, record.value).data
                    if isinstance(fact, CommandSettled):
                        settled[fact.command_id] = fact
                        if fact.command_id in found.commands:
                            found.outcomes[fact.command_id] = fact
            progress(found.total - found.open, found.total)
            if not found.open:
                return

    if facts:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await read()
    return found
