"""From a device and the policy to its configuration item: what stands in it. Decides nothing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from schemas.commands import UpsertConfigurationItem
from schemas.facts import DeviceObserved, Subject
from schemas.identity import reference_number
from streams.core.policy import Policy


def upsert(*, key: str, fact: DeviceObserved, company_id: int, policy: Policy) -> UpsertConfigurationItem:
    """The item that a device should have, without the hint which one it is."""
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
        serial=fact.serial,
        device_uid=where.device_uid,
        mac_addresses=fact.mac_addresses,
        hostname=fact.dns_name or fact.system_name,
        match=policy.match,
        fields=policy.item_fields(fact),
    )


def content_digest(command: UpsertConfigurationItem) -> str:
    """What tells whether an item would be written differently than the last time (who asked for it does not count)."""
    return blake2b(command.model_dump_json(exclude={"organization_id"}).encode(), digest_size=16).hexdigest()


def stored(fact: DeviceObserved) -> dict[str, Any]:
    """What a device's state keeps of an observation: its fields without those at their defaults."""
    return fact.model_dump(mode="json", exclude_defaults=True)


def restored(fields: dict[str, Any]) -> DeviceObserved:
    """The observation again. It was validated when it came; lists stand for its tuples, which JSON does not have."""
    parts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return DeviceObserved.model_construct(**{**parts, "subject": Subject.model_construct(**fields["subject"])})
