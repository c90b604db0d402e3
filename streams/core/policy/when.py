"""The matchers of a rule: all that are given must hold, a list holds when one of its entries does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from schemas.commands import Name
from schemas.facts import AlertFact, Subject
from streams.core.patterns import pattern
from streams.core.policy.findings import near, wrong
from streams.core.policy.parts import PRIORITIES, SEVERITIES, Names, Part, SearchPattern, Texts
from streams.core.week import DAY_MINUTES, DAYS, Offsets, local, minutes_of, within

#: The time zones of a policy, as its publication put them into the document.
Zones = Mapping[str, Offsets]

_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


def _clock(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MINUTES:
        # YAML 1.1 reads 22:00 without quotes as a number to the base of 60, and 22 as itself.
        raise wrong(f"the time reads as the number {value}", f'write it in quotes: "{value // 60:02}:{value % 60:02}"')
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    minute = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    if minute > DAY_MINUTES:
        raise wrong(f"'{value}' is no time of day", 'write hours and minutes in quotes, "00:00" to "24:00"')
    return minute


def _days(value: Any) -> Any:
    entries = value if isinstance(value, list | tuple) else [value]
    for entry in entries:
        if entry not in DAYS:
            raise wrong(f"there is no day '{entry}'", near(str(entry).lower()[:3], DAYS))
    if not entries:
        raise wrong("names no day, so the rule would never apply", "name days, or leave the key out for every day")
    return frozenset(DAYS.index(entry) for entry in entries)


def _spelled(known: tuple[str, ...]) -> Any:
    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        for position, value in enumerate(values):
            if value.upper() not in known:
                raise wrong(f"NinjaOne has no '{value}' here", near(value.upper(), known), position)
        return values

    return AfterValidator(check)


_DAYS_SCHEMA = {"anyOf": [{"enum": list(DAYS)}, {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1}]}
_CLOCK_SCHEMA = {"type": "string", "pattern": "^([01]\\d|2[0-4]):[0-5]\\d$", "examples": ["22:00"]}
Days = Annotated[frozenset[int], BeforeValidator(_days), WithJsonSchema(_DAYS_SCHEMA)]
Clock = Annotated[int, BeforeValidator(_clock), WithJsonSchema(_CLOCK_SCHEMA)]


class MessageMatch(Part):
    """A pattern for the alert's message, searched anywhere in its first characters (``streams.core.patterns``)."""

    matches: SearchPattern


class TimeMatch(Part):
    """Hours of the week on the clock of a place: from ``start`` to ``end`` (minutes), beginning on one of ``days``."""

    days: Days = frozenset(range(7))
    start: Clock = Field(default=0, alias="from")
    end: Clock = Field(default=DAY_MINUTES, alias="to")
    timezone: str

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.start == self.end:
            raise wrong("begins and ends at the same time", "leave from and to out for whole days", "to")
        return self

    def holds(self, at: int, zones: Zones) -> bool:
        """Whether an instant (epoch ms) lies in these hours."""
        return within(local(at, zones[self.timezone]), self.days, self.start, self.end)

    def minutes(self) -> set[int]:
        """The minutes of the week that these hours hold."""
        return minutes_of(self.days, self.start, self.end)


class When(Part):
    """Matchers of a rule: all that are given must hold; a list holds when one of its entries does."""

    source_type: Texts | None = None
    node_class: Texts | None = None
    node_class_prefix: Texts | None = None
    organization: Names | None = None
    location: Names | None = None
    role: Names | None = None
    tags: Texts | None = None
    severity: Annotated[Texts, _spelled(SEVERITIES)] | None = None
    priority: Annotated[Texts, _spelled(PRIORITIES)] | None = None
    condition: Texts | None = None
    subject: Texts | None = None
    message: MessageMatch | None = None
    time: TimeMatch | None = None

    def holds(self, where: Subject, alert: AlertFact, zones: Zones) -> bool:
        """Whether an alert of this subject falls under these matchers. Names compare without regard to case.

        The time is when the alert was raised, so that an alert keeps its rule however late it is decided, and again
        when its ticket is completed the next morning.
        """
        return (
            one_of(self.source_type, alert.source_type)
            and one_of(self.node_class, where.node_class)
            and begins(self.node_class_prefix, where.node_class)
            and id_or_name(self.organization, where.organization_id, where.organization_name)
            and id_or_name(self.location, where.location_id, where.location_name)
            and id_or_name(self.role, where.role_id, where.role_name)
            and one_of(self.tags, *where.tags)
            and one_of(self.severity, alert.severity)
            and one_of(self.priority, alert.priority)
            and one_of(self.condition, alert.condition_name, alert.source_config_uid)
            and one_of(self.subject, alert.alert_subject)
            and (self.message is None or pattern(self.message.matches).found_in(alert.message))
            and (self.time is None or self.time.holds(alert.raised_at, zones))
        )


def one_of(wanted: tuple[str, ...] | None, *found: str | None) -> bool:
    """Whether one of the texts found is wanted, without regard to case; no wish is always met."""
    if wanted is None:
        return True
    values = {value.casefold() for value in found if value}
    return any(entry.casefold() in values for entry in wanted)


def begins(wanted: tuple[str, ...] | None, found: str) -> bool:
    """Whether the text begins with one of these, without regard to case; no wish is always met."""
    return wanted is None or any(found.upper().startswith(prefix.upper()) for prefix in wanted)


def id_or_name(wanted: tuple[Name, ...] | None, identity: int | None, name: str) -> bool:
    """Whether this id or this name is wanted; no wish is always met."""
    if wanted is None:
        return True
    return any(
        entry == identity if isinstance(entry, int) else bool(name) and entry.casefold() == name.casefold()
        for entry in wanted
    )
