"""What ``init``, ``test``, ``connect`` and ``disconnect`` have in common: test credentials, tell a running system, store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.autotask.metadata import FRESH_MS
from connectors.ports import Publication
from connectors.probing import ProbeResult
from schemas.facts import ConnectionName, FieldsCreated
from schemas.identity import derived_id
from schemas.topics import CONTROL
from streams import broker_folder
from streams.broker import BrokerError
from streams.clock import clock_of
from streams.core.policy.policy import Policy
from streams.health import HealthError, connections, credentials_changed, disconnected, record_test
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.policy_file import PolicyFileError, read_policy
from streams.readers import ReadError
from streams.settings import Settings
from streams.topics import TopicsError
from streams.vendors import credentials, probe_connection
from streams.wiring import kafka_options, prepare_topics

#: A broker that was killed is back within 7 s on an idle machine; a person waits no longer than this for an answer.
BROKER_IS_BACK_S = 30.0

#: What keeps a running system, if there is one, from being told; each is one line for the person at the terminal.
NOT_TOLD = (BrokerError, TopicsError, LogError, ReadError, HealthError)


async def running_system(settings: Settings) -> KafkaOptions | None:
    """How to reach the running system, or ``None`` where there is none (yet).

    One that runs while its broker is down for a moment is waited for: taken for none, it would never learn what was found
    or changed. Raises ``BrokerError`` or ``TopicsError`` where that takes too long, and where a Kafka of the user's own cannot be
    reached: nobody here knows whether a system runs on it.
    """
    runs = settings.kafka.embedded and await asyncio.to_thread(broker_folder.owner, settings.data_dir) is not None
    try:
        options = await kafka_options(settings, wait=BROKER_IS_BACK_S if runs else 0.0)
        await prepare_topics(settings, options)
    except (BrokerError, TopicsError):
        if runs or not settings.kafka.embedded:
            raise
        return None
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A finished test. ``untold``: why a running system could not be told of it, so that its connection stays as it was."""

    result: ProbeResult
    untold: str | None = None


async def test_and_tell(settings: Settings, name: ConnectionName, *, tell: bool, by: str) -> Tested:
    """Test the credentials in ``settings``; with ``tell``, a running system learns the outcome within a second.

    A test that came to no answer (time-out, overload) says nothing about the credentials and changes nothing.
    """
    options, worked_until, untold = None, None, None
    async with clock_of() as clock:
        try:
            options = await running_system(settings) if tell else None
            worked_until = await _worked_until(options, settings, name) if options else None
        except NOT_TOLD as error:
            options, untold = None, str(error)
        result = await probe_connection(
            settings, name, now=clock.now, policy=_policy(settings), worked_until=worked_until
        )
        held = credentials(settings)[name]
        if options is not None and held is not None and (result.ok or result.reachable):
            refusal = None if result.ok else result.line.removeprefix("Status: ")
            try:
                async with KafkaLog(options, now=clock.now) as log:
                    await record_test(options, log, name, held, refusal=refusal, at=clock.now(), by=by)
            except NOT_TOLD as error:
                untold = str(error)
        return Tested(result=result, untold=untold)


async def tell_disconnected(settings: Settings, name: ConnectionName, *, by: str) -> bool:
    """A running system stops calling; returns whether there is one. Raises one of ``NOT_TOLD``."""
    options = await running_system(settings)
    if options is None:
        return False
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        reason = f"disconnected by {by}"
        await disconnected(options, log, name, reason=reason, at=clock.now(), by=by)
    return True


async def _worked_until(options: KafkaOptions, settings: Settings, name: ConnectionName) -> str | None:
    """When these very credentials were last known to work, as ``HH:MM`` UTC; only if they have stopped working since."""
    state = (await connections(options))[name]
    held = credentials(settings)[name]
    if state.state != "Unhealthy" or held is None or not state.credentials or credentials_changed(state, held):
        return None
    return f"{datetime.fromtimestamp(state.since / 1000, UTC):%H:%M} UTC"


def _policy(settings: Settings) -> Policy | None:
    try:
        return read_policy(settings.policy_path).policy
    except PolicyFileError:
        return None


async def tell_fields_created(settings: Settings, names: Sequence[str], *, by: str) -> bool:
    """A running system writes the items once more that lack these fields; returns whether there is one. Raises one of ``NOT_TOLD``."""
    options = await running_system(settings)
    if options is None:
        return False
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        # An executor believes for FRESH_MS that a field is missing: told earlier, it would leave the fields out again,
        # and nobody would ask a second time.
        await clock.sleep(FRESH_MS / 1000)
        now = clock.now()
        fact = FieldsCreated(fields=tuple(names), actor=by)
        identity = derived_id("fields", *names, now)
        await log.publish(
            [Publication(topic=CONTROL, key="fields", id=identity, source="lockstep/setup", time=now, fact=fact)]
        )
    return True
