"""Reading and writing events: from a record's headers and bytes to an envelope with its model, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import ValidationError

from schemas.commands import COMMANDS, Command
from schemas.drift import DRIFT_FACTS
from schemas.envelope import DecodeError, Envelope
from schemas.facts import FACTS, Fact
from schemas.personal import PersonalDataErased
from schemas.shadow import SHADOW_FACTS
from schemas.storms import STORM_FACTS
from schemas.upcasting import upcast


class UnknownType(DecodeError):
    """An event of a type that this version does not have, and that no version is known to have had."""

    reason = "UnknownType"


class NewerVersion(DecodeError):
    """An event of a type that is known, in a version of its schema that only a newer Lockstep understands."""

    reason = "NewerVersion"


M = TypeVar("M", Fact, Command, covariant=True)

ALL_FACTS: tuple[type[Fact], ...] = (*FACTS, *STORM_FACTS, *DRIFT_FACTS, *SHADOW_FACTS, PersonalDataErased)
_FACTS: dict[str, type[Fact]] = {model.ce_type: model for model in ALL_FACTS}
_COMMANDS: dict[str, type[Command]] = {model.ce_type: model for model in COMMANDS}


@dataclass(frozen=True, slots=True)
class Event(Generic[M]):
    """An envelope and what is in it."""

    envelope: Envelope
    data: M


def decode_fact(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event[Fact]:
    """One fact from a record. Raises ``DecodeError`` in one line: unknown type or version, missing header, bad field.

    One of an older version comes in today's form, and its envelope names today's type.
    """
    return _decode(_FACTS, headers, value)


def decode_command(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event[Command]:
    """One command from a record. Raises ``DecodeError`` like ``decode_fact``."""
    return _decode(_COMMANDS, headers, value)


def command_of(ce_type: str, value: str) -> Command:
    """A command as an audit record keeps it: its type and its value. Raises ``DecodeError`` like ``decode_fact``."""
    return _load(_COMMANDS, ce_type, value.encode())[1]


T = TypeVar("T", Fact, Command)


def _decode(models: dict[str, type[T]], headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Event[T]:
    envelope = Envelope.from_headers(headers)
    ce_type, data = _load(models, envelope.type, value)
    return Event(envelope if ce_type == envelope.type else replace(envelope, type=ce_type), data)


def _load(models: dict[str, type[T]], ce_type: str, value: bytes | None) -> tuple[str, T]:
    """What is in an event, and the type that it has today."""
    model = models.get(ce_type)
    if model is None:
        ce_type, value = upcast(ce_type, value)
        model = models.get(ce_type)
        if model is None:
            raise _unknown(ce_type, models)
    if value is None:
        raise DecodeError(f"{ce_type} has no value")
    try:
        return ce_type, model.from_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the value"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise DecodeError(f"{ce_type}: {where}: {first['msg']}{more}") from None


def _unknown(ce_type: str, known: Mapping[str, object]) -> DecodeError:
    stem, _, version = ce_type.rpartition(".v")
    versions = [name.rpartition(".v")[2] for name in known if name.rpartition(".v")[0] == stem]
    if versions and version.isdecimal() and int(version) > max(map(int, versions)):
        return NewerVersion(
            f"type {stem} in version {version} needs a newer version of Lockstep (this one knows {', '.join(versions)}): "
            "update it, then retry"
        )
    return UnknownType(f"type '{ce_type}' is not known here")
