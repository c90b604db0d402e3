"""Serial numbers and hardware addresses that identify a machine, and those that many machines share.

The lists are what inventory systems have learned not to trust: the serials and addresses that OCS Inventory and GLPI
ship as blacklists (``blacklist_serials``, ``blacklist_macaddresses``, ``glpi_blacklists``), and the defaults that
firmware reports through DMI where nobody filled in a value. Serials of virtual machines (``VMware-56 4d ...``,
``1234-5678-...`` of Hyper-V) are not among them: a hypervisor makes one for each machine. A copied machine keeps the
original's; that is a second device with the same serial, and is treated as one.
"""

from __future__ import annotations

import re

_PLACEHOLDERS = frozenset(
    entry.strip()
    for entry in """
    default string|to be filled by o.e.m.|to be filled by oem|to be filled by o.e.m|to be filled by o.e.m. by more string|
    to be set by oem|system serial number|systemserialnumb|chassis serial number|base board serial number|serial number|
    serial|oem_serial|none|null|nil|(null string)|n/a|na|not applicable|not specified|not available|not set|unknown|unknow|
    invalid|empty|eval|iatpass|oem|o.e.m.|tulip computers|asset tag|no asset tag|no serial|tbd|default|system name|
    product name|system product name|dell|sys-1234567890|sys-9876543210|mb-1234567890|sn-12345|sn-1234567890|
    sn-123456fvgv3i0b8o5n6n7k|0123456789|0123456789abcdef|12345|123456|1234567|12345678|123456789|1234567890|
    123456789000|01234567890123456789|12345678901234567
    """.replace("\n", "").split("|")
)
#: ``Serial Number xxxxxx``, and rows of x that differ in length only.
_BLANK_FORM = re.compile(r"serial number x+", re.IGNORECASE)

#: Addresses that software or a careless maker gave to every machine: dial-up adapters of Windows (44:45:53:54,
#: 50:50:54:50:30:30, 33:50:6f:45:30:30), its loopback adapter, host adapters of VMware and VirtualBox, doubled cards.
_SHARED_ADDRESSES = frozenset(
    entry.strip()
    for entry in """
    000000000000 ffffffffffff 444553540000 444553540001 44455354616f 505054503030 33506f453030 02004c4f4f50
    005056c00001 005056c00008 0a0027000000 0001027d9b1c 0008a1460635 0008a166e21a 0009dd103768
    000fea9ae2f0 00105a7271f3 00111185088b 101111111111
    """.replace("\n", " ").split(" ")
)


def real_serial(serial: str) -> str:
    """The serial number with single spaces, empty where it is a placeholder that many machines share."""
    text = " ".join(serial.split())
    plain = re.sub(r"[\s.\-_:]", "", text).lower()
    if text.lower() in _PLACEHOLDERS or len(plain) < 3 or len(set(plain)) == 1 or set(plain) <= {"0", "1"}:
        return ""
    return "" if _BLANK_FORM.fullmatch(text) else text


def plain_mac(mac: str) -> str:
    """A hardware address as twelve lower-case hex digits, empty for what is none or belongs to no single card."""
    digits = re.sub(r"[^0-9a-fA-F]", "", mac).lower()
    return "" if len(digits) != 12 or digits in _SHARED_ADDRESSES else digits
