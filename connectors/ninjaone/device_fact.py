"""From a device row to ``DeviceObserved`` and its digest. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.facts import DeviceObserved, Subject
from schemas.identity import derived_id
from schemas.ninjaone import DeviceRow, OsPart, SystemPart, milliseconds

#: Begin and end in epoch seconds.
Warranty = tuple[float | None, float | None]
UNKNOWN_WARRANTY: Warranty = (None, None)


def device_observed(
    row: DeviceRow,
    subject: Subject,
    *,
    observed_at: int,
    warranty: Warranty = UNKNOWN_WARRANTY,
    twins: tuple[int, ...] | None = None,
    last_user: str = "",
) -> DeviceObserved:
    """The device as a fact; the digest covers everything in it but the time of looking.

    Only fields that the list and the single device share are used, and lists are sorted, so that the order of one
    answer or the other never looks like a change. Without lastContact, lastUpdate, offline, free space, uptime and
    needsReboot. ``last_user`` is the token of the last logged-on user, if that is wanted (``schemas.personal``). ``warranty`` comes from the directory, since
    only some answers tell it.
    """
    os, system = row.os or OsPart(), row.system or SystemPart()
    memory = row.memory.capacity if row.memory is not None else None
    fact = DeviceObserved(
        subject=subject,
        observed_at=0,
        digest="",
        approval_status=row.approval_status,
        device_type=row.device_type,
        system_name=row.system_name,
        dns_name=row.dns_name,
        serial=row.serial,
        manufacturer=system.manufacturer or row.vendor,
        model=system.model or row.model,
        chassis=system.chassis_type,
        virtual=True if row.device_type == "VMGuest" else system.virtual_machine,
        os_name=os.name or row.guest_os_full_name or row.release_name,
        os_version=_version(os.release_id, os.build_number) or _version(row.version, row.build_number),
        os_architecture=os.architecture,
        domain=system.domain,
        processor=row.processors[0].name if row.processors else row.cpu_model,
        processor_cores=_total(entry.num_cores for entry in row.processors) or row.cpu_cores,
        memory_bytes=memory or system.total_physical_memory or row.memory_size,
        storage_bytes=_storage(row),
        ip_addresses=_sorted(row.ip_addresses),
        mac_addresses=_sorted(row.mac_addresses),
        public_ip=row.public_ip,
        tags=_sorted(row.tags),
        asset_tag=system.asset_serial_number,
        enrolled_at=milliseconds(row.created),
        warranty_start=milliseconds(warranty[0]),
        warranty_end=milliseconds(warranty[1]),
        last_user=last_user,
        serial_twins=twins,
    )
    # A change of the others alone is no news of this device: it matters when something is to be written.
    news = fact.model_copy(update={"serial_twins": None})
    digest = derived_id("device", news.to_json().decode())
    return fact.model_copy(update={"observed_at": observed_at, "digest": digest})


def _version(release: str, build: str) -> str:
    if release and build:
        return f"{release} ({build})"
    return release or build


def _total(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _storage(row: DeviceRow) -> int | None:
    """Built-in volumes; all of them where the instance does not say or names the type in another language."""
    local = [volume.capacity for volume in row.volumes if volume.device_type == "Local Disk"]
    return _total(local or [volume.capacity for volume in row.volumes])


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
