"""Autotask's REST rows as they come: what Lockstep reads of them, tolerant of everything else.

Sources: the vendor's Swagger 2.0, its REST help pages and live captures published by others. Keys are matched without
regard to case (query rows, metadata and webhook payloads differ in it), unknown keys are ignored, ``null`` and empty text
mean "not set". Times are UTC with or without a designator, with none to seven digits of a second; here they are epoch
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from schemas.envelope import DecodeError, epoch_ms


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return epoch_ms(value.strip())
    except DecodeError as error:
        raise ValueError(str(error)) from None


#: An instant on the wire, epoch milliseconds here.
Instant = Annotated[int, BeforeValidator(_instant)]


@cache
def _fields_of(model: type[BaseModel]) -> dict[str, str]:
    return {name.replace("_", ""): name for name in model.model_fields}


def member(document: Any, name: str) -> Any:
    """A member of a JSON object without regard to case, ``None`` where there is none or no object."""
    if not isinstance(document, Mapping):
        return None
    if name in document:
        return document[name]
    return next((value for key, value in document.items() if str(key).lower() == name.lower()), None)


def _text(value: Any) -> Any:
    """Text as it is, everything else the way JSON writes it: a value that is shown, compared and never calculated with."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _pairs(value: Any) -> Any:
    """An object as it is, a list of names and values as an object, anything else as nothing."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list):
        return {}
    return {str(member(entry, "name")): member(entry, "value") for entry in value if member(entry, "name") is not None}


def _whole(value: Any) -> Any:
    """A whole number, ``None`` for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Wire(BaseModel):
    """A row of the vendor: ``company_id`` here is ``companyID`` (or ``CompanyID``) there."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _by_wire_name(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        known = _fields_of(cls)
        return {
            known[lower]: value
            for key, value in data.items()
            if value not in (None, "") and (lower := str(key).replace("_", "").lower()) in known
        }


class Zone(Wire):
    """The answer of ``zoneInformation``: where this user's data lives. ``web_url`` is the base of links for people."""

    url: str
    web_url: str = ""
    zone_name: str = ""


class UserDefinedValue(Wire):
    """A user-defined field of a row: always text on the wire, whatever its type."""

    name: str
    value: Annotated[str, BeforeValidator(_text)] = ""


#: ``Complete`` has this id on every public source; all other ids but ``New`` (1) vary from tenant to tenant.
COMPLETE = 5


class Ticket(Wire):
    """A ticket. ``completed_date`` is set while the ticket is complete, whatever its status is called."""

    id: int
    status: int
    ticket_number: str = ""
    external_id: str | None = None
    company_id: int | None = None
    queue_id: int | None = None
    priority: int | None = None
    title: str = ""
    configuration_item_id: int | None = None
    assigned_resource_id: int | None = None
    creator_resource_id: int | None = None
    completed_by_resource_id: int | None = None
    last_activity_resource_id: int | None = None
    create_date: Instant | None = None
    completed_date: Instant | None = None
    last_activity_date: Instant | None = None

    @property
    def is_complete(self) -> bool:
        """By the date, since tenants add complete-type statuses; or by the vendor's own status, the same in every tenant."""
        return self.completed_date is not None or self.status == COMPLETE


class TicketNote(Wire):
    """A note of a ticket. ``publish`` 1 is shown to the customer, everything else is internal."""

    id: int
    ticket_id: int | None = None
    title: str = ""
    description: str = ""
    publish: int | None = None
    create_date_time: Instant | None = None
    creator_resource_id: int | None = None
    created_by_contact_id: int | None = None


class TicketHistoryRow(Wire):
    """One change of a ticket, as its history has it (vendor field metadata; how ``action`` and ``detail`` are worded is unconfirmed)."""

    id: int = 0
    action: str = ""
    detail: str = ""
    date: Instant | None = None
    resource_id: int | None = None


class TimeEntry(Wire):
    """Time that somebody booked on a ticket."""

    id: int
    ticket_id: int | None = None
    resource_id: int | None = None


#: Columns of an item that a policy's ``devices.fields`` may fill instead of a user-defined field (vendor field metadata:
#: writable). Dates are written as days.
ITEM_COLUMNS = ("location", "installDate", "warrantyExpirationDate")


class ConfigurationItem(Wire):
    """A configuration item. ``rmm_device_audit_mac_address`` is filled by the vendor's own RMM only."""

    id: int
    company_id: int
    product_id: int | None = None
    is_active: bool = False
    reference_title: str = ""
    reference_number: str = ""
    serial_number: str = ""
    configuration_item_type: int | None = None
    configuration_item_category_id: int | None = None
    contract_id: int | None = None
    rmm_device_audit_mac_address: str = ""
    location: str = ""
    notes: str = ""
    install_date: str = ""
    warranty_expiration_date: str = ""
    user_defined_fields: tuple[UserDefinedValue, ...] = ()

    def field(self, name: str) -> str:
        """The text of a user-defined field, empty when it is not set; the name without regard to case."""
        return next((entry.value for entry in self.user_defined_fields if entry.name.lower() == name.lower()), "")


class CompanyRow(Wire):
    """A company. Id 0 is the tenant's own."""

    id: int
    company_name: str = ""
    is_active: bool = True


class Contract(Wire):
    """A contract. Which of a company's is taken for a ticket that names none, ``is_default_contract`` says."""

    id: int
    company_id: int | None = None
    is_default_contract: bool = False
    start_date: Instant | None = None
    end_date: Instant | None = None


class NamedRow(Wire):
    """A product, a category or a type: what a name can stand for."""

    id: int
    name: str = ""
    is_active: bool = True


class PicklistValue(Wire):
    """An entry of a picklist. ``value`` is text in metadata, while rows carry the number."""

    value: str = ""
    label: str = ""
    is_active: bool = True
    is_default_value: bool = False
    is_system: bool = False
    parent_value: str = ""


class FieldInfo(Wire):
    """A field of an entity (``.../entityInformation/fields``). ``length`` is 0 for everything but text."""

    name: str
    length: int = 0
    is_required: bool = False
    is_read_only: bool = False
    is_queryable: bool = True
    is_pick_list: bool = False
    is_supported_webhook_field: bool = False
    picklist_parent_value_field: str = ""
    picklist_values: tuple[PicklistValue, ...] = ()


class UserDefinedFieldInfo(Wire):
    """A user-defined field of an entity (``.../entityInformation/userDefinedFields``). ``type``: string, double, datetime."""

    name: str
    label: str = ""
    type: str = ""
    length: int = 0
    is_read_only: bool = False
    is_queryable: bool = True
    is_pick_list: bool = False


def _access(value: Any) -> Any:
    """0 nothing, 1 everything, 2 restricted; older answers write it in words. What is not known is taken for allowed."""
    if isinstance(value, str) and not value.isdigit():
        return {"none": 0, "restricted": 2}.get(value.strip().lower(), 1)
    return int(value) if isinstance(value, bool) else value


Access = Annotated[int, BeforeValidator(_access)]


class EntityInfo(Wire):
    """What the API user may do with an entity: 0 nothing, 1 everything, 2 what its restrictions leave."""

    name: str = ""
    user_access_for_query: Access = 1
    user_access_for_create: Access = 1
    user_access_for_update: Access = 1


class Threshold(Wire):
    """The hourly budget of the whole tenant, shared by all integrations (``ThresholdInformation``)."""

    external_request_threshold: int
    current_timeframe_request_count: int
    request_threshold_timeframe: int = 60


class WebhookRow(Wire):
    """A ticket webhook. It delivers while ``is_active`` and ``is_ready``."""

    id: int
    name: str = ""
    webhook_url: str = ""
    is_active: bool = False
    is_ready: bool = False
    owner_resource_id: int | None = None
    webhook_guid: str = ""


class WebhookPayload(Wire):
    """What Autotask posts to a webhook. ``fields`` keeps its values as they came: numbers or labels, any casing.

    ``action`` is Create, Update, Delete or Deactivated; ``sequence_number`` grows per webhook.
    """

    action: str
    entity_type: str = ""
    id: int | None = None
    guid: str = ""
    sequence_number: Annotated[int | None, BeforeValidator(_whole)] = None
    event_time: str = ""
    person_id: Annotated[int | None, BeforeValidator(_whole)] = None
    fields: Annotated[dict[str, Any], BeforeValidator(_pairs)] = {}
