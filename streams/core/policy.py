"""The policy: which rule an alert falls under and what its ticket looks like; which item a device becomes.

A policy is a document (the parsed ``policy.yaml``) turned into frozen values. What it cannot mean is an error with the
path of the key, the reason and a suggestion; what a later version brings is refused as "not yet", never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.commands import MatchStep, Name
from schemas.facts import AlertFact, DeviceObserved, Subject
from streams.core.templates import unknown_names

Path = tuple[str | int, ...]

SEVERITIES = ("CRITICAL", "MAJOR", "MODERATE", "MINOR", "NONE")

#: Keys that the policy format has, but this version does not honour yet: refused, so that nobody relies on them.
NOT_YET: dict[str, str] = {
    "hold": "holding a ticket back before it opens",
    "settle": "waiting before a ticket is completed",
    "reopen_within": "reopening instead of a new ticket",
    "never_reopen": "statuses that never reopen",
    "storm": "collapsing many devices into one ticket",
    "maintenance": "maintenance windows",
    "tags": "matching tags",
    "time": "matching the time of day",
    "days": "matching the day of the week",
    "contract": "contracts on tickets",
    "canary": "trying a policy on one organization",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a policy: where (path of keys), what, and what to do about it."""

    path: Path
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.path) or "policy"
        return f"{where}: {self.message}" + (f"; {self.suggestion}" if self.suggestion else "")


class PolicyError(ValueError):
    """A policy that cannot come into force; ``findings`` holds every reason."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = findings


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


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Duration = Annotated[int, BeforeValidator(_duration)]
Template = Annotated[str, AfterValidator(_template)]
NameOrId = Annotated[Name, Field(union_mode="left_to_right")]
Names = Annotated[tuple[NameOrId, ...], BeforeValidator(_as_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Priority = NameOrId | dict[str, NameOrId]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, coerce_numbers_to_str=False)


class LifecycleSettings(_Part):
    """How long an incident lives. Unset values come from ``defaults.lifecycle``, then from the design's defaults."""

    repeat: Literal["note", "ticket"] | None = None
    note_every: Duration | None = None
    close_if: Literal["always"] | None = None
    reset: Literal["all"] | None = None


class TicketSettings(_Part):
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


class MessageMatch(_Part):
    """A pattern for the alert's message, searched anywhere in its first 2,000 characters."""

    matches: Annotated[str, AfterValidator(_pattern)]


class When(_Part):
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


class RuleSettings(_Part):
    """One rule: a name, when it applies, its ticket and its lifecycle."""

    name: str = Field(min_length=1)
    when: When = When()
    ticket: TicketSettings = TicketSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()


class MapEntry(_Part):
    """An organization's company, by id."""

    organization: int
    company: int


class CatchAll(_Part):
    """The company that takes the work of unmapped organizations, by choice."""

    company: int


class Companies(_Part):
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


class TypeRule(_Part):
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


#: What of a device can be written to a user-defined field, by the key in ``devices.fields``.
DEVICE_FIELDS = (
    "link", "os", "os_version", "architecture", "memory", "storage", "ip_addresses", "mac_addresses", "public_ip",
    "serial", "manufacturer", "model", "processor", "device_id", "device_uid", "role", "node_class", "name",
    "dns_name", "domain", "organization", "location", "tags",
)  # fmt: skip


class Devices(_Part):
    """How devices become configuration items."""

    match: tuple[MatchStep, ...] = ("device_key", "device_uid", "serial", "mac", "hostname")
    on_delete: Literal["retire", "keep"] = "retire"
    grace: Duration = 0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it applies to one alert: defaults filled in, priority chosen. Texts are templates, times are ms."""

    name: str
    queue: Name
    status: Name
    complete_status: Name
    priority: Name
    ticket_type: Name | None
    source: Name | None
    category: Name | None
    note_type: Name
    title: str
    description: str
    close_text: str
    repeat: Literal["note", "ticket"]
    note_every_ms: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class ItemShape:
    """What a device becomes in Autotask."""

    item_type: Name | None
    product: Name
    category: Name | None


_HOUR_MS = 3_600_000
#: Autotask's metadata calls ``dueDateTime`` optional, some tenants refuse a create without it: one working day ahead.
_DUE_MS = 24 * _HOUR_MS


class Policy(_Part):
    """A whole policy. Build it with ``parse_policy``, which explains what is wrong."""

    version: Literal[1]
    defaults: Defaults = Defaults()
    companies: Companies = Companies()
    devices: Devices = Devices()
    rules: tuple[RuleSettings, ...] = (RuleSettings(name="everything-else"),)

    @model_validator(mode="after")
    def _catch_all_last(self) -> Self:
        if not self.rules or self.rules[-1].when != When():
            raise ValueError("the last rule must be a catch-all (when: {})")
        names: set[str] = set()
        for position, rule in enumerate(self.rules):
            if rule.name in names:
                raise ValueError(f"rule name '{rule.name}' is used twice")
            names.add(rule.name)
            if rule.when == When() and position != len(self.rules) - 1:
                raise ValueError(f"rule '{rule.name}' matches everything, so the rules after it are never reached")
        return self

    @property
    def match(self) -> tuple[MatchStep, ...]:
        """The order in which an existing item is looked for."""
        return self.devices.match

    @property
    def on_delete(self) -> Literal["retire", "keep"]:
        """What happens to the item of a deleted device."""
        return self.devices.on_delete

    @property
    def grace_ms(self) -> int:
        """How long a deleted device may come back before its item is retired, in milliseconds."""
        return self.devices.grace

    def rule_for(self, subject: Subject, alert: AlertFact) -> Rule:
        """The first rule that matches (the last one always does), completed from the defaults."""
        chosen = next((rule for rule in self.rules if rule.when.holds(subject, alert)), self.rules[-1])
        ticket, base = chosen.ticket, self.defaults

        def pick(name: str) -> Any:
            value = getattr(ticket, name)
            return getattr(base, name) if value is None else value

        lifecycle = chosen.lifecycle
        repeat = lifecycle.repeat or base.lifecycle.repeat or "note"
        note_every = lifecycle.note_every if lifecycle.note_every is not None else base.lifecycle.note_every
        return Rule(
            name=chosen.name,
            queue=pick("queue"),
            status=pick("status"),
            complete_status=pick("complete_status"),
            priority=self._priority(ticket.priority, alert.severity),
            ticket_type=pick("ticket_type"),
            source=pick("source"),
            category=pick("category"),
            note_type=pick("note_type"),
            title=pick("title"),
            description=pick("description"),
            close_text=pick("close_text"),
            repeat=repeat,
            note_every_ms=_HOUR_MS if note_every is None else note_every,
            due_ms=_DUE_MS,
        )

    def _priority(self, of_rule: Priority | None, severity: str) -> Name:
        for choice in (of_rule, self.defaults.priority):
            if isinstance(choice, dict):
                found = choice.get(severity, choice.get("default"))
                if found is not None:
                    return found
            elif choice is not None:
                return choice
        return "Medium"

    def item_for(self, subject: Subject) -> ItemShape:
        """Type, product and category of a device's item: the first entry of ``devices.types`` that matches."""
        entry = next((entry for entry in self.devices.types if entry.holds(subject)), self.devices.types[-1])
        return ItemShape(entry.type, entry.product, entry.category)

    def item_fields(self, observed: DeviceObserved) -> dict[str, str]:
        """User-defined fields of a device's item: field name to text (at most 255 characters, empty when unknown)."""
        values = device_values(observed)
        return {name: values[key][:255] for key, name in self.devices.fields.items()}


def device_values(observed: DeviceObserved) -> dict[str, str]:
    """Everything that ``devices.fields`` can refer to, as text."""
    where = observed.subject
    return {
        "link": where.link,
        "os": observed.os_name,
        "os_version": observed.os_version,
        "architecture": observed.os_architecture,
        "memory": _size(observed.memory_bytes),
        "storage": _size(observed.storage_bytes),
        "ip_addresses": ", ".join(observed.ip_addresses),
        "mac_addresses": ", ".join(observed.mac_addresses),
        "public_ip": observed.public_ip,
        "serial": observed.serial,
        "manufacturer": observed.manufacturer,
        "model": observed.model,
        "processor": observed.processor,
        "device_id": "" if where.device_id is None else str(where.device_id),
        "device_uid": where.device_uid or "",
        "role": where.role_name,
        "node_class": where.node_class,
        "name": where.device_name,
        "dns_name": observed.dns_name,
        "domain": observed.domain,
        "organization": where.organization_name,
        "location": where.location_name,
        "tags": ", ".join(observed.tags),
    }


def _size(count: int | None) -> str:
    """Bytes in binary units, as device specifications are read: ``32 GiB``."""
    if not count:
        return ""
    tenths = (count * 10 + (1 << 29)) >> 30
    return f"{tenths // 10} GiB" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10} GiB"


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


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """A policy from the parsed YAML. Raises ``PolicyError`` with every finding, each with the path of its key."""
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError([_finding(detail, document) for detail in error.errors(include_url=False)]) from None


def _finding(detail: Any, document: Mapping[str, Any]) -> Finding:
    path: Path = tuple(part for part in detail["loc"] if _in_document(part))
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        key = str(path[-1])
        if key in NOT_YET:
            return Finding(path, f"'{key}' ({NOT_YET[key]}) is not supported yet", "remove it; it would have no effect")
        known = _siblings(path[:-1])
        near = get_close_matches(key, known, 1)
        return Finding(
            path, f"unknown key '{key}'", f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(known)
        )
    if kind == "missing":
        if path == ("version",):
            return Finding(path, "the file format's version is missing", "write version: 1 at the top")
        return Finding(path, "is missing")
    if path and path[-1] == "close_if" and kind == "literal_error":
        return Finding(path, f"close_if: {detail['input']} is not supported yet", "only always is, for now")
    if path and path[-1] == "reset" and kind == "literal_error":
        return Finding(path, f"reset: {detail['input']} is not supported yet", "only all is, for now")
    return Finding(path, message[0].lower() + message[1:] if kind != "value_error" else message)


def _in_document(part: str | int) -> bool:
    # pydantic adds the names of union branches and validators to the path; those are no keys of the file
    return isinstance(part, int) or (re.fullmatch(r"[a-z_A-Z]+", part) is not None and part not in _UNION_BRANCHES)


_UNION_BRANCHES = {"str", "int", "dict", "CatchAll", "MessageMatch"}


def _siblings(path: Path) -> list[str]:
    model: Any = Policy
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return []
        model = _model_in(field.annotation)
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
