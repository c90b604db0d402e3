"""The ticket webhook in Autotask: made, given its fields, kept from echoing our own writes, and read back.

Order and shapes from the vendor's request collection and help: webhook, fields (one at a time: parallel calls trip the
thread limit), excluded resources, read back ``isActive`` and ``isReady``. Repeating it changes only what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.autotask.client import AutotaskClient, eq
from connectors.autotask.metadata import FRESH_MS, Metadata
from connectors.autotask.names import NameRefused, resolve
from connectors.autotask.observation import OBSERVED_FIELDS
from connectors.errors import CallFailed, Kind
from schemas.autotask import WebhookRow, member

NAME = "Lockstep tickets"
_ENTITY = "TicketWebhooks"
_FIELDS = "TicketWebhookFields"
_EXCLUDED = "TicketWebhookExcludedResources"
#: Changes of these are told at once; the others of a fact come along with each (display always).
_SUBSCRIBED = frozenset({"status", "completedDate", "queueID", "priority"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookState:
    """What the tenant says of our webhook. ``findings`` are lines about what is not as it should be."""

    id: int | None
    active: bool
    ready: bool
    findings: tuple[str, ...] = ()

    @property
    def delivering(self) -> bool:
        """Whether callouts may be expected; without them the poll tells everything, later."""
        return self.active and self.ready


class WebhookSetup:
    """Sets the webhook up at ``public_url``. Methods raise ``CallFailed``, ``CallsSuspended``."""

    def __init__(self, client: AutotaskClient, metadata: Metadata, *, public_url: str, secret: str) -> None:
        self._client = client
        self._metadata = metadata
        self._public_url = public_url
        self._secret = secret
        #: What was read last.
        self.state: WebhookState | None = None

    async def check(self) -> WebhookState:
        """Read the webhook's state, changing nothing."""
        row = await self._found()
        findings = () if row is not None else (f"Autotask has no ticket webhook for {self._public_url}",)
        if row is not None and not (row.is_active and row.is_ready):
            findings = (f"the ticket webhook {row.id} in Autotask is not {'ready' if row.is_active else 'active'}",)
        self.state = WebhookState(
            id=row.id if row else None,
            active=bool(row and row.is_active),
            ready=bool(row and row.is_ready),
            findings=findings,
        )
        return self.state

    async def ensure(self) -> WebhookState:
        """Make what is missing, switch on what was switched off, and read it back."""
        row = await self._found()
        body: dict[str, Any] = {
            "name": NAME,
            "webhookUrl": self._public_url,
            "deactivationUrl": self._public_url,
            "secretKey": self._secret,
            "isActive": True,
            "isSubscribedToCreateEvents": True,
            "isSubscribedToUpdateEvents": True,
            "isSubscribedToDeleteEvents": False,
            "sendThresholdExceededNotification": False,
        }
        if row is None:
            webhook_id = await self._client.create(_ENTITY, body)
        else:
            # The secret cannot be read back, so it is written each time: it may have been changed on our side.
            webhook_id = await self._client.patch(_ENTITY, {"id": row.id, **body})
        missing = await self._add_fields(webhook_id)
        echo = await self._exclude_ourselves(webhook_id)
        state = await self.check()
        self.state = WebhookState(
            id=state.id, active=state.active, ready=state.ready, findings=(*state.findings, *missing, *echo)
        )
        return self.state

    async def _found(self) -> WebhookRow | None:
        rows = await self._client.query(_ENTITY, [eq("webhookUrl", self._public_url)])
        listed = self._client.rows(WebhookRow, rows, endpoint=_ENTITY)
        return next(iter(sorted(listed, key=lambda row: (not row.is_active, row.id))), None)

    async def _add_fields(self, webhook_id: int) -> list[str]:
        choices = await self._metadata.picklist(_FIELDS, "fieldID", max_age_ms=FRESH_MS)
        present = await self._client.query(_FIELDS, [eq("webhookID", webhook_id)])
        have = {member(row, "fieldID") for row in present}
        findings: list[str] = []
        for name in OBSERVED_FIELDS:
            try:
                number = resolve(name, choices, what="webhook field")
            except NameRefused:
                findings.append(f"Autotask offers no webhook field {name}; tickets are read after each callout")
                continue
            if number not in have:
                body = {
                    "webhookID": webhook_id,
                    "fieldID": number,
                    "isSubscribedField": name in _SUBSCRIBED,
                    "isDisplayAlwaysField": True,
                }
                await self._client.create(f"{_ENTITY}/{webhook_id}/Fields", body, endpoint=_FIELDS)
        return findings

    async def _exclude_ourselves(self, webhook_id: int) -> list[str]:
        """No callouts for what we wrote ourselves: each would be an echo."""
        try:
            rows = await self._client.query("Resources", [eq("userName", self._client.access.username)], ("userName",))
        except CallFailed as failure:
            if failure.kind is not Kind.PERMANENT:
                raise
            rows = []
        if not rows:
            return [
                "the API user was not found among the resources, so Autotask also calls back for Lockstep's own writes"
            ]
        ours = member(rows[0], "id")
        present = await self._client.query(_EXCLUDED, [eq("webhookID", webhook_id)])
        if not any(member(row, "resourceID") == ours for row in present):
            body = {"webhookID": webhook_id, "resourceID": ours}
            await self._client.create(f"{_ENTITY}/{webhook_id}/ExcludedResources", body, endpoint=_EXCLUDED)
        return []
