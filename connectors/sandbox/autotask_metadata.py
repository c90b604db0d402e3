"""``entityInformation`` answers, made from the same field tables that judge writes."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.autotask_api_user import ApiUser
from connectors.sandbox.autotask_fields import Entity, Field
from connectors.sandbox.autotask_picklists import DATE, LIST, MULTILINE, NUMBER, shown
from connectors.sandbox.autotask_tenant import Tenant

_ACCESS = {True: 1, False: 0, "empty": 2}
_UDF_TYPE = {NUMBER: "double", DATE: "datetime"}
_UDF_LENGTHS = {MULTILINE: 8000}


def information(entity: Entity, user: ApiUser) -> dict[str, Any]:
    """``/{Entity}/entityInformation``; access 0 none, 1 all, 2 restricted."""
    return {
        "info": {
            "name": entity.singular,
            "canCreate": entity.create,
            "canDelete": entity.delete,
            "canQuery": entity.query,
            "canUpdate": entity.update,
            "userAccessForCreate": _access(user, entity, "create", entity.create),
            "userAccessForDelete": _access(user, entity, "delete", entity.delete),
            "userAccessForQuery": _access(user, entity, "query", entity.query),
            "userAccessForUpdate": _access(user, entity, "update", entity.update),
            "hasUserDefinedFields": entity.udfs,
            "supportsWebhookCallouts": entity.webhooks,
        }
    }


def fields(tenant: Tenant, entity: Entity) -> dict[str, Any]:
    """``/{Entity}/entityInformation/fields``. There is no label, and nothing about conditional requirements."""
    return {"fields": [_field(tenant, column) for column in entity.fields.values()]}


def udf_fields(tenant: Tenant, entity: Entity) -> dict[str, Any]:
    """``/{Entity}/entityInformation/userDefinedFields``: ``type`` here, not ``dataType``."""
    return {"fields": [_udf(tenant, row) for row in tenant.udfs(entity)]}


def _field(tenant: Tenant, column: Field) -> dict[str, Any]:
    listed = shown(tenant.picklist(column.picklist)) if column.picklist else None
    return {
        "name": column.name,
        "dataType": column.kind,
        "length": column.length,
        "isRequired": column.required,
        "isReadOnly": column.read_only,
        "isQueryable": column.queryable,
        "isReference": bool(column.reference),
        "referenceEntityType": column.reference,
        "isPickList": bool(column.picklist),
        "picklistValues": listed,
        "picklistParentValueField": column.parent,
        "isSupportedWebhookField": column.webhook,
    }


def _udf(tenant: Tenant, row: dict[str, Any]) -> dict[str, Any]:
    items = tenant.rows["UserDefinedFieldListItems"].where(udfFieldId=row["id"]) if row["dataType"] == LIST else []
    return {
        "name": row["name"],
        "label": row["name"],
        "type": _UDF_TYPE.get(row["dataType"], "string"),
        "length": 0 if row["dataType"] in _UDF_TYPE else _UDF_LENGTHS.get(row["dataType"], 255),
        "description": row["description"] or "",
        "isRequired": row["isRequired"],
        "isReadOnly": False,
        "isQueryable": not row["isEncrypted"],
        "isReference": False,
        "referenceEntityType": "",
        "isPickList": row["dataType"] == LIST,
        "picklistValues": [
            {
                "value": item["valueForDisplay"],
                "label": item["valueForDisplay"],
                "isDefaultValue": item["valueForDisplay"] == row["defaultValue"],
                "sortOrder": position,
                "parentValue": "",
                "isActive": item["isActive"],
                "isSystem": False,
            }
            for position, item in enumerate(items, 1)
        ]
        or None,
        "picklistParentValueField": "",
        "defaultValue": row["defaultValue"],
        "isSupportedWebhookField": True,
    }


def _access(user: ApiUser, entity: Entity, action: str, possible: bool) -> int:
    return _ACCESS[user.allowed(entity.name, action)] if possible else 0
