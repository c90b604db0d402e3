"""Keys, partitions and derived ids: the same thing seen twice must get the same name twice.

Everything here is arithmetic on its arguments. No id is ever random, so a retry, a second poll or a replay arrives
at the id that is already there.
"""

from __future__ import annotations

import re
from hashlib import blake2b

EXTERNAL_ID_PREFIX = "ls."
#: Autotask ``Ticket.externalID`` is a string of 50 (vendor field metadata); longer is an error here, never cut.
EXTERNAL_ID_LIMIT = 50

#: Ids from here on are made up by a prediction: no tenant has them, Autotask's are far below (8 to 10 digits in its pages).
FIRST_PREDICTED = 10**15

_KEY = re.compile(r"[lo]?[0-9]{1,10}")
_EXTERNAL_ID = re.compile(r"ls\.(?P<key>[lo]?[0-9]{1,10})\.(?P<uid>[0-9a-f]{32})(?:\.(?P<ordinal>[0-9]+))?")
_UID = re.compile(r"[0-9a-f]{32}")


class IdentityError(ValueError):
    """A vendor id that cannot be made into one of our keys; the message names the id and the rule it breaks."""


def device_key(device_id: int) -> str:
    """The key of every fact about a device: its NinjaOne id in decimal."""
    return str(device_id)


def location_key(location_id: int) -> str:
    """The key of a fact about a location."""
    return f"l{location_id}"


def organization_key(organization_id: int) -> str:
    """The key of a fact about an organization, and of an alert that has no device."""
    return f"o{organization_id}"


def is_key(text: str) -> bool:
    """Whether the text has the form of a fact's key (``407``, ``l31``, ``o12``)."""
    return _KEY.fullmatch(text) is not None


def derived_id(*parts: str | int) -> str:
    """A stable id of 32 hex digits from what identifies the thing; parts are length-prefixed, so no two lists collide."""
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = str(part).encode()
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()


def external_id(key: str, uid: str, ordinal: int = 1) -> str:
    """``Ticket.externalID`` of an incident: ``ls.<key>.<uid as 32 hex digits>``, then ``.n`` from the second of that uid.

    Raises ``IdentityError`` when the key or uid has another form or the result passes 50 characters.
    """
    digits = uid.replace("-", "").lower()
    if not is_key(key):
        raise IdentityError(f"'{key}' is not the key of a device, location or organization")
    if not _UID.fullmatch(digits):
        raise IdentityError(f"alert uid '{uid}' is not a UUID of 32 hex digits")
    text = f"{EXTERNAL_ID_PREFIX}{key}.{digits}" + (f".{ordinal}" if ordinal > 1 else "")
    if len(text) > EXTERNAL_ID_LIMIT:
        raise IdentityError(f"external id '{text}' has {len(text)} characters; Autotask keeps {EXTERNAL_ID_LIMIT}")
    return text


def key_of_external_id(text: str | None) -> str | None:
    """The key in one of our external ids, or ``None`` where the ticket is not ours."""
    match = _EXTERNAL_ID.fullmatch(text or "")
    return match["key"] if match else None


def predicted_id(*parts: str | int) -> int:
    """The id of something that was only predicted: the same for the same thing, and nobody's in a tenant."""
    return FIRST_PREDICTED + int(derived_id(*parts)[:12], 16)


def is_predicted(number: int | None) -> bool:
    """Whether an id was made up by a prediction."""
    return number is not None and number >= FIRST_PREDICTED


def reference_number(key: str) -> str:
    """``ConfigurationItem.referenceNumber`` of a device: ``ls.<key>`` (Autotask keeps 100 characters)."""
    return f"{EXTERNAL_ID_PREFIX}{key}"


def partition_of(key: str | bytes, partitions: int) -> int:
    """Where a key lives: murmur2 of its bytes, sign bit off, modulo the number of partitions.

    The one function for every producer of ours. It equals the default of the Java client and of aiokafka, so that
    foreign tools agree; librdkafka's default (CRC32) does not.
    """
    raw = key.encode() if isinstance(key, str) else key
    return (_murmur2(raw) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """32-bit murmur2 with Kafka's seed."""
    length = len(data)
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & 0xFFFFFFFF
        k ^= k >> 24
        k = (k * m) & 0xFFFFFFFF
        h = ((h * m) & 0xFFFFFFFF) ^ k
    rest = data[whole:]
    if rest:
        h ^= int.from_bytes(rest, "little")
        h = (h * m) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * m) & 0xFFFFFFFF
    return h ^ (h >> 15)
