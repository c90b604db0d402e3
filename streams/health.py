"""Connection health on Kafka: reading and changing the state machine of ``streams.core.connection`` by its topic.

A change goes to ``connections`` (one partition, so all changes have one order), is judged there by what stands before
it, and once accepted goes to ``control`` for the agents. ``streams.gates`` has what a running process does with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from connectors.ports import Log, Publication
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.facts import ConnectionChanged, ConnectionName
from schemas.identity import derived_id
from schemas.topics import CONNECTIONS, CONTROL
from streams.core import connection as machine
from streams.core.connection import Connection, accepts, evolve
from streams.credentials import Credentials, digest_of, same
from streams.kafka_options import KafkaOptions
from streams.ports import InputRecord
from streams.readers import read_all

SOURCE = "lockstep/health"
#: Changes that lose a race are decided again on the new state; more than this in a row is a quarrel, not a race.
ATTEMPTS = 5

Decide = Callable[[Connection], ConnectionChanged | None]


class HealthError(RuntimeError):
    """A change of health could not be brought about; one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTopics:
    """Where health lives, and where a session of tests may move it."""

    connections: str = CONNECTIONS
    control: str = CONTROL


TOPICS = HealthTopics()


def initial() -> dict[ConnectionName, Connection]:
    """Every connection before anything happened."""
    return {name: Connection(name=name) for name in machine.CONNECTIONS}


def change_in(record: InputRecord) -> tuple[str, ConnectionChanged] | None:
    """The event id and the change in a record of ``connections``; ``None`` for anything else."""
    try:
        event = decode_fact(record.headers, record.value)
    except DecodeError:
        return None  # written by a later version: it is not ours to judge
    return (event.envelope.id, event.data) if isinstance(event.data, ConnectionChanged) else None


async def history(
    options: KafkaOptions, *, topics: HealthTopics = TOPICS
) -> AsyncIterator[tuple[ConnectionChanged, bool]]:
    """Every change ever published, in order, and whether it took effect. Raises ``ReadError``."""
    states = initial()
    async for record in read_all(options, topics.connections):
        found = change_in(record)
        if found is not None:
            _, change = found
            before = states[change.connection]
            states[change.connection] = evolve(before, change)
            yield change, accepts(before, change)


async def connections(options: KafkaOptions, *, topics: HealthTopics = TOPICS) -> dict[ConnectionName, Connection]:
    """Where every connection stands now. Raises ``ReadError``."""
    states, _ = await _fold(options, topics)
    return states


async def change(
    options: KafkaOptions,
    log: Log,
    name: ConnectionName,
    decide: Decide,
    *,
    known: Connection | None = None,
    topics: HealthTopics = TOPICS,
) -> Connection:
    """Publish what ``decide`` makes of the connection's state, until it took effect or is no longer called for.

    ``known`` saves reading the topic first: whoever learned of a refusal publishes at once. Returns the state
    afterwards. Raises ``LogError``, ``ReadError``, ``HealthError``.
    """
    current = known or (await connections(options, topics=topics))[name]
    for _ in range(ATTEMPTS):
        wanted = decide(current)
        if wanted is None:
            return current
        publication = _publication(wanted, topics.connections)
        await log.publish([publication])
        states, accepted = await _fold(options, topics)
        if publication.id in accepted:
            await log.publish([_publication(wanted, topics.control)])
            return states[name]
        current = states[name]
    raise HealthError(f"the state of {name} changes faster than this process can follow; try again")


async def record_test(
    options: KafkaOptions,
    log: Log,
    name: ConnectionName,
    credentials: Credentials,
    *,
    refusal: str | None,
    at: int,
    by: str,
    topics: HealthTopics = TOPICS,
) -> Connection:
    """The credentials in force were tested: ``refusal`` is ``None`` (they work: Healthy) or what was wrong, in one line.

    Not for credentials that were tried and are not going to be used. Raises like ``change``.
    """
    digest = await asyncio.to_thread(digest_of, credentials)

    def decide(connection: Connection) -> ConnectionChanged:
        if refusal is None:
            return machine.passed(connection, credentials=digest, at=at, by=by)
        return machine.failed(connection, reason=refusal, credentials=digest, at=at, by=by)

    return await change(options, log, name, decide, topics=topics)


async def disconnected(
    options: KafkaOptions,
    log: Log,
    name: ConnectionName,
    *,
    reason: str,
    at: int,
    by: str,
    topics: HealthTopics = TOPICS,
) -> Connection:
    """An operator took the credentials away: NotConnected. Raises like ``change``."""
    return await change(
        options, log, name, lambda c: machine.disconnected(c, reason=reason, at=at, by=by), topics=topics
    )


def credentials_changed(connection: Connection, credentials: Credentials) -> bool:
    """Whether these are others than those tested last, so that they are to be tested (once). Takes some 40 ms."""
    return not same(connection.credentials, credentials)


def told(connection: Connection) -> str:
    """Where a connection stands, for people: ``Autotask is Unhealthy (the user is locked)``."""
    word = "Not connected" if connection.state == "NotConnected" else connection.state
    return f"{machine.DISPLAY[connection.name]} is {word}" + (f" ({connection.reason})" if connection.reason else "")


def as_status(states: Mapping[ConnectionName, Connection]) -> dict[str, dict[str, object]]:
    """The ``connections`` of ``status --json``: state, since (epoch ms), reason."""
    return {name: {"state": c.state, "since": c.since, "reason": c.reason} for name, c in states.items()}


async def _fold(options: KafkaOptions, topics: HealthTopics) -> tuple[dict[ConnectionName, Connection], set[str]]:
    """All states, and the ids of the changes that took effect."""
    states, accepted = initial(), set()
    async for record in read_all(options, topics.connections):
        found = change_in(record)
        if found is not None:
            identity, changed = found
            if accepts(states[changed.connection], changed):
                accepted.add(identity)
            states[changed.connection] = evolve(states[changed.connection], changed)
    return states, accepted


def _publication(changed: ConnectionChanged, topic: str) -> Publication:
    identity = derived_id(
        "connection", changed.connection, changed.epoch, changed.previous, changed.state, changed.changed_at, changed.by
    )
    return Publication(
        topic=topic,
        key=changed.connection,
        id=identity,
        source=SOURCE,
        time=changed.changed_at,
        fact=changed,
    )
