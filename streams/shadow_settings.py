"""Section ``shadow`` of ``lockstep.yaml``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ShadowSettings(BaseModel):
    """The other connector that a shadow watches. ``creators``: Autotask resource ids that it opens tickets as.

    Empty: whoever opened most of the tickets that NinjaOne names at its alerts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    creators: tuple[int, ...] = ()
