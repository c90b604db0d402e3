"""The policy's maintenance windows: when alerts of some devices open nothing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from schemas.facts import Subject
from streams.core.policy.findings import wrong
from streams.core.policy.parts import Names, Part
from streams.core.policy.when import Clock, Days, Zones, id_or_name
from streams.core.windows import end_of

_EXAMPLE = "2026-12-05T22:00:00+01:00"


def _instant(value: Any) -> Any:
    if isinstance(value, date):
        # YAML makes a date of it, and what a policy publishes is JSON, which has none.
        raise wrong(f"'{value}' without quotes reads as a date of YAML's", f'write it in quotes, as "{_EXAMPLE}"')
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong(f"'{value}' is not an instant", f'write it in quotes, as "{_EXAMPLE}"') from None
    if at.tzinfo is None:
        raise wrong(f"'{value}' does not say which time zone it is in", "end it with Z or an offset such as +01:00")
    return round(at.timestamp() * 1000)


_INSTANT_SCHEMA = {"type": "string", "format": "date-time", "examples": [_EXAMPLE]}
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema(_INSTANT_SCHEMA)]


class WeeklyWindow(Part):
    """Every week on the days on which it begins, in local time; an end that is not after the start is on the next day."""

    days: Days
    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    timezone: str


class MaintenanceWindow(Part):
    """When alerts of some devices open nothing: once (``from``, ``to``) or ``weekly``. All matchers given must hold."""

    name: str = Field(min_length=1)
    organization: Names | None = None
    location: Names | None = None
    role: Names | None = None
    device: Names | None = None
    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")
    weekly: WeeklyWindow | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        once = self.start is not None or self.end is not None
        if once and self.weekly is not None:
            raise wrong(f"window '{self.name}' is both weekly and once", "remove weekly, or from and to", "weekly")
        if self.weekly is None and (self.start is None or self.end is None):
            raise wrong(f"window '{self.name}' does not say when", "write from and to, or weekly")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise wrong(f"window '{self.name}' ends before it begins", "write a later instant", "to")
        return self

    def until(self, where: Subject, at_ms: int, zones: Zones) -> int | None:
        """When (epoch ms) the window ends for this subject, if it is in it at this instant."""
        if not (
            id_or_name(self.organization, where.organization_id, where.organization_name)
            and id_or_name(self.location, where.location_id, where.location_name)
            and id_or_name(self.role, where.role_id, where.role_name)
            and id_or_name(self.device, where.device_id, where.device_name)
        ):
            return None
        if self.weekly is not None:
            return end_of(self.weekly, at_ms, zones[self.weekly.timezone])
        if self.start is None or self.end is None:
            return None
        return self.end if self.start <= at_ms < self.end else None
