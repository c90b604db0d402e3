"""Operator switches: ``pause`` and ``resume``, per connection or for all, kept on the compacted topic ``operations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from connectors.ports import Log
from schemas.facts import ConnectionName
from schemas.model import Model
from schemas.topics import OPERATIONS
from streams.core.connection import DISPLAY
from streams.kafka_options import KafkaOptions
from streams.readers import last_values

Paused = Literal["ninjaone", "autotask", "all"]
_PREFIX = "pause:"


class Pause(Model):
    """A switch that is set: no call goes out until it is taken back. ``since`` is epoch ms."""

    what: Paused
    since: int
    by: str
    reason: str = ""


async def pause(log: Log, what: Paused, *, by: str, reason: str, at: int, topic: str = OPERATIONS) -> Pause:
    """Stop calls of a connection, or all. One that is already set keeps its beginning. Raises like ``Log``."""
    present = pauses(await log.remembered(topic)).get(what)
    switch = Pause(what=what, since=present.since if present else at, by=by, reason=reason)
    await log.remember(topic, _PREFIX + what, switch.to_json())
    return switch


async def resume(log: Log, what: Paused, *, topic: str = OPERATIONS) -> dict[Paused, Pause]:
    """Let calls go again; ``all`` takes back every switch. Returns the switches that are still set."""
    present = pauses(await log.remembered(topic))
    for name in list(present):
        if what in ("all", name):
            await log.remember(topic, _PREFIX + name, None)
            del present[name]
    return present


async def switches(options: KafkaOptions) -> dict[str, bytes]:
    """The values of the topic as they stand, for ``pauses``. Raises ``ReadError``."""
    return await last_values(options, OPERATIONS)


def pauses(operations: Mapping[str, bytes]) -> dict[Paused, Pause]:
    """The switches that are set, from the values of the topic. What is not readable is not a switch."""
    found: dict[Paused, Pause] = {}
    for key, value in operations.items():
        if key.startswith(_PREFIX):
            try:
                switch = Pause.from_json(value)
            except ValidationError:
                continue
            found[switch.what] = switch
    return found


def pause_of(operations: Mapping[str, bytes], connection: ConnectionName) -> Pause | None:
    """What holds this connection back, its own switch first."""
    present = pauses(operations)
    return present.get(connection) or present.get("all")


async def pause_told(options: KafkaOptions, connection: ConnectionName) -> str | None:
    """Who holds this connection back and why, for people; ``None`` where nobody does. Raises ``ReadError``."""
    switch = pause_of(await switches(options), connection)
    if switch is None:
        return None
    return f"{DISPLAY[connection]} is paused by {switch.by}" + (f": {switch.reason}" if switch.reason else "")
