"""What a simulated NinjaOne tenant is made of: roles, policies, conditions, hardware, texts. Invented data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

#: (name, nodeClass, chassisType); the id of a role is 1 + its place.
ROLES = (
    ("Windows Server", "WINDOWS_SERVER", "UNKNOWN"),
    ("Windows Desktop", "WINDOWS_WORKSTATION", "DESKTOP"),
    ("Windows Laptop", "WINDOWS_WORKSTATION", "LAPTOP"),
    ("Linux Server", "LINUX_SERVER", "UNKNOWN"),
    ("Linux Workstation", "LINUX_WORKSTATION", "DESKTOP"),
    ("Mac", "MAC", "LAPTOP"),
    ("Mac Server", "MAC_SERVER", "UNKNOWN"),
    ("VMware Host", "VMWARE_VM_HOST", "UNKNOWN"),
    ("VMware Guest", "VMWARE_VM_GUEST", "UNKNOWN"),
    ("Switch", "NMS_SWITCH", "UNKNOWN"),
    ("Firewall", "NMS_FIREWALL", "UNKNOWN"),
    ("Printer", "NMS_PRINTER", "UNKNOWN"),
    ("Wireless Access Point", "NMS_WAP", "UNKNOWN"),
)

#: Node classes the fleet is drawn from, with their share of the devices after the first of each kind.
SHARES = (
    ("WINDOWS_WORKSTATION", 56),
    ("WINDOWS_SERVER", 16),
    ("MAC", 9),
    ("LINUX_SERVER", 8),
    ("NMS_SWITCH", 3),
    ("NMS_FIREWALL", 2),
    ("NMS_PRINTER", 2),
    ("LINUX_WORKSTATION", 2),
    ("VMWARE_VM_GUEST", 2),
)
#: The first devices of every fleet, so that a small one shows every kind.
FIRST = ("WINDOWS_SERVER", "WINDOWS_WORKSTATION", "LINUX_SERVER", "MAC", "VMWARE_VM_HOST", "NMS_SWITCH")

#: nodeClass -> the short code in host names
NAME_CODES = {
    "WINDOWS_SERVER": "SRV",
    "WINDOWS_WORKSTATION": "WS",
    "LINUX_SERVER": "LNX",
    "LINUX_WORKSTATION": "LWS",
    "MAC": "MAC",
    "MAC_SERVER": "MSV",
    "VMWARE_VM_HOST": "ESX",
    "VMWARE_VM_GUEST": "VM",
    "NMS_SWITCH": "SW",
    "NMS_FIREWALL": "FW",
    "NMS_PRINTER": "PRN",
    "NMS_WAP": "AP",
}


@dataclass(frozen=True, slots=True)
class System:
    """An operating system as the ``os`` block shows it."""

    manufacturer: str
    name: str
    build: str
    release: str
    architecture: str = "64-bit"


OPERATING_SYSTEMS: dict[str, tuple[System, ...]] = {
    "WINDOWS_SERVER": (
        System("Microsoft Corporation", "Windows Server 2022 Standard Edition", "20348", "21H2"),
        System("Microsoft Corporation", "Windows Server 2019 Standard Edition", "17763", "1809"),
        System("Microsoft Corporation", "Windows Server 2025 Datacenter Edition", "26100", "24H2"),
    ),
    "WINDOWS_WORKSTATION": (
        System("Microsoft Corporation", "Windows 11 Professional Edition", "22631", "23H2"),
        System("Microsoft Corporation", "Windows 11 Enterprise Edition", "26100", "24H2"),
        System("Microsoft Corporation", "Windows 10 Professional Edition", "19045", "22H2"),
    ),
    "LINUX_SERVER": (
        System("Canonical", "Ubuntu 24.04.1 LTS", "6.8.0-48-generic", "24.04", "x86_64"),
        System("Debian", "Debian GNU/Linux 12 (bookworm)", "6.1.0-26-amd64", "12", "x86_64"),
        System("Red Hat", "Red Hat Enterprise Linux 9.4", "5.14.0-427", "9.4", "x86_64"),
    ),
    "LINUX_WORKSTATION": (System("Canonical", "Ubuntu 24.04.1 LTS", "6.8.0-48-generic", "24.04", "x86_64"),),
    "MAC": (
        System("Apple", "macOS 15.1 Sequoia", "24B83", "15.1", "arm64"),
        System("Apple", "macOS 14.7 Sonoma", "23H124", "14.7", "arm64"),
    ),
    "MAC_SERVER": (System("Apple", "macOS 14.7 Sonoma", "23H124", "14.7", "arm64"),),
}

#: nodeClass -> (manufacturer, models, chassis type)
HARDWARE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "WINDOWS_SERVER": ("ExampleCorp", ("PowerRack R-450", "PowerRack R-650"), "SERVER"),
    "WINDOWS_WORKSTATION": ("Contoso Computers", ("OptiDesk 7010", "ThinkBook X14", "EliteDesk 800"), "DESKTOP"),
    "LINUX_SERVER": ("ExampleCorp", ("PowerRack R-250", "PowerRack R-450"), "SERVER"),
    "LINUX_WORKSTATION": ("Contoso Computers", ("OptiDesk 7010",), "DESKTOP"),
    "MAC": ("Apple Inc.", ("MacBookPro18,3", "Mac14,2"), "LAPTOP"),
    "MAC_SERVER": ("Apple Inc.", ("Macmini9,1",), "DESKTOP"),
    "VMWARE_VM_HOST": ("ExampleCorp", ("PowerRack R-750",), "SERVER"),
}

#: Serial numbers that vendors leave on boards; they identify nothing.
JUNK_SERIALS = ("Default string", "To be filled by O.E.M.", "System Serial Number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of a policy, as it shows in alerts: its sourceType, texts and severity by default."""

    source_type: str
    name: str
    source_name: str
    subject: str
    message: str
    severity: str
    priority: str
    code: str


CONDITIONS = (
    Condition(source_type="AGENT_OFFLINE", name="Device down", source_name="", subject="", message="Device is offline", severity="CRITICAL", priority="HIGH", code="sim_agent_offline"),
    Condition(source_type="CONDITION_AGENT_DISK_FREE_SPACE", name="Disk space low", source_name="C:", subject="C:", message="Disk C: free space is 4.3 %, below 10 %", severity="MAJOR", priority="HIGH", code="sim_disk_free_space"),
    Condition(source_type="CONDITION_AGENT_CPU", name="CPU busy", source_name="_average_", subject="CPU", message="CPU usage is above 95 % for 15 minutes", severity="MODERATE", priority="MEDIUM", code="sim_cpu_usage"),
    Condition(source_type="CONDITION_AGENT_MEMORY", name="Memory pressure", source_name="", subject="", message="Memory usage is above 90 % for 10 minutes", severity="MODERATE", priority="MEDIUM", code="vmm_cond_memory_usage_ge"),
    Condition(source_type="CONDITION_WINDOWS_SERVICE_STATE_CHANGED", name="Service stopped", source_name="Spooler", subject="Spooler", message="Service Spooler is stopped", severity="MAJOR", priority="MEDIUM", code="sim_service_state"),
    Condition(source_type="CONDITION_WINDOWS_EVENT_LOG_TRIGGERED", name="Backup failed", source_name="Application", subject="517", message="Event 517 from Backup: the backup operation failed", severity="MAJOR", priority="HIGH", code="agent_cond_eventlog2"),
    Condition(source_type="CONDITION_SYSTEM_UPTIME", name="Long uptime", source_name="", subject="", message="Device was not restarted for 40 days", severity="MINOR", priority="LOW", code="agent_win_cond_sys_uptime"),
    Condition(source_type="CONDITION_SMART_STATUS_DEGRATED", name="Disk failing", source_name="Disk 0", subject="Disk 0", message="SMART status of disk 0 is degraded", severity="CRITICAL", priority="HIGH", code="sim_smart_status"),
    Condition(source_type="PENDING_REBOOT", name="Reboot pending", source_name="", subject="", message="A reboot is pending", severity="NONE", priority="NONE", code="sim_pending_reboot"),
)  # fmt: skip

#: Texts of ``status`` and ``type`` by language; what is missing here is written from the code itself.
TEXTS: dict[str, dict[str, str]] = {
    "de": {
        "TRIGGERED": "Ausgelöst",
        "RESET": "Zurückgesetzt",
        "CONDITION": "Bedingung",
        "SYSTEM": "System",
        "NODE_CREATED": "Gerät hinzugefügt",
        "NODE_UPDATED": "Gerät geändert",
        "NODE_DELETED": "Gerät gelöscht",
    },
    "sv": {
        "TRIGGERED": "Utlöst",
        "RESET": "Återställd",
        "CONDITION": "Villkor",
        "SYSTEM": "System",
        "NODE_CREATED": "Enhet tillagd",
        "NODE_UPDATED": "Enhet ändrad",
        "NODE_DELETED": "Enhet borttagen",
    },
}

ACTIVITY_TYPES = frozenset(
    [
        "ACTIONSET",
        "ACTION",
        "CONDITION",
        "CONDITION_ACTIONSET",
        "CONDITION_ACTION",
        "ANTIVIRUS",
        "PATCH_MANAGEMENT",
        "TEAMVIEWER",
        "MONITOR",
        "SYSTEM",
        "COMMENT",
        "SHADOWPROTECT",
        "IMAGEMANAGER",
        "HELP_REQUEST",
        "SOFTWARE_PATCH_MANAGEMENT",
        "SPLASHTOP",
        "CLOUDBERRY",
        "CLOUDBERRY_BACKUP",
        "SCHEDULED_TASK",
        "RDP",
        "SCRIPTING",
        "SECURITY",
        "REMOTE_TOOLS",
        "VIRTUALIZATION",
        "PSA",
        "MDM",
        "NINJA_REMOTE",
        "NINJA_QUICK_CONNECT",
        "NINJA_NETWORK_DISCOVERY",
        "NINJA_BACKUP",
        "NINJA_TICKETING",
        "KNOWLEDGE_BASE",
        "RELATED_ITEM",
        "CLIENT_CHECKLIST",
        "CHECKLIST_TEMPLATE",
        "DOCUMENTATION",
        "MICROSOFT_INTUNE",
        "DYNAMIC_POLICY",
    ]
)

SEVERITIES = ("NONE", "MINOR", "MODERATE", "MAJOR", "CRITICAL")
PRIORITIES = ("NONE", "LOW", "MEDIUM", "HIGH")


def text_of(code: str, language: str) -> str:
    """The localized text of a statusCode or activityType."""
    return TEXTS.get(language, {}).get(code) or code.replace("_", " ").capitalize()
