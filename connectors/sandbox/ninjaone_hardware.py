"""The parts of a computer that have end points of their own, made from its row."""

from __future__ import annotations

import random

from connectors.sandbox.ninjaone_catalogue import Row

GIGABYTE = 1_073_741_824


def mac(device_id: int, place: int) -> str:
    """A locally administered address; unique per device and interface."""
    raw = (device_id << 4) | place
    return "02:00:" + ":".join(f"{raw >> shift & 0xFF:02X}" for shift in (24, 16, 8, 0))


def volumes(device_id: int, *, windows: bool, server: bool, source: random.Random) -> list[Row]:
    """The volumes of a computer; a server has a data volume."""

    def volume(name: str, label: str, gigabytes: int) -> Row:
        capacity = gigabytes * GIGABYTE
        return {
            "name": name,
            **({"driveLetter": name} if windows else {}),
            "label": label,
            "deviceType": "Local Disk",
            "fileSystem": "NTFS" if windows else "ext4",
            "autoMount": True,
            "compressed": False,
            "capacity": capacity,
            "freeSpace": int(capacity * source.uniform(0.1, 0.8)),
            "serialNumber": f"{device_id * 2654435761 + gigabytes & 0xFFFFFFFF:08X}",
        }

    volumes = [volume("C:" if windows else "/", "System", 238 if not server else 476)]
    if server:
        volumes.append(volume("D:" if windows else "/srv", "Data", source.choice((953, 1907, 3814))))
    return volumes


def disks(row: Row) -> list[Row]:
    """One disk for each volume."""
    return [
        {
            "bytesPerSector": 512,
            "description": "Disk drive",
            "interfaceType": "SCSI",
            "manufacturer": "(Standard disk drives)",
            "mediaType": "SSD",
            "model": f"Example SSD {volume['capacity'] // GIGABYTE}",
            "name": f"Disk {place}",
            "partitionCount": 3,
            "serialNumber": f"SSD{row['id']:06d}{place}",
            "size": volume["capacity"],
            "smartCapable": True,
            "status": "OK",
        }
        for place, volume in enumerate(row["volumes"])
    ]


def interfaces(row: Row) -> list[Row]:
    """One network interface for each MAC address."""
    address = row["ipAddresses"][0]
    gateway = address.rsplit(".", 1)[0] + ".1"
    return [
        {
            "adapterName": "Example Ethernet Adapter",
            "defaultGateway": gateway,
            "interfaceType": "ETHERNET",
            "dnsHostName": row["dnsName"],
            "dnsServers": gateway,
            "interfaceIndex": 1 + place,
            "interfaceName": f"Ethernet {place}",
            "ipAddress": list(row["ipAddresses"]),
            "linkSpeed": "1000000000",
            "macAddress": [mac],
            "mtu": 1500,
            "status": "UP",
            "subnetMask": "255.255.255.0",
        }
        for place, mac in enumerate(row["macAddresses"])
    ]


def software(row: Row, *, windows: bool) -> list[Row]:
    """Installed programs."""
    names = ("Example Office", "Example Browser", "NinjaRMMAgent") if windows else ("openssh-server", "ninjarmm-agent")
    return [
        {"name": name, "version": f"{place + 1}.{row['id'] % 9}.0", "publisher": "Example Software", "installDate": 1_718_000_000.0}
        for place, name in enumerate(names)
    ]  # fmt: skip


def services() -> list[Row]:
    """Windows services."""
    return [
        {"serviceName": name, "displayName": shown, "startType": "AUTO_START", "state": "RUNNING", "userName": "LocalSystem"}
        for name, shown in (("Spooler", "Print Spooler"), ("W32Time", "Windows Time"), ("NinjaRMMAgent", "NinjaRMMAgent"))
    ]  # fmt: skip
