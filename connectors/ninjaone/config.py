"""What the NinjaOne side is told by its host: plain data, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class NinjaOneConfig:
    """Where NinjaOne is and who we are there. Secrets do not show in ``repr``.

    ``base_url`` is the host that the technicians sign in to; ``console_url`` the base of device links (default: the
    same). ``backfill`` says what the first start does with alerts that are already active: take or leave them.
    ``annotate_resets``: reset with POST and the reason as activity data, instead of a plain DELETE. ``reads_only``: shadow
    mode, no request goes out that could change something.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    console_url: str | None = None
    scope: str = "monitoring management"
    poll_seconds: float = 30.0
    inventory_seconds: float = 900.0
    backfill: Literal["active", "none"] = "active"
    annotate_resets: bool = False
    reads_only: bool = False

    @property
    def links(self) -> str:
        """The base of device links, without a trailing slash."""
        return (self.console_url or self.base_url).rstrip("/")

    def device_link(self, device_id: int) -> str:
        """Opens the device in the console (pattern in wide public use; the API's own link expires)."""
        return f"{self.links}/#/deviceDashboard/{device_id}/overview"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """The webhook that NinjaOne calls: the receiver's public address and the header that proves the caller."""

    public_url: str | None = None
    header: str = "X-Lockstep-Token"
    secret: str | None = field(default=None, repr=False)
