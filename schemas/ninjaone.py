"""NinjaOne's wire models, read tolerantly: every field but the identity is optional, unknown ones are ignored.

Source: the vendor's OpenAPI document 2.0.9-draft and captured answers. Instances drift apart (fields, enum values,
localized texts), so nothing here is an enum and nothing that Lockstep can do without is required. Times on the wire
are epoch seconds with a fraction; ``milliseconds`` turns them into ours.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel


class Row(BaseModel):
    """The base of all wire models: camel case on the wire, ``null`` counts as left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


class RowError(ValueError):
    """A row without a usable identity; one line says which field is wrong."""


R = TypeVar("R", bound=Row)


def read_row(model: type[R], document: Any) -> R:
    """One row from decoded JSON. A field that does not fit is left out; without its identity the row is refused.

    Raises ``RowError`` when a required field (an id, a uid) is missing or wrong, or when it is no object at all.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    wrong = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    broken = sorted(wrong & required)
    if not isinstance(document, dict) or not wrong or broken:
        where = broken[0] if broken else "the row"
        raise RowError(f"{where}: {faults[0]['msg']}")
    try:
        return model.model_validate({name: value for name, value in document.items() if name not in wrong})
    except ValidationError as error:
        raise RowError(str(error.errors(include_url=False, include_input=False)[0]["msg"])) from None


def milliseconds(seconds: float | None) -> int | None:
    """Epoch milliseconds from the wire's seconds.

    A value from 1e11 on is taken as milliseconds already: as seconds it would lie beyond the year 5100, and parts of
    the vendor's data do use milliseconds.
    """
    if seconds is None:
        return None
    return round(seconds) if seconds >= 1e11 else round(seconds * 1000)


class Named(Row):
    """What a reference to an organization, location or role tells."""

    id: int
    name: str = ""


class OrganizationRow(Named):
    """``/v2/organizations``."""


class LocationRow(Named):
    """``/v2/locations``; ``organizationId`` only there."""

    organization_id: int | None = None


class RoleRow(Named):
    """``/v2/roles``."""

    node_class: str = ""


class WarrantyPart(Row):
    """``warranty`` of a device, or of its references; epoch seconds."""

    start_date: float | None = None
    end_date: float | None = None


class MaintenancePart(Row):
    """``maintenance`` of a device: ``status`` PENDING, IN_MAINTENANCE or FAILED; times as elsewhere on the wire."""

    status: str = ""
    start: float | None = None
    end: float | None = None

    @field_validator("start", "end", mode="before")
    @classmethod
    def _only_numbers(cls, value: Any) -> Any:
        """A time of another form must not cost the device that it stands in."""
        return value if isinstance(value, int | float) else None


class References(Row):
    """What was expanded in a webhook's device; any of it may be absent."""

    organization: Named | None = None
    location: Named | None = None
    role: Named | None = None
    warranty: WarrantyPart | None = None


class OsPart(Row):
    """``os`` of an agent device."""

    name: str = ""
    manufacturer: str = ""
    architecture: str = ""
    build_number: str = ""
    release_id: str = ""


class SystemPart(Row):
    """``system`` of an agent device."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    bios_serial_number: str = ""
    serial_number: str = ""
    asset_serial_number: str = ""
    domain: str = ""
    chassis_type: str = ""
    virtual_machine: bool | None = None
    total_physical_memory: int | None = None


class MemoryPart(Row):
    """``memory`` of an agent device, in bytes."""

    capacity: int | None = None


class ProcessorPart(Row):
    """One entry of ``processors``."""

    name: str = ""
    num_cores: int | None = None


class VolumePart(Row):
    """One entry of ``volumes``; sizes in bytes."""

    name: str = ""
    device_type: str = ""
    capacity: int | None = None


class DeviceRow(Row):
    """A device: base (``device`` in webhooks and alerts) and detailed (``/v2/device/{id}``, ``/v2/devices-detailed``).

    Which of the later parts is there depends on ``device_type``: agents have os, system, memory, processors and
    volumes; VM hosts and guests have flat fields instead.
    """

    id: int
    uid: str | None = None
    parent_device_id: int | None = None
    organization_id: int | None = None
    location_id: int | None = None
    node_class: str = ""
    node_role_id: int | None = None
    approval_status: str = "APPROVED"
    display_name: str = ""
    system_name: str = ""
    dns_name: str = ""
    netbios_name: str = ""
    references: References | None = None
    tags: tuple[str, ...] = ()
    maintenance: MaintenancePart | None = None
    created: float | None = None
    warranty: WarrantyPart | None = None
    last_logged_in_user: str = ""
    device_type: str = ""
    ip_addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    public_ip: str = Field(default="", alias="publicIP")
    os: OsPart | None = None
    system: SystemPart | None = None
    memory: MemoryPart | None = None
    processors: tuple[ProcessorPart, ...] = ()
    volumes: tuple[VolumePart, ...] = ()
    # VM hosts
    service_tag: str = ""
    vendor: str = ""
    model: str = ""
    cpu_model: str = ""
    cpu_cores: int | None = None
    memory_size: int | None = None
    release_name: str = ""
    version: str = ""
    build_number: str = ""
    # VM guests
    guest_os_full_name: str = Field(default="", alias="guestOSFullName")

    @property
    def serial(self) -> str:
        """The serial number as the device, its firmware or its maker's service tag says it."""
        system = self.system or SystemPart()
        return system.serial_number or system.bios_serial_number or self.service_tag

    @property
    def name(self) -> str:
        """What people call it: the display name is user-assigned and may be absent."""
        return self.display_name or self.system_name or self.dns_name or self.netbios_name or f"device {self.id}"


def _ticket_id(value: Any) -> Any:
    """An id as text. An object is read by its ``id``; what else it may be is kept as it came, so that it can be shown."""
    if isinstance(value, dict):
        value = value["id"] if set(value) == {"id"} else orjson.dumps(value).decode()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.strip() if isinstance(value, str) else orjson.dumps(value).decode()
    return "" if text in ("0", "null", "false", "{}", "[]") else text


class AlertRow(Row):
    """An active alert (``/v2/alerts``, ``/v2/device/{id}/alerts``). ``uid`` equals ``seriesUid`` of its activities.

    ``psa_ticket_id`` is filled by NinjaOne's own PSA integrations only; its type is documented nowhere (an integer in the
    vendor's OpenAPI document of 2020, none since).
    """

    uid: str
    device_id: int | None = None
    organization_id: int | None = None
    location_id: int | None = None
    message: str = ""
    create_time: float | None = None
    update_time: float | None = None
    source_type: str | None = None
    source_config_uid: str | None = None
    source_name: str = ""
    subject: str = ""
    severity: str = ""
    priority: str = ""
    condition_name: str = ""
    psa_ticket_id: Annotated[str, BeforeValidator(_ticket_id)] = ""
    device: DeviceRow | None = None


class ActivityRow(Row):
    """An activity, from ``/v2/activities`` or as a webhook delivery (then with ``device``).

    Only ``activity_type`` and ``status_code`` are for machines; ``type`` and ``status`` are localized texts.
    """

    id: int
    activity_time: float | None = None
    device_id: int | None = None
    organization_id: int | None = None
    location_id: int | None = None
    series_uid: str | None = None
    activity_type: str = ""
    status_code: str = ""
    source_config_uid: str | None = None
    source_name: str = ""
    subject: str = ""
    message: str = ""
    severity: str = ""
    priority: str = ""
    user_id: int | None = None
    device: DeviceRow | None = None


class ActivitiesHead(Row):
    """What stands beside the ``activities``: the newest id of the account, whatever the page holds."""

    last_activity_id: int | None = None


class TokenAnswer(Row):
    """The answer of the token endpoint. Every public example says 3600 seconds; the value is read, not assumed."""

    access_token: str = Field(alias="access_token", repr=False, min_length=1)
    expires_in: float = Field(default=3600, alias="expires_in", gt=0)
    scope: str = Field(default="", alias="scope")


class ReportCursor(Row):
    """The cursor of a report (``/v2/queries/*``)."""

    name: str = ""
    offset: int | None = None
    count: int | None = None
