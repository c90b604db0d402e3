"""Query parameters and paging of the NinjaOne sandbox (reference section 3.1)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_df import BadFilter, DeviceFilter, compile_filter
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_fleet import Fleet
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import BadJson, Call

T = TypeVar("T")


def int_param(call: Call, name: str, *, minimum: int = 0, maximum: int | None = None) -> int | None:
    """A whole number in the query string, ``None`` when absent. Raises ``ApiError`` (400)."""
    text = call.query(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ApiError(400, f"{name} must be a whole number")
    value = int(text)
    if value < minimum or (maximum is not None and value > maximum):
        raise ApiError(400, f"{name} must be between {minimum} and {maximum}" if maximum else f"{name} is too small")
    return value


def entity_page(call: Call, rows: Mapping[int, T], settings: Settings) -> Sequence[tuple[int, T]]:
    """One page by ``pageSize`` and ``after`` (the id of the last row seen), ascending by id."""
    asked = int_param(call, "pageSize", minimum=1)
    size = min(asked or settings["default_page_size"], settings["max_page_size"])
    after = int_param(call, "after") or 0
    numbers = sorted(rows)
    begins = max(bisect_right(numbers, after) - rows_back(call, size), 0)
    return [(number, rows[number]) for number in numbers[begins : begins + size]]


def rows_back(call: Call, size: int) -> int:
    """By how many rows a fault of paging puts the beginning of this page of ``size`` back."""
    return {"repeat_page": size, "cursor_back": (size + 1) // 2}.get(call.page_fault, 0)


def device_filter(call: Call, fleet: Fleet) -> DeviceFilter:
    """The compiled ``df``. Raises ``ApiError`` (400) when it is malformed."""
    return filter_of(call.query("df"), fleet)


def filter_of(text: str | None, fleet: Fleet) -> DeviceFilter:
    """A compiled filter text, with the tenant's groups. Raises ``ApiError`` (400)."""

    def members(group_id: int) -> Iterable[int] | None:
        return group_members(group_id, fleet)

    try:
        return compile_filter(text, lambda group_id: _as_set(members(group_id)))
    except BadFilter as error:
        raise ApiError(400, f"Invalid device filter: {error}") from None


def group_members(group_id: int, fleet: Fleet) -> list[int] | None:
    """Device ids of a saved search; ``None`` for an unknown one."""
    group = fleet.groups.get(group_id)
    if group is None:
        return None
    compiled = compile_filter(group["df"], lambda other: None)
    return [device.id for device in fleet.devices.values() if compiled.matches(device.row)]


def json_object(call: Call) -> Row:
    """The body, which must be a JSON object. Raises ``ApiError`` (400)."""
    try:
        body = call.json()
    except BadJson:
        raise ApiError(400, "the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object")
    return body


def _as_set(ids: Iterable[int] | None) -> frozenset[int] | None:
    return None if ids is None else frozenset(ids)
