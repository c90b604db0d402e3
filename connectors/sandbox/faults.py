"""Faults that a control call plans for later calls or webhook deliveries (design section 10, Sandbox)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.answers import ControlError

CALL_KINDS = frozenset(
    {
        "drop_before_commit",
        "drop_after_commit",
        "delay",
        "delay_after_commit",
        "status",
        "throttle",
        "html",
        "truncated",
        "stale_status",
    }
)
#: Faults of paging, for vendors that page by a place in the list (``Faults(also=...)``). They strike calls for a later
#: page only: the token ends in mid-list, the page before comes again, the page begins half a page too early.
LATER_PAGE_KINDS = frozenset({"expired_token", "repeat_page", "cursor_back"})
WEBHOOK_KINDS = frozenset({"webhook_lost", "webhook_double", "webhook_hold", "webhook_delay"})
_MATCH_KEYS = frozenset({"method", "path", "entity", "statusCode"})
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_KEYS = frozenset({"kind", "match", "count", "skip", "params"})
#: The parameters each kind knows; those of ``_REQUIRED`` must be given.
_PARAMS: Mapping[str, frozenset[str]] = {
    "delay": frozenset({"seconds"}),
    "delay_after_commit": frozenset({"seconds"}),
    "webhook_delay": frozenset({"seconds"}),
    "status": frozenset({"code", "body", "after_commit", "headers"}),
    "throttle": frozenset({"retry_after"}),
    "html": frozenset({"code"}),
}
_REQUIRED: Mapping[str, str] = {
    "delay": "seconds",
    "delay_after_commit": "seconds",
    "webhook_delay": "seconds",
    "status": "code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a fault can match: a vendor call, or a webhook delivery (``path`` is then the receiver's path).

    ``status_code`` is the business status in play: the ticket status in a body, or an activity's statusCode.
    ``later_page``: the call continues a list.
    """

    method: str
    path: str
    entity: str
    status_code: str | int | None = None
    later_page: bool = False


@dataclass(slots=True, kw_only=True)
class Fault:
    """A planned fault. ``count`` -1 lasts until DELETE; the first ``skip`` matches pass unharmed."""

    id: str
    kind: str
    match: dict[str, Any]
    count: int
    skip: int
    params: dict[str, Any]
    pattern: re.Pattern[str] | None
    seen: int = 0
    hits: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def strikes(self, occasion: Occasion) -> bool:
        """Whether this fault hits; counts the match either way."""
        if self.hits == self.count or not self._matches(occasion):
            return False
        self.seen += 1
        if self.seen <= self.skip:
            return False
        self.hits += 1
        return True

    def _matches(self, occasion: Occasion) -> bool:
        if self.kind in LATER_PAGE_KINDS and not occasion.later_page:
            return False
        method, entity, status = self.match.get("method"), self.match.get("entity"), self.match.get("statusCode")
        if method is not None and str(method).upper() != occasion.method.upper():
            return False
        if entity is not None and str(entity).lower() != occasion.entity.lower():
            return False
        if status is not None and str(status) != str(occasion.status_code):
            return False
        return self.pattern is None or self.pattern.search(occasion.path) is not None

    def shown(self) -> dict[str, Any]:
        """The row of ``GET /_sandbox/faults``."""
        return {
            "id": self.id,
            "kind": self.kind,
            "match": self.match,
            "count": self.count,
            "skip": self.skip,
            "params": self.params,
            "hits": self.hits,
        }


class Faults:
    """The planned faults of one vendor. One call or delivery takes at most one: the oldest that matches."""

    def __init__(self, *, also: frozenset[str] = frozenset()) -> None:
        self._call_kinds = CALL_KINDS | also
        self._faults: dict[str, Fault] = {}
        self._made = 0

    def add(self, body: Mapping[str, Any]) -> Fault:
        """Plan a fault. Raises ``ControlError`` with one line for anything not understood."""
        unknown = set(body) - _KEYS
        if unknown:
            raise ControlError(f"fault: unknown key '{sorted(unknown)[0]}'; known: {', '.join(sorted(_KEYS))}")
        kind = body.get("kind")
        known = self._call_kinds | WEBHOOK_KINDS
        if not isinstance(kind, str) or kind not in known:
            raise ControlError(f"fault: unknown kind '{kind}'; known: {', '.join(sorted(known))}")
        match, params = _mapping(body, "match"), _mapping(body, "params")
        _check_match(match)
        _check_params(kind, params)
        self._made += 1
        fault = Fault(
            id=f"f{self._made}",
            kind=kind,
            match=match,
            count=_whole(body, "count", default=1, minimum=-1),
            skip=_whole(body, "skip", default=0, minimum=0),
            params=params,
            pattern=_pattern(match),
        )
        self._faults[fault.id] = fault
        return fault

    def strike_call(self, occasion: Occasion) -> Fault | None:
        """The fault this vendor call takes, if any."""
        return self._strike(self._call_kinds, occasion)

    def strike_delivery(self, occasion: Occasion) -> Fault | None:
        """The fault this webhook delivery takes, if any."""
        return self._strike(WEBHOOK_KINDS, occasion)

    def _strike(self, kinds: frozenset[str], occasion: Occasion) -> Fault | None:
        for fault in self._faults.values():
            if fault.kind in kinds and fault.strikes(occasion):
                return fault
        return None

    def remove(self, fault_id: str | None = None) -> int:
        """Lift one fault, or all; deliveries it held are released. Raises ``ControlError`` (404) for an unknown id."""
        if fault_id is not None and fault_id not in self._faults:
            raise ControlError(f"there is no fault '{fault_id}'", 404)
        going = [fault_id] if fault_id is not None else list(self._faults)
        for name in going:
            self._faults.pop(name).released.set()
        return len(going)

    def shown(self) -> list[dict[str, Any]]:
        """All planned faults, spent ones too, oldest first."""
        return [fault.shown() for fault in self._faults.values()]


def _mapping(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ControlError(f"fault: '{key}' must be an object")
    return dict(value)


def _whole(body: Mapping[str, Any], key: str, *, default: int, minimum: int) -> int:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ControlError(f"fault: '{key}' must be a whole number >= {minimum}")
    return value


def _check_match(match: Mapping[str, Any]) -> None:
    """A condition that can never be met would make a fault that never strikes: refused, not ignored."""
    unknown = set(match) - _MATCH_KEYS
    if unknown:
        raise ControlError(f"fault: unknown match '{sorted(unknown)[0]}'; known: {', '.join(sorted(_MATCH_KEYS))}")
    method, status = match.get("method"), match.get("statusCode")
    if method is not None and str(method).upper() not in _METHODS:
        raise ControlError(f"fault: match.method '{method}' is none of {', '.join(_METHODS)}")
    for key in ("path", "entity"):
        if not isinstance(match.get(key), str | None):
            raise ControlError(f"fault: match.{key} must be a text")
    if isinstance(status, bool) or not isinstance(status, str | int | None):
        raise ControlError("fault: match.statusCode must be a text or a whole number")


def _pattern(match: Mapping[str, Any]) -> re.Pattern[str] | None:
    if match.get("path") is None:
        return None
    try:
        return re.compile(str(match["path"]), re.IGNORECASE)
    except re.error as error:
        raise ControlError(f"fault: match.path is not a regular expression: {error}") from None


def _check_params(kind: str, params: Mapping[str, Any]) -> None:
    known = _PARAMS.get(kind, frozenset())
    unknown = set(params) - known
    if unknown:
        raise ControlError(
            f"fault {kind}: unknown parameter '{sorted(unknown)[0]}'; known: {', '.join(sorted(known)) or 'none'}"
        )
    required = _REQUIRED.get(kind)
    if required is not None and required not in params:
        raise ControlError(f"fault {kind}: params.{required} is missing")
    for key in ("seconds", "retry_after"):
        value = params.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            raise ControlError(f"fault {kind}: params.{key} must be a number >= 0")
    code = params.get("code")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int) or not 200 <= code <= 599):
        raise ControlError(f"fault {kind}: params.code must be an HTTP status from 200 to 599")
    if not isinstance(params.get("after_commit"), bool | None):
        raise ControlError(f"fault {kind}: params.after_commit must be true or false")
    _check_headers(kind, params.get("headers"))


def _check_headers(kind: str, headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, dict) or not all(
        _HEADER_NAME.fullmatch(str(name)) and _HEADER_VALUE.fullmatch(str(value)) for name, value in headers.items()
    ):
        raise ControlError(f"fault {kind}: params.headers must be an object of header names and one-line values")
