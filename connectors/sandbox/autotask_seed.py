"""The tenant as it is on the first day: a company per simulated customer, and what an administrator set up."""

from __future__ import annotations

from collections import Counter
from typing import Any

from connectors.sandbox.autotask_api_user import API_RESOURCE, USERNAME
from connectors.sandbox.autotask_picklists import TEXT
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.world import World

OWN_COMPANY = 0
TECHNICIANS = (29_682_885, 29_682_886)
FORMER_TECHNICIAN = 29_682_887
ENGINEER, HELP_DESK = 29_682_834, 29_682_835
DEPARTMENT = 29_682_840
MONITORING, SERVICE_DESK = 29_683_354, 29_682_833
STANDARD, RMM_ALERTS, CHANGE, RMA = 3, 101, 102, 5
#: Companies of simulated customers begin here; one is far from the next, as ids in a tenant are.
_FIRST_COMPANY, _STEP = 29_683, 7
_LEGAL_FORMS = ("GmbH", "Ltd", "Inc.", "AG", "LLC")
UDF_ITEMS = 8
#: User-defined fields of configuration items that are there from the start; others are made on request.
PRESENT_UDFS = ("NinjaOne Link", "Operating System")


def seed(tenant: Tenant, world: World) -> None:
    """Fill an empty tenant. The same world gives the same rows, ids included (times follow the clock)."""
    _people(tenant)
    _companies(tenant, world.organization_names())
    _catalogue(tenant)
    _categories(tenant)
    for name in PRESENT_UDFS:
        define_udf(tenant, name)


def define_udf(tenant: Tenant, name: str, *, udf_type: int = UDF_ITEMS, data_type: int = TEXT, **more: Any) -> int:
    """A user-defined field, as an administrator makes it; returns its definition id."""
    values: dict[str, Any] = {
        "name": name,
        "udfType": udf_type,
        "dataType": data_type,
        "isActive": True,
        "isRequired": False,
        "isProtected": False,
        "isEncrypted": False,
        "isPrivate": False,
        "isVisibleToClientPortal": False,
        "isFieldMapping": False,
        "createDate": tenant.now(),
        "sortOrder": len(tenant.rows["UserDefinedFieldDefinitions"]) + 1,
    }
    return int(tenant.rows["UserDefinedFieldDefinitions"].insert({**values, **more})["id"])


def add_company(tenant: Tenant, name: str, number: int | None = None, **more: Any) -> dict[str, Any]:
    """A company with a primary location and one contact."""
    now = tenant.now()
    values: dict[str, Any] = {
        "companyName": name,
        "companyType": 1,
        "ownerResourceID": TECHNICIANS[0],
        "phone": "555-0100",
        "isActive": True,
        "createDate": now,
        "lastActivityDate": now,
        "lastTrackedModifiedDateTime": now,
    }
    company = tenant.rows["Companies"].insert({**values, **more}, number)
    tenant.rows["CompanyLocations"].insert(
        {"companyID": company["id"], "name": "Main", "isActive": True, "isPrimary": True}
    )
    tenant.rows["Contacts"].insert(
        {
            "companyID": company["id"],
            "firstName": "Sam",
            "lastName": f"Contact {company['id']}",
            "isActive": 1,
            "emailAddress": f"contact{company['id']}@customer.example",
            "createDate": now,
            "lastActivityDate": now,
            "lastModifiedDate": now,
        }
    )
    return company


def spelled(names: list[str]) -> list[str]:
    """How the PSA spells the customers: every second of four in lower case with a full stop, every fourth without
    its legal form. A name keeps its spelling where the short form would fit two customers."""
    short = Counter(_without_form(name) for name in names)
    listed = []
    for position, name in enumerate(names):
        bare = _without_form(name)
        if position % 4 == 1 and short[bare] == 1:
            name = name.lower().rstrip(".") + "."
        elif position % 4 == 3 and short[bare] == 1:
            name = bare
        listed.append(name)
    return listed


def _without_form(name: str) -> str:
    head, _, last = name.rpartition(" ")
    return head if last in _LEGAL_FORMS else name


def _people(tenant: Tenant) -> None:
    def resource(number: int, first: str, last: str, user_name: str, *, licence: int, active: bool = True) -> None:
        tenant.rows["Resources"].insert(
            {
                "userName": user_name,
                "firstName": first,
                "lastName": last,
                "email": f"{first.lower()}@msp.example",
                "isActive": active,
                "resourceType": "Employee",
                "licenseType": licence,
                "locationID": 1,
                "userType": 17 if licence == 7 else 10,
            },
            number,
        )

    resource(API_RESOURCE, "Lockstep", "API", USERNAME, licence=7)
    resource(TECHNICIANS[0], "Ada", "Technician", "ada", licence=1)
    resource(TECHNICIANS[1], "Ben", "Technician", "ben", licence=1)
    resource(FORMER_TECHNICIAN, "Cleo", "Former", "cleo", licence=1, active=False)
    for number, name in ((ENGINEER, "Engineer"), (HELP_DESK, "Help Desk")):
        tenant.rows["Roles"].insert({"name": name, "isActive": True}, number)
    tenant.rows["Departments"].insert({"name": "Service Desk", "isActive": True}, DEPARTMENT)
    for person in TECHNICIANS:
        held = {"resourceID": person, "roleID": ENGINEER, "isActive": True, "isDefault": True}
        tenant.rows["ResourceRoleDepartments"].insert({**held, "departmentID": DEPARTMENT, "isDepartmentLead": False})
        tenant.rows["ResourceRoleQueues"].insert({**held, "queueID": SERVICE_DESK})
        tenant.rows["ResourceServiceDeskRoles"].insert(held)
        tenant.rows["ResourceRoles"].insert(
            {"resourceID": person, "roleID": ENGINEER, "queueID": SERVICE_DESK, "isActive": True}
        )


def _companies(tenant: Tenant, names: list[str]) -> None:
    add_company(tenant, "Sandbox Managed Services", OWN_COMPANY, companyType=8)
    for position, name in enumerate(spelled(names)):
        add_company(tenant, name, _FIRST_COMPANY + position * _STEP)
    # Two that differ in case and a full stop only, a prospect, and namesakes that are no longer active.
    for name in ("Nordwind GmbH", "nordwind gmbh."):
        add_company(tenant, name)
    add_company(tenant, "Prospect & Partners", companyType=3)
    add_company(tenant, "Former Customer AG", isActive=False)
    if names:
        add_company(tenant, names[0], isActive=False)


def _catalogue(tenant: Tenant) -> None:
    tenant.rows["BillingCodes"].insert({"name": "Managed Services", "isActive": True, "useType": 4}, 29_682_801)
    tenant.rows["BillingCodes"].insert({"name": "Remote Support", "isActive": True, "useType": 1}, 29_682_802)
    products = ("Managed Server", "Managed Device", "Managed Network Device", "Retired Product")
    for position, name in enumerate(products):
        tenant.rows["Products"].insert(
            {
                "name": name,
                "isActive": name != "Retired Product",
                "isSerialized": False,
                "productBillingCodeID": 29_682_801,
                "productCategory": 2,
            },
            29_682_953 + position,
        )
    types = ((10, "Server"), (14, "Workstation"), (15, "Network Device"), (16, "Printer"), (17, "Virtual Machine Host"))
    for number, name in types:
        tenant.rows["ConfigurationItemTypes"].insert({"name": name, "isActive": True}, number)
    tenant.rows["ConfigurationItemTypes"].insert({"name": "Retired Type", "isActive": False}, 18)


def _categories(tenant: Tenant) -> None:
    for number, name, default in ((1, "Standard", True), (3, "RMM Device", False)):
        tenant.rows["ConfigurationItemCategories"].insert(
            {
                "name": name,
                "nickname": name[:3],
                "isActive": True,
                "displayColorRGB": 1,
                "isGlobalDefault": default,
                "isClientPortalDefault": default,
            },
            number,
        )
    listed = (
        (2, "Datto RMM Alert", False, False),
        (STANDARD, "Standard", True, False),
        (4, "Datto Alert", False, False),
        (RMA, "RMA", False, False),
        (RMM_ALERTS, "RMM Alerts", False, True),
        (CHANGE, "Change Management", False, False),
    )
    for number, name, default, api_only in listed:
        tenant.rows["TicketCategories"].insert(
            {
                "name": name,
                "nickname": name[:3],
                "isActive": True,
                "displayColorRGB": 1,
                "isGlobalDefault": default,
                "isApiOnly": api_only,
            },
            number,
        )
    tenant.category_rules = {
        STANDARD: {"required": ["queueID"]},
        RMM_ALERTS: {"defaults": {"queueID": MONITORING, "source": 8, "ticketType": 5, "priority": 2}},
        CHANGE: {"required": ["queueID", "billingCodeID"], "note_title": True},
        RMA: {"required": ["rmaType"]},
    }
