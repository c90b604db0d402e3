"""What the sections of a policy are made of: durations, names, templates and patterns, each with its own refusal."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from schemas.commands import Name
from streams.core.patterns import PatternFault, pattern
from streams.core.policy.findings import wrong
from streams.core.templates import fault_of

SEVERITIES = ("CRITICAL", "MAJOR", "MODERATE", "MINOR", "NONE")
#: NinjaOne's priorities of an alert (its API's enumeration).
PRIORITIES = ("HIGH", "MEDIUM", "LOW", "NONE")

_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _duration(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(f"'{value}' is not a duration", "write a whole number and a unit, such as 90s, 5m, 1h or 7d")
    return int(match[1]) * _UNIT_MS[match[2]]


def _template(value: str) -> str:
    fault = fault_of(value)
    if fault is not None:
        raise wrong(str(fault), fault.suggestion)
    return value


def _pattern(value: str) -> str:
    try:
        pattern(value)
    except PatternFault as fault:
        raise wrong(str(fault), fault.suggestion) from None
    return value


def _name(value: Any) -> Any:
    if isinstance(value, bool):
        # YAML reads NO, off and the like as truth values, and a truth value would pass for the id 0 or 1.
        raise wrong(f"{str(value).lower()} is no name", "a name that YAML takes for true or false stands in quotes")
    if not isinstance(value, int | str) or value == "":
        raise wrong("is neither a name nor an id", "write one name or one number")
    return value


def _contract(value: Any) -> Any:
    if value in ("default", "none") or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise wrong(f"{_shown(value)} is no contract", "write a contract's id, default (the company's) or none")


def _as_tuple(value: Any) -> Any:
    entries = value if isinstance(value, list | tuple) else (value,)
    if not entries:
        raise wrong("names nothing, so the rule would never apply", "name something, or leave the key out")
    return entries


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise wrong(f"{_shown(value)} is no text", "write it in quotes")
    return value


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"


def _priority(value: Any) -> Any:
    return value if isinstance(value, dict) else _name(value)


_NAME_SCHEMA = {"type": ["string", "integer"], "description": "A name as Autotask or NinjaOne shows it, or an id."}
_TEXT_SCHEMA = {"type": "string", "minLength": 1}


def _one_or_many(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]})


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^\\d+\\s*(s|m|h|d)$", "examples": ["90s", "5m", "7d"]}),
]
Template = Annotated[
    str,
    AfterValidator(_template),
    WithJsonSchema({"type": "string", "description": "A text with {{ device.name }} and the like; docs/policy.md."}),
]
SearchPattern = Annotated[str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "format": "regex"})]
NameOrId = Annotated[Name, Field(union_mode="left_to_right"), BeforeValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Names = Annotated[tuple[NameOrId, ...], BeforeValidator(_as_tuple), _one_or_many(_NAME_SCHEMA)]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema(_TEXT_SCHEMA)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_as_tuple), _one_or_many(_TEXT_SCHEMA)]
Priority = Annotated[NameOrId | dict[str, NameOrId], BeforeValidator(_priority)]


#: A contract's id, the company's default one, or none at all.
Contract = Annotated[
    int | Literal["default", "none"],
    BeforeValidator(_contract),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["default", "none"]}]}),
]


class Part(BaseModel):
    # A key has one name only: ``from`` is never also taken as ``start``, which the documentation does not have.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, coerce_numbers_to_str=False)
