"""What a field and an entity of the simulated Autotask tenant are, and the compact notation of the field tables.

One table per entity drives everything: metadata answers, query typing, write validation and webhook payloads.
Facts: ``reference`` notes on the vendor's REST help, Swagger 2.0 copy and field metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

STRING, INTEGER, LONG, DOUBLE, BOOLEAN, DATETIME = "string", "integer", "long", "double", "boolean", "datetime"
NUMBERS = frozenset({INTEGER, LONG, DOUBLE})
_KINDS = frozenset({STRING, INTEGER, LONG, DOUBLE, BOOLEAN, DATETIME})
_LINE = re.compile(r"(?P<name>\w+)\s+(?P<kind>[a-z]+)(?P<length>\d*)(?P<flags>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column. ``length`` is 0 for everything but strings; ``reference`` is the singular name of the other entity."""

    name: str
    kind: str
    length: int = 0
    required: bool = False
    read_only: bool = False
    queryable: bool = True
    create_only: bool = False
    webhook: bool = False
    reference: str = ""
    picklist: str = ""
    parent: str = ""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One endpoint: ``name`` as in the URL, ``singular`` in metadata, ``legacy`` in error texts and webhook payloads.

    ``parent``/``child`` name the route under which writes happen (``/Tickets/{id}/Notes``); ``parent_field`` is the
    column that holds the parent's id.
    """

    name: str
    singular: str
    fields: Mapping[str, Field]
    legacy: str = ""
    create: bool = False
    update: bool = False
    delete: bool = False
    query: bool = True
    udfs: bool = False
    webhooks: bool = False
    parent: str = ""
    child: str = ""
    parent_field: str = ""
    indexed: tuple[str, ...] = field(default=())

    @cached_property
    def by_lower(self) -> dict[str, Field]:
        """Fields by lower-case name: the API does not mind the case."""
        return {name.lower(): column for name, column in self.fields.items()}

    def find(self, name: str) -> Field | None:
        return self.by_lower.get(name.lower())

    @property
    def shown(self) -> str:
        """The name that error texts use: the legacy one where there is one."""
        return self.legacy or self.singular


def table(text: str) -> dict[str, Field]:
    """Read a field table: ``name kind[length] flags`` a line.

    Flags: ``R`` required, ``RO`` read-only, ``C`` set at create only, ``NQ`` not queryable, ``W`` supported by
    webhooks, ``->Entity`` reference, ``P:list`` picklist, ``<parent`` picklist parent. Raises ``ValueError`` naming the line.
    """
    fields: dict[str, Field] = {}
    for line in text.strip().splitlines():
        column = _column(line.strip())
        fields[column.name] = column
    return fields


def _column(line: str) -> Field:
    match = _LINE.fullmatch(line)
    if match is None or match["kind"] not in _KINDS:
        raise ValueError(f"field table: cannot read '{line}'")
    flags = match["flags"].split()
    return Field(
        name=match["name"],
        kind=match["kind"],
        length=int(match["length"] or 0),
        required="R" in flags,
        read_only="RO" in flags,
        queryable="NQ" not in flags,
        create_only="C" in flags,
        webhook="W" in flags,
        reference=_after("->", flags),
        picklist=_after("P:", flags),
        parent=_after("<", flags),
    )


def _after(prefix: str, flags: list[str]) -> str:
    return next((flag[len(prefix) :] for flag in flags if flag.startswith(prefix)), "")


class ApiError(Exception):
    """A refusal the way the vendor words it: status 500 with ``{"errors": [...]}`` unless told otherwise."""

    def __init__(self, *errors: str, status: int = 500, error_id: int | None = None) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)
        self.status = status
        self.error_id = error_id

    @property
    def body(self) -> dict[str, object]:
        answer: dict[str, object] = {"errors": self.errors}
        if self.error_id is not None:
            answer["errorId"] = self.error_id
        return answer
