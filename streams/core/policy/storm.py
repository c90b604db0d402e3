"""When many alerts of one rule are one storm: the key ``storm`` of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from streams.core.policy.findings import wrong
from streams.core.policy.parts import Duration, Part

By = Literal["location", "organization", "parent"]

#: What one storm can hold (``streams.core.storms.agent.MOST_CANDIDATES``): a threshold above it would never be reached.
MOST_DEVICES = 1000
#: Every alert of the rule waits so long for its ticket; who waits for an hour has no monitoring.
LONGEST_WITHIN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class StormRule:
    """``devices`` different devices of one place (``by``) with one condition within ``within_ms`` are one storm.

    By ``parent`` the place is the device that they are all behind, and what fails there is one cause, whatever it shows as.
    """

    devices: int
    within_ms: int
    by: By


class StormSettings(Part):
    """How many devices within which time are a storm: of a location, of the whole organization, or behind one parent."""

    devices: int = Field(json_schema_extra={"minimum": 2, "maximum": MOST_DEVICES})
    within: Duration
    by: By = "location"

    @model_validator(mode="after")
    def _possible(self) -> StormSettings:
        if not 2 <= self.devices <= MOST_DEVICES:
            raise wrong(f"{self.devices} devices are no storm", f"write a number from 2 to {MOST_DEVICES}", "devices")
        if self.within == 0:
            raise wrong("nothing happens within no time", "write how long to count, such as 2m", "within")
        if self.within > LONGEST_WITHIN_MS:
            raise wrong("every alert of this rule would wait so long for its ticket", "write 1h at most", "within")
        return self

    def rule(self) -> StormRule:
        """The same for the core."""
        return StormRule(self.devices, self.within, self.by)
