"""The policy file's format: each section as a frozen value with its defaults and its limits.

A key that does not exist is an error here; ``streams.core.policy_findings`` says it in a person's words.
"""

from __future__ import annotations

import re
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.commands import MatchStep, Name
from schemas.facts import AlertFact, Subject
from streams.core.templates import unknown_names
from streams.core.windows import in_weekly, known_zone, next_end

SEVERITIES = ("CRITICAL", "MAJOR", "MODERATE", "MINOR", "NONE")

_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _duration(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"'{value}' is not a duration; write a whole number and a unit, such as 90s, 5m, 1h or 7d")
    return int(match[1]) * _UNIT_MS[match[2]]


def _template(value: str) -> str:
    wrong = unknown_names(value)
    if wrong:
        raise ValueError(
            f"the template names {wrong[0]}, which does not exist (see docs: device, organization, location, alert)"
        )
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"'{value}' is not a regular expression: {error}") from None
    return value


#: What a key's state remembers of an ended incident (``streams.core.memory``); later there is nothing to reopen.
LONGEST_REOPEN_MS = 30 * 24 * 3_600_000


def _remembered(value: int) -> int:
    if value > LONGEST_REOPEN_MS:
        raise ValueError("is longer than an ended incident is remembered; write 30d at most")
    return value


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Duration = Annotated[int, BeforeValidator(_duration)]
Template = Annotated[str, AfterValidator(_template)]
NameOrId = Annotated[Name, Field(union_mode="left_to_right")]
Names = Annotated[tuple[NameOrId, ...], BeforeValidator(_as_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Priority = NameOrId | dict[str, NameOrId]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, coerce_numbers_to_str=False)


class LifecycleSettings(Part):
    """How long an incident lives. Unset values come from ``defaults.lifecycle``, then from the design's defaults."""

    hold: Duration | None = None
    settle: Duration | None = None
    reopen_within: Annotated[Duration, AfterValidator(_remembered)] | None = None
    reopen: Literal["ours", "any"] | None = None
    reopen_status: NameOrId | None = None
    never_reopen: Names | None = None
    repeat: Literal["note", "ticket", "count"] | None = None
    note_every: Duration | None = None
    close_if: Literal["untouched", "always", "never"] | None = None
    reset: Literal["all", "opening"] | None = None


class TicketSettings(Part):
    """What a rule says of its ticket; every name may be an id."""

    queue: NameOrId | None = None
    status: NameOrId | None = None
    complete_status: NameOrId | None = None
    priority: Priority | None = None
    ticket_type: NameOrId | None = None
    source: NameOrId | None = None
    category: NameOrId | None = None
    note_type: NameOrId | None = None
    title: Template | None = None
    description: Template | None = None
    close_text: Template | None = None

    @model_validator(mode="after")
    def _priorities(self) -> Self:
        if isinstance(self.priority, dict):
            for severity in self.priority:
                if severity != "default" and severity not in SEVERITIES:
                    near = get_close_matches(severity.upper(), SEVERITIES, 1)
                    raise ValueError(
                        f"priority has no severity '{severity}'" + (f"; did you mean {near[0]}?" if near else "")
                    )
        return self


class Defaults(TicketSettings):
    """What holds where a rule is silent."""

    queue: NameOrId = "Monitoring"
    status: NameOrId = "New"
    complete_status: NameOrId = "Complete"
    priority: Priority = "Medium"
    note_type: NameOrId = "Task Notes"
    title: Template = "{{ device.name }}: {{ alert.message }}"
    description: Template = (
        "{{ alert.message }}\n\nDevice: {{ device.name }}\nOrganization: {{ organization.name }}\n"
        "Location: {{ location.name }}\nSeverity: {{ alert.severity }}"
    )
    close_text: Template = "The alert cleared in NinjaOne: {{ alert.message }}"
    lifecycle: LifecycleSettings = LifecycleSettings()


class MessageMatch(Part):
    """A pattern for the alert's message, searched anywhere in its first 2,000 characters."""

    matches: Annotated[str, AfterValidator(_pattern)]


class When(Part):
    """Matchers of a rule: all that are given must hold; a list holds when one of its entries does."""

    source_type: Texts | None = None
    node_class: Texts | None = None
    organization: Names | None = None
    location: Names | None = None
    role: Names | None = None
    severity: Texts | None = None
    priority: Texts | None = None
    condition: Texts | None = None
    subject: Texts | None = None
    message: MessageMatch | None = None

    def holds(self, where: Subject, alert: AlertFact) -> bool:
        """Whether an alert of this subject falls under these matchers. Names compare without regard to case."""
        return (
            _one_of(self.source_type, alert.source_type)
            and _one_of(self.node_class, where.node_class)
            and _id_or_name(self.organization, where.organization_id, where.organization_name)
            and _id_or_name(self.location, where.location_id, where.location_name)
            and _id_or_name(self.role, where.role_id, where.role_name)
            and _one_of(self.severity, alert.severity)
            and _one_of(self.priority, alert.priority)
            and _one_of(self.condition, alert.condition_name, alert.source_config_uid)
            and _one_of(self.subject, alert.alert_subject)
            and (self.message is None or re.search(self.message.matches, alert.message[:2000]) is not None)
        )


class RuleSettings(Part):
    """One rule: a name, when it applies, its ticket and its lifecycle."""

    name: str = Field(min_length=1)
    when: When = When()
    ticket: TicketSettings = TicketSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _weekday(value: Any) -> Any:
    short = value.strip().lower()[:3] if isinstance(value, str) else ""
    if short not in _DAYS:
        raise ValueError(f"'{value}' is not a day of the week; write one of {', '.join(_DAYS)}")
    return _DAYS.index(short)


def _minutes(value: Any) -> Any:
    # YAML reads 22:00 without quotes as a number to the base of sixty, which is the minutes of the day.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return value
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"'{value}' is not a time of day; write it as \"22:00\"")
    return int(match[1]) * 60 + int(match[2])


def _instant(value: Any) -> Any:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"'{value}' is not an instant; write it as 2026-12-05T22:00:00+01:00") from None
    if at.tzinfo is None:
        raise ValueError(f"'{value}' does not say which time zone it is in; end it with Z or an offset such as +01:00")
    return round(at.timestamp() * 1000)


def _zone(value: str) -> str:
    if not known_zone(value):
        raise ValueError(f"'{value}' is not a time zone; write one such as Europe/Berlin")
    return value


Weekday = Annotated[int, BeforeValidator(_weekday)]
Minutes = Annotated[int, BeforeValidator(_minutes)]
Instant = Annotated[int, BeforeValidator(_instant)]


class WeeklyWindow(Part):
    """Every week on the days on which it begins, in local time; an end that is not after the start is on the next day."""

    days: Annotated[tuple[Weekday, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    start: Minutes = Field(alias="from")
    end: Minutes = Field(alias="to")
    timezone: Annotated[str, AfterValidator(_zone)]


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
        if (self.weekly is None) == (self.start is None) or (self.start is None) != (self.end is None):
            raise ValueError(f"window '{self.name}' needs either from and to, or weekly")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"window '{self.name}' ends before it begins")
        return self

    def until(self, where: Subject, at_ms: int) -> int | None:
        """When (epoch ms) the window ends for this subject, if it is in it at this instant."""
        if not (
            _id_or_name(self.organization, where.organization_id, where.organization_name)
            and _id_or_name(self.location, where.location_id, where.location_name)
            and _id_or_name(self.role, where.role_id, where.role_name)
            and _id_or_name(self.device, where.device_id, where.device_name)
        ):
            return None
        if self.weekly is not None:
            return next_end(self.weekly, at_ms) if in_weekly(self.weekly, at_ms) else None
        if self.start is None or self.end is None:
            return None
        return self.end if self.start <= at_ms < self.end else None


class MapEntry(Part):
    """An organization's company, by id."""

    organization: int
    company: int


class CatchAll(Part):
    """The company that takes the work of unmapped organizations, by choice."""

    company: int


class Companies(Part):
    """How organizations find their companies."""

    auto_match: Literal["never", "exact", "normalized"] = "normalized"
    unmapped: Literal["park"] | CatchAll = "park"
    map: tuple[MapEntry, ...] = ()

    @property
    def by_organization(self) -> dict[int, int]:
        """The explicit map."""
        return {entry.organization: entry.company for entry in self.map}

    @property
    def catch_all(self) -> int | None:
        """The catch-all company, where one was chosen."""
        return self.unmapped.company if isinstance(self.unmapped, CatchAll) else None

    @model_validator(mode="after")
    def _once(self) -> Self:
        seen: set[int] = set()
        for entry in self.map:
            if entry.organization in seen:
                raise ValueError(f"organization {entry.organization} is mapped twice")
            seen.add(entry.organization)
        return self


class TypeRule(Part):
    """Which type, product and category a device becomes: first match of role, node_class, node_class_prefix."""

    role: Names | None = None
    node_class: Texts | None = None
    node_class_prefix: str | None = None
    type: NameOrId | None = None
    product: NameOrId
    category: NameOrId | None = None

    def holds(self, where: Subject) -> bool:
        """Whether a device of this subject falls under this entry."""
        return (
            _id_or_name(self.role, where.role_id, where.role_name)
            and _one_of(self.node_class, where.node_class)
            and (self.node_class_prefix is None or where.node_class.startswith(self.node_class_prefix))
        )

    @property
    def matches_all(self) -> bool:
        """Whether this entry has no matcher."""
        return self.role is None and self.node_class is None and self.node_class_prefix is None


#: What of a device can be written to a user-defined field, by the key in ``devices.fields``. ``last_user`` is personal:
#: it is read from NinjaOne only while the policy in force names it here.
DEVICE_FIELDS = (
    "link", "os", "os_version", "architecture", "memory", "storage", "ip_addresses", "mac_addresses", "public_ip",
    "serial", "manufacturer", "model", "processor", "device_id", "device_uid", "role", "node_class", "name",
    "dns_name", "domain", "organization", "location", "tags", "system_name", "device_type", "chassis", "virtual", "cores",
    "asset_tag", "enrolled", "warranty_start", "warranty_end", "last_user",
)  # fmt: skip


class Devices(Part):
    """How devices become configuration items."""

    match: tuple[MatchStep, ...] = ("device_key", "device_uid", "serial", "mac", "hostname")
    on_delete: Literal["retire", "keep"] = "retire"
    grace: Duration = 0
    #: Another active item with the device's serial number that is nobody's: told, or set inactive.
    twins: Literal["report", "retire"] = "report"
    types: tuple[TypeRule, ...] = (TypeRule(type="Workstation", product="Managed Device"),)
    fields: dict[str, str] = {"link": "NinjaOne Link"}

    @model_validator(mode="after")
    def _known(self) -> Self:
        for field in self.fields:
            if field not in DEVICE_FIELDS:
                near = get_close_matches(field, DEVICE_FIELDS, 1)
                known = f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(DEVICE_FIELDS)
                raise ValueError(f"fields has no '{field}'; {known}")
        if not self.types or not self.types[-1].matches_all:
            raise ValueError(
                "the last entry of types must match every device (no role, node_class or node_class_prefix)"
            )
        return self


def _one_of(wanted: tuple[str, ...] | None, *found: str | None) -> bool:
    if wanted is None:
        return True
    values = {value.casefold() for value in found if value}
    return any(entry.casefold() in values for entry in wanted)


def _id_or_name(wanted: tuple[Name, ...] | None, identity: int | None, name: str) -> bool:
    if wanted is None:
        return True
    return any(
        entry == identity if isinstance(entry, int) else bool(name) and entry.casefold() == name.casefold()
        for entry in wanted
    )
