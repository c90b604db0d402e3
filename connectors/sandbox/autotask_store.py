"""The rows of the simulated tenant, in memory, with a few indexes."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from connectors.sandbox import (
    autotask_tables_contracts,
    autotask_tables_items,
    autotask_tables_people,
    autotask_tables_tickets,
    autotask_tables_webhooks,
)
from connectors.sandbox.autotask_fields import Entity
from connectors.sandbox.autotask_query import UDF_VALUES, Search

ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        *autotask_tables_people.ENTITIES,
        *autotask_tables_tickets.ENTITIES,
        *autotask_tables_items.ENTITIES,
        *autotask_tables_webhooks.ENTITIES,
        *autotask_tables_people.STAFF,
        *autotask_tables_contracts.ENTITIES,
    )
}
BY_LOWER: dict[str, Entity] = {name.lower(): entity for name, entity in ENTITIES.items()}
BY_SINGULAR: dict[str, Entity] = {entity.singular: entity for entity in ENTITIES.values()}
#: Child route segment by (parent entity, lower-case segment).
CHILDREN: dict[tuple[str, str], Entity] = {
    (entity.parent, entity.child.lower()): entity for entity in ENTITIES.values() if entity.parent
}
#: Made-up ids start where real tenants' ids tend to lie. Each entity has a million of its own, so that an id used with
#: the wrong entity finds nothing instead of a stranger.
_FIRST_ID, _PER_ENTITY = 30_000_000, 1_000_000


class Rows:
    """The rows of one entity by id, ascending. A row is a dict by field name; user-defined values by definition id."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self._rows: dict[int, dict[str, Any]] = {}
        self._ids: list[int] = []
        self._next = count(_FIRST_ID + _PER_ENTITY * list(ENTITIES).index(entity.name))
        self._index: dict[str, defaultdict[Any, set[int]]] = {name: defaultdict(set) for name in entity.indexed}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in list(self._ids):
            yield self._rows[number]

    def get(self, number: Any) -> dict[str, Any] | None:
        return self._rows.get(number)

    def insert(self, values: Mapping[str, Any], number: int | None = None) -> dict[str, Any]:
        """Add a row; every field of the entity is there afterwards. ``number`` fixes the id (seeding)."""
        row_id = number if number is not None else self._free_id()
        row: dict[str, Any] = dict.fromkeys(self.entity.fields)
        row.update(values)
        row["id"] = row_id
        if self.entity.udfs:
            row.setdefault(UDF_VALUES, {})
        self._rows[row_id] = row
        insort(self._ids, row_id)
        self._enter(row)
        return row

    def change(self, number: int, values: Mapping[str, Any]) -> None:
        """Overwrite some fields of a row."""
        row = self._rows[number]
        self._leave(row)
        row.update(values)
        self._enter(row)

    def remove(self, number: int) -> None:
        """Delete a row."""
        self._leave(self._rows.pop(number))
        self._ids.remove(number)

    def found(self, search: Search, after: int = -1) -> Iterator[dict[str, Any]]:
        """Rows that pass the search with an id above ``after``, ascending."""
        for number in self._candidates(search, after):
            row = self._rows[number]
            if search.test(row):
                yield row

    def where(self, **wanted: Any) -> list[dict[str, Any]]:
        """Rows whose fields have exactly these values, ascending."""
        numbers: Any = self._ids
        for name, value in wanted.items():
            if name in self._index:
                numbers = sorted(self._index[name].get(_key(value), ()))
                break
        rows = (self._rows[number] for number in numbers)
        return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    def _candidates(self, search: Search, after: int) -> list[int]:
        start = max(after, search.above_id)
        for name, value in search.equal.items():
            if name == "id":
                return [value] if value in self._rows and value > start else []
            if name in self._index:
                return sorted(number for number in self._index[name].get(_key(value), ()) if number > start)
        return self._ids[bisect_right(self._ids, start) :] if start >= 0 else list(self._ids)

    def _free_id(self) -> int:
        return next(number for number in self._next if number not in self._rows)

    def _enter(self, row: Mapping[str, Any]) -> None:
        for name, index in self._index.items():
            if row.get(name) is not None:
                index[_key(row[name])].add(row["id"])

    def _leave(self, row: Mapping[str, Any]) -> None:
        for name, index in self._index.items():
            if row.get(name) is not None:
                index[_key(row[name])].discard(row["id"])


def _key(value: Any) -> Any:
    """Indexes ignore case; whoever reads them tests the row again."""
    return value.casefold() if isinstance(value, str) else value
