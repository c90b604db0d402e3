"""Devices with realistic hardware: the detailed row, and the sub-resources that have endpoints of their own."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.ninjaone_catalogue import (
    HARDWARE,
    JUNK_SERIALS,
    NAME_CODES,
    OPERATING_SYSTEMS,
    Row,
)
from connectors.sandbox.ninjaone_hardware import GIGABYTE, disks, interfaces, mac, services, software, volumes

#: Fields of DeviceBase (``/v2/devices``, device inside alerts and webhooks); the detailed row has more.
BASE_FIELDS = (
    "id",
    "parentDeviceId",
    "uid",
    "organizationId",
    "locationId",
    "nodeClass",
    "nodeRoleId",
    "rolePolicyId",
    "policyId",
    "approvalStatus",
    "offline",
    "displayName",
    "systemName",
    "dnsName",
    "netbiosName",
    "created",
    "lastContact",
    "lastUpdate",
    "userData",
    "tags",
    "maintenance",
    "references",
)


@dataclass(slots=True)
class Device:
    """One device. ``row`` is the detailed wire row; what follows belongs to its own endpoints."""

    row: Row
    disks: list[Row] = field(default_factory=list)
    interfaces: list[Row] = field(default_factory=list)
    software: list[Row] = field(default_factory=list)
    services: list[Row] = field(default_factory=list)
    custom_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def name(self) -> str:
        """As the console shows it: displayName, else systemName, else dnsName."""
        return str(self.row.get("displayName") or self.row.get("systemName") or self.row.get("dnsName") or self.id)

    def base(self) -> Row:
        """The DeviceBase row."""
        return {key: self.row[key] for key in BASE_FIELDS if key in self.row}


@dataclass(frozen=True, slots=True)
class DeviceFactory:
    """Makes devices from a source of (seeded) randomness; seeded times lie before ``epoch``."""

    epoch: float

    def make(
        self,
        *,
        device_id: int,
        uid: str,
        organization: Row,
        location_id: int,
        role: Row,
        policy_id: int,
        source: random.Random,
        parent_id: int | None = None,
    ) -> Device:
        """A device of the role's node class, named and addressed by its organization."""
        node_class = str(role["nodeClass"])
        short = re.sub(r"[^A-Z]", "", str(organization["name"]).upper())[:5] or "ORG"
        name = f"{short}-{NAME_CODES.get(node_class, 'DEV')}{device_id % 10_000:04d}"
        created = self.epoch - source.randint(2_000_000, 60_000_000) - 0.799
        row: Row = {"id": device_id}
        if parent_id is not None:
            row["parentDeviceId"] = parent_id
        row |= {
            "uid": uid,
            "organizationId": organization["id"],
            "locationId": location_id,
            "nodeClass": node_class,
            "nodeRoleId": role["id"],
            "rolePolicyId": policy_id,
            "approvalStatus": "APPROVED",
            "offline": source.random() < 0.06,
            "displayName": name,
            "systemName": name,
            "dnsName": f"{name.lower()}.{short.lower()}.example",
            "netbiosName": name[:15],
            "created": created,
            "lastContact": self.epoch - source.randint(10, 4_000) - 0.05,
            "lastUpdate": self.epoch - source.randint(10, 4_000) - 0.5,
            "userData": {},
            "tags": [],
            "ipAddresses": [
                f"10.{organization['id'] % 250}.{device_id // 200 % 250}.{10 + device_id % 200}",
                f"fe80::5e:{organization['id']:x}:{device_id:x}",
            ],
            "macAddresses": [mac(device_id, 0)],
            "publicIP": f"198.51.100.{organization['id'] % 250 + 1}",
            "notes": [],
        }
        if source.random() < 0.2:
            del row["displayName"]
        device = Device(row)
        if node_class == "VMWARE_VM_HOST":
            self._vm_host(device, source)
        elif node_class == "VMWARE_VM_GUEST":
            self._vm_guest(device, source)
        elif node_class.startswith("NMS_"):
            device.row["deviceType"] = "NMSTarget"
        elif node_class == "CLOUD_MONITOR_TARGET":
            device.row |= {"deviceType": "CloudMonitorPing", "enabled": True, "interval": 60, "timeout": 10}
        else:
            self._agent(device, role, short, source)
        device.interfaces = interfaces(device.row)
        return device

    def _agent(self, device: Device, role: Row, short: str, source: random.Random) -> None:
        row, node_class = device.row, str(role["nodeClass"])
        windows = node_class.startswith("WINDOWS")
        system = source.choice(OPERATING_SYSTEMS.get(node_class, OPERATING_SYSTEMS["WINDOWS_WORKSTATION"]))
        maker, models, chassis = HARDWARE.get(node_class, HARDWARE["WINDOWS_WORKSTATION"])
        server = "SERVER" in node_class
        cores = source.choice((8, 16, 24)) if server else source.choice((4, 6, 8))
        memory = source.choice((32, 64, 128) if server else (8, 16, 32)) * GIGABYTE
        serial = f"{short[:2]}{row['id']:06d}{source.randint(100, 999)}"
        if node_class == "WINDOWS_WORKSTATION" and row["id"] % 29 == 28:
            serial = JUNK_SERIALS[row["id"] % len(JUNK_SERIALS)]
        row["os"] = {
            "manufacturer": system.manufacturer,
            "name": system.name,
            "architecture": system.architecture,
            "lastBootTime": self.epoch - source.randint(3_600, 3_000_000),
            "buildNumber": system.build,
            "releaseId": system.release,
            "servicePackMajorVersion": 0,
            "servicePackMinorVersion": 0,
            "locale": "en-US",
            "language": "English",
            "needsReboot": source.random() < 0.1,
        }
        row["system"] = {
            "name": row["systemName"],
            "manufacturer": maker,
            "model": source.choice(models),
            "biosSerialNumber": serial,
            "serialNumber": serial,
            "domain": short if windows else "",
            "domainRole": "Member Server" if server else "Member Workstation",
            "numberOfProcessors": 1,
            "totalPhysicalMemory": memory,
            "virtualMachine": False,
            "chassisType": chassis if role["chassisType"] == "UNKNOWN" else role["chassisType"],
        }
        row["memory"] = {"capacity": memory}
        row["processors"] = [
            {
                "architecture": "arm64" if node_class.startswith("MAC") else "x64",
                "maxClockSpeed": 2_800_000_000,
                "clockSpeed": 2_400_000_000,
                "name": f"Example CPU {cores}-core",
                "numCores": cores,
                "numLogicalCores": cores * 2,
            }
        ]
        row["volumes"] = volumes(row["id"], windows=windows, server=server, source=source)
        if not server:
            row["lastLoggedInUser"] = f"{short}\\user{row['id'] % 40:02d}"
        row["deviceType"] = "AgentDevice"
        device.disks = disks(row)
        device.software = software(row, windows=windows)
        device.services = services() if windows else []

    def _vm_host(self, device: Device, source: random.Random) -> None:
        maker, models, _ = HARDWARE["VMWARE_VM_HOST"]
        device.row |= {
            "cpuMhz": 2600,
            "cpuModel": "Example CPU 32-core",
            "htActive": True,
            "htAvailable": True,
            "lastBootTime": self.epoch - 8_000_000,
            "memorySize": 512 * GIGABYTE,
            "model": models[0],
            "name": "VMware ESXi",
            "cpuCores": 32,
            "cpuPackages": 2,
            "cpuThreads": 64,
            "serviceTag": f"VH{device.id:05d}{source.randint(10, 99)}",
            "vendor": maker,
            "releaseName": "VMware ESXi 8.0.2",
            "version": "8.0.2",
            "buildNumber": "22380479",
            "deviceType": "VMHost",
        }

    def _vm_guest(self, device: Device, source: random.Random) -> None:
        device.row |= {
            "fullName": f"[datastore1] {device.row['systemName']}",
            "memorySize": 16 * GIGABYTE,
            "coresPerSocket": 2,
            "cpuCores": source.choice((2, 4, 8)),
            "powerState": "ON",
            "toolStatus": "TOOLS_OK",
            "toolsVersion": "12352",
            "guestOSFullName": "Ubuntu Linux (64-bit)",
            "guestOSFamily": "linuxGuest",
            "guestOSId": "ubuntu64Guest",
            "snapshotCount": 0,
            "snapshotTotalSize": 0,
            "deviceType": "VMGuest",
        }
