"""Configuration items, their categories, and the definitions of user-defined fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.sandbox.autotask_picklists import UDF_TYPES
from connectors.sandbox.autotask_rules import Actor, Row, Rules, foreign_contract, misfit

_PERSON_RESOURCE = 1
_MAX_ACTIVE_CATEGORIES = 200


class ItemRules(Rules):
    """Configuration items: a default category, dates that move, contacts of the same company."""

    def fill(self, row: Row, actor: Actor) -> None:
        if row.get("configurationItemCategoryID") is None:
            defaults = (row for row in self.tenant.rows["ConfigurationItemCategories"] if row["isGlobalDefault"])
            row["configurationItemCategoryID"] = next((category["id"] for category in defaults), None)

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        errors = misfit(self.tenant, row, "contactID", "Contacts")
        if before is None or "contractID" in changed:
            errors += foreign_contract(self.tenant, row)
        if before is None and self.tenant.settings["inactive_company"] == "reject":
            company = self.tenant.rows["Companies"].get(row["companyID"])
            if company is not None and not company["isActive"]:
                errors.append("Reference value on field: companyID of type: Company does not exist or is invalid.")
        return errors

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        now = self.tenant.now()
        row.update(
            lastModifiedTime=now, lastActivityPersonID=actor.resource_id, lastActivityPersonType=_PERSON_RESOURCE
        )
        if before is None:
            row.update(createDate=now, createdByPersonID=actor.resource_id, installedByID=actor.resource_id)


class CategoryRules(Rules):
    """Categories are made by copying one: the body's ``id`` names it, its associations come along."""

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        active = sum(1 for other in self.tenant.rows["ConfigurationItemCategories"] if other["isActive"])
        if before is None and active >= _MAX_ACTIVE_CATEGORIES:
            return [f"There can be no more than {_MAX_ACTIVE_CATEGORIES} active categories."]
        return []

    def copied(self, source: int | None, row: Row) -> None:
        """Bring the associations of the copied category along."""
        associations = self.tenant.rows["ConfigurationItemCategoryUdfAssociations"]
        for association in associations.where(configurationItemCategoryID=source):
            associations.insert({**association, "configurationItemCategoryID": row["id"]})


class AssociationRules(Rules):
    """A user-defined field is shown for a category once at most; API-made ones go last."""

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        if before is None and self._siblings(row):
            return ["The user defined field is already associated with the category."]
        return []

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            rows = self.tenant.rows["ConfigurationItemCategoryUdfAssociations"]
            listed = rows.where(configurationItemCategoryID=row["configurationItemCategoryID"])
            row["sortOrder"] = len(listed) + 1
            row["isRequired"] = bool(row.get("isRequired"))

    def _siblings(self, row: Row) -> list[dict[str, Any]]:
        return self.tenant.rows["ConfigurationItemCategoryUdfAssociations"].where(
            configurationItemCategoryID=row["configurationItemCategoryID"],
            userDefinedFieldDefinitionID=row["userDefinedFieldDefinitionID"],
        )


class UdfRules(Rules):
    """Definitions of user-defined fields: names are unique per entity, the number of active ones is limited."""

    def fill(self, row: Row, actor: Actor) -> None:
        if row.get("isActive") is None:
            row["isActive"] = True
        for name in ("isRequired", "isProtected", "isEncrypted", "isPrivate", "isVisibleToClientPortal"):
            row[name] = bool(row.get(name))

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        kind = UDF_TYPES.get(row["udfType"])
        if kind is None or not row["isActive"]:
            return []
        siblings = [
            other
            for other in self.tenant.rows["UserDefinedFieldDefinitions"].where(udfType=row["udfType"])
            if other["isActive"] and other["id"] != row.get("id")
        ]
        if any(other["name"].casefold() == str(row["name"]).casefold() for other in siblings):
            return [f"A user defined field with the name [{row['name']}] already exists."]
        if len(siblings) >= kind[3]:
            return [f"The limit of {kind[3]} active user defined fields for {kind[1]} has been reached."]
        return []

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            row["createDate"] = self.tenant.now()
            row["isFieldMapping"] = False
            row["sortOrder"] = row.get("sortOrder") or len(self.tenant.rows["UserDefinedFieldDefinitions"]) + 1


class ListItemRules(Rules):
    """Values of a list field."""

    def fill(self, row: Row, actor: Actor) -> None:
        if row.get("isActive") is None:
            row["isActive"] = True

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            row["createDate"] = self.tenant.now()
