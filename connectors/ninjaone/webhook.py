"""A webhook delivery of NinjaOne, from bytes to acknowledged facts: one activity per request, with the poll's ids."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

import orjson

from connectors.errors import CallFailed
from connectors.ninjaone.config import WebhookConfig
from connectors.ninjaone.intake import Intake
from connectors.personal import without_personal
from connectors.ports import CallsSuspended, Log
from schemas.ninjaone import ActivityRow, RowError, read_row

log = logging.getLogger(__name__)

SOURCE = "/ninjaone/webhook"
STAGE = "webhook ninjaone"

#: Kafka has this long to acknowledge. Device 2 s + condition 2 s + this stay below the 10 s after which senders of
#: webhooks usually give up; the vendor's own limit is not documented.
PUBLISH_SECONDS = 5.0

_KEPT_HEADERS = ("content-type", "user-agent", "x-nj-request-id")


class NinjaOneWebhook:
    """Handles ``POST /webhooks/ninjaone`` (see ``connectors.receiver.WebhookHandler``)."""

    def __init__(self, intake: Intake, *, log_: Log, config: WebhookConfig, seconds: float = PUBLISH_SECONDS) -> None:
        self._intake = intake
        self._log = log_
        self._header = config.header.lower()
        self._secret = (config.secret or "").encode()
        self._seconds = seconds

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Answer a delivery. ``headers`` have lower-case names.

        204 stored, or nothing of ours; 202 kept as a dead letter, or left to the poll; 401 not authenticated; 503 Kafka
        did not acknowledge. Unreadable deliveries get a 2xx, since the vendor disables hooks that fail.
        """
        if not self._secret:
            return 401, "webhooks of NinjaOne are not set up here: ninjaone.webhook.secret is missing"
        if not compare_digest(headers.get(self._header, "").encode(), self._secret):
            log.warning("webhook ninjaone: a delivery without the right %s header was refused", self._header)
            return 401, f"the header {self._header} is missing or wrong"
        self._intake.delivered()
        try:
            async with asyncio.timeout(self._seconds + 4.0):
                return await self._take(headers, body)
        except Exception as error:
            log.error("webhook ninjaone: Kafka did not acknowledge (%s: %s)", type(error).__name__, error)
            return 503, "not stored: Kafka did not acknowledge in time; send it again"

    async def _take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return await self._keep(headers, body, f"the body is not JSON ({error})")
        if not isinstance(document, list):
            return await self._one(headers, document, body)
        # One activity per request is what captures show; a batch would lose all of them if it were refused for that.
        answers = [await self._one(headers, entry, orjson.dumps(entry)) for entry in document]
        return next((answer for answer in answers if answer[0] != 204), (204, ""))

    async def _one(self, headers: Mapping[str, str], document: Any, value: bytes) -> tuple[int, str]:
        try:
            return await self._publish(read_row(ActivityRow, document))
        except RowError as error:
            return await self._keep(headers, value, str(error))

    async def _publish(self, row: ActivityRow) -> tuple[int, str]:
        self._intake.told(row)
        if row.id in self._intake.recent:
            return 204, ""
        try:
            publication = await self._intake.publication(row, source=SOURCE, quick=True)
        except (CallFailed, CallsSuspended) as error:
            log.info("webhook ninjaone: activity %d is left to the poll: %s", row.id, error)
            return 202, "accepted; its device cannot be read now, the poll brings it"
        if publication is not None:
            async with asyncio.timeout(self._seconds):
                await self._log.publish([publication])
            self._intake.published(publication)
        return 204, ""

    async def _keep(self, headers: Mapping[str, str], body: bytes, error: str) -> tuple[int, str]:
        """Keep bytes that cannot be understood; never with the header that holds our secret."""
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        await self._log.publish_dead_letter(stage=STAGE, error=error, value=without_personal(body), headers=kept)
        log.warning("webhook ninjaone: kept as a dead letter: %s", error)
        return 202, f"kept as a dead letter: {error}"
