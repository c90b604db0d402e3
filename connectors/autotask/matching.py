"""Which configuration item is the device's, and what differs between the two. Pure.

A device is recognised by our key in ``referenceNumber``; an item that somebody else made is adopted when it matches by
unique id, serial number, hardware address or name, in the order of the policy, and belongs to no other living device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.autotask import ConfigurationItem
from schemas.commands import UpsertConfigurationItem
from schemas.hardware import plain_mac, real_serial
from schemas.identity import EXTERNAL_ID_PREFIX

_MASKED = re.compile(r"\*{3,}")


def masked(value: str) -> bool:
    """Whether a user-defined value is hidden from us (protected data without the permission shows as ``*****``)."""
    return _MASKED.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """The item that is the device's (``None``: none is), by which step, and what else was found.

    ``doubles`` carry our key as well, ``twins`` the device's serial number and nobody's key; both are active.
    ``rivals``: active items of which each might be the device's. ``remarks`` say what stood in the way.
    """

    item: ConfigurationItem | None
    step: str = ""
    doubles: tuple[ConfigurationItem, ...] = ()
    twins: tuple[ConfigurationItem, ...] = ()
    rivals: tuple[ConfigurationItem, ...] = ()
    remarks: tuple[str, ...] = ()


def choose(
    command: UpsertConfigurationItem,
    candidates: Sequence[ConfigurationItem],
    *,
    uid_field: str | None,
    mac_field: str | None,
) -> Match:
    """The device's item among those of its company.

    Several items with our own key: the oldest active one is kept, other active ones are doubles. Several items at a
    step of adoption: an active one before inactive ones, then the one with the device's name, then the one that a later
    step tells apart. Where several active ones remain none is taken, since the wrong machine's history is worse than
    no item: they are rivals. Inactive ones are history: where they alone remain, the device gets an item of its own.
    """
    ours = [item for item in candidates if item.reference_number == command.reference_number]
    if ours:
        ranked = sorted(ours, key=lambda item: (not item.is_active, item.id))
        doubles = tuple(item for item in ranked[1:] if item.is_active)
        return Match(ranked[0], "device_key", doubles, twins_of(command, ranked[0], candidates))
    remarks: list[str] = []
    tests = [(step, test) for step in command.match if (test := _test(step, command, uid_field, mac_field)) is not None]
    for place, (step, test) in enumerate(tests):
        found = [item for item in candidates if test(item) and _adoptable(item, command, step)]
        chosen = _one(found, command, [later for _, later in tests[place + 1 :]])
        if chosen is not None:
            return Match(chosen, step, twins=twins_of(command, chosen, candidates), remarks=tuple(remarks))
        active = tuple(item for item in found if item.is_active)
        if active:
            return Match(None, step, rivals=active, remarks=tuple(remarks))
        if found:
            ids = ", ".join(str(item.id) for item in found[:5])
            remarks.append(f"{len(found)} inactive items match by {step} (ids {ids}), none was adopted")
    return Match(None, remarks=tuple(remarks))


def twins_of(
    command: UpsertConfigurationItem, item: ConfigurationItem, candidates: Sequence[ConfigurationItem]
) -> tuple[ConfigurationItem, ...]:
    """Active items beside ``item`` with the device's serial number and no key of ours: the same machine entered twice.

    Not where another living device has that serial: the item may be that one's, which adopts it when its turn comes.
    """
    serial = real_serial(command.serial).lower()
    if not serial or command.alive:
        return ()
    return tuple(
        other
        for other in candidates
        if other.id != item.id
        and other.is_active
        and not other.reference_number.startswith(EXTERNAL_ID_PREFIX)
        and real_serial(other.serial_number).lower() == serial
    )


def former_key(item: ConfigurationItem, command: UpsertConfigurationItem) -> str:
    """The key of the other device of ours that an item carries, empty where it carries none."""
    number = item.reference_number
    ours = number.startswith(EXTERNAL_ID_PREFIX) and number != command.reference_number
    return number.removeprefix(EXTERNAL_ID_PREFIX) if ours else ""


def _adoptable(item: ConfigurationItem, command: UpsertConfigurationItem, step: str) -> bool:
    """Whether an item may become this device's: it is nobody's, or was the item of the device that this one once was.

    A re-enrolled machine has a new id and the old serial. Its former item is active as long as the grace time of the
    deleted device runs; it is taken over only where NinjaOne is known to have no such device any more.
    """
    key = former_key(item, command)
    if key and key in (command.alive or ()):
        return False
    # One living device has one unique id; a serial number can have several.
    return not key or not item.is_active or step == "device_uid" or (step == "serial" and command.alive is not None)


def _one(
    found: Sequence[ConfigurationItem],
    command: UpsertConfigurationItem,
    later: Sequence[Callable[[ConfigurationItem], bool]],
) -> ConfigurationItem | None:
    active = [item for item in found if item.is_active]
    choices = [found, active, [item for item in active if _named(item, command)]]
    choices += [[item for item in active if test(item)] for test in later]
    if not active:
        choices.append([item for item in found if _named(item, command)])
    return next((narrowed[0] for narrowed in choices if len(narrowed) == 1), None)


def _test(
    step: str, command: UpsertConfigurationItem, uid_field: str | None, mac_field: str | None
) -> Callable[[ConfigurationItem], bool] | None:
    serial = real_serial(command.serial)
    macs = {plain for plain in map(plain_mac, command.mac_addresses) if plain}
    if step == "device_uid" and command.device_uid and uid_field:
        uid = command.device_uid.lower()
        return lambda item: item.field(uid_field).lower() == uid
    if step == "serial" and serial:
        return lambda item: real_serial(item.serial_number).lower() == serial.lower()
    if step == "mac" and macs:
        return lambda item: bool(macs & _macs(item, mac_field)) and _same_machine(item, serial)
    if step == "hostname" and (command.hostname or command.title):
        return lambda item: _named(item, command) and _same_machine(item, serial)
    return None


def _macs(item: ConfigurationItem, mac_field: str | None) -> set[str]:
    text = f"{item.rmm_device_audit_mac_address} {item.field(mac_field) if mac_field else ''}"
    return {plain for plain in map(plain_mac, re.split(r"[\s,;|]+", text)) if plain}


def _named(item: ConfigurationItem, command: UpsertConfigurationItem) -> bool:
    names = {command.hostname.strip().lower(), command.title.strip().lower()} - {""}
    return item.reference_title.strip().lower() in names


def _same_machine(item: ConfigurationItem, serial: str) -> bool:
    """A name or a docking station's address moves on to the next machine; two real serial numbers that differ do not lie."""
    other = real_serial(item.serial_number)
    return not serial or not other or other.lower() == serial.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the item shall look like: columns by wire name, and texts of user-defined fields by name.

    ``where_empty``: columns that are filled where they are empty, and otherwise stay as people have them.
    """

    columns: Mapping[str, object]
    fields: Mapping[str, str]
    where_empty: Mapping[str, object] = field(default_factory=dict)


def differences(item: ConfigurationItem, wanted: Wanted, *, ours: bool) -> tuple[dict[str, object], list[str]]:
    """What has to be written, empty where nothing differs, and the names of fields that we may not see.

    Empty text clears a field of an item that is ours already; in an item that is just being adopted it leaves what
    people wrote there, since "not known" is no reason to erase.
    """
    now: dict[str, object] = {
        "productID": item.product_id,
        "isActive": item.is_active,
        "referenceTitle": item.reference_title,
        "referenceNumber": item.reference_number,
        "serialNumber": item.serial_number,
        "configurationItemType": item.configuration_item_type,
        "configurationItemCategoryID": item.configuration_item_category_id,
        "contractID": item.contract_id,
        "location": item.location,
        "notes": item.notes,
        # Days: Autotask shows a midnight that tenants in other time zones see on the day before.
        "installDate": item.install_date[:10],
        "warrantyExpirationDate": item.warranty_expiration_date[:10],
    }
    changed: dict[str, object] = {name: value for name, value in wanted.columns.items() if now.get(name) != value}
    changed |= {name: value for name, value in wanted.where_empty.items() if not now.get(name)}
    hidden: list[str] = []
    pairs: list[dict[str, object]] = []
    for name, text in wanted.fields.items():
        present = item.field(name)
        if masked(present):
            hidden.append(name)
        elif _settled(present) != _settled(text) and (text or ours):
            pairs.append({"name": name, "value": text or None})
    if pairs:
        changed["userDefinedFields"] = pairs
    return changed, hidden


def _settled(text: str) -> str:
    """A text without what a round trip may change: line breaks and spaces at the ends."""
    return text.replace("\r\n", "\n").strip()
