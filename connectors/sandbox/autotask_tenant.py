"""The simulated tenant: rows, picklists and user-defined fields together, and rows the way the API shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.sandbox.autotask_fields import DATETIME, STRING, Entity, Field
from connectors.sandbox.autotask_picklists import FIXED, UDF_TYPES, Choice
from connectors.sandbox.autotask_query import UDF_VALUES, Dialect
from connectors.sandbox.autotask_settings import SWITCHES
from connectors.sandbox.autotask_store import ENTITIES, Rows
from connectors.sandbox.autotask_tables_webhooks import WATCHED
from connectors.sandbox.autotask_values import written_time
from connectors.sandbox.clock import Clock
from connectors.sandbox.journal import Journal
from connectors.sandbox.settings import Settings

MASKED = "*****"
#: Ids of webhook field and UDF choices: the vendor gives them numbers of their own, so none equals a column position.
_WEBHOOK_FIELD_BASE = 500


class Tenant:
    """Everything the simulator knows. ``category_rules`` holds what a ticket category requires and fills in."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.settings = Settings(SWITCHES)
        self.journal = Journal(clock)
        self.rows: dict[str, Rows] = {name: Rows(entity) for name, entity in ENTITIES.items()}
        self.category_rules: dict[int, dict[str, Any]] = {}
        self.api_writes: Counter[str] = Counter()
        self.protected_data = True

    def now(self) -> int:
        """Epoch milliseconds of the sandbox clock."""
        return int(self.clock.now() * 1000)

    # -- picklists ---------------------------------------------------------------------------------------------

    def picklist(self, name: str) -> list[Choice]:
        """The values of a picklist by its name in the field tables."""
        if name == "ticketCategory":
            return self._from_rows("TicketCategories", default="isGlobalDefault")
        if name == "configurationItemType":
            return self._from_rows("ConfigurationItemTypes")
        if name == "udfType":
            legacy = self.settings["udf_type_labels"] == "legacy"
            return [Choice(value=key, label=row[2] if legacy else row[1]) for key, row in UDF_TYPES.items()]
        if name.startswith("webhookField"):
            watched = ENTITIES[WATCHED[name.removeprefix("webhookField")]]
            return [Choice(value=number, label=label) for number, label in webhook_fields(watched).items()]
        if name.startswith("webhookUdfField"):
            watched = ENTITIES[WATCHED[name.removeprefix("webhookUdfField")]]
            return [Choice(value=row["id"], label=row["name"]) for row in self.udfs(watched)]
        return FIXED[name]

    def label(self, column: Field, value: Any) -> Any:
        """A picklist value's label, the value itself where it has none."""
        return next((choice.label for choice in self.picklist(column.picklist) if choice.value == value), value)

    def _from_rows(self, entity: str, default: str = "") -> list[Choice]:
        return [
            Choice(value=row["id"], label=row["name"], active=bool(row["isActive"]), default=bool(row.get(default)))
            for row in self.rows[entity]
        ]

    # -- user-defined fields -----------------------------------------------------------------------------------

    def udfs(self, entity: Entity) -> list[dict[str, Any]]:
        """Active definitions of an entity, in the order of creation."""
        kinds = [number for number, row in UDF_TYPES.items() if row[0] == entity.name]
        if not kinds:
            return []
        return [
            row for row in self.rows["UserDefinedFieldDefinitions"] if row["udfType"] == kinds[0] and row["isActive"]
        ]

    def udf_ids(self, entity: Entity) -> dict[str, int]:
        """Definition id by lower-case name."""
        return {row["name"].lower(): row["id"] for row in self.udfs(entity)}

    # -- rows as the API shows them ----------------------------------------------------------------------------

    def dialect(self) -> Dialect:
        """How queries compare now."""
        return Dialect(
            ignore_case=self.settings["string_compare"] == "ignore_case",
            noteq_matches_null=self.settings["noteq_matches_null"],
        )

    def shown(self, entity: Entity, row: Mapping[str, Any], include: Iterable[str] | None = None) -> dict[str, Any]:
        """A row as JSON; with ``include`` only those fields (canonical spelling), UDFs by their names."""
        if include is None:
            answer = {name: self.wire(column, row.get(name)) for name, column in entity.fields.items()}
            if entity.udfs:
                answer["userDefinedFields"] = self._shown_udfs(entity, row, None)
            return answer
        answer = {}
        udf_names: set[str] = set()
        for name in include:
            column = entity.find(name)
            if column is not None:
                answer[column.name] = self.wire(column, row.get(column.name))
            else:
                udf_names.add(name.lower())
        if udf_names:
            every = "userdefinedfields" in udf_names
            answer["userDefinedFields"] = self._shown_udfs(entity, row, None if every else udf_names)
        return answer

    def wire(self, column: Field, value: Any) -> Any:
        """One value on the wire: times as text, an unset writable string as an empty one (live capture)."""
        if value is None:
            return "" if column.kind == STRING and not column.read_only else None
        if column.kind == DATETIME:
            return self.time(value)
        return MASKED if column.name == "secretKey" else value

    def time(self, milliseconds: int) -> str:
        """A time as this tenant writes it."""
        return written_time(
            milliseconds, designator=self.settings["time_designator"], fraction=self.settings["time_fraction"]
        )

    def _shown_udfs(self, entity: Entity, row: Mapping[str, Any], names: set[str] | None) -> list[dict[str, Any]]:
        values = row.get(UDF_VALUES, {})
        return [
            {"name": udf["name"], "value": self._udf_value(udf, values.get(udf["id"]))}
            for udf in self.udfs(entity)
            if names is None or udf["name"].lower() in names
        ]

    def _udf_value(self, udf: Mapping[str, Any], value: str | None) -> str | None:
        if value is not None and (udf["isProtected"] or udf["isEncrypted"]) and not self.protected_data:
            return MASKED
        return value


def webhook_fields(entity: Entity) -> dict[int, str]:
    """``fieldID`` values of a watched entity: number to field name."""
    names = [column.name for column in entity.fields.values() if column.webhook]
    return {_WEBHOOK_FIELD_BASE + 2 * position: name for position, name in enumerate(names)}
