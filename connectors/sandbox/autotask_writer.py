"""Create, update, delete: understand, check, stamp, keep, tell. One engine for every entity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.sandbox.autotask_bodies import Mode, Written, read_body
from connectors.sandbox.autotask_fields import BOOLEAN, ApiError, Entity, Field
from connectors.sandbox.autotask_items import AssociationRules, CategoryRules, ItemRules, ListItemRules, UdfRules
from connectors.sandbox.autotask_query import UDF_VALUES
from connectors.sandbox.autotask_rules import (
    Actor,
    CompanyRules,
    ContactRules,
    Notify,
    Row,
    Rules,
    UniqueNameRules,
    differing,
)
from connectors.sandbox.autotask_store import BY_SINGULAR, ENTITIES
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.autotask_tickets import NoteRules, TicketRules, TimeRules

_RULES: Mapping[str, Callable[[Tenant], Rules]] = {
    "Companies": CompanyRules,
    "Contacts": ContactRules,
    "Tickets": TicketRules,
    "TicketNotes": NoteRules,
    "TimeEntries": TimeRules,
    "ConfigurationItems": ItemRules,
    "ConfigurationItemTypes": UniqueNameRules,
    "ConfigurationItemCategories": CategoryRules,
    "ConfigurationItemCategoryUdfAssociations": AssociationRules,
    "UserDefinedFieldDefinitions": UdfRules,
    "UserDefinedFieldListItems": ListItemRules,
}


class Writer:
    """Writes rows of one tenant. ``rules`` may be extended before use (webhooks bring their own)."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.rules: dict[str, Rules] = {name: make(tenant) for name, make in _RULES.items()}
        self._plain = Rules(tenant)
        self.notify: Notify = lambda entity, action, row, changed, actor: None

    def create(self, entity: Entity, body: Any, actor: Actor, *, parent: int | None = None) -> int:
        """A new row; returns its id, or that of an existing one where the tenant's duplicate rule says so."""
        rules = self.rules.get(entity.name, self._plain)
        written = read_body(self._tenant, entity, body, "create", privileged=not actor.is_api)
        row: Row = {**dict.fromkeys(entity.fields), **written.values}
        if parent is not None:
            self._adopt(entity, row, parent)
        if entity.udfs:
            row[UDF_VALUES] = self._default_udfs(entity) | _set_only(written.udfs or {})
        rules.fill(row, actor)
        for column in entity.fields.values():
            if column.kind == BOOLEAN and row[column.name] is None and not (column.required or column.read_only):
                row[column.name] = False
        errors = self._missing(entity, row) + self._invalid(entity, row, set(entity.fields))
        errors += [] if errors else rules.check(row, None, set(row))
        if errors:
            raise ApiError(*errors)
        existing = rules.existing(row)
        if existing is not None:
            return existing
        rules.stamp(row, None, set(row), actor)
        kept = self._tenant.rows[entity.name].insert(row)
        if isinstance(rules, CategoryRules):
            rules.copied(written.item_id, kept)
        self._record(entity, "Created", kept, actor, after=self._tenant.shown(entity, kept))
        rules.done(kept, None, set(kept), actor)
        self.notify(entity.name, "Create", kept, set(kept), actor)
        return int(kept["id"])

    def update(
        self, entity: Entity, body: Any, actor: Actor, *, replace: bool = False, parent: int | None = None
    ) -> int:
        """Change a row in place; ``replace`` (PUT) clears the writable fields that the body leaves out."""
        mode: Mode = "put" if replace else "patch"
        written = read_body(self._tenant, entity, body, mode, privileged=not actor.is_api)
        before = self._found(entity, written.item_id, parent)
        row = {**before, **(self._blank(entity) if replace else {}), **written.values}
        if entity.udfs:
            row[UDF_VALUES] = self._merged_udfs(before, written, replace)
        rules = self.rules.get(entity.name, self._plain)
        changed = differing(before, row)
        given = set(written.values) | (changed if replace else set())
        errors = self._missing(entity, row, given) + self._invalid(entity, row, changed)
        errors += [] if errors else rules.check(row, before, changed)
        if errors:
            raise ApiError(*errors)
        if actor.stale or (actor.is_api and self._tenant.settings["workflow_stale_status"]):
            row["status"] = before.get("status")
        rules.stamp(row, before, changed, actor)
        self._commit(entity, before, row, rules, actor)
        return int(row["id"])

    def delete(self, entity: Entity, number: int, actor: Actor, *, parent: int | None = None) -> int:
        """Remove a row; children of the entity go with it."""
        row = self._found(entity, number, parent)
        rules = self.rules.get(entity.name, self._plain)
        rules.removing(row)
        for child in ENTITIES.values():
            if child.parent == entity.name:
                for inner in self._tenant.rows[child.name].where(**{child.parent_field: number}):
                    self._tenant.rows[child.name].remove(inner["id"])
        self._tenant.rows[entity.name].remove(number)
        self._record(entity, "Deleted", row, actor, before=self._tenant.shown(entity, row))
        self.notify(entity.name, "Delete", row, set(), actor)
        return number

    def _commit(self, entity: Entity, before: Row, row: Row, rules: Rules, actor: Actor) -> None:
        was = dict(before)
        changed = differing(was, row)
        self._tenant.rows[entity.name].change(row["id"], row)
        names = sorted(name for name in changed if not name.startswith("udf:"))
        self._record(
            entity,
            "Updated",
            row,
            actor,
            before=self._tenant.shown(entity, was, names),
            after=self._tenant.shown(entity, row, names),
        )
        rules.done(before, was, changed, actor)
        self.notify(entity.name, "Update", before, changed, actor)

    def _record(self, entity: Entity, what: str, row: Row, actor: Actor, before: Any = None, after: Any = None) -> None:
        if actor.is_api:
            self._tenant.api_writes[f"{entity.name}.{what.lower()}"] += 1
        self._tenant.journal.record(
            entity=entity.name, item=row["id"], what=what, by=actor.by, before=before, after=after
        )

    def _found(self, entity: Entity, number: Any, parent: int | None) -> Row:
        row = self._tenant.rows[entity.name].get(number)
        if row is None or (parent is not None and row[entity.parent_field] != parent):
            raise ApiError(f"No matching records found for {entity.singular} with id {number}.")
        return row

    def _adopt(self, entity: Entity, row: Row, parent: int) -> None:
        if row.get(entity.parent_field) not in (None, parent):
            raise ApiError(f"The {entity.parent_field} of the body differs from the id in the path.")
        row[entity.parent_field] = parent

    def _missing(self, entity: Entity, row: Row, given: set[str] | None = None) -> list[str]:
        return [
            f"Value does not exist for the required field {column.name}"
            for column in entity.fields.values()
            if column.required and row[column.name] is None and (given is None or column.name in given)
        ] + self._missing_udfs(entity, row, given)

    def _missing_udfs(self, entity: Entity, row: Row, given: set[str] | None) -> list[str]:
        if not entity.udfs or given is not None:
            return []
        return [
            f"Value does not exist for the required field {udf['name']}"
            for udf in self._tenant.udfs(entity)
            if udf["isRequired"] and row[UDF_VALUES].get(udf["id"]) is None
        ]

    def _invalid(self, entity: Entity, row: Row, names: set[str]) -> list[str]:
        errors = []
        for column in entity.fields.values():
            if column.name in names and row[column.name] is not None and not column.read_only:
                if column.picklist and not self._on_list(column, row):
                    errors.append(f"Picklist value [{row[column.name]}] does not exist for {column.name}")
                elif column.reference and not self._exists(column, row[column.name]):
                    errors.append(
                        f"Reference value on field: {column.name} of type: {column.reference}"
                        " does not exist or is invalid."
                    )
        return errors

    def _on_list(self, column: Field, row: Row) -> bool:
        return any(
            choice.value == row[column.name]
            and choice.active
            and (not column.parent or choice.parent == row[column.parent])
            for choice in self._tenant.picklist(column.picklist)
        )

    def _exists(self, column: Field, number: Any) -> bool:
        entity = BY_SINGULAR.get(column.reference)
        other = self._tenant.rows[entity.name].get(number) if entity is not None else None
        if other is None:
            return False
        gone = column.reference in ("Contact", "Resource") and not other["isActive"]
        return not (gone and self._tenant.settings["inactive_references"] == "reject")

    def _blank(self, entity: Entity) -> Row:
        return {
            column.name: False if column.kind == BOOLEAN and not column.required else None
            for column in entity.fields.values()
            if not column.read_only and not column.create_only
        }

    def _default_udfs(self, entity: Entity) -> dict[int, str]:
        return {udf["id"]: udf["defaultValue"] for udf in self._tenant.udfs(entity) if udf["defaultValue"] is not None}

    def _merged_udfs(self, before: Row, written: Written, replace: bool) -> dict[int, str]:
        given = written.udfs or {}
        if replace or (written.udfs is not None and self._tenant.settings["udf_patch"] == "replace"):
            return _set_only(given)
        return _set_only({**before.get(UDF_VALUES, {}), **given})


def _set_only(values: Mapping[int, str | None]) -> dict[int, str]:
    return {number: value for number, value in values.items() if value is not None}
