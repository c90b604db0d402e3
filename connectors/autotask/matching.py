"""Which configuration item is the device's, and what differs between the two. Pure.

A device is recognised by our key in ``referenceNumber``; an item that somebody else made is adopted when it matches by
unique id, serial number, hardware address or name, in the order of the policy, and belongs to no other device of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.autotask import ConfigurationItem
from schemas.commands import UpsertConfigurationItem
from schemas.identity import EXTERNAL_ID_PREFIX

#: What firmware says where nobody filled in a serial number (vendors' defaults as DMI and WMI report them).
_PLACEHOLDERS = frozenset(
    """
    default string|to be filled by o.e.m.|to be filled by oem|to be filled by o.e.m|system serial number|
    chassis serial number|base board serial number|serial number|serial|none|null|nil|n/a|na|not applicable|
    not specified|not available|not set|unknown|invalid|empty|oem|o.e.m.|to be set by oem|xxxxxxxxxxxx|
    0123456789|123456789|1234567890|12345678|123456|01234567890123456789|asset tag|no asset tag|no serial|tbd|default
    """.replace("\n", "").split("|")
)
_PLACEHOLDERS = frozenset(entry.strip() for entry in _PLACEHOLDERS)
_MASKED = re.compile(r"\*{3,}")


def real_serial(serial: str) -> str:
    """The serial number, empty where it is a placeholder that many machines share."""
    text = " ".join(serial.split())
    plain = re.sub(r"[\s.\-_:]", "", text)
    if text.lower() in _PLACEHOLDERS or len(plain) < 3 or len(set(plain.lower())) == 1:
        return ""
    return text


def plain_mac(mac: str) -> str:
    """A hardware address as twelve lower-case hex digits, empty for what is none or belongs to no single card."""
    digits = re.sub(r"[^0-9a-fA-F]", "", mac).lower()
    return "" if len(digits) != 12 or digits in ("0" * 12, "f" * 12) else digits


def masked(value: str) -> bool:
    """Whether a user-defined value is hidden from us (protected data without the permission shows as ``*****``)."""
    return _MASKED.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """The item that is the device's (``None``: none is), by which step, its doubles, and what stood in the way."""

    item: ConfigurationItem | None
    step: str = ""
    doubles: tuple[ConfigurationItem, ...] = ()
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
    step of adoption: an active one before inactive ones, then the one with the device's name; if that does not
    decide, none is taken at this step, since the wrong machine's history is worse than a second item.
    """
    ours = [item for item in candidates if item.reference_number == command.reference_number]
    if ours:
        ranked = sorted(ours, key=lambda item: (not item.is_active, item.id))
        return Match(ranked[0], "device_key", tuple(item for item in ranked[1:] if item.is_active))
    remarks: list[str] = []
    free = [item for item in candidates if _adoptable(item)]
    for step in command.match:
        test = _test(step, command, uid_field, mac_field)
        found = [item for item in free if test(item)] if test is not None else []
        chosen = _one(found, command)
        if chosen is not None:
            return Match(chosen, step, remarks=tuple(remarks))
        if found:
            ids = ", ".join(str(item.id) for item in found[:5])
            remarks.append(f"{len(found)} items match by {step} (ids {ids}), none was adopted")
    return Match(None, remarks=tuple(remarks))


def _adoptable(item: ConfigurationItem) -> bool:
    return not item.reference_number.startswith(EXTERNAL_ID_PREFIX) or not item.is_active


def _one(found: Sequence[ConfigurationItem], command: UpsertConfigurationItem) -> ConfigurationItem | None:
    for narrowed in (
        found,
        [item for item in found if item.is_active],
        [item for item in found if item.is_active and _named(item, command)],
        [item for item in found if _named(item, command)],
    ):
        if len(narrowed) == 1:
            return narrowed[0]
    return None


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
    """What the item shall look like: columns by wire name, and texts of user-defined fields by name."""

    columns: Mapping[str, object]
    fields: Mapping[str, str]


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
    }
    changed: dict[str, object] = {name: value for name, value in wanted.columns.items() if now.get(name) != value}
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
