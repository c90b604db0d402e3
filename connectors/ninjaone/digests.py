"""What was published last about each device: the compacted topic ``device-digests``.

A fact's id must be the same when a crash between "published" and "remembered" makes it be published again, and
another one when a device returns to an earlier look (A, B, A). Hence every device has a count of its facts: the id is
made of device, count and digest, and the count grows only when the record is remembered. After such a crash the same
look gives the same id; if the device has changed meanwhile, the same count with another digest gives another id, and
the agent sees both looks in their order. The count outlives a removal, so that a device that comes back does not
begin again at ids that were used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from connectors.ports import Publication
from schemas import topics
from schemas.facts import DeviceObserved, DeviceRemoved
from schemas.identity import derived_id, device_key


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTold:
    """The last fact about a device. ``at`` is when NinjaOne was asked (epoch ms); no digest: it was removed."""

    count: int = 0
    digest: str | None = None
    at: int = 0

    def to_json(self) -> bytes:
        """The value to remember."""
        return orjson.dumps({"count": self.count, "digest": self.digest, "at": self.at})


def read_digests(remembered: Mapping[str, bytes]) -> dict[int, LastTold]:
    """All devices from the topic."""
    found: dict[int, LastTold] = {}
    for key, value in remembered.items():
        row = orjson.loads(value)
        found[int(key)] = LastTold(count=row["count"], digest=row["digest"], at=row["at"])
    return found


def observed(fact: DeviceObserved, last: LastTold, *, source: str) -> tuple[Publication, LastTold]:
    """The publication of a changed device, and what to remember after it."""
    count = last.count + 1
    key = fact.subject.key
    publication = Publication(
        topic=topics.NINJAONE_DEVICES,
        key=key,
        id=derived_id("ninjaone", "device", key, count, fact.digest),
        source=source,
        time=fact.observed_at,
        fact=fact,
    )
    return publication, LastTold(count=count, digest=fact.digest, at=fact.observed_at)


def removed(fact: DeviceRemoved, last: LastTold, *, source: str) -> tuple[Publication, LastTold]:
    """The publication of a removed device, and what to remember after it."""
    count = last.count + 1
    key = device_key(fact.device_id)
    publication = Publication(
        topic=topics.NINJAONE_DEVICES,
        key=key,
        id=derived_id("ninjaone", "device-removed", key, count),
        source=source,
        time=fact.removed_at,
        fact=fact,
    )
    return publication, LastTold(count=count, digest=None, at=fact.removed_at)
