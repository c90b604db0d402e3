"""From settings to the vendors' clients, and the connection tests that people and roles run."""

from __future__ import annotations

import asyncio
import random

from connectors.autotask.client import Access, AccessError, AutotaskClient
from connectors.autotask.metadata import Metadata
from connectors.autotask.probe import probe as probe_autotask
from connectors.ninjaone.config import NinjaOneConfig, WebhookConfig
from connectors.ninjaone.probe import probe as probe_ninjaone
from connectors.ports import Gate, Now, OpenGate
from connectors.probing import ProbeResult, ProbeStep
from connectors.shadow.effects import PredictingClient
from connectors.turns import Turns
from schemas.facts import ConnectionName
from streams.core.policy.policy import Policy
from streams.credentials import Credentials
from streams.policy_tenant import day_fields
from streams.settings import Settings


class NoCredentials(ValueError):
    """A connection has no credentials yet; one line says which are missing and how to give them."""


def jitter() -> float:
    """Where in its span a wait falls, so that many clients do not come back at once: 0 to 1."""
    return random.random()


def ninjaone_config(settings: Settings) -> NinjaOneConfig:
    """NinjaOne's configuration. Raises ``NoCredentials``."""
    section = settings.ninjaone
    if not section.client_id or section.client_secret is None:
        raise NoCredentials(_missing("ninjaone", client_id=section.client_id, client_secret=section.client_secret))
    return NinjaOneConfig(
        base_url=section.base_url,
        client_id=section.client_id,
        client_secret=section.client_secret.get_secret_value(),
        console_url=section.console_url,
        poll_seconds=section.poll_seconds,
        inventory_seconds=section.inventory_seconds,
        backfill=section.backfill,
        # A shadow does not even ask for the right to change anything.
        scope="monitoring" if settings.shadowing else "monitoring management",
        reads_only=settings.shadowing,
    )


def ninjaone_webhook(settings: Settings) -> WebhookConfig:
    """NinjaOne's webhook: the header that deliveries must carry, and our public address where there is one."""
    webhook = settings.ninjaone.webhook
    secret = webhook.secret.get_secret_value() if webhook.secret else None
    return WebhookConfig(public_url=webhook.public_url, header=webhook.header, secret=secret)


def autotask_access(settings: Settings, *, in_flight: int = 1) -> Access:
    """Autotask's credentials. Raises ``NoCredentials``, ``AccessError``."""
    section = settings.autotask
    if not section.username or section.secret is None or section.integration_code is None:
        raise NoCredentials(
            _missing(
                "autotask", username=section.username, secret=section.secret, integration_code=section.integration_code
            )
        )
    return Access(
        discovery_url=section.discovery_url,
        username=section.username,
        secret=section.secret.get_secret_value(),
        integration_code=section.integration_code.get_secret_value(),
        in_flight=in_flight,
        reads_only=settings.shadowing,
    )


def autotask_client(settings: Settings, *, gate: Gate, now: Now, in_flight: int = 1) -> AutotaskClient:
    """A client of Autotask behind a gate. Raises ``NoCredentials``, ``AccessError``.

    The executor's two calls at once per endpoint (``in_flight``) are its own; all others of this machine take turns at one.
    """
    access = autotask_access(settings, in_flight=in_flight)
    turns = Turns(settings.secrets_path.parent / "turns") if in_flight == 1 else None
    return AutotaskClient(access, gate=gate, now=now, sleep=asyncio.sleep, jitter=jitter, turns=turns)


def credentials(settings: Settings) -> dict[ConnectionName, Credentials | None]:
    """What each connection makes its calls with, addresses included; ``None`` where something is missing."""
    ninjaone, autotask = settings.ninjaone, settings.autotask
    found: dict[ConnectionName, Credentials | None] = {"ninjaone": None, "autotask": None}
    if ninjaone.client_id and ninjaone.client_secret is not None:
        found["ninjaone"] = {
            "base_url": ninjaone.base_url,
            "client_id": ninjaone.client_id,
            "client_secret": ninjaone.client_secret.get_secret_value(),
        }
    if autotask.username and autotask.secret is not None and autotask.integration_code is not None:
        found["autotask"] = {
            "discovery_url": autotask.discovery_url,
            "username": autotask.username,
            "secret": autotask.secret.get_secret_value(),
            "integration_code": autotask.integration_code.get_secret_value(),
        }
    return found


def predicting_client(settings: Settings, *, gate: Gate, now: Now, in_flight: int) -> PredictingClient:
    """The executor's client in a shadow. Raises like ``autotask_client``."""
    access = autotask_access(settings, in_flight=in_flight)
    return PredictingClient(access, gate=gate, now=now, sleep=asyncio.sleep, jitter=jitter)


async def probe_connection(
    settings: Settings,
    connection: ConnectionName,
    *,
    now: Now,
    policy: Policy | None = None,
    worked_until: str | None = None,
) -> ProbeResult:
    """Test one connection with the credentials of ``settings``; stops at the first refusal, so one call is refused."""
    try:
        if connection == "ninjaone":
            return await probe_ninjaone(ninjaone_config(settings), now=now, sleep=asyncio.sleep, jitter=jitter)
        async with autotask_client(settings, gate=OpenGate("autotask"), now=now) as client:
            fields = list(policy.devices.fields.values()) if policy else []
            dates = day_fields(policy) if policy else set()
            return await probe_autotask(
                client, fields=fields, dates=dates, worked_until=worked_until, metadata=Metadata(client)
            )
    except (NoCredentials, AccessError) as error:
        return ProbeResult(steps=(ProbeStep(step="credentials", ok=False, line=str(error)),), reachable=False)


def _missing(connection: ConnectionName, **values: object) -> str:
    names = [f"{connection}.{name}" for name, value in values.items() if not value]
    return f"{' and '.join(names)} missing; 'lockstep connect {connection}' stores them, 'lockstep init' asks for everything"
