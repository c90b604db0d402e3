"""What both sandboxes of one process agree on: the seed, and the names of the simulated customers."""

from __future__ import annotations

import random
from dataclasses import dataclass

_STEMS = (
    "Nordwind",
    "Bergmann",
    "Alpenblick",
    "Hansekontor",
    "Lindenhof",
    "Kestrel",
    "Marlowe",
    "Silverbrook",
    "Ashford",
    "Pinecrest",
    "Bluewater",
    "Ironbridge",
    "Rosenthal",
    "Steinberg",
    "Waldmann",
    "Fairhaven",
    "Granite",
    "Harborview",
    "Juniper",
    "Kingsley",
    "Lakeside",
    "Meridian",
    "Oakfield",
    "Prospect",
    "Quarry",
    "Redwood",
    "Summit",
    "Thornton",
    "Upland",
    "Vantage",
    "Westgate",
    "Yarrow",
)
_TRADES = (
    "Logistics",
    "Dental",
    "Legal",
    "Bakery",
    "Architects",
    "Clinic",
    "Manufacturing",
    "Travel",
    "Media",
    "Foods",
)
_FORMS = ("GmbH", "Ltd", "Inc.", "AG", "LLC", "& Sons")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The size and seed of a simulated world. The same world always has the same rows."""

    seed: int = 1
    organizations: int = 3
    devices: int = 60

    def random(self, purpose: str) -> random.Random:
        """A source of its own for each purpose, so that one list's length never changes another's content."""
        return random.Random(f"{self.seed}:{purpose}")

    def __post_init__(self) -> None:
        if self.organizations < 1:
            raise ValueError(f"a sandbox needs at least one organization, not {self.organizations}")
        if self.devices < 0:
            raise ValueError(f"a sandbox cannot have {self.devices} devices")

    def organization_names(self) -> list[str]:
        """Distinct customer names, in the order of their NinjaOne ids; the PSA has a company for each.

        No two differ in the legal form only, because a match by normalized name may leave the form out.
        """
        source = self.random("organization names")
        names: list[str] = []
        seen: set[str] = set()
        while len(names) < self.organizations:
            stem, trade, form = source.choice(_STEMS), source.choice(_TRADES), source.choice(_FORMS)
            if len(seen) >= len(_STEMS) * len(_TRADES):
                stem = f"{stem} {len(names) + 1}"
            if f"{stem} {trade}" not in seen:
                seen.add(f"{stem} {trade}")
                names.append(f"{stem} {trade} {form}")
        return names
