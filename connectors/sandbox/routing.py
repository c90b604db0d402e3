"""A small route table for vendor paths: pattern to handler, with the entity and item that the call log names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.sandbox.answers import Answer
from connectors.sandbox.vendor import Call

#: A number that Python and every client can hold.
_WHOLE = re.compile(r"[0-9]{1,18}")

Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path. ``item`` names the path parameter that is the item's id."""

    method: str
    pattern: re.Pattern[str]
    entity: str
    handler: Handler
    item: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to; ``route`` is ``None`` when the path is known but not with this method."""

    route: Route | None
    entity: str
    params: dict[str, str]
    item_id: str | int | None


class Routes:
    """Routes in the order of their declaration; the first that fits wins."""

    def __init__(self, *, ignore_case: bool = False) -> None:
        self._routes: list[Route] = []
        self._flags = re.IGNORECASE if ignore_case else 0

    def add(self, method: str, path: str, entity: str, handler: Handler, *, item: str = "id") -> None:
        """Declare a route. ``{name}`` takes one segment, ``{name:int}`` digits only, ``{name:path}`` the rest."""
        self._routes.append(Route(method, self._compiled(path), entity, handler, item))

    def find(self, method: str, path: str) -> Found | None:
        """The route of a call; ``None`` for a path that no method has."""
        known: Found | None = None
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            params = match.groupdict()
            item = params.get(route.item)
            item_id: str | int | None = int(item) if item is not None and _WHOLE.fullmatch(item) else item
            if route.method == method:
                return Found(route, route.entity, params, item_id)
            known = known or Found(None, route.entity, params, item_id)
        return known

    def _compiled(self, path: str) -> re.Pattern[str]:
        expression = ""
        for part in re.split(r"(\{[^}]+\})", path):
            if not part.startswith("{"):
                expression += re.escape(part)
                continue
            name, _, kind = part[1:-1].partition(":")
            expression += f"(?P<{name}>{ {'int': '[0-9]{1,18}', 'path': '.+'}.get(kind, '[^/]+') })"
        return re.compile(expression, self._flags)
