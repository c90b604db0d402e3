"""Calls to Autotask: zone, headers, query by id-walk, read, create, update. Every call passes the gate.

Rows come back as dicts; what they mean is in ``schemas.autotask`` and in the modules beside this one. Source of all
shapes: the vendor's Swagger 2.0 and REST help (``entityInformation``, ``query``, ``PATCH`` with the id in the body).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from connectors.autotask.zone import ZoneRefused, api_base, web_base
from connectors.errors import CallFailed, Kind, Situation
from connectors.ports import CallsSuspended, Gate, Now
from connectors.redaction import Redactor
from connectors.transport import (
    Answer,
    FixedHeaders,
    Jitter,
    Limits,
    Request,
    Retries,
    Sleep,
    Timeouts,
    Transport,
)
from connectors.turns import Turns
from schemas.autotask import Wire, Zone, member

#: The largest page that the vendor gives.
PAGE = 500
#: Clients on record keep the zone for 12 to 24 hours.
ZONE_MS = 12 * 3600 * 1000

Row = Mapping[str, Any]
Filter = Mapping[str, Any]
W = TypeVar("W", bound=Wire)


class AccessError(ValueError):
    """Credentials that cannot even be sent; one line says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where to ask for the zone, and the API user. ``in_flight``: calls side by side per entity (executors 2, others 1).

    ``reads_only``: shadow mode, no request goes out that could change something.
    """

    discovery_url: str
    username: str
    secret: str = field(repr=False)
    integration_code: str = field(repr=False)
    in_flight: int = 1
    reads_only: bool = False

    def __post_init__(self) -> None:
        for name in ("username", "secret", "integration_code"):
            value = getattr(self, name)
            # They travel as HTTP headers; the value itself must not appear in the message.
            if not value or not value.isascii() or not value.isprintable() or value != value.strip():
                raise AccessError(
                    f"autotask.{name} is empty or has characters that cannot be sent (a line break, a space at an end,"
                    " or other than ASCII); copy it again from the API user in Autotask"
                )


@dataclass(slots=True)
class Tally:
    """How many HTTP calls were made inside a ``counted`` block."""

    calls: int = 0


_TALLY: ContextVar[Tally | None] = ContextVar("autotask_calls", default=None)


@contextmanager
def counted() -> Iterator[Tally]:
    """Count the calls made by this task, and by tasks that it starts, inside the block."""
    tally = Tally()
    token = _TALLY.set(tally)
    try:
        yield tally
    finally:
        _TALLY.reset(token)


def eq(field: str, value: Any, *, udf: bool = False) -> Filter:
    """A condition ``field = value``; ``udf`` for a user-defined field (one of them per query)."""
    return condition("eq", field, value, udf=udf)


def condition(op: str, field: str, value: Any, *, udf: bool = False) -> Filter:
    """A condition. The vendor ignores an operator that it does not know, so only known ones are let through."""
    if op not in _OPERATORS:
        raise ValueError(f"'{op}' is no operator of Autotask's query language")
    return {"op": op, "field": field, "value": value, **({"udf": True} if udf else {})}


def any_of(*conditions: Filter) -> Filter:
    """At least one of the conditions."""
    return conditions[0] if len(conditions) == 1 else {"op": "or", "items": list(conditions)}


_OPERATORS = frozenset(
    "eq noteq gt gte lt lte beginsWith endsWith contains exist notExist in notIn".split()  # noqa: SIM905
)


class AutotaskClient:
    """All calls of one process to one tenant. Use as an async context manager, or ``aclose`` it.

    Every method raises ``CallFailed`` (what it means is in its ``kind``) or ``CallsSuspended`` (no call was made).
    """

    def __init__(
        self,
        access: Access,
        *,
        gate: Gate,
        now: Now,
        sleep: Sleep,
        jitter: Jitter,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.access = access
        self.gate = gate
        self.now = now
        self._sleep = sleep
        self._jitter = jitter
        self._timeouts = timeouts
        self._retries = retries
        self._turns = turns
        self._redactor = Redactor((access.secret, access.integration_code))
        self._discovery = self._transport(access.discovery_url, credentials=None)
        self._transports: dict[str, Transport] = {}
        self._zone: Zone | None = None
        self._zone_at = 0
        self._zone_lock = asyncio.Lock()
        #: Why no call may go out for the sake of the hour's budget (``connectors.autotask.budget``), ``None`` while calls may.
        self.forbids: Callable[[], str | None] = lambda: None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in (self._discovery, *self._transports.values()):
            await transport.aclose()

    @property
    def calls(self) -> int:
        """HTTP calls made since the start."""
        return self._discovery.calls + sum(transport.calls for transport in self._transports.values())

    async def zone(self) -> Zone:
        """Where this user's data lives; asked once in twelve hours. An unknown user counts as refused credentials."""
        async with self._zone_lock:
            if self._zone is None:
                self._zone, self._zone_at = await self._discovered(), self.now()
            elif self.now() - self._zone_at > ZONE_MS:
                self._zone, self._zone_at = await self._asked_again(self._zone), self.now()
            return self._zone

    async def _asked_again(self, known: Zone) -> Zone:
        """A discovery that is in trouble stops nobody who knows the way: tenants hardly ever move."""
        try:
            return await self._discovered()
        except CallFailed as failure:
            if failure.kind is Kind.CREDENTIALS:
                raise
            return known

    async def web(self) -> str:
        """The base of links for people, empty where the zone names none."""
        return web_base(await self.zone())

    async def query(self, entity: str, filters: Sequence[Filter], fields: Sequence[str] = ()) -> list[Row]:
        """All rows that meet all filters, in the order of their ids; 500 a call."""
        return [row async for page in self.pages(entity, filters, fields) for row in page]

    async def pages(
        self, entity: str, filters: Sequence[Filter], fields: Sequence[str] = (), *, walks: bool = True
    ) -> AsyncGenerator[list[Row]]:
        """The same page by page. Walks by id: stateless, and free of the vendor's ``nextPageUrl`` for POSTed queries.

        A row that changes or appears meanwhile is seen at most once; one behind the walk is missed, hence overlaps.
        ``walks=False``: the first page alone, for an entity that takes no condition on its id.
        """
        # Starts at 0 inclusive: 0 is the id of the tenant's own company.
        above = condition("gte", "id", 0)
        last = -1
        while True:
            body: dict[str, Any] = {"maxRecords": PAGE, "filter": [*filters, above] if walks else [*filters]}
            if fields:
                body["includeFields"] = ["id", *(name for name in fields if name != "id")]
            request = Request(method="POST", path=f"{entity}/query", endpoint=entity, json=body)
            items, more = self._page(await self.call(request), request, last)
            if items:
                yield items
                last = _row_id(items[-1])
                above = condition("gt", "id", last)
            # A short page ends the walk, unless the vendor itself says that there is more.
            if not (walks and items) or (len(items) < PAGE and not more):
                return

    async def get(self, entity: str, item_id: int) -> Row | None:
        """One row by its id, ``None`` when there is none (404 or ``item: null``; both have been seen)."""
        request = Request(method="GET", path=f"{entity}/{item_id}", endpoint=entity)
        try:
            answer = await self.call(request)
        except CallFailed as failure:
            if failure.situation is Situation.NOT_FOUND:
                return None
            raise
        document = answer.data
        item = member(document, "item")
        known = isinstance(document, dict) and any(str(name).lower() == "item" for name in document)
        if not known or not isinstance(item, dict | None):
            raise self._unusable(request, "the answer has no item")
        return item

    async def create(self, entity: str, body: Row, *, endpoint: str | None = None) -> int:
        """Create a row and return its id. ``entity`` may be a child route (``Tickets/5/Notes``) with its ``endpoint``."""
        return await self._write("POST", entity, body, endpoint or entity)

    async def patch(self, entity: str, body: Row, *, endpoint: str | None = None) -> int:
        """Change the given fields of the row whose ``id`` is in the body."""
        return await self._write("PATCH", entity, body, endpoint or entity)

    async def delete(self, path: str, *, endpoint: str) -> None:
        """Delete a row, where the vendor allows it (children of webhooks)."""
        await self.call(Request(method="DELETE", path=path, endpoint=endpoint, write=True))

    async def read(self, path: str, *, endpoint: str) -> Any:
        """A plain GET: metadata, ``Version``, ``ThresholdInformation``, child lists."""
        return (await self.call(Request(method="GET", path=path, endpoint=endpoint))).data

    async def threshold(self) -> Any:
        """``ThresholdInformation``: the one call that goes out beyond the line too, to learn when the hour has rolled on."""
        request = Request(method="GET", path="ThresholdInformation", endpoint="ThresholdInformation")
        return (await self._counted(await self._zone_transport(), request)).data

    async def call(self, request: Request) -> Answer:
        """Any call, with the zone's address and the three headers. Beyond the hour's line: ``CallsSuspended``."""
        forbidden = self.forbids()
        if forbidden is not None:
            raise CallsSuspended(forbidden)
        transport = await self._zone_transport()
        try:
            return await self._counted(transport, request)
        except CallFailed as failure:
            if failure.kind is Kind.CREDENTIALS or failure.situation is Situation.REDIRECTED:
                # A tenant that moved to another zone is refused at the old one, or sent on: then it is asked for anew.
                self._zone = None
            raise

    def rows(self, model: type[W], rows: Sequence[Any], *, endpoint: str) -> list[W]:
        """Rows as models. Raises ``CallFailed`` (a broken answer) naming the first that does not fit."""
        try:
            return [model.model_validate(row) for row in rows]
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the row"
            request = Request(method="POST", path=f"{endpoint}/query", endpoint=endpoint)
            raise self._unusable(
                request, f"a row of {endpoint} cannot be understood: {where}: {first['msg']}"
            ) from None

    def one_line(self, text: str) -> str:
        """A text without secrets, as one line."""
        return self._redactor.line(text)

    async def _discovered(self) -> Zone:
        request = Request(
            method="GET",
            path="v1.0/zoneInformation",
            endpoint="ZoneInformation",
            params=(("user", self.access.username),),
            authenticated=False,
        )
        answer = await self._counted(self._discovery, request)
        try:
            zone = Zone.model_validate(answer.data)
            api_base(self.access.discovery_url, zone)
        except ValidationError:
            raise self._discovery.unusable(request, "the answer is not zone information; check discovery_url") from None
        except ZoneRefused as refused:
            raise self._discovery.unusable(request, str(refused)) from None
        return zone

    async def _zone_transport(self) -> Transport:
        base = api_base(self.access.discovery_url, await self.zone())
        if base not in self._transports:
            headers = {
                "UserName": self.access.username,
                "Secret": self.access.secret,
                "ApiIntegrationCode": self.access.integration_code,
            }
            self._transports[base] = self._transport(base, credentials=FixedHeaders(headers))
        return self._transports[base]

    def _transport(self, base_url: str, *, credentials: FixedHeaders | None) -> Transport:
        return Transport(
            base_url=base_url,
            gate=self.gate,
            redactor=self._redactor,
            sleep=self._sleep,
            jitter=self._jitter,
            credentials=credentials,
            limits=Limits(in_flight=self.access.in_flight),
            timeouts=self._timeouts,
            retries=self._retries,
            turns=self._turns,
            reads_only=self.access.reads_only,
        )

    async def _counted(self, transport: Transport, request: Request) -> Answer:
        tally = _TALLY.get()
        try:
            answer = await transport.call(request)
        except CallFailed as failure:
            if tally is not None:
                tally.calls += failure.calls
            raise _named(failure, request) from None
        if tally is not None:
            tally.calls += answer.calls
        return answer

    async def _write(self, method: str, path: str, body: Row, endpoint: str) -> int:
        request = Request(method=method, path=path, endpoint=endpoint, write=True, json=body)
        document = (await self.call(request)).data
        item_id = member(document, "itemId")
        if isinstance(item_id, str) and item_id.isascii() and item_id.isdigit():
            item_id = int(item_id)
        if isinstance(item_id, bool) or not isinstance(item_id, int):
            raise self._unusable(request, "the answer has no itemId")
        return item_id

    def _page(self, answer: Answer, request: Request, last: int) -> tuple[list[Row], bool]:
        document = answer.data
        items = member(document, "items")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._unusable(request, "the answer has no list of items")
        more = bool(member(member(document, "pageDetails"), "nextPageUrl"))
        if len(items) < PAGE and not more and all(isinstance(_row_id(item), int) for item in items):
            # Nothing follows, so the order does not matter.
            items = sorted(items, key=_row_id)
        previous = last
        for item in items:
            number = _row_id(item)
            # The walk relies on rising ids; a page that does not move on would be asked for again for ever.
            if isinstance(number, bool) or not isinstance(number, int) or number <= previous:
                raise self._unusable(request, f"the row after id {previous} has id {number}; ids must rise")
            previous = number
        return items, more

    def _unusable(self, request: Request, words: str) -> CallFailed:
        transport = next(reversed(self._transports.values()), self._discovery)
        return transport.unusable(request, words)


def _row_id(row: Row) -> Any:
    return member(row, "id")


def _named(failure: CallFailed, request: Request) -> CallFailed:
    """A missing right, with the entity and what was wanted: the vendor's text says "this entity type"."""
    if failure.situation is not Situation.FORBIDDEN:
        return failure
    action = {"POST": "create", "PATCH": "update", "DELETE": "delete"}.get(request.method, "read")
    wanted = f"{action if request.write else 'read'} {request.endpoint}"
    return CallFailed(
        vendor=failure.vendor,
        situation=failure.situation,
        write=failure.write,
        detail=f"the API user has no permission to {wanted}; allow it in the security level of the API user ({failure.detail})",
        status=failure.status,
        body=failure.body,
        retry_after=failure.retry_after,
        calls=failure.calls,
    )
