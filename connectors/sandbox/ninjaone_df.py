"""The device filter language ``df``: clauses ``key operator value`` joined by AND (reference section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.sandbox.ninjaone_catalogue import Row

Predicate = Callable[[Row], bool]
#: Which device ids a saved search (group) holds; ``None`` for an unknown group.
GroupLookup = Callable[[int], Collection[int] | None]


class BadFilter(ValueError):
    """A filter that the API refuses; the message says which part."""


_JOIN = re.compile(r"\s+(?:AND|and)\s+|\s*&&\s*")
_CLAUSE = re.compile(
    r"(?P<key>[A-Za-z]+)\s*(?P<op>!=|<>|=|<|>|!\s*in\b|\b(?:eq|neq|in|nin|notin|before|after)\b)\s*(?P<value>.+)",
    re.IGNORECASE | re.DOTALL,
)
_GROUP = re.compile(r"group\s+(?P<id>[0-9]+)", re.IGNORECASE)
_LIST = re.compile(r"\((?P<items>[^()]*)\)")

_INTEGER_KEYS: Mapping[str, str] = {
    "org": "organizationId",
    "organization": "organizationId",
    "loc": "locationId",
    "location": "locationId",
    "role": "nodeRoleId",
    "id": "id",
}
_OPERATORS = {"=": "eq", "eq": "eq", "!=": "neq", "neq": "neq", "<>": "neq", "in": "in", "nin": "nin", "notin": "nin", "!in": "nin", "<": "before", "before": "before", ">": "after", "after": "after"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """A compiled filter. Without a ``status`` clause only APPROVED devices match."""

    predicates: tuple[Predicate, ...]

    def matches(self, row: Row) -> bool:
        """Whether a device row fits all clauses."""
        return all(predicate(row) for predicate in self.predicates)


def compile_filter(text: str | None, groups: GroupLookup) -> DeviceFilter:
    """Compile the value of ``df`` (``None`` or blank: only the default status). Raises ``BadFilter``."""
    predicates: list[Predicate] = []
    status_given = False
    for clause in _JOIN.split(text.strip()) if text and text.strip() else []:
        predicate, is_status = _clause(clause.strip(), groups)
        predicates.append(predicate)
        status_given = status_given or is_status
    if not status_given:
        predicates.append(lambda row: row.get("approvalStatus") == "APPROVED")
    return DeviceFilter(tuple(predicates))


def _clause(clause: str, groups: GroupLookup) -> tuple[Predicate, bool]:
    if clause.lower() in ("online", "offline"):
        wanted = clause.lower() == "offline"
        return (lambda row: bool(row.get("offline")) is wanted), False
    group = _GROUP.fullmatch(clause)
    if group is not None:
        members = groups(int(group["id"]))
        if members is None:
            raise BadFilter(f"group {group['id']} does not exist")
        return (lambda row: row["id"] in members), False
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise BadFilter(f"cannot parse '{clause}'")
    key, value = match["key"].lower(), match["value"].strip()
    operator = _OPERATORS[re.sub(r"\s", "", match["op"]).lower()]
    if key in _INTEGER_KEYS:
        return _membership(_INTEGER_KEYS[key], operator, [_integer(item) for item in _items(value, operator)]), False
    if key == "class":
        return _membership("nodeClass", operator, [item.upper() for item in _items(value, operator)]), False
    if key == "status":
        return _status(operator, value), True
    if key == "created":
        return _created(operator, value), False
    raise BadFilter(f"unknown key '{match['key']}'")


def _items(value: str, operator: str) -> list[str]:
    listed = _LIST.fullmatch(value)
    if operator in ("in", "nin"):
        if listed is None:
            raise BadFilter(f"'{value}' is not a list in parentheses")
        items = [item.strip() for item in listed["items"].split(",")]
    else:
        items = [value]
    if not all(re.fullmatch(r"[A-Za-z0-9_]+", item) for item in items):
        raise BadFilter(f"cannot parse value '{value}'")
    return items


def _integer(item: str) -> int:
    if not item.isdigit():
        raise BadFilter(f"'{item}' is not a number")
    return int(item)


def _membership(field: str, operator: str, items: Collection[str | int]) -> Predicate:
    if operator not in ("eq", "neq", "in", "nin"):
        raise BadFilter(f"operator '{operator}' does not apply here")
    wanted = frozenset(items)
    if operator in ("eq", "in"):
        return lambda row: row.get(field) in wanted
    return lambda row: row.get(field) not in wanted


def _status(operator: str, value: str) -> Predicate:
    if operator not in ("eq", "neq") or value.upper() not in ("PENDING", "APPROVED"):
        raise BadFilter("status takes = or != with PENDING or APPROVED")
    return _membership("approvalStatus", operator, [value.upper()])


def _created(operator: str, value: str) -> Predicate:
    if operator not in ("eq", "before", "after"):
        raise BadFilter("created takes =, before or after")
    start = parse_date(value)
    if start is None:
        raise BadFilter(f"'{value}' is not a date (yyyyMMdd, yyyy-MM-dd or ISO date-time)")
    if operator == "before":
        return lambda row: row["created"] < start
    if operator == "after":
        return lambda row: row["created"] > start
    end = start + timedelta(days=1).total_seconds()
    return lambda row: start <= row["created"] < end


def parse_date(value: str) -> float | None:
    """Epoch seconds of ``yyyyMMdd``, ``yyyy-MM-dd`` or an ISO date-time (UTC unless it says otherwise)."""
    text = value.strip().strip("'\"")
    if re.fullmatch(r"[0-9]{8}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
