"""The policy: which rule an alert falls under and what its ticket looks like; which item a device becomes.

A policy is a document (the parsed ``policy.yaml``) turned into frozen values. What it cannot mean is an error with the
path of the key, the reason and a suggestion; a key that does not exist is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from schemas.commands import MatchStep, Name
from schemas.envelope import rfc3339
from schemas.facts import AlertFact, DeviceObserved, Subject
from schemas.storms import StormDeclared
from streams.core.policy.findings import Fault, Finding, Path, PolicyError, all_wrong, findings_of, wrong
from streams.core.policy.format import Companies, Defaults, Devices, Notes, RuleSettings
from streams.core.policy.maintenance import MaintenanceWindow
from streams.core.policy.parts import Part, Priority
from streams.core.policy.storm import StormRule
from streams.core.policy.when import When

__all__ = ["Finding", "ItemShape", "Path", "Policy", "PolicyError", "Rule", "device_values", "parse_policy"]


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
    contract: int | Literal["default"] | None
    note_type: Name
    title: str
    description: str
    close_text: str
    note_text: str | None
    hold_ms: int
    settle_ms: int
    reopen_within_ms: int
    reopen: Literal["ours", "any"]
    reopen_status: Name
    never_reopen: tuple[Name, ...]
    repeat: Literal["note", "ticket", "count"]
    note_every_ms: int
    close_if: Literal["untouched", "always", "never"]
    reset: Literal["all", "opening"]
    escalate: bool
    takeover: Literal["adopt", "adopt_or_open", "ignore"]
    due_ms: int
    storm: StormRule | None


@dataclass(frozen=True, slots=True)
class ItemShape:
    """What a device becomes in Autotask."""

    item_type: Name | None
    product: Name
    category: Name | None
    contract: int | Literal["default"] | None


_HOUR_MS = 3_600_000
#: Autotask's metadata calls ``dueDateTime`` optional, some tenants refuse a create without it: one working day ahead.
_DUE_MS = 24 * _HOUR_MS


class Policy(Part):
    """A whole policy. Build it with ``parse_policy``, which explains what is wrong."""

    version: Literal[1]
    defaults: Defaults = Defaults()
    companies: Companies = Companies()
    devices: Devices = Devices()
    notes: Notes = Notes()
    rules: tuple[RuleSettings, ...] = (RuleSettings(name="everything-else"),)
    maintenance: tuple[MaintenanceWindow, ...] = ()

    #: The offsets of the time zones that are named above; filled in by whoever reads the file (``streams.zones``).
    zones: dict[str, tuple[tuple[int, int], ...]] = Field(default={}, exclude=True)

    #: Rules as they apply, by name and severity: a function of the policy alone, wanted for every alert.
    _filled_in: dict[tuple[str, str], Rule] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _rules_in_order(self) -> Self:
        if not self.rules:
            raise wrong("there is no rule", "write at least {name: everything-else, when: {}}", "rules")
        faults = [*self._faults_of_rules(), *self._faults_of_windows()]
        if faults:
            raise all_wrong(faults)
        return self

    def _faults_of_rules(self) -> Iterator[Fault]:
        last = len(self.rules) - 1
        names: set[str] = set()
        for position, rule in enumerate(self.rules):
            if rule.name in names:
                yield Fault(f"rule name '{rule.name}' is used twice", "rename one", ("rules", position, "name"))
            names.add(rule.name)
            if rule.when == When() and position != last:
                yield Fault(
                    f"rule '{rule.name}' matches everything, so the rules after it are never reached",
                    "move it to the end, or say when it applies",
                    ("rules", position),
                )
            if rule.when.time is not None:
                yield from self._unknown_zone(rule.when.time.timezone, "rules", position, "when", "time")
        if self.rules[-1].when != When():
            yield Fault(
                "the last rule must be a catch-all (when: {})",
                "add {name: everything-else, when: {}} at the end",
                ("rules", last),
            )

    def _faults_of_windows(self) -> Iterator[Fault]:
        windows: set[str] = set()
        for position, window in enumerate(self.maintenance):
            if window.name in windows:
                at = ("maintenance", position, "name")
                yield Fault(f"maintenance window '{window.name}' stands twice", "rename one", at)
            windows.add(window.name)
            if window.weekly is not None:
                yield from self._unknown_zone(window.weekly.timezone, "maintenance", position, "weekly")

    def _unknown_zone(self, timezone: str, *at: str | int) -> Iterator[Fault]:
        if timezone not in self.zones:
            yield Fault(
                f"there is no time zone '{timezone}'",
                "write it as the time zone database does, such as Europe/Berlin or America/New_York",
                (*at, "timezone"),
            )

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

    def parent_of(self, where: Subject) -> int | None:
        """The device that a device is behind: by ``devices.behind`` (first match), else the one that NinjaOne names."""
        if any(entry.parent == where.device_id for entry in self.devices.behind):
            return None
        named = next((entry.parent for entry in self.devices.behind if entry.holds(where)), where.parent_id)
        return None if named == where.device_id else named

    def rule_for(self, subject: Subject, alert: AlertFact) -> Rule:
        """The first rule that matches (the last one always does), completed from the defaults.

        A storm's own alert falls under the rule of its members, as long as there is one of that name.
        """
        named = alert.rule if isinstance(alert, StormDeclared) else None
        chosen = next((rule for rule in self.rules if rule.name == named), None) or next(
            (rule for rule in self.rules if rule.when.holds(subject, alert, self.zones)), self.rules[-1]
        )
        rule = self._filled_in.get((chosen.name, alert.severity))
        if rule is None:
            rule = self._filled_in[chosen.name, alert.severity] = self._fill_in(chosen, alert.severity)
        return rule

    def _fill_in(self, chosen: RuleSettings, severity: str) -> Rule:
        ticket, base = chosen.ticket, self.defaults

        def pick(name: str) -> Any:
            value = getattr(ticket, name)
            return getattr(base, name) if value is None else value

        def lived(name: str, otherwise: Any) -> Any:
            found = (getattr(settings, name) for settings in (chosen.lifecycle, base.lifecycle))
            return next((value for value in found if value is not None), otherwise)

        return Rule(
            name=chosen.name,
            queue=pick("queue"),
            status=pick("status"),
            complete_status=pick("complete_status"),
            priority=self._priority(ticket.priority, severity),
            ticket_type=pick("ticket_type"),
            source=pick("source"),
            category=pick("category"),
            contract=None if pick("contract") == "none" else pick("contract"),
            note_type=pick("note_type"),
            title=pick("title"),
            description=pick("description"),
            close_text=pick("close_text"),
            note_text=pick("note_text"),
            hold_ms=lived("hold", 0),
            settle_ms=lived("settle", 0),
            reopen_within_ms=lived("reopen_within", 0),
            reopen=lived("reopen", "ours"),
            reopen_status=lived("reopen_status", pick("status")),
            never_reopen=lived("never_reopen", ()),
            repeat=lived("repeat", "note"),
            note_every_ms=lived("note_every", _HOUR_MS),
            close_if=lived("close_if", "always"),
            reset=lived("reset", "all"),
            escalate=lived("escalate", False),
            takeover=lived("takeover", "adopt"),
            due_ms=_DUE_MS,
            storm=chosen.storm.rule() if chosen.storm else None,
        )

    def maintenance_at(self, subject: Subject, at_ms: int) -> tuple[str, int] | None:
        """The maintenance window that a subject is in at an instant: name and end (epoch ms); of several the last to end."""
        found = [
            (until, window.name)
            for window in self.maintenance
            if (until := window.until(subject, at_ms, self.zones)) is not None
        ]
        if not found:
            return None
        until, name = max(found)
        return name, until

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
        """Type, product, category and contract of a device's item: the first entry of ``devices.types`` that matches."""
        entry = next((entry for entry in self.devices.types if entry.holds(subject)), self.devices.types[-1])
        contract = None if entry.contract == "none" else entry.contract
        return ItemShape(entry.type, entry.product, entry.category, contract)

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
        "system_name": observed.system_name,
        "device_type": observed.device_type,
        "chassis": observed.chassis,
        "virtual": {True: "Yes", False: "No", None: ""}[observed.virtual],
        "cores": str(observed.processor_cores or ""),
        "asset_tag": observed.asset_tag,
        "enrolled": _day(observed.enrolled_at),
        "warranty_start": _day(observed.warranty_start),
        "warranty_end": _day(observed.warranty_end),
        "last_user": observed.last_user,
    }


def _day(instant: int | None) -> str:
    """A day as ``2027-03-01`` (UTC): the form that Autotask takes for dates, and people read."""
    return "" if instant is None else rfc3339(instant)[:10]


def _size(count: int | None) -> str:
    """Bytes in binary units, as device specifications are read: ``32 GiB``."""
    if not count:
        return ""
    tenths = (count * 10 + (1 << 29)) >> 30
    return f"{tenths // 10} GiB" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10} GiB"


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """A policy from the parsed YAML. Raises ``PolicyError`` with every finding, each with the path of its key."""
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError(findings_of(error, Policy)) from None
