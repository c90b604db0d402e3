"""From a device and the policy to its configuration item: what stands in it. Decides nothing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from schemas.commands import UpsertConfigurationItem
from schemas.facts import DeviceObserved, Subject
from schemas.identity import device_key, reference_number
from streams.core.policy.policy import Policy

#: Of a command, what does not make the item look different: who asked, what else is alive, what is told of its history.
_BESIDE = {"organization_id", "alive", "note"}


def upsert(
    *, key: str, fact: DeviceObserved, company_id: int, policy: Policy, note: str = ""
) -> UpsertConfigurationItem:
    """The item that a device should have, without the hint which one it is. ``note``: a line of history for it."""
    where = fact.subject
    shape = policy.item_for(where)
    return UpsertConfigurationItem(
        key=key,
        effect_key=key,
        organization_id=where.organization_id,
        company_id=company_id,
        reference_number=reference_number(key),
        title=where.device_name or fact.system_name or f"Device {key}",
        product=shape.product,
        item_type=shape.item_type,
        category=shape.category,
        contract=shape.contract,
        serial=fact.serial,
        device_uid=where.device_uid,
        mac_addresses=fact.mac_addresses,
        hostname=fact.dns_name or fact.system_name,
        match=policy.match,
        fields=policy.item_fields(fact),
        alive=None if fact.serial_twins is None else tuple(device_key(twin) for twin in fact.serial_twins),
        twins=policy.devices.twins,
        note=note,
    )


def content_digest(command: UpsertConfigurationItem) -> str:
    """What tells whether an item would be written differently than the last time."""
    return blake2b(command.model_dump_json(exclude=_BESIDE).encode(), digest_size=16).hexdigest()


def stored(fact: DeviceObserved) -> dict[str, Any]:
    """What a device's state keeps of an observation: its fields without those at their defaults."""
    return fact.model_dump(mode="json", exclude_defaults=True)


def restored(fields: dict[str, Any]) -> DeviceObserved:
    """The observation again. It was validated when it came; lists stand for its tuples, which JSON does not have."""
    parts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return DeviceObserved.model_construct(**{**parts, "subject": Subject.model_construct(**fields["subject"])})
