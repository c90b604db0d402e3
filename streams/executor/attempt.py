"""What an executor remembers in topic ``attempts``: attempts by effect key, and its own place. Pure.

Three kinds of records share the compacted topic. Keys of the bookkeeping begin with ``@``, which no effect key does
(those are external ids, device keys, alert uids, marks of notes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import ValidationError

from schemas.commands import Command
from schemas.facts import CommandSettled, Settlement
from schemas.model import Model


class Attempt(Model):
    """The last attempt at an effect. ``at`` (epoch ms) is when its call began or came to nothing certain.

    ``begun`` and ``unknown``: the effect may be in place. ``certain``: it is as ``outcome`` says. ``look_again_at`` asks
    for one more look at a create that was unknown once; ``command`` is its JSON until then.
    """

    record: Literal["attempt"] = "attempt"
    effect_key: str
    command_id: str
    topic: str
    state: Literal["begun", "unknown", "certain"]
    at: int
    outcome: Settlement | None = None
    how: str = ""
    reason: str = ""
    detail: str = ""
    ticket_id: int | None = None
    ticket_number: str | None = None
    ticket_activity_at: int | None = None
    item_id: int | None = None
    company_id: int | None = None
    written: bool = False
    calls: int = 0
    look_again_at: int | None = None
    command: str | None = None
    correlation_id: str | None = None

    @property
    def uncertain(self) -> bool:
        """Whether nobody may call for this effect without looking first."""
        return self.state != "certain"


class Told(Model):
    """A command above the position that is finished. ``settled`` is there until ``outcomes`` has acknowledged it."""

    record: Literal["told"] = "told"
    topic: str
    command_id: str
    offset: int
    settled: CommandSettled | None = None
    correlation_id: str | None = None


class Position(Model):
    """Everything before ``offset`` of the command topic is finished."""

    record: Literal["position"] = "position"
    topic: str
    offset: int


class AttemptsUnreadable(RuntimeError):
    """A record of ``attempts`` that is not understood: going on could repeat an effect. One line."""


def told_key(topic: str, command_id: str) -> str:
    """The record key of ``Told``."""
    return f"@{topic}/told/{command_id}"


def position_key(topic: str) -> str:
    """The record key of ``Position``."""
    return f"@{topic}/position"


def key_of(record: Attempt | Told | Position) -> str:
    """Under which key a record is written."""
    match record:
        case Attempt():
            return record.effect_key
        case Told():
            return told_key(record.topic, record.command_id)
        case Position():
            return position_key(record.topic)


@dataclass(slots=True)
class Remembered:
    """What the topic says about one command topic. ``position`` is ``None`` where no executor ever finished anything."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    position: int | None = None
    records: int = 0

    @property
    def nothing(self) -> bool:
        """No executor left anything: before the first command, or where the broker has lost it."""
        return self.position is None and not self.attempts and not self.told

    def take(self, topic: str, key: str, value: bytes | None) -> None:
        """Take in one record of the topic, in order. Raises ``AttemptsUnreadable``."""
        self.records += 1
        bookkeeping = key.startswith("@")
        if bookkeeping and not key.startswith(f"@{topic}/"):
            return
        if value is None:
            self.attempts.pop(key, None)
            self.told.pop(key.rpartition("/")[2], None)
            return
        try:
            if key == position_key(topic):
                self.position = Position.from_json(value).offset
            elif bookkeeping:
                told = Told.from_json(value)
                self.told[told.command_id] = told
            else:
                attempt = Attempt.from_json(value)
                if attempt.topic == topic:
                    self.attempts[key] = attempt
        except ValidationError as error:
            raise AttemptsUnreadable(
                f"record '{key}' in topic attempts is not understood ({error.error_count()} fields); it may be from a "
                "newer Lockstep: update this one"
            ) from None


def begun(command: Command, *, command_id: str, topic: str, now: int) -> Attempt:
    """The record that stands before a call."""
    return Attempt(effect_key=command.effect_key, command_id=command_id, topic=topic, state="begun", at=now)
