"""The picklists of the simulated tenant. Metadata shows their values as strings, records carry the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a picklist; ``parent`` is a value of the parent field's list."""

    value: int | str
    label: str
    parent: int | None = None
    active: bool = True
    default: bool = False
    system: bool = False


def choices(*pairs: tuple[int | str, str], default: int | str | None = None) -> list[Choice]:
    """A plain list of values in display order."""
    return [Choice(value=value, label=label, default=value == default) for value, label in pairs]


#: Statuses of the complete type: the vendor's own and one that this tenant added.
COMPLETE_STATUSES = frozenset({5, 29})
NEW, COMPLETE, CLOSED_BY_TENANT = 1, 5, 29

_SYSTEM_STATUSES = [
    Choice(value=NEW, label="New", system=True),
    Choice(value=8, label="In Progress"),
    Choice(value=7, label="Waiting Customer"),
    Choice(value=9, label="Waiting Materials"),
    Choice(value=10, label="Dispatched"),
    Choice(value=11, label="Escalate"),
    Choice(value=24, label="Retired Status", active=False),
    Choice(value=CLOSED_BY_TENANT, label="Closed - No Action"),
    Choice(value=COMPLETE, label="Complete", system=True),
]

#: Lists that never change while the tenant runs; lists made of rows (ticket categories, item types) are added live.
FIXED: dict[str, list[Choice]] = {
    "ticketStatus": _SYSTEM_STATUSES,
    # Ids are not in the order of severity: so it is in the vendor's own defaults.
    "priority": choices((4, "Critical"), (1, "High"), (2, "Medium"), (3, "Low"), default=2),
    "queue": choices(
        (29682833, "Service Desk"),
        (29683354, "Monitoring"),
        (29683355, "NOC"),
        (29683356, "Client Portal"),
        (29683378, "Triage"),
    ),
    "issueType": choices((10, "Computer"), (11, "Network"), (12, "Server")),
    "subIssueType": [
        Choice(value=136, label="Hardware Failure", parent=10),
        Choice(value=137, label="Patching", parent=10),
        Choice(value=146, label="Switch", parent=11),
        Choice(value=152, label="Disk", parent=12),
        Choice(value=153, label="Offline", parent=12),
    ],
    "ticketType": choices(
        (1, "Service Request"), (2, "Incident"), (3, "Problem"), (4, "Change Request"), (5, "Alert"), default=1
    ),
    "source": choices((-2, "Other"), (2, "Phone"), (4, "Email"), (6, "Client Portal"), (8, "Monitoring Alert")),
    "noteType": [
        Choice(value=1, label="Task Summary"),
        Choice(value=2, label="Task Detail"),
        Choice(value=3, label="Task Notes", default=True),
        Choice(value=13, label="Workflow Rule Note - Ticket", system=True),
    ],
    "publish": [
        Choice(value=1, label="All Autotask Users", system=True),
        Choice(value=2, label="Internal Project Team", system=True),
        Choice(value=4, label="Internal & Co-Managed", system=True),
    ],
    "monitorType": choices((1, "Online Status Monitor"), (2, "CPU Monitor"), (3, "Disk Usage Monitor")),
    "sla": choices((1, "Standard SLA")),
    "changeBoard": choices((1, "Change Board")),
    "changeStatus": choices((1, "Assigned"), (2, "Requested"), (3, "Approved"), (4, "Rejected")),
    "changeType": choices((1, "All must approve"), (2, "One must approve")),
    "rmaStatus": choices((1, "Requested")),
    "rmaType": choices((1, "Repair")),
    "personType": choices((1, "Resource"), (2, "Contact"), (3, "Not Set")),
    "apiVendor": [],
    "displayColor": choices((1, "Blue"), (2, "Green"), (3, "Orange"), (4, "Red")),
    "companyType": choices(
        (1, "Customer"), (2, "Lead"), (3, "Prospect"), (4, "Dead"), (6, "Cancelation"), (7, "Vendor"), (8, "Partner")
    ),
    "territory": choices((29682778, "Local")),
    "marketSegment": choices((29682781, "SMB")),
    "resourceType": choices(("Employee", "Employee"), ("Contractor", "Contractor")),
    "licenseType": choices((1, "Professional"), (7, "API User")),
    "userType": choices((10, "Full Access (system)"), (17, "API User (system)")),
    "billingUseType": choices((1, "General Allocation Code"), (4, "Material Cost Code")),
    "productCategory": choices((1, "Hardware"), (2, "Managed Services")),
    "udfDataType": choices(
        (1, "Text (Single Line)"), (2, "Text (Multi Line)"), (3, "Number"), (4, "Date"), (5, "List (Single Selection)")
    ),
    "udfDisplayFormat": choices((1, "Single line"), (2, "Multi line")),
}

#: Which entity a ``udfType`` stands for, with its limit of active definitions (vendor help). Only 1 = Company is
#: documented; the other ids differ from what a client may guess, so it has to read the picklist.
UDF_TYPES: dict[int, tuple[str, str, str, int]] = {
    1: ("Companies", "Company", "Account", 200),
    2: ("Contacts", "Contact", "Contact", 100),
    6: ("Products", "Product", "Product", 200),
    8: ("ConfigurationItems", "Configuration Item", "Installed Product", 500),
    11: ("Tickets", "Ticket", "Ticket", 300),
}
TEXT, MULTILINE, NUMBER, DATE, LIST = 1, 2, 3, 4, 5


def shown(listed: list[Choice]) -> list[dict[str, Any]]:
    """``picklistValues`` of the metadata answer."""
    return [
        {
            "value": str(choice.value),
            "label": choice.label,
            "isDefaultValue": choice.default,
            "sortOrder": position,
            "parentValue": "" if choice.parent is None else str(choice.parent),
            "isActive": choice.active,
            "isSystem": choice.system,
        }
        for position, choice in enumerate(listed, 1)
    ]
