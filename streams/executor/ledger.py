"""What is known about effects, and who was told: every change goes to ``attempts`` before anything relies on it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.facts import CommandSettled
from streams.executor.attempt import Attempt, Position, Remembered, Told, begun, told_key
from streams.executor.attempts import Record, Store
from streams.executor.settings import AtPoint
from streams.executor.settlement import settlement_id
from streams.executor.window import Entry

#: A certain attempt this old is forgotten: as long as facts are kept, and far longer than a command is ever repeated.
KEEP_MS = 400 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A settlement on its way to ``outcomes``."""

    fact: CommandSettled
    identity: str
    correlation_id: str | None


class Outcomes(Protocol):
    """Topic ``outcomes``."""

    async def publish(self, tellings: Sequence[Telling]) -> None:
        """Returns when the broker has acknowledged all of them. Raises when it does not."""
        ...


class Ledger:
    """The attempts of one command topic and the settlements above its position."""

    def __init__(
        self,
        *,
        topic: str,
        remembered: Remembered,
        now: int,
        store: Store,
        outcomes: Outcomes,
        at: AtPoint,
        doubtful_before: int = 0,
    ) -> None:
        self._topic = topic
        self._store = store
        self._outcomes = outcomes
        self._at = at
        #: Where what was recorded is gone, each command that was there already may have been carried out.
        self._doubtful_before, self._doubtful_since = doubtful_before, now
        self._position = remembered.position
        self._told = dict(remembered.told)
        self._above = [(told.offset, told.command_id) for told in remembered.told.values()]
        heapq.heapify(self._above)
        # As bytes: a year of tickets is some hundred thousand attempts, and most are never looked at again.
        self._attempts: dict[str, bytes] = {}
        self.looks_owed: list[Attempt] = []
        self._take_over(remembered, now)

    def _take_over(self, remembered: Remembered, now: int) -> None:
        stale: list[str] = []
        for key, attempt in remembered.attempts.items():
            if attempt.uncertain:
                # The former owner may have written to the vendor until it was fenced, which is only now certain.
                self._attempts[key] = attempt.model_copy(update={"at": max(now, attempt.at)}).to_json()
            elif now - attempt.at > KEEP_MS and attempt.look_again_at is None:
                stale.append(key)
                continue
            else:
                self._attempts[key] = attempt.to_json()
            if attempt.look_again_at is not None:
                self.looks_owed.append(attempt)
        if stale:
            self._store.note((), stale)

    def attempt(self, effect_key: str) -> Attempt | None:
        """The last attempt at an effect."""
        value = self._attempts.get(effect_key)
        return None if value is None else Attempt.from_json(value)

    def attempt_for(self, entry: Entry) -> Attempt | None:
        """The last attempt at a command's effect; one of unknown outcome where none is recorded and that is no proof."""
        known = self.attempt(entry.command.effect_key)
        if known is None and entry.offset < self._doubtful_before:
            return begun(entry.command, command_id=entry.command_id, topic=self._topic, now=self._doubtful_since)
        return known

    def told(self, command_id: str) -> Told | None:
        """The settlement that an earlier life recorded for a command above the position."""
        return self._told.get(command_id)

    def has_begun(self, entry: Entry) -> bool:
        """Whether a call for this very command may have had its effect."""
        attempt = self.attempt_for(entry)
        return attempt is not None and attempt.uncertain and attempt.command_id == entry.command_id

    async def write(self, attempt: Attempt) -> None:
        """Record an attempt and wait until that is committed: the right to call. Raises when fenced."""
        await self._store.write([attempt])
        self._attempts[attempt.effect_key] = attempt.to_json()

    def note(self, attempt: Attempt) -> None:
        """Record what nobody has to wait for."""
        self._store.note([attempt])
        self._attempts[attempt.effect_key] = attempt.to_json()

    def surely_not(self, effect_key: str, before: Attempt | None) -> None:
        """The attempt that was begun had no effect: it is as it was before."""
        if before is not None:
            self.note(before)
        else:
            self._store.note((), [effect_key])
            self._attempts.pop(effect_key, None)

    async def settle(self, settlements: Sequence[tuple[Entry, CommandSettled]], attempt: Attempt | None) -> None:
        """Record settlements (with the attempt that they rest on) and publish them. Raises when either fails.

        Recorded first: a restart repeats the very same settlement, and a fenced executor says nothing.
        """
        records: list[Record] = [
            Told(
                topic=self._topic,
                command_id=entry.command_id,
                offset=entry.offset,
                settled=fact,
                correlation_id=entry.correlation_id,
            )
            for entry, fact in settlements
        ]
        if attempt is not None:
            records.append(attempt)
        await self._store.write(records)
        if attempt is not None:
            self._attempts[attempt.effect_key] = attempt.to_json()
        self._at("outcome_recorded")
        await self.publish([(fact, entry.correlation_id) for entry, fact in settlements])
        self._at("settled")

    async def publish(self, facts: Sequence[tuple[CommandSettled, str | None]]) -> None:
        """Publish settlements that are recorded."""
        await self._outcomes.publish(
            [
                Telling(fact=fact, identity=settlement_id(fact), correlation_id=correlation)
                for fact, correlation in facts
            ]
        )

    async def report(self, telling: Telling) -> None:
        """Publish something beside a settlement."""
        await self._outcomes.publish([telling])

    def finished(self, entries: Sequence[Entry], position: int) -> None:
        """Commands are settled and acknowledged: remember that above the position, forget it below."""
        records: list[Record] = []
        forget: list[str] = []
        for entry in entries:
            if entry.offset < position:
                forget.append(told_key(self._topic, entry.command_id))
            else:
                told = Told(topic=self._topic, command_id=entry.command_id, offset=entry.offset)
                records.append(told)
                if entry.command_id not in self._told:
                    heapq.heappush(self._above, (entry.offset, entry.command_id))
                self._told[entry.command_id] = told
        self._store.note(records, forget)
        self.advance(position)

    def advance(self, position: int) -> None:
        """Everything before ``position`` is finished."""
        if position == self._position:
            return
        self._position = position
        forget: list[str] = []
        while self._above and self._above[0][0] < position:
            command_id = heapq.heappop(self._above)[1]
            self._told.pop(command_id, None)
            forget.append(told_key(self._topic, command_id))
        self._store.note([Position(topic=self._topic, offset=position)], forget)
