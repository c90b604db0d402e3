"""When a drill may be judged: every fact decided, every command settled, and nobody writes any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from aiokafka.errors import KafkaError

from schemas.events import decode_command, decode_fact
from schemas.facts import CommandSettled
from schemas.topics import AGENT_INPUTS, AGENT_STATE, COMMAND_TOPICS, OUTCOMES
from streams.delivery.positions import POSITIONS_KEY, decode_positions
from streams.demo.theatre import StoryFailed, Theatre
from streams.forwarding import unforwarded
from streams.kafka_options import KafkaOptions
from streams.log import LogError
from streams.readers import ReadError, end_offsets, read_all

#: Pollers come round every 2 s, what they bring is decided within one more second, and a hold or a settling time of the
#: drill's policy (3 s) may follow before anything is written.
SILENCE_S = 7.0
#: What a client of ours raises while a killed broker is not back.
KAFKA_IS_AWAY = (ReadError, LogError, KafkaError, OSError)


async def until_quiet(theatre: Theatre, *, seconds: float) -> None:
    """Wait for it. Raises ``StoryFailed`` naming what is still under way."""
    deadline = time.monotonic() + seconds
    last, since = "", time.monotonic()
    while time.monotonic() - since < SILENCE_S:
        why = await _under_way(theatre)
        now = why or await _written(theatre)
        if why or now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise StoryFailed(f"no quiet within {seconds:g} s: {why or 'the vendors are still written to'}")
        await asyncio.sleep(1)


async def _under_way(theatre: Theatre) -> str:
    """What is not finished, in words; nothing where all is."""
    supervisor = theatre.installation.supervisor
    assert supervisor is not None
    for name, child in supervisor.children.items():
        if not child.dismissed and (child.process is None or child.process.returncode is not None):
            return f"{name} is not running ({child.last_reason})"
    try:
        for agent in AGENT_INPUTS:
            lag = await undecided(theatre.options, agent)
            if lag:
                return f"agent {agent} has not decided {lag}"
        told = await unforwarded(theatre.options)
        if told:
            return f"{told} facts that agents told each other are not forwarded"
        open_commands = await unsettled(theatre.options)
    except KAFKA_IS_AWAY as error:
        return f"Kafka does not answer ({type(error).__name__})"
    return f"{len(open_commands)} commands are not settled" if open_commands else ""


async def undecided(options: KafkaOptions, agent: str) -> str:
    """Facts behind an agent's committed place, as ``topic[partition]: count``; nothing where it is at the end."""
    placed: dict[tuple[str, int], int] = {}
    async for record in read_all(options, AGENT_STATE[agent]):
        if record.key == POSITIONS_KEY and record.value is not None:
            for topic, offset in decode_positions(record.value)[0].items():
                placed[topic, record.partition] = offset
    ends = await end_offsets(options, *AGENT_INPUTS[agent], isolation="read_uncommitted")
    behind = {place: end - placed.get(place, 0) for place, end in ends.items() if end > placed.get(place, 0)}
    return ", ".join(f"{topic}[{partition}]: {count}" for (topic, partition), count in sorted(behind.items()))


async def unsettled(options: KafkaOptions) -> Collection[str]:
    """Ids of commands without a settlement."""
    commands: set[str] = set()
    async for record in read_all(options, *COMMAND_TOPICS):
        commands.add(decode_command(record.headers, record.value).envelope.id)
    settled: set[str] = set()
    async for record in read_all(options, OUTCOMES):
        try:
            fact = decode_fact(record.headers, record.value).data
        except (ValueError, AttributeError):
            continue  # planted
        if isinstance(fact, CommandSettled):
            settled.add(fact.command_id)
    return commands - settled


async def _written(theatre: Theatre) -> str:
    counts = []
    for remote in (theatre.ninja, theatre.psa):
        calls = await remote.get("calls")
        counts.append(
            sum(
                call["method"] != "GET" and "/query" not in call["path"] and "token" not in call["path"]
                for call in calls
            )
        )
    return repr(counts)
