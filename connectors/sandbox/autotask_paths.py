"""Which endpoint a path means. Case does not matter; ids are numbers. Doubled slashes are the caller's affair."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sandbox.autotask_fields import Entity
from connectors.sandbox.autotask_store import BY_LOWER, CHILDREN

DEEP_LINK = "/autotask/autotaskextend/executecommand.aspx"
_BASE = "atservicesrest"
_SINGLE = {
    "zoneinformation": "ZoneInformation",
    "version": "Version",
    "thresholdinformation": "ThresholdInformation",
}
#: Answered without credentials and not counted.
OPEN = frozenset({"ZoneInformation", "VersionInformation", "ExecuteCommand"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``action``: collection, item, query, count, next, information, fields, udfs, single, or none (unknown path).

    ``methods`` are those the route supports; another one is a 405.
    """

    action: str
    name: str = ""
    methods: tuple[str, ...] = ()
    entity: Entity | None = None
    item_id: int | None = None
    parent_id: int | None = None


_UNKNOWN = Target(action="none")
_QUERIES = {"query": "query", "query/count": "count", "query/next": "next"}
_METADATA = {
    "entityinformation": "information",
    "entityinformation/fields": "fields",
    "entityinformation/userdefinedfields": "udfs",
}


def resolve(path: str) -> Target:
    """The endpoint of a path."""
    lowered = path.lower()
    if lowered == DEEP_LINK:
        return Target(action="single", name="ExecuteCommand", methods=("GET",))
    parts = lowered.removeprefix("/").removesuffix("/").split("/")
    if parts[0] != _BASE:
        return _UNKNOWN
    if parts[1:] == ["versioninformation"]:
        return Target(action="single", name="VersionInformation", methods=("GET",))
    if len(parts) < 3 or parts[1] != "v1.0":
        return _UNKNOWN
    rest = parts[2:]
    if len(rest) == 1 and rest[0] in _SINGLE:
        return Target(action="single", name=_SINGLE[rest[0]], methods=("GET",))
    entity = BY_LOWER.get(rest[0])
    return _within(entity, rest[1:]) if entity is not None else _UNKNOWN


def _within(entity: Entity, rest: list[str]) -> Target:
    tail = "/".join(rest)
    if tail in _QUERIES:
        return Target(action=_QUERIES[tail], name=entity.name, entity=entity, methods=("GET", "POST"))
    if tail in _METADATA:
        return Target(action=_METADATA[tail], name=entity.name, entity=entity, methods=("GET",))
    if not rest:
        # Where writes belong under a parent, the plain path does not exist (a create of TicketNotes is a 404).
        methods = () if entity.parent else _writes(entity)
        return Target(action="collection", name=entity.name, entity=entity, methods=methods) if methods else _UNKNOWN
    number = _id(rest[0])
    if number is None:
        return _UNKNOWN
    if len(rest) == 1:
        deletes = entity.delete and not entity.parent
        methods = ("GET", "DELETE") if deletes else ("GET",)
        return Target(action="item", name=entity.name, entity=entity, item_id=number, methods=methods)
    return _child(entity, number, rest[1:])


def _child(parent: Entity, number: int, rest: list[str]) -> Target:
    entity = CHILDREN.get((parent.name, rest[0]))
    if entity is None or len(rest) > 2:
        return _UNKNOWN
    if len(rest) == 1:
        return Target(
            action="collection",
            name=entity.name,
            entity=entity,
            parent_id=number,
            methods=("GET", *_writes(entity)),
        )
    item = _id(rest[1])
    if item is None:
        return _UNKNOWN
    methods = ("GET", "DELETE") if entity.delete else ("GET",)
    return Target(action="item", name=entity.name, entity=entity, item_id=item, parent_id=number, methods=methods)


def _id(text: str) -> int | None:
    """An id of at most 18 digits (int64), ``None`` for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _writes(entity: Entity) -> tuple[str, ...]:
    return (("POST",) if entity.create else ()) + (("PATCH", "PUT") if entity.update else ())
