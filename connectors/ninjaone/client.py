"""NinjaOne's API v2 as Lockstep uses it: one method per endpoint, rows instead of JSON.

Paths and parameters by the vendor's OpenAPI document 2.0.9-draft. Every method raises ``CallFailed`` or
``CallsSuspended``; listings raise ``CallFailed`` as well when their pages do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from connectors.errors import CallFailed, Situation
from connectors.ninjaone.config import NinjaOneConfig, WebhookConfig
from connectors.ninjaone.token import TokenSource
from connectors.paging import ActivityPages, AfterPages, CursorPages, PagingError, Params
from connectors.ports import Gate, Now
from connectors.redaction import Redactor
from connectors.transport import Answer, Jitter, Limits, Request, Retries, Sleep, Timeouts, Transport
from schemas.ninjaone import (
    ActivitiesHead,
    ActivityRow,
    AlertRow,
    DeviceRow,
    LocationRow,
    OrganizationRow,
    ReportCursor,
    RoleRow,
    Row,
    RowError,
    milliseconds,
    read_row,
)

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be understood: its JSON and one line why."""

    value: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """All rows of a list. It is ``complete`` when every row could be read: only then may a missing one count as gone.

    ``calls`` tells how many it took where the list is one page: more than one means that some of them failed.
    """

    rows: tuple[R, ...]
    unreadable: tuple[Unreadable, ...] = ()
    calls: int = 1

    @property
    def complete(self) -> bool:
        return not self.unreadable

    @property
    def count(self) -> int:
        """How many rows came, readable or not."""
        return len(self.rows) + len(self.unreadable)


class NinjaOneClient:
    """The client over one transport. ``close`` it when done, or use it as an async context manager."""

    def __init__(self, transport: Transport, tokens: TokenSource) -> None:
        self.transport = transport
        self.tokens = tokens
        #: The largest page of activities so far; see ``ActivityPages``.
        self._activity_page = 10

    @classmethod
    def create(
        cls,
        config: NinjaOneConfig,
        *,
        gate: Gate,
        now: Now,
        sleep: Sleep,
        jitter: Jitter,
        webhook: WebhookConfig | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
    ) -> NinjaOneClient:
        """A client with its own connections and token. Makes no call yet."""
        secrets = [config.client_secret, *([webhook.secret] if webhook is not None and webhook.secret else [])]
        transport = Transport(
            base_url=config.base_url,
            gate=gate,
            redactor=Redactor(secrets),
            sleep=sleep,
            jitter=jitter,
            limits=limits,
            timeouts=timeouts,
            retries=retries,
            reads_only=config.reads_only,
        )
        tokens = TokenSource(transport=transport, config=config, now=now)
        transport.credentials = tokens
        return cls(transport, tokens)

    async def __aenter__(self) -> NinjaOneClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.aclose()

    async def organizations(self) -> Listing[OrganizationRow]:
        """All organizations."""
        return await self._after("organizations", OrganizationRow, lambda row: row.id)

    async def locations(self) -> Listing[LocationRow]:
        """All locations, with their organization."""
        return await self._after("locations", LocationRow, lambda row: row.id)

    async def devices_detailed(self) -> Listing[DeviceRow]:
        """All approved devices in full detail (pending ones are hidden by the vendor's default filter)."""
        return await self._after("devices-detailed", DeviceRow, lambda row: row.id)

    async def roles(self) -> Listing[RoleRow]:
        """All device roles; not paged."""
        return await self._whole("/v2/roles", "roles", RoleRow)

    async def alerts(self) -> Listing[AlertRow]:
        """All active alerts; not paged."""
        return await self._whole("/v2/alerts", "alerts", AlertRow)

    async def device_alerts(self, device_id: int, *, timeouts: Timeouts | None = None) -> Listing[AlertRow]:
        """The active alerts of one device. With ``timeouts`` the call is made once and not repeated."""
        attempts = 1 if timeouts is not None else None
        return await self._whole(
            f"/v2/device/{device_id}/alerts", "device-alerts", AlertRow, attempts=attempts, timeouts=timeouts
        )

    async def device(self, device_id: int, *, timeouts: Timeouts | None = None) -> DeviceRow | None:
        """One device in full detail, ``None`` when there is none of that id."""
        request = Request(
            method="GET",
            path=f"/v2/device/{device_id}",
            endpoint="device",
            attempts=1 if timeouts is not None else None,
            timeouts=timeouts,
        )
        try:
            answer = await self.transport.call(request)
        except CallFailed as failure:
            if failure.situation is Situation.NOT_FOUND:
                return None
            raise
        try:
            return read_row(DeviceRow, answer.data)
        except RowError as error:
            raise self.transport.unusable(request, f"the device cannot be read: {error}") from None

    async def devices(self, device_ids: Collection[int], *, timeouts: Timeouts) -> Listing[DeviceRow]:
        """These devices without their hardware, in one call that is not repeated; those that are not approved are left out.

        At most 400, so that the address stays short. It is written out here, since whether the filter language takes a
        ``+`` for a space is unconfirmed.
        """
        clause = quote(f"id in ({','.join(map(str, device_ids))})", safe="(),")
        path = f"/v2/devices?df={clause}&pageSize=1000"
        return await self._whole(path, "devices", DeviceRow, attempts=1, timeouts=timeouts)

    async def newest_activity(self) -> int:
        """The id of the newest activity, 0 when there is none (10 is the smallest page by the reference)."""
        page, _ = await self._activities((("pageSize", "10"),))
        return max((row.id for row in page.rows), default=0)

    async def activities_above(
        self, activity_id: int, *, keep: Callable[[ActivityRow], bool] = lambda row: True, page_size: int = 1000
    ) -> ActivitiesRead:
        """All activities above an id, oldest first. Only rows that ``keep`` wants are held, so a long gap stays small."""
        pages = ActivityPages(activity_id, page_size, largest=self._activity_page)
        marks: dict[int, int] = {}
        newest: int | None = None
        kept: dict[int, ActivityRow] = {}
        unreadable: list[Unreadable] = []
        while (params := pages.next()) is not None:
            page, newest = await self._activities(params)
            unreadable.extend(page.unreadable)
            with self._adding_up("activities"):
                pages.take([row.id for row in page.rows], count=page.count, last=newest)
            self._activity_page = pages.largest
            for row in page.rows:
                if row.id > activity_id:
                    marks[row.id] = milliseconds(row.activity_time) or 0
                    if keep(row):
                        kept[row.id] = row
        return ActivitiesRead(
            rows=tuple(kept[id_] for id_ in sorted(kept)),
            marks=tuple(marks.items()),
            unreadable=tuple(unreadable),
            newest=newest,
        )

    async def report(self, name: str) -> tuple[Any, ...]:
        """All rows of a report (``/v2/queries/<name>``) as decoded JSON."""
        pages = CursorPages()
        rows: list[Any] = []
        before: list[Any] = []
        while (params := pages.next()) is not None:
            request = Request(method="GET", path=f"/v2/queries/{quote(name)}", endpoint="queries", params=params)
            answer = await self.transport.call(request)
            if not isinstance(answer.data, dict) or not isinstance(answer.data.get("results"), list):
                raise self.transport.unusable(request, "the report has no results")
            cursor = read_row(ReportCursor, answer.data.get("cursor") or {})
            results = answer.data["results"]
            with self._adding_up(f"queries/{name}"):
                if results and results == before:
                    raise PagingError("the same page came twice")
                pages.take(len(results), cursor.name or None, cursor.offset)
            rows.extend(results)
            before = results
        return tuple(rows)

    async def reset_alert(self, uid: str, *, note: str | None = None) -> Answer:
        """Reset an active alert: DELETE, or POST with the note as the activity's custom data. One call."""
        path = f"/v2/alert/{quote(uid, safe='')}"
        if note is None:
            return await self.transport.call(Request(method="DELETE", path=path, endpoint="alert", write=True))
        return await self.transport.call(
            Request(method="POST", path=f"{path}/reset", endpoint="alert", write=True, json={"message": note})
        )

    async def put_webhook(self, configuration: dict[str, Any]) -> None:
        """Set this client app's webhook; replaces the earlier one."""
        await self.transport.call(
            Request(method="PUT", path="/v2/webhook", endpoint="webhook", write=True, json=configuration)
        )

    async def delete_webhook(self) -> None:
        """Remove this client app's webhook."""
        await self.transport.call(Request(method="DELETE", path="/v2/webhook", endpoint="webhook", write=True))

    async def _activities(self, params: Params) -> tuple[Listing[ActivityRow], int | None]:
        """A page, and the id of the account's newest activity where the answer names it."""
        request = Request(method="GET", path="/v2/activities", endpoint="activities", params=params)
        data = (await self.transport.call(request)).data
        if not isinstance(data, dict) or not isinstance(data.get("activities"), list):
            raise self.transport.unusable(request, "the answer has no list of activities")
        return _rows(ActivityRow, data["activities"]), read_row(ActivitiesHead, data).last_activity_id

    async def _whole(
        self,
        path: str,
        endpoint: str,
        model: type[R],
        *,
        attempts: int | None = None,
        timeouts: Timeouts | None = None,
    ) -> Listing[R]:
        request = Request(method="GET", path=path, endpoint=endpoint, attempts=attempts, timeouts=timeouts)
        answer = await self.transport.call(request)
        return replace(_rows(model, self._array(request, answer)), calls=answer.calls)

    async def _after(self, endpoint: str, model: type[R], identity: Callable[[R], int]) -> Listing[R]:
        pages = AfterPages()
        rows: dict[int, R] = {}
        unreadable: list[Unreadable] = []
        while (params := pages.next()) is not None:
            request = Request(method="GET", path=f"/v2/{endpoint}", endpoint=endpoint, params=params)
            page = _rows(model, self._array(request, await self.transport.call(request)))
            with self._adding_up(endpoint):
                pages.take([identity(row) for row in page.rows], count=page.count)
            rows.update((identity(row), row) for row in page.rows)
            unreadable.extend(page.unreadable)
        return Listing(tuple(rows.values()), tuple(unreadable))

    def _array(self, request: Request, answer: Answer) -> Sequence[Any]:
        if not isinstance(answer.data, list):
            raise self.transport.unusable(request, "the answer is not a list")
        return answer.data

    @contextmanager
    def _adding_up(self, endpoint: str) -> Iterator[None]:
        """Pages that do not add up are a broken answer: the listing is not complete and is read anew later."""
        try:
            yield
        except PagingError as error:
            request = Request(method="GET", path=f"/v2/{endpoint}", endpoint=endpoint)
            raise self.transport.unusable(request, str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitiesRead:
    """What ``activities_above`` found: the wanted rows, and (id, epoch milliseconds or 0) of every row passed.

    ``newest`` is the newest id of the account, where the instance names it.
    """

    rows: tuple[ActivityRow, ...]
    marks: tuple[tuple[int, int], ...]
    unreadable: tuple[Unreadable, ...]
    newest: int | None = None


def _rows(model: type[R], documents: Sequence[Any]) -> Listing[R]:
    rows: list[R] = []
    unreadable: list[Unreadable] = []
    for document in documents:
        try:
            rows.append(read_row(model, document))
        except RowError as error:
            unreadable.append(Unreadable(orjson.dumps(document), f"{model.__name__}: {error}"))
    return Listing(tuple(rows), tuple(unreadable))
