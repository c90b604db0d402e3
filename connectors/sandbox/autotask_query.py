"""The query language: from the JSON of a search to a test for rows. Pure; the semantics of reference section 3.

Seen live and kept: names are case-insensitive, an unknown field is an error, an unknown operator is silently ignored
(the condition vanishes). Unconfirmed and therefore switches: case of string values, null and ``noteq``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.autotask_fields import STRING, ApiError, Entity, Field
from connectors.sandbox.autotask_values import BadValue, sought

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

MAX_PAGE = 500
MAX_OR_CONDITIONS = 500
#: A row keeps its user-defined values under this name, by definition id.
UDF_VALUES = "_udf"

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: have == want,
    "gt": lambda have, want: have > want,
    "gte": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "lte": lambda have, want: have <= want,
    "beginswith": lambda have, want: have.startswith(want),
    "endswith": lambda have, want: have.endswith(want),
    "contains": lambda have, want: want in have,
}
_TEXT_ONLY = frozenset({"beginswith", "endswith", "contains"})
_OPERATORS = frozenset({*_COMPARE, "noteq", "in", "notin", "exist", "notexist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the sources leave open."""

    ignore_case: bool = True
    noteq_matches_null: bool = False


@dataclass(slots=True, kw_only=True)
class Search:
    """A search, understood. ``equal`` and ``above_id`` are top-level conditions a store may use to look at fewer rows.

    ``conditions``: how many entries its filter has.
    """

    test: Test
    max_records: int
    include: list[str] | None
    equal: dict[str, Any] = field(default_factory=dict)
    above_id: int = -1
    conditions: int = 0


@dataclass(slots=True, kw_only=True)
class _Reader:
    entity: Entity
    udfs: Mapping[str, int]
    encrypted: frozenset[int]
    dialect: Dialect
    udf_kinds: Mapping[int, str]
    or_conditions: int = 0
    udf_conditions: int = 0
    equal: dict[str, Any] = field(default_factory=dict)
    above_id: int = -1

    def group(self, op: str, items: Any, *, within_or: bool, top: bool = False) -> Test | None:
        tests = [self.node(item, within_or=within_or or op == "or", top=top) for item in _listed(items, "items")]
        kept = [test for test in tests if test is not None]
        if not kept:
            return None
        if len(kept) == 1:
            return kept[0]
        return (
            (lambda row: any(test(row) for test in kept))
            if op == "or"
            else (lambda row: all(test(row) for test in kept))
        )

    def node(self, item: Any, *, within_or: bool, top: bool) -> Test | None:
        if not isinstance(item, dict):
            raise ApiError("Each filter item must be an object with op and field, or op and items.")
        parts = {str(key).lower(): value for key, value in item.items()}
        op = str(parts.get("op", "")).lower()
        if parts.get("items") is not None:
            if op not in ("and", "or"):
                return None
            return self.group(op, parts["items"], within_or=within_or, top=top and op == "and")
        return self.condition(op, parts, within_or=within_or, top=top)

    def condition(self, op: str, parts: Mapping[str, Any], *, within_or: bool, top: bool) -> Test | None:
        column, get = self.column(str(parts.get("field", "")), udf=_is_true(parts.get("udf")))
        if op not in _OPERATORS:
            return None
        value = parts.get("value")
        if within_or:
            self.or_conditions += 1
        if op in ("exist", "notexist"):
            wanted = op == "exist"
            return lambda row: (get(row) is not None) is wanted
        if op in ("in", "notin"):
            return self.membership(op, column, get, _listed(value, "value"), within_or=within_or)
        return self.comparison(op, column, get, value, top=top and not _is_true(parts.get("udf")))

    def membership(
        self, op: str, column: Field, get: Callable[[Row], Any], values: list[Any], *, within_or: bool
    ) -> Test:
        if op == "in":
            self.or_conditions += len(values) - (1 if within_or else 0)
        wanted = {self.fold(self.value(column, value)) for value in values}
        if op == "in":
            return lambda row: (have := get(row)) is not None and self.fold(have) in wanted
        missing = self.dialect.noteq_matches_null
        return lambda row: missing if (have := get(row)) is None else self.fold(have) not in wanted

    def comparison(self, op: str, column: Field, get: Callable[[Row], Any], value: Any, *, top: bool) -> Test:
        if op in _TEXT_ONLY and column.kind != STRING:
            raise ApiError(f"The operator {op} cannot be used with the {column.kind} field {column.name}.")
        want = self.fold(self.value(column, value))
        if top and want is not None:
            self.hint(op, column, want)
        if op == "noteq":
            missing = self.dialect.noteq_matches_null
            return lambda row: missing if (have := get(row)) is None else self.fold(have) != want
        compare = _COMPARE[op]
        return lambda row: want is not None and (have := get(row)) is not None and compare(self.fold(have), want)

    def hint(self, op: str, column: Field, want: Any) -> None:
        if op == "eq":
            self.equal[column.name] = want
        elif column.name == "id" and op in ("gt", "gte"):
            self.above_id = max(self.above_id, want if op == "gt" else want - 1)

    def fold(self, value: Any) -> Any:
        return value.casefold() if self.dialect.ignore_case and isinstance(value, str) else value

    def value(self, column: Field, value: Any) -> Any:
        try:
            return sought(column, value)
        except BadValue as error:
            raise ApiError(str(error)) from None

    def column(self, name: str, *, udf: bool) -> tuple[Field, Callable[[Row], Any]]:
        if udf:
            return self.udf_column(name)
        column = self.entity.find(name)
        if column is None:
            raise unknown_field(name, self.entity)
        if not column.queryable:
            raise ApiError(f"The field {column.name} is not queryable in the {self.entity.shown} Entity")
        key = column.name
        return column, lambda row: row.get(key)

    def udf_column(self, name: str) -> tuple[Field, Callable[[Row], Any]]:
        number = self.udfs.get(name.lower())
        if number is None:
            raise unknown_field(name, self.entity)
        if number in self.encrypted:
            raise ApiError(f"The field {name} is not queryable in the {self.entity.shown} Entity")
        self.udf_conditions += 1
        column = Field(name=name, kind=self.udf_kinds.get(number, STRING))
        return column, lambda row: _typed(column, row.get(UDF_VALUES, {}).get(number))


def _typed(column: Field, text: str | None) -> Any:
    """A user-defined value, kept as text, the way its field compares: numbers and dates are not ordered as text."""
    try:
        return sought(column, text)
    except BadValue:
        return None


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def unknown_field(name: str, entity: Entity) -> ApiError:
    """The vendor's words for a field that the entity does not have (seen live, with the legacy entity name)."""
    return ApiError(f"Unable to find {name} in the {entity.shown} Entity")


def understand(
    body: Any,
    entity: Entity,
    *,
    udfs: Mapping[str, int],
    encrypted: frozenset[int] = frozenset(),
    udf_kinds: Mapping[int, str] | None = None,
    dialect: Dialect | None = None,
) -> Search:
    """Read the body of a query. ``udfs`` maps lower-case names to definition ids, ``udf_kinds`` those to field kinds.

    Raises ``ApiError``.
    """
    if not isinstance(body, dict):
        raise ApiError("The query must be a JSON object with a filter.")
    parts = {str(key).lower(): value for key, value in body.items()}
    reader = _Reader(
        entity=entity, udfs=udfs, encrypted=encrypted, dialect=dialect or Dialect(), udf_kinds=udf_kinds or {}
    )
    items = _listed(parts.get("filter"), "filter")
    if not items:
        raise ApiError("The query filter must have at least one condition.")
    test = reader.group("and", items, within_or=False, top=True)
    if reader.or_conditions > MAX_OR_CONDITIONS:
        raise ApiError(f"Queries are limited to {MAX_OR_CONDITIONS} or fewer 'OR' conditions")
    if reader.udf_conditions > 1:
        raise ApiError("Only one user defined field can be used in a query.")
    return Search(
        test=test or (lambda row: True),
        max_records=_page_size(parts.get("maxrecords")),
        include=_included(parts.get("includefields"), reader),
        equal=reader.equal,
        above_id=reader.above_id,
        conditions=len(items),
    )


def _page_size(value: Any) -> int:
    if value is None:
        return MAX_PAGE
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PAGE:
        raise ApiError(f"maxCountOfRecordsToReturn must be between 1 and {MAX_PAGE}")
    return value


def _included(value: Any, reader: _Reader) -> list[str] | None:
    if not value:
        return None
    for name in _listed(value, "includeFields"):
        known = reader.entity.find(str(name)) is not None or str(name).lower() in reader.udfs
        if not known and str(name).lower() != "userdefinedfields":
            raise unknown_field(str(name), reader.entity)
    return [str(name) for name in value]


def _listed(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ApiError(f"{name} must be an array.")
    return value
