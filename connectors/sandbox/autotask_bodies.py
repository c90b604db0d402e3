"""The body of a write, understood field by field: names, types, lengths, read-only fields, user-defined fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.sandbox.autotask_fields import DATETIME, DOUBLE, STRING, ApiError, Entity, Field
from connectors.sandbox.autotask_picklists import DATE, LIST, MULTILINE, NUMBER
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.autotask_values import BadValue, stored

Mode = Literal["create", "patch", "put"]

#: Longest values of text UDFs: one line like any short string, several lines like a ticket's description.
_UDF_LENGTH, _UDF_MULTILINE_LENGTH = 255, 8000
_ERROR_ID = 54634
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


@dataclass(slots=True)
class Written:
    """What a body asks for: values by field name, the id it names, UDF values by definition id (``None`` clears).

    ``udfs`` itself is ``None`` when the body has no ``userDefinedFields``.
    """

    values: dict[str, Any] = field(default_factory=dict)
    udfs: dict[int, str | None] | None = None
    item_id: int | None = None


def read_body(tenant: Tenant, entity: Entity, body: Any, mode: Mode, *, privileged: bool = False) -> Written:
    """Understand a write. ``privileged`` (the sandbox's own control calls) may set read-only fields.

    Raises ``ApiError`` with every problem found, in the vendor's words where they are known.
    """
    if not isinstance(body, dict):
        raise ApiError("The request body must be a JSON object.")
    written, errors = Written(), list[str]()
    for name, value in body.items():
        try:
            _read(tenant, entity, written, str(name), value, mode, privileged)
        except BadValue as error:
            errors.append(str(error))
    if errors:
        raise ApiError(*errors)
    return written


def _read(
    tenant: Tenant, entity: Entity, written: Written, name: str, value: Any, mode: Mode, privileged: bool
) -> None:
    if name.lower() == "userdefinedfields" and entity.udfs:
        written.udfs = _udfs(tenant, entity, value)
        return
    column = entity.find(name)
    if column is None:
        if tenant.settings["unknown_field"] == "reject":
            raise BadValue(f"Unable to find {name} in the {entity.shown} Entity")
        return
    if column.name == "id":
        written.item_id = stored(column, value)
        return
    if column.create_only and mode != "create":
        return  # the vendor ignores a configuration item's companyID on update
    if column.read_only and not privileged:
        if tenant.settings["read_only"] == "reject":
            raise BadValue(f"The field {column.name} is read only and cannot be set.")
        return
    kept = stored(column, value)
    if column.name == "description" and kept is not None and tenant.settings["html_text"] == "strip":
        kept = _TAG.sub("", kept)
    written.values[column.name] = _fitting(tenant, column, kept)


def _fitting(tenant: Tenant, column: Field, value: Any) -> Any:
    if column.kind != STRING or value is None or not column.length or len(value) <= column.length:
        return value
    if tenant.settings["over_length"] == "truncate":
        return value[: column.length]
    raise BadValue(f"The value of {column.name} exceeds the maximum length of {column.length} characters.")


def _udfs(tenant: Tenant, entity: Entity, value: Any) -> dict[int, str | None]:
    if value is None:
        return {}
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        # Seen live: a keyed object instead of a list of pairs ends in an internal error.
        raise ApiError(
            f"An unexpected error has occurred. Please contact support and reference Error ID: {_ERROR_ID}.",
            "The request could not be deserialized.",
            error_id=_ERROR_ID,
        )
    defined = {row["name"].lower(): row for row in tenant.udfs(entity)}
    result: dict[int, str | None] = {}
    for item in value:
        pair = {str(key).lower(): part for key, part in item.items()}
        name = str(pair.get("name", ""))
        definition = defined.get(name.lower())
        if definition is None:
            if tenant.settings["unknown_udf"] == "reject":
                raise BadValue(f"Unable to find the user defined field {name} in the {entity.shown} Entity")
            continue
        result[definition["id"]] = _udf_value(tenant, definition, pair.get("value"))
    return result


def _udf_value(tenant: Tenant, definition: Mapping[str, Any], value: Any) -> str | None:
    name = definition["name"]
    if definition["isProtected"] and not tenant.protected_data:
        raise BadValue(f"The logged in Resource does not have permission to edit the protected field {name}")
    if value is None or value == "":
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if definition["dataType"] == NUMBER:
        stored(Field(name=name, kind=DOUBLE), text)
    elif definition["dataType"] == DATE:
        stored(Field(name=name, kind=DATETIME), text)
    elif definition["dataType"] == LIST:
        items = tenant.rows["UserDefinedFieldListItems"].where(udfFieldId=definition["id"])
        if text not in {item["valueForDisplay"] for item in items}:
            raise BadValue(f"Picklist value [{text}] does not exist for {name}")
    length = _UDF_MULTILINE_LENGTH if definition["dataType"] == MULTILINE else _UDF_LENGTH
    return str(_fitting(tenant, Field(name=name, kind=STRING, length=length), text))
