"""The policy file's format: each section as a frozen value with its defaults and its limits.

A key that does not exist is an error here; ``streams.core.policy.findings`` says it in a person's words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.commands import MatchStep
from schemas.facts import Subject
from streams.core.policy.findings import Fault, all_wrong, near, wrong
from streams.core.policy.lifecycle import LifecycleSettings
from streams.core.policy.parts import SEVERITIES, Contract, Duration, NameOrId, Names, Part, Priority, Template, Texts
from streams.core.policy.refusals import shown_value
from streams.core.policy.storm import StormSettings
from streams.core.policy.when import When, id_or_name, one_of


class TicketSettings(Part):
    """What a rule says of its ticket; every name may be an id."""

    queue: NameOrId | None = None
    status: NameOrId | None = None
    complete_status: NameOrId | None = None
    priority: Priority | None = None
    ticket_type: NameOrId | None = None
    source: NameOrId | None = None
    category: NameOrId | None = None
    contract: Contract | None = None
    note_type: NameOrId | None = None
    title: Template | None = None
    description: Template | None = None
    close_text: Template | None = None
    note_text: Template | None = None

    @model_validator(mode="after")
    def _priorities(self) -> Self:
        if isinstance(self.priority, dict):
            known = (*SEVERITIES, "default")
            faults = [
                Fault(f"priority has no severity '{word}'", near(word.upper(), known), ("priority", word))
                for word in self.priority
                if word not in known
            ]
            if faults:
                raise all_wrong(faults)
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


class RuleSettings(Part):
    """One rule: a name, when it applies, its ticket and its lifecycle, and when many of its alerts are one storm."""

    name: str = Field(min_length=1)
    when: When = When()
    ticket: TicketSettings = TicketSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    storm: StormSettings | None = None


class Notes(Part):
    """What travels between the two as notes. Whose text it is, is personal: it is kept only where this says so."""

    #: An acknowledgement in NinjaOne: an internal note on the ticket, or nothing but its decision.
    acknowledgements: Literal["note", "ignore"] = "note"
    #: Notes of others on our tickets: recorded with length and digest of their text, with the text, or not read at all.
    technicians: Literal["digest", "text", "ignore"] = "digest"


class MapEntry(Part):
    """An organization's company, by id."""

    organization: int
    company: int


class CatchAll(Part):
    """The company that takes the work of unmapped organizations, by choice."""

    company: int


def _unmapped(value: Any) -> Any:
    if value == "park" or isinstance(value, dict | CatchAll):
        return value
    raise wrong(
        f"{shown_value(value)} is not possible here", "write park, or {company: ID} for one that takes all of it"
    )


class Companies(Part):
    """How organizations find their companies."""

    auto_match: Literal["never", "exact", "normalized"] = "normalized"
    unmapped: Annotated[Literal["park"] | CatchAll, BeforeValidator(_unmapped)] = "park"
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
        faults = []
        for position, entry in enumerate(self.map):
            if entry.organization in seen:
                reason = f"organization {entry.organization} is mapped twice"
                faults.append(Fault(reason, "keep one of them", ("map", position, "organization")))
            seen.add(entry.organization)
        if faults:
            raise all_wrong(faults)
        return self


class TypeRule(Part):
    """Which type, product, category and contract a device becomes: first match of role, node_class, node_class_prefix."""

    role: Names | None = None
    node_class: Texts | None = None
    node_class_prefix: str | None = None
    type: NameOrId | None = None
    product: NameOrId
    category: NameOrId | None = None
    contract: Contract | None = None

    def holds(self, where: Subject) -> bool:
        """Whether a device of this subject falls under this entry."""
        return (
            id_or_name(self.role, where.role_id, where.role_name)
            and one_of(self.node_class, where.node_class)
            and (self.node_class_prefix is None or where.node_class.startswith(self.node_class_prefix))
        )

    @property
    def matches_all(self) -> bool:
        """Whether this entry has no matcher."""
        return self.role is None and self.node_class is None and self.node_class_prefix is None


class BehindEntry(Part):
    """Which devices are behind a parent that NinjaOne does not name, such as a switch: the same as in a rule's ``when``."""

    parent: int
    device: tuple[int, ...] | None = None
    tags: Texts | None = None
    location: Names | None = None
    node_class: Texts | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.device is None and self.tags is None and self.location is None:
            raise wrong("every device would be behind this one", "say which: device, tags or location")
        return self

    def holds(self, where: Subject) -> bool:
        """Whether a device of this subject is behind the parent."""
        return (
            (self.device is None or where.device_id in self.device)
            and one_of(self.tags, *where.tags)
            and id_or_name(self.location, where.location_id, where.location_name)
            and one_of(self.node_class, where.node_class)
        )


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
    fields: dict[str, str] = Field(default={"link": "NinjaOne Link"})
    behind: tuple[BehindEntry, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        faults = [
            Fault(f"fields has no '{field}'", near(field, DEVICE_FIELDS), ("fields", field))
            for field in self.fields
            if field not in DEVICE_FIELDS
        ]
        if not self.types or not self.types[-1].matches_all:
            reason = "the last entry of types must match every device (no role, node_class or node_class_prefix)"
            faults.append(Fault(reason, "add {type: Workstation, product: Managed Device} at the end", ("types",)))
        if faults:
            raise all_wrong(faults)
        return self
