"""Whether the log ever heard of a device, a location or an organization; and if not, what it knows instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from schemas.identity import organization_key
from schemas.topics import AUDIT
from streams.kafka_options import KafkaOptions
from streams.policy_known import meant, organizations
from streams.readers import read_all
from streams.views import states
from streams.wording import counted

#: So many ids show of which kind they are.
_SHOWN = 6


async def unknown(options: KafkaOptions, key: str) -> str | None:
    """Why nothing can be said of a key (``407``, ``l31``, ``o17``): it was never heard of; one line with what is known.

    ``None`` where it is known, or was: what left the states still stands in the audit, which is read for this. Raises ``ReadError``.
    """
    devices, incidents = await states(options, "devices"), await states(options, "incidents")
    if key in devices or key in incidents or _placed(key, devices.values()):
        return None
    if key in map(organization_key, await organizations(options)) or await _in_audit(options, key):
        return None
    what = {"o": "organization", "l": "location"}.get(key[0], "device")
    return f"never heard of {what} {key.lstrip('lo')}; {await known_instead(options, key)}"


async def known_instead(options: KafkaOptions, key: str) -> str:
    """What is known of the kind that a key is of, as a clause. Raises ``ReadError``."""
    if key.startswith("o"):
        known = await organizations(options)
        return meant(known, key[1:]) if known else _NONE
    devices = await states(options, "devices")
    if key.startswith("l"):
        subjects = [(body.get("observed") or {}).get("subject", {}) for body in devices.values()]
        return _listed("location", {subject["location_id"] for subject in subjects if subject.get("location_id")})
    return _listed("device", {int(name) for name in devices if name.isdigit()})


_NONE = "nothing of NinjaOne was read yet ('lockstep status')"


def _listed(what: str, ids: Collection[int]) -> str:
    if not ids:
        return _NONE
    shown = ", ".join(map(str, sorted(ids)[:_SHOWN]))
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"{counted(len(ids), f'{what} is', f'{what}s are')} known: {shown}{more}"


def _placed(key: str, devices: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a device is known there."""
    field = {"o": "organization_id", "l": "location_id"}.get(key[0])
    subjects = ((body.get("observed") or {}).get("subject", {}) for body in devices)
    return field is not None and any(str(subject.get(field)) == key[1:] for subject in subjects)


async def _in_audit(options: KafkaOptions, key: str) -> bool:
    field = {"o": "organization_id", "l": "location_id"}.get(key[0])
    # A fact stands in its record as text, its quotes escaped.
    written = re.compile(rf'{field}\\*":{key[1:]}[,}}]'.encode()) if field else None
    async for record in read_all(options, AUDIT):
        if record.key == key.encode() or (written is not None and written.search(record.value or b"")):
            return True
    return False
