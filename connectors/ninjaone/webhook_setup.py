"""Setting and removing the webhook of our client app. NinjaOne has one per app and no way to read it back."""

from __future__ import annotations

from typing import Any

from connectors.errors import CallFailed, Situation
from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.config import WebhookConfig


class WebhookRefused(Exception):
    """The webhook could not be set or removed; one line says why and what to do."""


def configuration(webhook: WebhookConfig) -> dict[str, Any]:
    """The body of ``PUT /v2/webhook``. Raises ``WebhookRefused`` when the address or the secret is missing.

    Activities by type with all their codes: the one form of the map that is known to work everywhere. What does not
    concern us is answered at once and costs nothing.
    """
    if not webhook.public_url:
        raise WebhookRefused("ninjaone.webhook.public_url is missing: the receiver's address as NinjaOne shall call it")
    if not webhook.secret:
        raise WebhookRefused("ninjaone.webhook.secret is missing: without it anybody could send us alerts")
    return {
        "url": webhook.public_url,
        "activities": {"CONDITION": ["*"], "SYSTEM": ["*"]},
        "expand": ["device", "organization", "location"],
        "headers": [{"name": webhook.header, "value": webhook.secret}],
    }


async def set_up(client: NinjaOneClient, webhook: WebhookConfig) -> str:
    """Set the webhook (replacing an earlier one); returns one line. Raises ``WebhookRefused``, ``CallsSuspended``."""
    try:
        await client.put_webhook(configuration(webhook))
    except CallFailed as failure:
        raise WebhookRefused(_why(failure)) from None
    return f"NinjaOne sends its activities to {webhook.public_url}"


async def remove(client: NinjaOneClient) -> str:
    """Remove the webhook; returns one line. Raises ``WebhookRefused``, ``CallsSuspended``."""
    try:
        await client.delete_webhook()
    except CallFailed as failure:
        raise WebhookRefused(_why(failure)) from None
    return "NinjaOne sends no activities any more; polling goes on"


def _why(failure: CallFailed) -> str:
    if failure.situation is Situation.FORBIDDEN:
        return (
            "NinjaOne refused the webhook: the client app must have been created by a system administrator and have the"
            f" scope monitoring; polling works without it ({failure.detail})"
        )
    return f"the webhook was not changed ({failure.detail})"
