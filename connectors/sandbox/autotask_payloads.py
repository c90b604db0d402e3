"""Webhook payloads and their signature (reference section 7)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from connectors.sandbox.autotask_fields import DATETIME, Entity, Field
from connectors.sandbox.autotask_query import UDF_VALUES
from connectors.sandbox.autotask_tenant import Tenant

_ESCAPED = frozenset("&<>'\\\"`+")


def fields(
    tenant: Tenant, entity: Entity, row: Mapping[str, Any], names: Iterable[str], udf_ids: Iterable[int]
) -> dict[str, Any]:
    """The ``Fields`` of a payload: the named columns, then user-defined values."""
    settings = tenant.settings
    shown = {
        _cased(name, settings["webhook_field_case"]): _value(tenant, entity.fields[name], row.get(name))
        for name in names
    }
    udf_names = {udf["id"]: udf["name"] for udf in tenant.udfs(entity)}
    values = {udf_names[number]: row.get(UDF_VALUES, {}).get(number) for number in udf_ids if number in udf_names}
    if settings["webhook_udfs"] == "flat":
        return shown | values
    if values:
        shown[_cased("userDefinedFields", settings["webhook_field_case"])] = [
            {"name": name, "value": value} for name, value in values.items()
        ]
    return shown


def payload(
    *,
    action: str,
    guid: str,
    entity_type: str,
    item: int,
    event_time: str,
    sequence: int,
    person: int,
    shown: Mapping[str, Any] | None,
) -> bytes:
    """The bytes of one event."""
    document: dict[str, Any] = {"Action": action, "Guid": guid, "EntityType": entity_type, "Id": item}
    if shown is not None:
        document["Fields"] = shown
    document.update(EventTime=event_time, SequenceNumber=sequence, PersonID=person)
    return orjson.dumps(document)


def signature(secret: str, body: bytes, form: str = "raw") -> str:
    """``X-Hook-Signature``: base64 of HMAC-SHA1 over the bytes, or over their escaped form."""
    signed = body if form == "raw" else escaped(body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha1).digest()
    return "sha1=" + base64.b64encode(digest).decode()


def escaped(body: bytes) -> bytes:
    r"""The body with ``& < > ' " \ ` +`` and non-ASCII inside strings as ``\uXXXX`` in upper-case hex (seen by one client)."""
    return _written(orjson.loads(body)).encode()


def _written(value: Any) -> str:
    if isinstance(value, str):
        return '"' + "".join(_character(character) for character in value) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(item) for item in value) + "]"
    return orjson.dumps(value).decode()


def _character(character: str) -> str:
    if character in _ESCAPED or ord(character) > 0x7E:
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2))
    return orjson.dumps(character).decode()[1:-1]


def _cased(name: str, style: str) -> str:
    return name[0].upper() + name[1:] if style == "pascal" else name


def _value(tenant: Tenant, column: Field, value: Any) -> Any:
    if value is None:
        return None
    if column.kind == DATETIME:
        return tenant.time(value)
    if column.picklist and tenant.settings["webhook_picklists"] == "label":
        return tenant.label(column, value)
    return value
