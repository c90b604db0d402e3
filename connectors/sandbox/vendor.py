"""The contract between the kernel and one simulated vendor, and the call as a vendor's handler sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson
from starlette.routing import Route as ControlRoute

from connectors.sandbox.answers import Answer
from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import Faults
from connectors.sandbox.journal import Journal
from connectors.sandbox.settings import Settings


class BadJson(ValueError):
    """The body of a call is not JSON."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One vendor call. ``path`` is decoded and without query; ``headers`` have lower-case names.

    The kernel sets ``inflight`` (calls of this entity under way, itself included) and ``stale`` (the fault
    stale_status: do everything but leave the status as it was) and ``page_fault`` (one of ``LATER_PAGE_KINDS``).
    ``refuse`` sets ``actor`` and ``auth``.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    t: float
    params: Mapping[str, str] = field(default_factory=dict)
    entity: str = ""
    item_id: str | int | None = None
    inflight: int = 1
    stale: bool = False
    page_fault: str = ""
    auth: str = "ok"
    actor: str = ""

    def query(self, name: str) -> str | None:
        """The last value of a query parameter, ``None`` when absent."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True)).get(name)

    def queries(self) -> dict[str, str]:
        """All query parameters, the last value of each."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def json(self) -> Any:
        """The decoded body (``None`` when empty). Raises ``BadJson``."""
        if not self.body:
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise BadJson(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call that is turned away before its handler: ``auth`` names the refusal, ``why`` says it in one line."""

    answer: Answer
    auth: str
    why: str


class Vendor(Protocol):
    """One simulated vendor. Everything runs in one event loop; handlers are synchronous, so each is atomic."""

    name: str
    base_url: str
    clock: Clock
    settings: Settings
    faults: Faults
    journal: Journal

    def identify(self, call: Call) -> None:
        """Set ``entity``, ``item_id`` and ``params`` from the path. Must not raise."""
        ...

    def status_code(self, call: Call) -> str | int | None:
        """The business status in play, for ``match.statusCode``. Must not raise."""
        ...

    def delay(self, call: Call) -> float:
        """Real seconds the vendor itself makes this call wait (latency tiers), besides ``latency_ms``."""
        ...

    def refuse(self, call: Call) -> Refusal | None:
        """Authentication and limits. Called just before the handler."""
        ...

    def handle(self, call: Call) -> Answer:
        """Do it and answer. An exception is a bug of the sandbox: it is logged and answered as 500."""
        ...

    def error(self, status: int, retry_after: float | None = None) -> Answer:
        """The body this vendor gives an error of that status (faults status and throttle)."""
        ...

    def settings_changed(self, names: Sequence[str]) -> None:
        """Some switches got new values."""
        ...

    def state(self) -> dict[str, Any]:
        """All rows as the API shows them, without ``history``, secrets masked."""
        ...

    def control_routes(self) -> Sequence[ControlRoute]:
        """The vendor's own control calls, with full paths (``/_sandbox/...``)."""
        ...

    async def start(self) -> None:
        """Begin background work (webhook deliveries)."""
        ...

    async def stop(self) -> None:
        """End it; nothing may keep running."""
        ...
