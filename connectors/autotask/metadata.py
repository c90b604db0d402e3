"""What the tenant is made of (fields, picklists, products, categories), asked for seldom and kept for a while.

A name that is not found in a copy older than a few seconds is looked for once more in a fresh one, so that a repair in
Autotask counts at once while a thousand commands with the same wrong name do not cost a thousand reads.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.autotask.client import AutotaskClient
from connectors.autotask.names import Choice, NameRefused, choices_of_picklist, choices_of_rows, resolve
from schemas.autotask import FieldInfo, NamedRow, UserDefinedFieldInfo, member
from schemas.commands import Name

#: Picklists change when somebody changes the set-up of the tenant: a quarter of an hour is soon enough.
METADATA_MS = 15 * 60 * 1000
#: A miss in a copy younger than this is believed.
FRESH_MS = 5_000

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    at: int
    value: Any


class Metadata:
    """The cache. Every method raises ``CallFailed`` or ``CallsSuspended`` when it has to ask and cannot."""

    def __init__(self, client: AutotaskClient, *, keep_ms: int = METADATA_MS) -> None:
        self._client = client
        self._keep_ms = keep_ms
        self._kept: dict[str, _Kept] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fields(self, entity: str, *, max_age_ms: int | None = None) -> dict[str, FieldInfo]:
        """The fields of an entity by lower-case name."""

        async def ask() -> dict[str, FieldInfo]:
            document = await self._client.read(f"{entity}/entityInformation/fields", endpoint=entity)
            listed = self._client.rows(FieldInfo, _fields(document), endpoint=entity)
            return {info.name.lower(): info for info in listed}

        return await self._cached(f"fields {entity}", ask, max_age_ms)

    async def user_defined(self, entity: str, *, max_age_ms: int | None = None) -> dict[str, UserDefinedFieldInfo]:
        """The user-defined fields of an entity by lower-case name."""

        async def ask() -> dict[str, UserDefinedFieldInfo]:
            document = await self._client.read(f"{entity}/entityInformation/userDefinedFields", endpoint=entity)
            listed = self._client.rows(UserDefinedFieldInfo, _fields(document), endpoint=entity)
            return {info.name.lower(): info for info in listed}

        return await self._cached(f"udfs {entity}", ask, max_age_ms)

    async def picklist(self, entity: str, field: str, *, max_age_ms: int | None = None) -> tuple[Choice, ...]:
        """The entries of a picklist field, empty when the entity has no such field."""
        info = (await self.fields(entity, max_age_ms=max_age_ms)).get(field.lower())
        return choices_of_picklist(info.picklist_values) if info is not None else ()

    async def listed(self, entity: str, *, max_age_ms: int | None = None) -> tuple[Choice, ...]:
        """The rows of a small entity that names stand for: ``Products``, ``ConfigurationItemCategories``."""

        async def ask() -> tuple[Choice, ...]:
            rows = await self._client.query(entity, (), ("name", "isActive"))
            return choices_of_rows(self._client.rows(NamedRow, rows, endpoint=entity))

        return await self._cached(f"rows {entity}", ask, max_age_ms)

    async def picked(self, name: Name, *, entity: str, field: str, what: str) -> int:
        """The id of a picklist entry. Raises ``NameRefused`` too."""
        return await self._resolved(name, what, lambda age: self.picklist(entity, field, max_age_ms=age))

    async def row_named(self, name: Name, *, entity: str, what: str) -> int:
        """The id of a product or category. Raises ``NameRefused`` too."""
        return await self._resolved(name, what, lambda age: self.listed(entity, max_age_ms=age))

    def forget(self, entity: str) -> None:
        """Ask again next time: the vendor refused an id that we took from here."""
        for key in [key for key in self._kept if key.split(" ")[1] == entity]:
            if self._client.now() - self._kept[key].at > FRESH_MS:
                del self._kept[key]

    async def _resolved(
        self, name: Name, what: str, choices: Callable[[int | None], Awaitable[Sequence[Choice]]]
    ) -> int:
        try:
            return resolve(name, await choices(None), what=what)
        except NameRefused:
            return resolve(name, await choices(FRESH_MS), what=what)

    async def _cached(self, key: str, ask: Callable[[], Awaitable[T]], max_age_ms: int | None) -> T:
        limit = self._keep_ms if max_age_ms is None else max_age_ms
        # One asks, the others wait for its answer: a burst of commands must not become a burst of metadata calls.
        async with self._locks[key]:
            kept = self._kept.get(key)
            if kept is None or not 0 <= self._client.now() - kept.at <= limit:
                kept = self._kept[key] = _Kept(self._client.now(), await ask())
            value: T = kept.value
            return value


def _fields(document: Any) -> list[Any]:
    listed = member(document, "fields")
    return listed if isinstance(listed, list) else []
