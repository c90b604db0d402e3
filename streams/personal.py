"""Personal values where they are needed: filled into a command at the moment of the call, shown by ``explain``, erased."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from connectors.ports import Effect, Effects, Publication, Verdict
from schemas.commands import Command, UpsertConfigurationItem
from schemas.identity import derived_id
from schemas.personal import (
    Erased,
    PersonalDataErased,
    PersonalValue,
    kind_of_token,
    record_key,
    split_record_key,
    tokens_in,
)
from schemas.topics import CONTROL, PERSONAL
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog, LogError
from streams.readers import ReadError, Remembered, last_values
from streams.topics import ERASED_SEGMENT_MS
from streams.views import states

#: Records under this key say nothing: one is written to close a segment, so that what was erased leaves the disk.
ROLL_KEY = "~roll"

#: The value of a key's token, ``None`` where it is not kept. Raises ``ReadError``.
Value = Callable[[str, str], Awaitable[str | None]]


class KeptPersonal:
    """What topic ``personal`` holds, followed by one role. ``start`` first."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._erased = asyncio.Event()
        self.values = Remembered(options, PERSONAL, on_change=self._changed)

    async def start(self) -> None:
        """Read to the end, then follow. Raises ``ReadError``."""
        await self.values.start()
        # Of what was erased while nobody looked nothing is known: a round at the start costs one record.
        self._erased.set()

    async def stop(self) -> None:
        """Stop following."""
        await self.values.stop()

    def _changed(self, key: str, value: bytes | None) -> None:
        if value is None and key != ROLL_KEY:
            self._erased.set()

    async def value(self, key: str, token: str) -> str | None:
        """The value of a token, ``None`` where it is not kept (any more). Raises ``ReadError``."""
        name = record_key(key, token)
        if name not in self.values:
            # Whoever published the fact waited for the broker, not for us.
            await self.values.catch_up()
        record = self.values.get(name)
        return None if record is None else PersonalValue.from_json(record).value

    async def roll(self, log: KafkaLog) -> None:
        """After an erasure, write a record when the segment that holds it is old enough to be closed. Until cancelled.

        The cleaner leaves the segment alone that is written to, and a segment is closed by a record that comes after its time.
        One process does it: the connectors.
        """
        while True:
            await self._erased.wait()
            self._erased.clear()
            await asyncio.sleep(ERASED_SEGMENT_MS / 1000 + 1)
            try:
                await log.remember(PERSONAL, ROLL_KEY, None)
            except LogError:
                self._erased.set()


class FillingIn:
    """``connectors.ports.Effects`` that fills values in for tokens, and takes them out of what is told of the outcome."""

    def __init__(self, effects: Effects, value: Value) -> None:
        self._effects = effects
        self._value = value

    async def perform(self, command: Command) -> Effect:
        """As ``Effects.perform``; a field whose value is no longer kept is left out, and the outcome says so."""
        filled = await self._filled(command)
        if isinstance(filled, Effect):
            return filled
        return filled.told(await self._effects.perform(filled.command))

    async def look_up(self, command: Command) -> Effect | None:
        """As ``Effects.look_up``."""
        filled = await self._filled(command)
        if isinstance(filled, Effect):
            return filled
        effect = await self._effects.look_up(filled.command)
        return None if effect is None else filled.told(effect)

    async def _filled(self, command: Command) -> _Filled | Effect:
        if not isinstance(command, UpsertConfigurationItem):
            return _Filled(command)
        tokens = [text for text in command.fields.values() if kind_of_token(text)]
        if not tokens:
            return _Filled(command)
        try:
            found = {token: await self._value(command.key, token) for token in tokens}
        except ReadError as error:
            return Effect(verdict=Verdict.TRANSIENT, reason="PersonalDataUnread", detail=str(error))
        fields = {name: found.get(text, text) for name, text in command.fields.items()}
        known = {name: text for name, text in fields.items() if text is not None}
        return _Filled(
            command.model_copy(update={"fields": known}),
            {value: token for token, value in found.items() if value},
            tuple(name for name, text in fields.items() if text is None),
        )


@dataclass(frozen=True, slots=True)
class _Filled:
    """A command as the vendor is to get it, the tokens of the values in it, and the fields that it had to do without."""

    command: Command
    tokens: Mapping[str, str] = field(default_factory=dict)
    without: Sequence[str] = ()

    def told(self, effect: Effect) -> Effect:
        """The effect as it may be published: a vendor may repeat a value in the words of a refusal."""
        detail = effect.detail
        for value, token in self.tokens.items():
            detail = detail.replace(value, token)
        if self.without:
            remark = f"without {', '.join(self.without)}: the personal value is no longer kept"
            detail = f"{detail}; {remark}" if detail else remark
        return effect if detail == effect.detail else replace(effect, detail=detail)


async def values_of(options: KafkaOptions, tokens: Iterable[str]) -> dict[str, str | None]:
    """The value of each token, ``None`` where it was erased, for people to read. Raises ``ReadError``."""
    wanted = set(tokens)
    if not wanted:
        return {}
    found: dict[str, str | None] = dict.fromkeys(wanted)
    for name, value in (await last_values(options, PERSONAL)).items():
        token = split_record_key(name)[1]
        if token in wanted:
            found[token] = PersonalValue.from_json(value).value
    return found


def shown(text: str, values: Mapping[str, str | None]) -> str:
    """A text with the values of its tokens, or with ``[erased last_user]``."""
    for token in tokens_in(text):
        value = values.get(token)
        text = text.replace(token, f"[erased {kind_of_token(token)}]" if value is None else value)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is, or would be, erased: ``names`` are record keys, ``unplaced`` values whose organization nobody knows."""

    selection: str
    names: tuple[str, ...]
    erased: tuple[Erased, ...]
    unplaced: int = 0

    @property
    def count(self) -> int:
        """How many values."""
        return len(self.names)


async def to_erase(options: KafkaOptions, *, organization: int | None = None, device: str | None = None) -> Erasure:
    """What is kept of an organization, or of a key (a device's id, ``l31``, ``o17``). Raises ``ReadError``."""
    kept = await last_values(options, PERSONAL)
    if device is not None:
        return select(kept, key=device)
    assert organization is not None
    if not kept:
        return select(kept, organization=organization)
    return select(
        kept,
        organization=organization,
        devices=await states(options, "devices"),
        incidents=await states(options, "incidents"),
    )


def select(
    kept: Mapping[str, bytes],
    *,
    key: str | None = None,
    organization: int | None = None,
    devices: Mapping[str, Mapping[str, Any]] | None = None,
    incidents: Mapping[str, Mapping[str, Any]] | None = None,
) -> Erasure:
    """Choose among the records of ``personal``. Whose a note is says its incident, else where its device is now."""
    names: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    unplaced = 0
    for name, value in sorted(kept.items()):
        whose, _ = split_record_key(name)
        try:
            record = PersonalValue.from_json(value)
        except ValidationError:
            continue  # a newer build's: it erases its own
        if organization is not None:
            place = record.organization_id
            if place is None:
                place = _organization(whose, record.incident, devices or {}, incidents or {})
            unplaced += place is None
            if place != organization:
                continue
        elif whose != key:
            continue
        names.append(name)
        counts[whose, record.kind] += 1
    selection = f"organization {organization}" if organization is not None else f"device {key}"
    erased = tuple(Erased.model_validate({"key": k, "kind": kind, "count": n}) for (k, kind), n in counts.items())
    return Erasure(selection=selection, names=tuple(names), erased=erased, unplaced=unplaced)


def _organization(
    key: str,
    incident: str | None,
    devices: Mapping[str, Mapping[str, Any]],
    incidents: Mapping[str, Mapping[str, Any]],
) -> int | None:
    if key.startswith("o"):
        return int(key[1:])
    known = incidents.get(key, {}).get("incidents", {})
    place = known.get(incident, {}).get("organization") if incident else None
    if place is None:
        place = devices.get(key, {}).get("observed", {}).get("subject", {}).get("organization_id")
    return place if place is None else int(place)


async def erase(log: KafkaLog, erasure: Erasure, *, actor: str, at: int) -> None:
    """Erase the values with their salts, then record that it was done. Raises ``LogError``; it may be repeated."""
    await asyncio.gather(*(log.remember(PERSONAL, name, None) for name in erasure.names))
    fact = PersonalDataErased(selection=erasure.selection, erased=erasure.erased, actor=actor)
    await log.publish(
        [
            Publication(
                topic=CONTROL,
                key="personal",
                id=derived_id("personal-erased", at, *erasure.names),
                source="/lockstep/operator",
                time=at,
                fact=fact,
            )
        ]
    )
