"""What Autotask posts to ``/webhooks/autotask``: authenticated, made whole, published, then acknowledged.

The answer is 200 only when Kafka has the fact, or when there is nothing to tell. A payload that carries all that a poll
would see becomes the same fact under the same id; anything less is read first, one query for all that wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from connectors.autotask.client import AutotaskClient, condition
from connectors.autotask.metadata import Metadata
from connectors.autotask.names import NameRefused
from connectors.autotask.observation import OBSERVED_FIELDS, TicketPublisher
from connectors.autotask.seen import Seen
from connectors.autotask.signature import HEADER, signed_by
from connectors.errors import CallFailed
from connectors.personal import without_personal
from connectors.ports import CallsSuspended, Log
from connectors.transport import Sleep
from schemas.autotask import Ticket, WebhookPayload

log = logging.getLogger(__name__)

#: A payload of every ticket field is below 60 KiB (the longest texts hold 8,000 and 32,000 characters).
BODY_LIMIT = 256 * 1024
#: So long a read waits for others to join it: nothing beside the vendor's 10 s time-out, enough for a burst.
GATHER_SECONDS = 0.05
#: ``in`` may hold 500 values.
_BATCH = 500
_NOTICE_MS = 60_000
_TICKETS = frozenset({"ticket", "tickets"})
_LABELLED = {"status": "status", "queueid": "queueID", "priority": "priority"}


class WebhookAnswer(NamedTuple):
    """What to send back: the status, and one line for whoever looks at the vendor's delivery log."""

    status: int
    text: str


@dataclass(slots=True)
class _Waiting:
    ids: set[int] = field(default_factory=set)
    done: asyncio.Future[dict[int, Ticket]] | None = None


class AutotaskWebhook:
    """The handler of one process. ``secret`` is the webhook's ``secretKey``.

    ``on_deactivated`` is called, at most once a minute, when a notice says that the webhook was switched off: such notices
    are not signed, so it may only look at the webhook's state by API.
    """

    def __init__(
        self,
        client: AutotaskClient,
        log: Log,
        *,
        secret: str,
        sleep: Sleep,
        metadata: Metadata | None = None,
        publisher: TicketPublisher | None = None,
        on_deactivated: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._client = client
        self._log = log
        self._secret = secret
        self._sleep = sleep
        self._metadata = metadata or Metadata(client)
        self._publisher = publisher or TicketPublisher(log, client.now)
        self._on_deactivated = on_deactivated
        self._noticed_at: int | None = None
        self._seen = Seen(5_000)
        self._waiting: _Waiting | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Take one delivery (``connectors.receiver.WebhookHandler``). Never raises: what failed is to be delivered again."""
        if len(body) > BODY_LIMIT:
            return WebhookAnswer(413, f"the body is larger than {BODY_LIMIT // 1024} KiB")
        authentic = signed_by(self._secret, body, headers.get(HEADER))
        try:
            payload = WebhookPayload.model_validate(orjson.loads(body))
        except (orjson.JSONDecodeError, ValidationError) as error:
            return await self._stored(self._unreadable(body, error, headers)) if authentic else _unsigned()
        if payload.action.lower() == "deactivated":
            return await self._deactivated()
        return await self._stored(self._taken(payload)) if authentic else _unsigned()

    async def _stored(self, work: Awaitable[WebhookAnswer]) -> WebhookAnswer:
        """The answer, or 503 where Kafka did not take the fact: the vendor tries again after 30 s, and the poll tells it too."""
        try:
            return await work
        except Exception as problem:
            log.error("autotask webhook: not stored: %s: %s", type(problem).__name__, problem)
            return WebhookAnswer(503, "not stored; please deliver again")

    async def _taken(self, payload: WebhookPayload) -> WebhookAnswer:
        if payload.entity_type.lower() not in _TICKETS or payload.id is None:
            return WebhookAnswer(200, "nothing to tell: not about a ticket")
        if payload.action.lower() == "delete":
            return WebhookAnswer(200, "nothing to tell: a deleted ticket cannot be read any more")
        delivery = f"{payload.entity_type.lower()}:{payload.id}:{payload.sequence_number}"
        if payload.sequence_number is not None and delivery in self._seen:
            return WebhookAnswer(200, "known: delivered before")
        try:
            ticket = await self._ticket(payload)
        except CallsSuspended:
            # Not an error of this delivery, and 25 of those would switch the webhook off: the poll, whose cursor
            # stands still meanwhile, tells it as soon as calls may go out again.
            return WebhookAnswer(200, "left to the poll: no calls go out at the moment")
        except CallFailed as failure:
            log.warning("autotask webhook: ticket %s could not be read: %s", payload.id, failure.detail)
            return WebhookAnswer(503, "the ticket could not be read; please deliver again")
        published = await self._publisher.publish([ticket]) if ticket is not None else 0
        self._seen.add(delivery)
        return WebhookAnswer(200, "published" if published else "nothing new")

    async def _ticket(self, payload: WebhookPayload) -> Ticket | None:
        whole = await self._whole(payload)
        if whole is not None:
            return whole
        return (await self._read(payload.id or 0)).get(payload.id or 0)

    async def _whole(self, payload: WebhookPayload) -> Ticket | None:
        """The ticket as the payload shows it, ``None`` unless every observed field is in it and understood."""
        given = {str(name).lower(): value for name, value in payload.fields.items()}
        if not all(name.lower() in given for name in OBSERVED_FIELDS) or not given["lastactivitydate"]:
            return None
        row: dict[str, Any] = {name: given[name.lower()] for name in OBSERVED_FIELDS}
        try:
            for lower, name in _LABELLED.items():
                row[name] = await self._number(given[lower], name)
            return Ticket.model_validate({"id": payload.id, **row})
        except (NameRefused, ValidationError):
            return None

    async def _number(self, value: Any, name: str) -> int | None:
        """A picklist value: payloads carry the label or the number, as far as is known publicly."""
        if value in (None, ""):
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return await self._metadata.picked(str(value), entity="Tickets", field=name, what=name)

    async def _read(self, ticket_id: int) -> dict[int, Ticket]:
        """Read a ticket together with whoever else waits: one query for a burst."""
        if self._waiting is None or len(self._waiting.ids) >= _BATCH:
            self._waiting = _Waiting(done=asyncio.get_running_loop().create_future())
            task = asyncio.create_task(self._gather(self._waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting = self._waiting
        waiting.ids.add(ticket_id)
        if waiting.done is None:
            return {}
        return await asyncio.shield(waiting.done)

    async def _gather(self, waiting: _Waiting) -> None:
        await self._sleep(GATHER_SECONDS)
        if self._waiting is waiting:
            self._waiting = None
        if waiting.done is None:
            return
        try:
            waiting.done.set_result(await self._query(sorted(waiting.ids)))
        except Exception as problem:
            waiting.done.set_exception(problem)
            # Retrieved here too, so that a delivery that was cut off leaves no complaint about an unread exception.
            waiting.done.exception()

    async def _query(self, ids: Sequence[int]) -> dict[int, Ticket]:
        rows = await self._client.query("Tickets", [condition("in", "id", list(ids))], OBSERVED_FIELDS)
        return {ticket.id: ticket for ticket in self._client.rows(Ticket, rows, endpoint="Tickets")}

    async def _deactivated(self) -> WebhookAnswer:
        now = self._client.now()
        if self._on_deactivated is not None and (self._noticed_at is None or now - self._noticed_at >= _NOTICE_MS):
            self._noticed_at = now
            try:
                await self._on_deactivated()
            except (CallFailed, CallsSuspended) as problem:
                log.warning("autotask webhook: its state could not be read: %s", problem)
        return WebhookAnswer(200, "noted")

    async def _unreadable(self, body: bytes, error: Exception, headers: Mapping[str, str]) -> WebhookAnswer:
        line = "the body is not JSON" if isinstance(error, orjson.JSONDecodeError) else "the body is not a callout"
        kept = {name: value for name, value in headers.items() if name.lower() in ("content-type", "user-agent")}
        await self._log.publish_dead_letter(
            stage="autotask-webhook", error=line, value=without_personal(body), headers=kept
        )
        return WebhookAnswer(200, f"kept as a dead letter: {line}")


def _unsigned() -> WebhookAnswer:
    return WebhookAnswer(401, "X-Hook-Signature is missing or is not this body's")
