"""What an entity does besides its field table: defaults, checks across fields, stamps, consequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.autotask_fields import ApiError
from connectors.sandbox.autotask_query import UDF_VALUES
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.journal import By

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who writes. ``stale`` asks that a status stays as it was although the answer is 200 (a fault)."""

    resource_id: int
    by: By
    impersonator: int | None = None
    stale: bool = False

    @property
    def is_api(self) -> bool:
        return self.by == "api"


class Rules:
    """The plain entity: nothing besides the field table. Subclasses override what differs."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    def fill(self, row: Row, actor: Actor) -> None:
        """Before checks of a create: defaults for what the body left out."""

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        """Errors across fields; ``before`` is ``None`` for a create."""
        return []

    def existing(self, row: Row) -> int | None:
        """A row that the tenant's duplicate rule gives instead of a new one."""
        return None

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        """Server-made fields, right before the row is kept."""

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        """Consequences in other rows, right after."""

    def removing(self, row: Row) -> None:
        """Before a delete; raise ``ApiError`` to refuse it."""


class CompanyRules(Rules):
    """Companies: active unless told otherwise; each has a primary location."""

    def fill(self, row: Row, actor: Actor) -> None:
        if row.get("isActive") is None:
            row["isActive"] = True

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        now = self.tenant.now()
        row["lastTrackedModifiedDateTime"] = row["lastActivityDate"] = now
        if before is None:
            row["createDate"] = now

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            self.tenant.rows["CompanyLocations"].insert(
                {"companyID": row["id"], "name": "Main", "isActive": True, "isPrimary": True}
            )


class ContactRules(Rules):
    """Contacts: two dates that move with every edit."""

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        row["lastModifiedDate"] = row["lastActivityDate"] = self.tenant.now()
        if before is None:
            row["createDate"] = self.tenant.now()


class UniqueNameRules(Rules):
    """Rows of a list that is a picklist elsewhere: one of each name."""

    table = "ConfigurationItemTypes"

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        name = str(row.get("name") or "").casefold()
        others = (other for other in self.tenant.rows[self.table] if other["id"] != row.get("id"))
        if any(str(other["name"]).casefold() == name for other in others):
            return [f"The name [{row['name']}] already exists."]
        return []

    def removing(self, row: Row) -> None:
        items = self.tenant.rows["ConfigurationItems"]
        if any(item["configurationItemType"] == row["id"] for item in items):
            raise ApiError("The configuration item type is in use and cannot be deleted.")


def family(tenant: Tenant, company_id: Any) -> set[Any]:
    """A company and its parent: what a ticket's contact or item may belong to."""
    company = tenant.rows["Companies"].get(company_id)
    return {company_id, company["parentCompanyID"]} - {None} if company is not None else {company_id}


def misfit(tenant: Tenant, row: Mapping[str, Any], name: str, table: str) -> list[str]:
    """The error when a referenced row belongs to another company than this one or its parent."""
    other = tenant.rows[table].get(row.get(name))
    if other is None or other["companyID"] in family(tenant, row["companyID"]):
        return []
    return [f"Data violation: {name} is not associated to the companyID or its Parent Company.."]


def foreign_contract(tenant: Tenant, row: Mapping[str, Any]) -> list[str]:
    """The error when a contract belongs to another company; seen of tickets, unconfirmed of configuration items."""
    contract = tenant.rows["Contracts"].get(row.get("contractID"))
    if contract is None or contract["companyID"] in family(tenant, row["companyID"]):
        return []
    return [f"contractID [{contract['id']}] is not associated to companyID [{row['companyID']}] or its parent."]


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Names of the fields that differ; ``userDefinedFields`` and ``udf:<definition id>`` for user-defined ones."""
    changed = {name for name, value in after.items() if name != UDF_VALUES and before.get(name) != value}
    old, new = before.get(UDF_VALUES, {}), after.get(UDF_VALUES, {})
    udfs = {f"udf:{number}" for number in {*old, *new} if old.get(number) != new.get(number)}
    return changed | udfs | ({"userDefinedFields"} if udfs else set())


#: Told of every committed change: entity name, action (Create, Update, Delete), row, changed names, actor.
Notify = Callable[[str, str, Mapping[str, Any], set[str], Actor], None]
